# SPDX-License-Identifier: GPL-3.0-or-later
"""The keyring of the SDK in files; that its binary opens it is shown by the integration tests."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.keyring import items, keyring
from ansible_collections.interchain.security.plugins.module_utils.keyring.items import FileItems
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

PASSPHRASE = "correct horse"
FIRST = account_key.from_hex("01" * 32)
SECOND = account_key.from_hex("02" * 32)


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


@pytest.mark.parametrize(("backend", "folder"), [("file", "keyring-file"), ("test", "keyring-test"), ("os", ".")])
def test_add_rename_delete(tmp_path: Path, backend: str, folder: str) -> None:
    ring = keyring.open_keyring(backend, str(tmp_path), PASSPHRASE)
    assert ring.all() == []
    assert not list(tmp_path.iterdir())
    ring.add("first", FIRST)
    ring.add("second", SECOND)
    found = keyring.open_keyring(backend, str(tmp_path), PASSPHRASE).all()
    assert [(record.name, record.kind, record.private_key) for record in found] == [
        ("first", "local", FIRST.private_bytes),
        ("second", "local", SECOND.private_bytes),
    ]
    assert found[0].account_address("cosmos") == FIRST.account_address
    assert found[0].key("osmo").account_address.startswith("osmo1")
    files = list((tmp_path / folder).iterdir())
    assert {path.stat().st_mode & 0o777 for path in files if path.is_file()} == {0o600}
    assert not any(FIRST.private_bytes in path.read_bytes() for path in files if path.is_file())

    ring.rename("first", "third")
    assert ring.get("first") is None
    renamed = ring.get("third")
    assert renamed is not None
    assert renamed.private_key == FIRST.private_bytes
    ring.delete("third")
    ring.delete("third")
    assert [record.name for record in ring.all()] == ["second"]
    assert len(list((tmp_path / folder).iterdir())) == (2 if backend == "test" else 3)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    ring = keyring.open_keyring("test", str(tmp_path), None)
    ring.add("first", FIRST)
    with pytest.raises(KeyStoreError, match="has a key 'first' already"):
        ring.add("first", SECOND)
    with pytest.raises(KeyStoreError, match="this key under the name 'first' already"):
        ring.add("second", FIRST)
    ring.add("second", SECOND)
    with pytest.raises(KeyStoreError, match="has a key 'second' already"):
        ring.rename("first", "second")
    with pytest.raises(KeyStoreError, match="has no key 'third'"):
        ring.rename("third", "fourth")


def test_a_cut_rename_leaves_the_key_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = keyring.open_keyring("test", str(tmp_path), None)
    ring.add("first", FIRST)

    def cut(self: FileItems, key: str) -> None:
        raise OSError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(FileItems, "remove", cut)
        with pytest.raises(OSError, match="cut"):
            ring.rename("first", "second")
    for name in ("first", "second"):
        record = ring.get(name)
        assert record is not None
        assert record.private_key == FIRST.private_bytes


def test_passphrases(tmp_path: Path) -> None:
    keyring.open_keyring("file", str(tmp_path), PASSPHRASE).add("first", FIRST)
    with pytest.raises(KeyStoreError, match="the passphrase does not open the keyring in"):
        keyring.open_keyring("file", str(tmp_path), "incorrect horse")
    with pytest.raises(InvalidInput, match="keyring_passphrase_file is needed"):
        keyring.open_keyring("file", str(tmp_path), None)
    with pytest.raises(InvalidInput, match="between 8 and 72 bytes"):
        keyring.open_keyring("file", str(tmp_path), "short")
    with pytest.raises(InvalidInput, match="keyring_dir is needed"):
        keyring.open_keyring("file", None, PASSPHRASE)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\nb", "x" * 101, "{{ x }}"])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="not the name of a key"):
        keyring.open_keyring("test", str(tmp_path), None).get(name)


def test_damaged_files(tmp_path: Path) -> None:
    ring = keyring.open_keyring("test", str(tmp_path), None)
    ring.add("first", FIRST)
    path = tmp_path / "keyring-test" / "first.info"
    path.write_text(path.read_text()[:-4])
    with pytest.raises(KeyStoreError, match="cannot be decrypted: wrong passphrase or damaged"):
        ring.get("first")
    FileItems(tmp_path / "keyring-test", "test", has_key_hash=False).set("old.info", b"\x01amino")
    with pytest.raises(KeyStoreError, match="keys migrate"):
        ring.get("old")


def test_a_key_without_its_private_half_cannot_sign(tmp_path: Path) -> None:
    record = messages.keyring_pb2.Record(name="cold")
    record.pub_key.Pack(messages.secp256k1_pb2.PubKey(key=FIRST.public_key), type_url_prefix="/")
    record.offline.SetInParent()
    files = FileItems(tmp_path / "keyring-test", "test", has_key_hash=False)
    files.set("cold.info", record.SerializeToString())
    found = keyring.open_keyring("test", str(tmp_path), None).get("cold")
    assert found is not None
    assert (found.kind, found.account_address("cosmos")) == ("offline", FIRST.account_address)
    with pytest.raises(KeyStoreError, match="is of type offline: its private half is not in the keyring"):
        found.key("cosmos")


class Desktop:
    """The part of secretstorage that is used: one collection, locked at first."""

    class SecretStorageException(Exception):
        pass

    def __init__(self) -> None:
        self.collections: list[Any] = []

    def dbus_init(self) -> Desktop:
        return self

    def get_all_collections(self, connection: Any) -> list[Any]:
        return self.collections

    def create_collection(self, connection: Any, label: str) -> Any:
        self.collections.append(Collection("/org/freedesktop/secrets/collection/" + label.replace("-", "_2d")))
        return self.collections[-1]


class Collection:
    def __init__(self, path: str) -> None:
        self.collection_path, self.locked = path, True
        self.items: dict[str, types.SimpleNamespace] = {}

    def is_locked(self) -> bool:
        return self.locked

    def unlock(self) -> None:
        self.locked = False

    def search_items(self, attributes: dict[str, str]) -> list[Any]:
        assert not self.locked
        return [item for item in self.items.values() if item.attributes == attributes]

    def get_all_items(self) -> list[Any]:
        assert not self.locked
        return list(self.items.values())

    def create_item(self, label: str, attributes: dict[str, str], secret: bytes, replace: bool, kind: str) -> None:
        assert (replace, kind) == (True, "application/json")
        self.items[label] = types.SimpleNamespace(
            attributes=attributes,
            is_locked=lambda: False,
            get_secret=lambda: secret,
            get_label=lambda: label,
            delete=lambda: self.items.pop(label),
        )


def test_a_desktop_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that the calls fit together: no test has a real Secret Service."""
    desktop = Desktop()
    desktop.collections.append(Collection("/org/freedesktop/secrets/collection/login"))
    monkeypatch.setattr(items, "secretstorage", desktop)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    ring = keyring.open_keyring("os", None, None, "chain-d")
    assert ring.all() == []
    ring.add("first", FIRST)
    ring.rename("first", "second")
    assert [(record.name, record.private_key) for record in ring.all()] == [("second", FIRST.private_bytes)]
    assert set(desktop.collections[1].items) == {
        "second.info",
        f"{address.decode(FIRST.account_address)[1].hex()}.address",
    }
    for collection in desktop.collections:
        collection.locked = True
    ring.delete("second")
    assert not desktop.collections[1].items

    def broken(connection: Any) -> list[Any]:
        raise desktop.SecretStorageException("no such object")

    desktop.get_all_collections = broken  # type: ignore[method-assign]
    with pytest.raises(KeyStoreError, match="failed to read collection chain-d of the Secret Service"):
        ring.get("first")
