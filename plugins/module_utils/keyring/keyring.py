# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of accounts, in the keyring of the Cosmos SDK (crypto/keyring of the SDK)."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.keyring.items import (
    FileItems,
    Items,
    SecretServiceItems,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

with contextlib.suppress(ImportError):  # a module reports it through missing_required_lib
    from google.protobuf.message import DecodeError

FOLDERS = {"file": "keyring-file", "test": "keyring-test"}
TEST_PASSPHRASE = "test"
SERVICE = "cosmos"
INFO, ADDRESS = ".info", ".address"
TYPE_URL = "/cosmos.crypto.secp256k1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+ -]{0,99}")


@dataclass(frozen=True, repr=False)
class Record:
    """A key of a keyring: ``kind`` is local, ledger, multi or offline; only a local one has its private half here (32 bytes).

    ``raw_address`` is the address of the account in bytes; None when the public key is of a type that is not known here.
    """

    name: str
    kind: str
    public_key_type: str
    public_key: bytes
    private_key: bytes | None
    raw_address: bytes | None

    def account_address(self, prefix: str) -> str | None:
        """Return the address of the account under a prefix."""
        return None if self.raw_address is None else address.encode(prefix, self.raw_address)

    def key(self, prefix: str) -> AccountKey:
        """Return the key to sign with; KeyStoreError when its private half is not here."""
        if self.private_key is None:
            raise KeyStoreError(f"key {self.name!r} is of type {self.kind}: its private half is not in the keyring")
        return account_key.from_private_key(self.private_key, prefix)


class Accounts(Protocol):
    """Named keys of accounts. All raise KeyStoreError for a place that cannot be used."""

    def get(self, name: str) -> Record | None:
        """Return a key, or None when there is none of that name."""

    def all(self) -> list[Record]:
        """Return all keys in order of their names."""

    def add(self, name: str, key: AccountKey, mnemonic: str | None = None) -> None:
        """Store a key; KeyStoreError when there is one of that name."""

    def rename(self, old: str, new: str) -> None:
        """Give a key another name; KeyStoreError when it is not there or the other name is taken."""

    def delete(self, name: str) -> None:
        """Remove a key for ever; one that is not there is no error."""


class Keyring:
    """A keyring that ``keys --keyring-backend`` of a Cosmos SDK binary opens too."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def get(self, name: str) -> Record | None:
        """Return a key, or None when there is none of that name."""
        data = self._items.get(checked_name(name) + INFO)
        return None if data is None else _record(name, data)

    def all(self) -> list[Record]:
        """Return all keys in order of their names."""
        found = []
        for item in self._items.names():
            if item.endswith(INFO):
                data = self._items.get(item)
                if data is not None:
                    found.append(_record(item.removesuffix(INFO), data))
        return found

    def add(self, name: str, key: AccountKey, mnemonic: str | None = None) -> None:
        """Store a key; KeyStoreError when the name or the account is there already. The SDK's keyring keeps no mnemonic."""
        del mnemonic
        raw_address = address.decode(key.account_address)[1]
        if self.get(name) is not None:
            raise KeyStoreError(f"the keyring has a key {name!r} already")
        other = self._items.get(raw_address.hex() + ADDRESS)
        if other is not None and self._items.get(other.decode()) is not None:
            other_name = other.decode().removesuffix(INFO)
            raise KeyStoreError(f"the keyring has this key under the name {other_name!r} already: rename it")
        record = messages.keyring_pb2.Record(name=name)
        record.pub_key.Pack(messages.secp256k1_pb2.PubKey(key=key.public_key), type_url_prefix="/")
        record.local.priv_key.Pack(messages.secp256k1_pb2.PrivKey(key=key.private_bytes), type_url_prefix="/")
        self._write(record, raw_address)

    def rename(self, old: str, new: str) -> None:
        """Give a key another name; cut at any point, the key is under one of the two."""
        data = self._items.get(checked_name(old) + INFO)
        if data is None:
            raise KeyStoreError(f"the keyring has no key {old!r}")
        if self.get(new) is not None:
            raise KeyStoreError(f"the keyring has a key {new!r} already")
        found = _record(old, data)
        record = messages.keyring_pb2.Record.FromString(data)
        record.name = new
        if found.raw_address is None:
            raise KeyStoreError(f"key {old!r} is of a type that cannot be renamed here: {found.public_key_type}")
        self._write(record, found.raw_address)
        self._items.remove(old + INFO)

    def delete(self, name: str) -> None:
        """Remove a key for ever; one that is not there is no error."""
        record = self.get(name)
        if record is not None:
            if record.raw_address is not None:
                self._items.remove(record.raw_address.hex() + ADDRESS)
            self._items.remove(name + INFO)

    def _write(self, record: Any, raw_address: bytes) -> None:
        item = record.name + INFO
        self._items.set(item, record.SerializeToString())
        self._items.set(raw_address.hex() + ADDRESS, item.encode())


def open_keyring(backend: str, directory: str | None, passphrase: str | None, service: str = SERVICE) -> Keyring:
    """Open a keyring: ``backend`` is file, test or os; ``directory`` is what ``--keyring-dir`` or ``--home`` names.

    As for the SDK, ``os`` is the Secret Service of a desktop session, and where there is no session the encrypted files in
    ``directory`` itself.
    """
    if backend == "os" and "DBUS_SESSION_BUS_ADDRESS" in os.environ:
        return Keyring(SecretServiceItems(service))
    if not directory:
        raise InvalidInput(
            f"keyring_dir is needed by the keyring backend {backend}: the folder that --keyring-dir names"
        )
    if backend == "test":
        return Keyring(FileItems(Path(directory) / FOLDERS["test"], TEST_PASSPHRASE, has_key_hash=False))
    if not passphrase:
        raise InvalidInput(f"keyring_passphrase_file is needed by the keyring backend {backend}")
    return Keyring(FileItems(Path(directory) / FOLDERS.get(backend, ""), passphrase))


def checked_name(name: str) -> str:
    """Return the name of a key; InvalidInput when it cannot be one."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"not the name of a key: {name[:60]!r}; use letters, digits and . _ @ + - (100 at most)")
    return name


def _record(name: str, data: bytes) -> Record:
    try:
        record = messages.keyring_pb2.Record.FromString(data)
    except DecodeError:
        record = messages.keyring_pb2.Record()
    if record.name != name or not record.WhichOneof("item"):
        raise KeyStoreError(
            f"the key {name!r} of the keyring cannot be read: it may come from an old SDK; run `keys migrate` with the "
            "chain's binary"
        )
    kind = str(record.WhichOneof("item"))
    found = Record(name, kind, record.pub_key.type_url, b"", None, None)
    if record.pub_key.type_url == f"{TYPE_URL}.PubKey":
        public_key = messages.secp256k1_pb2.PubKey.FromString(record.pub_key.value).key
        found = replace(found, public_key=public_key, raw_address=account_key.raw_address(public_key))
    if kind == "local" and record.local.priv_key.type_url == f"{TYPE_URL}.PrivKey":
        private_key = messages.secp256k1_pb2.PrivKey.FromString(record.local.priv_key.value).key
        found = replace(found, private_key=private_key)
    return found
