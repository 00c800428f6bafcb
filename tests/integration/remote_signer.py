# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real tmkms with a key in a file, which connects to one node and signs for it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.testbed.parts import TMKMS

CONFIG = """
[[chain]]
id = "{chain_id}"
key_format = {{ type = "hex" }}
state_file = "{directory}/state.json"

[[validator]]
chain_id = "{chain_id}"
addr = "tcp://{address}"
secret_key = "{directory}/identity.key"

[[providers.softsign]]
chain_ids = ["{chain_id}"]
key_type = "consensus"
path = "{directory}/consensus.key"
"""


class RemoteSigner:
    """tmkms with its own key and its files in ``directory``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory, self._program = directory, TMKMS.ensure() / "tmkms"
        self._process: subprocess.Popen[bytes] | None = None
        self.log = directory / "log"
        for name in ("identity", "consensus"):
            made = [self._program, "softsign", "keygen", directory / f"{name}.key"]
            subprocess.run(made, check=True, capture_output=True, timeout=60)
        self.seed = base64.b64decode((directory / "consensus.key").read_text())
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        self.public_key = base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def start(self, chain_id: str, port: int) -> None:
        """Sign for the node of a chain that waits for its signer on a port of this machine."""
        config = self._directory / "tmkms.toml"
        config.write_text(CONFIG.format(chain_id=chain_id, directory=self._directory, address=f"127.0.0.1:{port}"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "start", "--config", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def pack(self, chain_id: str, address: str, target: Path, directory: str) -> None:
        """Put what it takes to sign elsewhere into ``target``, for a place that has it below ``directory``; the node waits at ``address``."""
        target.mkdir()
        for file in (self._program, *self._directory.glob("*.key")):
            shutil.copy(file, target)
        (target / "tmkms.toml").write_text(CONFIG.format(chain_id=chain_id, directory=directory, address=address))

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def signed_height(self) -> int:
        """Return the height of the newest vote or proposal that it signed, of its own sign state."""
        return int(json.loads((self._directory / "state.json").read_text())["height"])
