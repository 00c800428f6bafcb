# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations behind the modules key and key_info, on files and on an API of Secrets that is kept in memory."""

from __future__ import annotations

import base64
import json
import types
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.cluster import key_store
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.keyring import armor
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, key, key_info
from tests.operation import checked_options, run_operation

WORDS = "abandon " * 11 + "about"
ADDRESS = "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"
PASSPHRASE = "correct horse"


class Secrets:
    """The part of the API that is used, for one namespace."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def read_namespaced_secret(self, name: str, namespace: str) -> Any:
        if name not in self.objects:
            raise kubernetes.client.ApiException(404)
        return self.objects[name]

    def create_namespaced_secret(self, namespace: str, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        if name in self.objects:
            raise kubernetes.client.ApiException(409)
        metadata = types.SimpleNamespace(name=name, labels=body["metadata"]["labels"])
        self.objects[name] = types.SimpleNamespace(metadata=metadata, data=body["data"])

    def delete_namespaced_secret(self, name: str, namespace: str) -> None:
        self.read_namespaced_secret(name, namespace)
        del self.objects[name]

    def list_namespaced_secret(self, namespace: str, label_selector: str) -> Any:
        label, value = label_selector.split("=")
        return types.SimpleNamespace(
            items=[found for found in self.objects.values() if found.metadata.labels.get(label) == value]
        )


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    found = Secrets()
    monkeypatch.setattr(key_store, "_core_api", lambda kubeconfig: found)
    return found


def private(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


Place = dict[str, Any]


@pytest.fixture(params=["file", "test", "kubernetes"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "kubernetes":
        request.getfixturevalue("secrets")
        return {"keyring_backend": "kubernetes", "namespace": "alice"}
    (tmp_path / "ring").mkdir()
    passphrase = private(tmp_path / "passphrase", PASSPHRASE + "\n")
    return {
        "keyring_backend": request.param,
        "keyring_dir": str(tmp_path / "ring"),
        "keyring_passphrase_file": passphrase,
    }


def test_cycle_of_an_account_key(place: Place, tmp_path: Path) -> None:
    """Create, repeat, change, repeat, delete, repeat; each in check mode first."""
    add = {"name": "alice", "mnemonic": WORDS, **place}
    assert run_operation(key, check_mode=True, **add)["changed"]
    assert run_operation(key_info, **place)["keys"] == []
    made = run_operation(key, **add)
    assert made["changed"]
    assert made["key"]["address"] == ADDRESS
    assert made["diff"] == {"before": {}, "after": made["key"]}
    for check in (True, False):
        assert not run_operation(key, check_mode=check, **add)["changed"]
    assert run_operation(key_info, **place)["keys"] == [made["key"]]
    assert run_operation(key_info, name="nobody", **place)["keys"] == []

    exported = tmp_path / "alice.armor"
    passphrase = private(tmp_path / "export-passphrase", "another passphrase")
    export = {**add, "export_file": str(exported), "export_passphrase_file": passphrase}
    assert run_operation(key, check_mode=True, **export)["changed"]
    assert not exported.exists()
    assert run_operation(key, **export)["changed"]
    assert exported.stat().st_mode & 0o777 == 0o600
    secret = armor.decrypt(exported.read_text(), "another passphrase")
    assert account_key.from_private_key(secret).account_address == ADDRESS
    assert not run_operation(key, **export)["changed"]

    rename = {"name": "bob", "rename_from": "alice", **place}
    assert run_operation(key, check_mode=True, **rename)["changed"]
    renamed = run_operation(key, **rename)
    assert renamed["changed"]
    assert (renamed["key"]["name"], renamed["key"]["address"]) == ("bob", ADDRESS)
    for check in (True, False):
        assert not run_operation(key, check_mode=check, **rename)["changed"]

    remove = {"name": "bob", "state": "absent", **place}
    with pytest.raises(InterchainError, match="removing key 'bob' is for ever"):
        run_operation(key, **remove)
    assert run_operation(key, check_mode=True, confirm=True, **remove)["changed"]
    assert len(run_operation(key_info, **place)["keys"]) == 1
    assert run_operation(key, confirm=True, **remove)["changed"]
    for check in (True, False):
        assert not run_operation(key, check_mode=check, **remove)["changed"]

    imported = {"name": "carol", "import_file": str(exported), "import_passphrase_file": passphrase, **place}
    assert run_operation(key, **imported)["key"]["address"] == ADDRESS
    assert not run_operation(key, **imported)["changed"]


def test_a_new_key_keeps_its_mnemonic_where_it_is_told_to(place: Place, tmp_path: Path) -> None:
    words = tmp_path / "words"
    add = {"name": "alice", "new_mnemonic_file": str(words), **place}
    assert run_operation(key, check_mode=True, **add)["key"] is None
    assert not words.exists()
    made = run_operation(key, **add)
    assert words.stat().st_mode & 0o777 == 0o600
    assert account_key.from_mnemonic(words.read_text()).account_address == made["key"]["address"]
    assert not run_operation(key, **add)["changed"]
    shown = json.dumps([made, run_operation(key_info, **place)])
    assert not any(f" {word} " in shown for word in words.read_text().split() if len(word) > 5)
    run_operation(key, name="alice", state="absent", confirm=True, **place)
    assert run_operation(key, **add)["key"] == made["key"]  # a run that was cut goes on with what it wrote


def test_a_key_is_never_replaced(place: Place) -> None:
    run_operation(key, name="alice", private_key="01" * 32, **place)
    with pytest.raises(InterchainError, match="there is another key 'alice', of cosmos1"):
        run_operation(key, name="alice", private_key="02" * 32, **place)
    run_operation(key, name="bob", private_key="02" * 32, **place)
    with pytest.raises(InterchainError, match="there is another key 'bob'"):
        run_operation(key, name="bob", rename_from="alice", **place)
    with pytest.raises(InterchainError, match="there is no key 'nobody' to rename"):
        run_operation(key, name="carol", rename_from="nobody", **place)


def test_the_path_and_the_prefix_are_chosen(place: Place) -> None:
    other = run_operation(key, name="a", mnemonic=WORDS, coin_type=60, account_prefix="osmo", **place)["key"]["address"]
    assert other == account_key.from_mnemonic(WORDS, "osmo", "m/44'/60'/0'/0/0").account_address
    named = run_operation(key, name="b", mnemonic=WORDS, account=1, address_index=2, **place)["key"]["address"]
    assert named == account_key.from_mnemonic(WORDS, path="m/44'/118'/1'/0/2").account_address
    again = run_operation(key, name="b", mnemonic=WORDS, hd_path="m/44'/118'/1'/0/2", **place)
    assert not again["changed"]


@pytest.mark.parametrize("kind", ["consensus", "node"])
@pytest.mark.parametrize("where", ["file", "secret"])
def test_cycle_of_a_node_key(kind: str, where: str, secrets: Secrets, tmp_path: Path) -> None:
    place: Place = {"kind": kind, "name": "k"}
    place |= {"key_file": str(tmp_path / "key.json")} if where == "file" else {"namespace": "alice"}
    assert run_operation(key, check_mode=True, **place)["changed"]
    assert run_operation(key_info, **place)["keys"] == []
    made = run_operation(key, **place)
    assert made["changed"]
    assert not run_operation(key, **place)["changed"]
    assert run_operation(key_info, **place)["keys"] == [made["key"]]
    if where == "secret":
        assert run_operation(key_info, kind=kind, namespace="alice")["keys"] == [made["key"]]

    exported = tmp_path / "exported.json"
    assert run_operation(key, export_file=str(exported), **place)["changed"]
    assert not run_operation(key, export_file=str(exported), **place)["changed"]
    assert exported.stat().st_mode & 0o777 == 0o600
    assert ("pub_key" in json.loads(exported.read_text())) is (kind == "consensus")
    with pytest.raises(InterchainError, match="a key is never replaced"):
        run_operation(key, private_key="05" * 32, **place)
    with pytest.raises(InterchainError, match="is for ever"):
        run_operation(key, state="absent", **place)
    assert run_operation(key, state="absent", confirm=True, **place)["changed"]
    assert not run_operation(key, state="absent", confirm=True, **place)["changed"]
    assert run_operation(key, import_file=str(exported), **place)["key"] == made["key"]


def test_a_signer_from_each_source(secrets: Secrets, tmp_path: Path) -> None:
    run_operation(key, name="alice", mnemonic=WORDS, keyring_backend="test", keyring_dir=str(tmp_path))
    run_operation(key, name="alice-account", mnemonic=WORDS, keyring_backend="kubernetes", namespace="alice")
    secrets.create_namespaced_secret(
        "alice",
        {"metadata": {"name": "own", "labels": {}}, "data": {"mnemonic": base64.b64encode(WORDS.encode()).decode()}},
    )
    secret = account_key.from_mnemonic(WORDS).private_bytes.hex()
    sources: list[dict[str, Any]] = [
        {"mnemonic": WORDS},
        {"mnemonic_file": private(tmp_path / "words", WORDS)},
        {"private_key": secret},
        {"private_key_file": private(tmp_path / "hex", secret)},
        {"key_name": "alice", "keyring_backend": "test", "keyring_dir": str(tmp_path)},
        {"key_name": "alice-account", "keyring_backend": "kubernetes", "account_namespace": "alice"},
        {"account_secret": "alice-account", "account_namespace": "alice"},
        {"account_secret": "own", "account_namespace": "alice"},
    ]
    for source in sources:
        assert signer(**source).key.account_address == ADDRESS, source
    for several in ({}, {**sources[0], **sources[2]}):
        with pytest.raises(InterchainError, match="give exactly one of mnemonic, mnemonic_file, private_key"):
            signer(**several)
    with pytest.raises(InterchainError, match="account_namespace is needed"):
        signer(account_secret="own")
    with pytest.raises(InterchainError, match="there is no Secret alice/nobody"):
        signer(account_secret="nobody", account_namespace="alice")
    with pytest.raises(InterchainError, match="the keyring test has no key 'nobody'"):
        signer(key_name="nobody", keyring_backend="test", keyring_dir=str(tmp_path))
    for option, value in {"retries": -1, "retry_delay": -0.1, "gas_adjustment": 0.9, "tx_timeout": 0}.items():
        with pytest.raises(InterchainError, match=f"{option} must be at least"):
            signer(mnemonic=WORDS, **{option: value})
    for option in ("max_fee", "fee_budget", "gas_prices"):
        with pytest.raises(InterchainError, match=f"{option} must be"):
            signer(mnemonic=WORDS, **{option: "much"})


def signer(**arguments: Any) -> Any:
    return connection.signer(checked_options(connection.SIGNER_OPTIONS, **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"mnemonic": WORDS, "private_key": "01" * 32},
            "give only one source of the key, not mnemonic and private_key",
        ),
        ({"state": "absent", "mnemonic": WORDS}, "state absent takes no mnemonic"),
        ({"state": "absent", "export_file": "x"}, "state absent takes no export_file"),
        ({"export_file": "x"}, "export_file needs export_passphrase_file"),
        ({"import_file": "x"}, "import_file needs import_passphrase_file"),
        ({"rename_from": "bob", "mnemonic": WORDS}, "give either rename_from or mnemonic"),
        ({"kind": "node"}, "give key_file or namespace: where the node key is kept"),
        ({"kind": "consensus", "mnemonic": WORDS}, "mnemonic is for the keys of accounts, not for a consensus key"),
        ({"kind": "node", "key_file": "x", "namespace": "y"}, "give either key_file or namespace"),
        ({"key_file": "x"}, "key_file is for consensus and node keys"),
        ({"keyring_backend": "kubernetes"}, "namespace is needed by the keyring backend kubernetes"),
        ({"keyring_backend": "kubernetes", "namespace": "../x"}, "namespace must name a Kubernetes object"),
        ({"hd_path": "m/x", "mnemonic": WORDS}, "hd_path must have the form"),
        ({"coin_type": -1, "mnemonic": WORDS}, "coin_type must lie between"),
    ],
)
def test_bad_input_is_told_before_anything_changes(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    usual = {"name": "alice", "keyring_backend": "test", "keyring_dir": str(tmp_path)}
    with pytest.raises(InterchainError, match=message):
        run_operation(key, **{**usual, **arguments})
    assert not list(tmp_path.iterdir())


def test_files_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = Path(private(tmp_path / "words", WORDS))
    arguments = {"name": "a", "keyring_backend": "test", "keyring_dir": str(tmp_path), "mnemonic_file": str(path)}
    for mode in (0o604, 0o620, 0o601):
        path.chmod(mode)
        with pytest.raises(InterchainError, match=f"mnemonic_file has mode {mode:04o}: others could read or change"):
            run_operation(key, **arguments)
    path.chmod(0o440)  # as Kubernetes mounts it for a group
    assert run_operation(key, **arguments)["changed"]
    path.chmod(0o600)
    path.write_text(" \n")
    with pytest.raises(InterchainError, match="mnemonic_file is empty"):
        run_operation(key, **arguments)
    path.unlink()
    with pytest.raises(InterchainError, match="cannot be read: No such file"):
        run_operation(key, **arguments)
