# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys of accounts as Secrets of a namespace: one Secret for each, with the entries ``private_key`` and, when known, ``mnemonic``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey, raw_address
from ansible_collections.interchain.security.plugins.module_utils.cluster import key_store
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.keyring.keyring import TYPE_URL, Record

PRIVATE_KEY, MNEMONIC = "private_key", "mnemonic"
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class SecretAccounts:
    """The account keys of a namespace; ``read_key`` makes a key of the entries of a Secret."""

    def __init__(
        self, namespace: str, kubeconfig: str | None, read_key: Callable[[Mapping[str, bytes], str], AccountKey]
    ) -> None:
        self._namespace, self._kubeconfig, self._read_key = object_name("namespace", namespace), kubeconfig, read_key

    def get(self, name: str) -> Record | None:
        """Return the key of a Secret, or None when there is no Secret; any Secret that has one of the entries will do."""
        entries = self._secret(name).read()
        return None if entries is None else self._record(name, entries)

    def all(self) -> list[Record]:
        """Return the keys of the Secrets that were made here."""
        label = f"app.kubernetes.io/managed-by={key_store.MANAGED_BY}"
        return [
            self._record(name, entries)
            for name, entries in key_store.secrets_with(self._namespace, label, self._kubeconfig)
            if PRIVATE_KEY in entries or MNEMONIC in entries
        ]

    def add(self, name: str, key: AccountKey, mnemonic: str | None = None) -> None:
        """Create the Secret of a key; it is never replaced."""
        kept = {} if mnemonic is None else {MNEMONIC: mnemonic}
        self._secret(name).create({PRIVATE_KEY: key.private_bytes.hex(), **kept}, {})

    def rename(self, old: str, new: str) -> None:
        """Create the Secret under its new name, then remove the old one."""
        entries = self._secret(old).read()
        if entries is None:
            raise KeyStoreError(f"there is no Secret {self._namespace}/{old}")
        self._record(old, entries)  # only what holds a key is moved
        self._secret(new).create({entry: text.decode() for entry, text in entries.items()}, {})
        self._secret(old).delete()

    def delete(self, name: str) -> None:
        """Remove the Secret of a key; one that holds no key stays, with an error."""
        if self.get(name) is not None:
            self._secret(name).delete()

    def _secret(self, name: str) -> key_store.Secret:
        return key_store.Secret(self._namespace, object_name("name", name), self._kubeconfig)

    def _record(self, name: str, entries: Mapping[str, bytes]) -> Record:
        key = self._read_key(entries, f"Secret {self._namespace}/{name}")
        return Record(
            name, "local", f"{TYPE_URL}.PubKey", key.public_key, key.private_bytes, raw_address(key.public_key)
        )


def object_name(option: str, name: str | None) -> str:
    """Return the name of a Kubernetes object that an option gives; InvalidInput when it is none."""
    if not _OBJECT_NAME.fullmatch(name or ""):
        raise InvalidInput(f"{option} must name a Kubernetes object (small letters, digits, - and .), not {name!r}")
    return str(name)
