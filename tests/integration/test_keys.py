# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys of the modules key and key_info open with the provider's own binary, and its keys with the modules."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cosmpy.crypto.keypairs import PublicKey

from ansible_collections.interchain.security.plugins.module_utils.operations import key, key_info
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from ansible_collections.interchain.security.plugins.module_utils.runner import execute
from tests.operation import checked_options
from tests.testbed.parts import CHAIN

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
PASSPHRASE = "correct horse"
ARMOR_PASSPHRASE = "battery staple"
CHAIN_ID = "offline-1"
# Where the binary finds no desktop session, its backend os is encrypted files.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}


def private(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


@dataclass
class Place:
    """A keyring, reached through the modules and through the binary."""

    directory: Path
    backend: str

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def module(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        """Run a module; nothing secret may be in what it says. The encrypted keyring is run by main() in a Python of its own."""
        parameters = {"keyring_backend": self.backend, "keyring_dir": str(self.home), **arguments}
        if "kind" not in arguments:
            parameters["keyring_passphrase_file"] = private(self.directory / "passphrase", PASSPHRASE)
        if self.backend == "file":
            said = self.main(module, parameters)
            assert "warnings" not in json.loads(said)
        else:
            operation = {"key": key, "key_info": key_info}[module]
            options = checked_options(operation.ARGUMENT_SPEC, **parameters)
            said = json.dumps(execute(operation, options, check_mode=False))
        for secret in (PASSPHRASE, ARMOR_PASSPHRASE, *self.secrets()):
            assert secret not in said
        result: dict[str, Any] = json.loads(said)
        assert not result.get("failed"), result
        return result

    def main(self, module: str, parameters: dict[str, Any]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", f"ansible_collections.interchain.security.plugins.modules.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **parameters}}),
            env={**ENVIRONMENT, "PYTHONPATH": str(COLLECTIONS)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def secrets(self) -> list[str]:
        return [path.read_text().strip() for path in self.directory.glob("*.secret")]

    def binary(self, *arguments: str, answers: tuple[str, ...] = ()) -> str:
        """Run the binary; answers go to its questions, after which the keyring's passphrase does."""
        command = [str(CHAIN.ensure() / "interchain-security-pd"), *arguments, "--home", str(self.home)]
        if arguments[0] != "comet":
            command += ["--keyring-backend", self.backend]
        done = subprocess.run(
            command,
            input="".join(f"{line}\n" for line in (*answers, PASSPHRASE, PASSPHRASE)),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def listed(self) -> list[tuple[str, str, str]]:
        return [(found["name"], found["address"], found["pubkey"]) for found in self.shown("list")]

    def shown(self, *arguments: str) -> Any:
        return json.loads(self.binary("keys", *arguments, "--output", "json"))

    def sign(self, name: str) -> tuple[bytes, bytes]:
        """Sign a transaction with a key of the keyring; return what was signed and the signature."""
        address = self.shown("show", name)["address"]
        numbers = ("--offline", "--account-number", "1", "--sequence", "1")
        unsigned = self.binary("tx", "bank", "send", address, address, "1stake", "--generate-only", *numbers)
        plain = private(self.directory / "unsigned.json", unsigned)
        signed = self.binary("tx", "sign", plain, "--from", name, "--chain-id", CHAIN_ID, *numbers)
        encoded = self.binary("tx", "encode", private(self.directory / "signed.json", signed))
        raw = messages.tx_pb2.TxRaw.FromString(base64.b64decode(encoded))
        document = messages.tx_pb2.SignDoc(
            body_bytes=raw.body_bytes, auth_info_bytes=raw.auth_info_bytes, chain_id=CHAIN_ID, account_number=1
        )
        return document.SerializeToString(), raw.signatures[0]


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    (tmp_path / "home").mkdir()
    return Place(tmp_path, request.param)


def on(*backends: str) -> pytest.MarkDecorator:
    """Run a test on keyrings of these backends."""
    return pytest.mark.parametrize("place", backends, indirect=True)


def as_listed(keys: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(found["name"], found["address"], json.dumps(found["public_key"], separators=(",", ":"))) for found in keys]


@on("file", "test", "os")
def test_a_key_made_here_opens_there(place: Place) -> None:
    words = place.directory / "words.secret"
    made = place.module("key", name="alice", new_mnemonic_file=str(words))
    assert made["changed"]
    place.module("key", name="bob", private_key_file=private(place.directory / "bob.secret", "07" * 32))
    keys = place.module("key_info")["keys"]
    assert [found["type"] for found in keys] == ["local", "local"]
    assert as_listed(keys) == place.listed()
    assert place.shown("show", "alice")["address"] == made["key"]["address"]

    document, signature = place.sign("alice")
    assert PublicKey(base64.b64decode(made["key"]["public_key"]["key"])).verify(document, signature)

    place.module("key", name="carol", rename_from="bob")
    place.module("key", name="alice", state="absent", confirm=True)
    assert [name for name, _address, _key in place.listed()] == ["carol"]
    again = place.binary("keys", "add", "alice", "--recover", "--source", str(words), "--output", "json")
    assert json.loads(again)["address"] == made["key"]["address"]


@on("file", "test", "os")
def test_a_key_made_there_opens_here(place: Place) -> None:
    made = json.loads(place.binary("keys", "add", "alice", "--output", "json"))
    private(place.directory / "alice.secret", made["mnemonic"])
    assert as_listed(place.module("key_info")["keys"]) == place.listed()
    recovered = place.module("key", name="alice", mnemonic_file=str(place.directory / "alice.secret"))
    assert not recovered["changed"]
    assert recovered["key"]["address"] == made["address"]
    place.module("key", name="bob")  # beside it, by the passphrase that the binary set
    assert [name for name, _address, _key in place.listed()] == ["alice", "bob"]


@on("test")
def test_armor_goes_both_ways(place: Place) -> None:
    passphrase = private(place.directory / "armor-passphrase", ARMOR_PASSPHRASE)
    exported = place.directory / "ours.armor"
    ours = place.module("key", name="ours", export_file=str(exported), export_passphrase_file=passphrase)["key"]
    place.binary("keys", "rename", "ours", "moved", "--yes")
    place.binary("keys", "delete", "moved", "--yes")
    place.binary("keys", "import", "back", str(exported), answers=(ARMOR_PASSPHRASE,))
    assert place.shown("show", "back")["address"] == ours["address"]

    theirs = json.loads(place.binary("keys", "add", "theirs", "--no-backup", "--output", "json"))
    armored = private(
        place.directory / "theirs.armor", place.binary("keys", "export", "theirs", answers=(ARMOR_PASSPHRASE,))
    )
    place.binary("keys", "delete", "theirs", "--yes")
    imported = place.module("key", name="theirs", import_file=armored, import_passphrase_file=passphrase)
    assert imported["changed"]
    assert imported["key"]["address"] == theirs["address"]


@on("test")
def test_paths_and_coin_types_lead_to_the_same_account(place: Place) -> None:
    words = private(place.directory / "words.secret", "abandon " * 23 + "art")
    for number, (options, arguments) in enumerate(
        [
            ((), {}),
            (("--coin-type", "60"), {"coin_type": 60}),
            (("--account", "3", "--index", "1200"), {"account": 3, "address_index": 1200}),
            (("--hd-path", "m/44'/330'/0'/0/5"), {"hd_path": "m/44'/330'/0'/0/5"}),
        ]
    ):
        name = f"key-{number}"
        there = place.binary("keys", "add", name, "--recover", "--source", words, *options, "--output", "json")
        here = place.module("key", name=name, mnemonic_file=words, **arguments)
        assert not here["changed"]
        assert here["key"]["address"] == json.loads(there)["address"]


@on("test")
def test_consensus_and_node_keys(place: Place) -> None:
    config = place.home / "config"
    config.mkdir()
    node = place.module("key", name="node", kind="node", key_file=str(config / "node_key.json"))["key"]
    consensus = place.module("key", name="own", kind="consensus", key_file=str(config / "priv_validator_key.json"))[
        "key"
    ]
    assert place.binary("comet", "show-node-id").strip() == node["address"]
    state = config.parent / "data"
    state.mkdir(exist_ok=True)
    private(state / "priv_validator_state.json", '{"height":"0","round":0,"step":0}')
    assert json.loads(place.binary("comet", "show-validator")) == consensus["public_key"]
