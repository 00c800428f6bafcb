# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A provider chain of one validator as a plain process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from datetime import datetime
from pathlib import Path

CHAIN_ID = "provider-events"
UNBONDING = "15s"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Node:
    """A provider chain of one validator on loopback."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._binary = binary
        self._home = home
        self._port, self._peer_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self._run("init", "alice", "--chain-id", CHAIN_ID)
        account = self._run("keys", "add", "alice", "--keyring-backend", "test", "--output", "json")
        self.mnemonic: str = json.loads(account)["mnemonic"]
        self._run("genesis", "add-genesis-account", "alice", "1000000000000stake", "--keyring-backend", "test")
        self._run("genesis", "gentx", "alice", "600000000stake", "--chain-id", CHAIN_ID, "--keyring-backend", "test")
        self._run("genesis", "collect-gentxs")
        genesis_file = home / "config" / "genesis.json"
        genesis = json.loads(genesis_file.read_text())
        genesis["app_state"]["staking"]["params"]["unbonding_time"] = UNBONDING
        genesis_file.write_text(json.dumps(genesis))
        config_file = home / "config" / "config.toml"
        config = re.sub(r"(?m)^timeout_commit = .*$", 'timeout_commit = "500ms"', config_file.read_text())
        config_file.write_text(config)

    def _run(self, *arguments: str) -> str:
        command = [str(self._binary), *arguments, "--home", str(self._home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def start(self) -> None:
        command = [str(self._binary), "start", "--home", str(self._home), "--minimum-gas-prices", "0stake"]
        command += ["--rpc.laddr", f"tcp://127.0.0.1:{self._port}", "--p2p.laddr", f"tcp://127.0.0.1:{self._peer_port}"]
        command += ["--grpc.enable=false", "--api.enable=false", "--rpc.pprof_laddr", ""]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def transact(self, *arguments: str) -> None:
        """Send a transaction of the provider module; the node answers once it is in the mempool."""
        command = ["tx", "provider", *arguments, "--from", "alice", "--keyring-backend", "test", "--chain-id", CHAIN_ID]
        command += ["--node", f"tcp://127.0.0.1:{self._port}", "--gas", "2000000", "--yes", "--output", "json"]
        answer = json.loads(self._run(*command))
        assert answer["code"] == 0, answer["raw_log"]

    def create_consumer(self, spawn_time: datetime) -> None:
        """Create a consumer whose free text is an injection."""
        record = self._home / "consumer.json"
        hostile = "{{ lookup('pipe', 'id') }}"
        record.write_text(
            json.dumps(
                {
                    "chain_id": f"{hostile}-1",
                    "metadata": {"name": hostile, "description": hostile, "metadata": "{}"},
                    "initialization_parameters": {
                        "initial_height": {"revision_number": 1, "revision_height": 1},
                        "spawn_time": spawn_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "unbonding_period": 1209600000000000,
                        "ccv_timeout_period": 2419200000000000,
                        "transfer_timeout_period": 1800000000000,
                        "consumer_redistribution_fraction": "0.75",
                        "blocks_per_distribution_transmission": 1000,
                        "historical_entries": 10000,
                    },
                    "power_shaping_parameters": {"top_N": 0},
                }
            )
        )
        self.transact("create-consumer", str(record))
