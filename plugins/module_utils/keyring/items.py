# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a keyring of the Cosmos SDK keeps its items: encrypted files, or the Secret Service of a desktop.

Both have the form of the library that the SDK uses (github.com/99designs/keyring).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.interchain.security.plugins.module_utils import secret_file
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.keyring.armor import check_passphrase

try:
    import bcrypt
    from jwcrypto import jwe
    from jwcrypto.common import JWException, base64url_encode
    from jwcrypto.jwk import JWK

    MISSING = ""
except ImportError as error:  # FileItems reports it
    MISSING = str(error.name)

try:
    import secretstorage

    HAS_SECRETSTORAGE = True
except ImportError:  # SecretServiceItems reports it
    HAS_SECRETSTORAGE = False

ALGORITHM, ENCRYPTION = "PBES2-HS256+A128KW", "A256GCM"
ITERATIONS = 8192
KEY_HASH = "keyhash"
KEY_HASH_COST = 10


class Items(Protocol):
    """Named pieces of secret data."""

    def get(self, key: str) -> bytes | None:
        """Return an item's data, or None when there is none of that name."""

    def set(self, key: str, data: bytes) -> None:
        """Write an item durably, in place of what is there."""

    def remove(self, key: str) -> None:
        """Remove an item; one that is not there is no error."""

    def names(self) -> list[str]:
        """Return the names of all items."""


class FileItems:
    """One encrypted file (JWE) for each item; a folder with a ``keyhash`` is opened by that passphrase only."""

    def __init__(self, directory: Path, passphrase: str, *, has_key_hash: bool = True) -> None:
        """KeyStoreError when the passphrase is not the folder's; nothing is written before the first item is."""
        if MISSING:
            raise KeyStoreError(f"a keyring needs a Python package that is missing: {MISSING}")
        self._directory, self._passphrase, self._has_key_hash = directory, passphrase, has_key_hash
        if has_key_hash:
            check_passphrase(passphrase)
            with self._telling("open"):
                known = self._key_hash.read_bytes() if self._key_hash.exists() else None
            if known is not None and not self._is_right(known):
                raise KeyStoreError(f"the passphrase does not open the keyring in {directory}")

    def get(self, key: str) -> bytes | None:
        """See :class:`Items`; KeyStoreError when the file cannot be read or decrypted."""
        path = self._path(key)
        try:
            with self._telling("read"):
                text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        token = jwe.JWE(algs=[ALGORITHM, ENCRYPTION])
        try:
            token.deserialize(text.strip())
            token.decrypt(JWK.from_password(self._passphrase))
            return base64.b64decode(json.loads(token.payload)["Data"] or "")
        except (JWException, ValueError, KeyError, TypeError):
            raise KeyStoreError(f"the keyring file {path} cannot be decrypted: wrong passphrase or damaged") from None

    def set(self, key: str, data: bytes) -> None:
        """See :class:`Items`; KeyStoreError when the file cannot be written."""
        item = {
            "Key": key,
            "Data": base64.b64encode(data).decode(),
            "Label": "",
            "Description": "",
            "KeychainNotTrustApplication": False,
            "KeychainNotSynchronizable": False,
        }
        header = {
            "alg": ALGORITHM,
            "enc": ENCRYPTION,
            "created": datetime.now(UTC).isoformat(" "),
            "p2c": ITERATIONS,
            "p2s": base64url_encode(os.urandom(12)),
        }
        token = jwe.JWE(json.dumps(item), json.dumps(header), algs=[ALGORITHM, ENCRYPTION])
        token.add_recipient(JWK.from_password(self._passphrase))
        with self._telling("write"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._has_key_hash and not self._key_hash.exists():
                hashed = bcrypt.hashpw(self._passphrase.encode(), bcrypt.gensalt(KEY_HASH_COST, b"2a"))
                with contextlib.suppress(FileExistsError):
                    secret_file.create(self._key_hash, hashed.decode())
                if not self._is_right(self._key_hash.read_bytes()):
                    raise KeyStoreError(f"another passphrase was set for the keyring in {self._directory} meanwhile")
            secret_file.replace(self._path(key), token.serialize(compact=True))

    def remove(self, key: str) -> None:
        """See :class:`Items`."""
        with self._telling("remove from"):
            self._path(key).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """See :class:`Items`."""
        try:
            with self._telling("read"):
                return sorted(urllib.parse.unquote(path.name) for path in self._directory.iterdir() if path.is_file())
        except FileNotFoundError:
            return []

    @property
    def _key_hash(self) -> Path:
        return self._directory / KEY_HASH

    def _is_right(self, key_hash: bytes) -> bool:
        try:
            return bcrypt.checkpw(self._passphrase.encode(), key_hash.strip())
        except ValueError:
            raise KeyStoreError(f"{self._key_hash} is damaged: it is no hash of a passphrase") from None

    def _path(self, key: str) -> Path:
        if key in ("", ".", "..", KEY_HASH):
            raise InvalidInput(f"not the name of a key: {key!r}")
        return self._directory / key.replace("%", "%25").replace("/", "%2F")

    @contextlib.contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, UnicodeDecodeError) as error:
            cause = getattr(error, "strerror", None) or "not text"
            raise KeyStoreError(f"failed to {verb} the keyring in {self._directory}: {cause}") from error


class SecretServiceItems:
    """Items of a collection of the Secret Service (GNOME Keyring, KWallet), which a desktop session unlocks."""

    def __init__(self, service: str) -> None:
        """``service`` is the name of the collection; KeyStoreError when nothing offers the service."""
        if not HAS_SECRETSTORAGE:
            raise KeyStoreError("the keyring backend os needs the Python package secretstorage in a desktop session")
        self._service = service
        with self._telling("open"):
            self._connection = secretstorage.dbus_init()

    def get(self, key: str) -> bytes | None:
        """See :class:`Items`."""
        with self._telling("read"):
            collection = self._collection()
            for item in collection.search_items({"profile": key}) if collection else ():
                if item.is_locked():
                    item.unlock()
                return base64.b64decode(json.loads(item.get_secret())["Data"] or "")
        return None

    def set(self, key: str, data: bytes) -> None:
        """See :class:`Items`."""
        secret = json.dumps({"Key": key, "Data": base64.b64encode(data).decode(), "Label": "", "Description": ""})
        with self._telling("write"):
            collection = self._collection() or secretstorage.create_collection(self._connection, self._service)
            collection.create_item(key, {"profile": key}, secret.encode(), True, "application/json")

    def remove(self, key: str) -> None:
        """See :class:`Items`."""
        with self._telling("remove from"):
            collection = self._collection()
            for item in collection.search_items({"profile": key}) if collection else ():
                item.delete()

    def names(self) -> list[str]:
        """See :class:`Items`."""
        with self._telling("read"):
            collection = self._collection()
            return sorted(item.get_label() for item in collection.get_all_items()) if collection else []

    def _collection(self) -> Any:
        # The SDK finds its collection by its path, which is the name with all but letters and digits escaped.
        for collection in secretstorage.get_all_collections(self._connection):
            name = collection.collection_path.rsplit("/", 1)[-1]
            if urllib.parse.unquote(name.replace("_", "%")) == self._service:
                if collection.is_locked():
                    collection.unlock()
                return collection
        return None

    @contextlib.contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (secretstorage.SecretStorageException, OSError, ValueError, KeyError) as error:
            raise KeyStoreError(
                f"failed to {verb} collection {self._service} of the Secret Service: {type(error).__name__}; is a desktop "
                "session with an unlocked keyring running?"
            ) from None
