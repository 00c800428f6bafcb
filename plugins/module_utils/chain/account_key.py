# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account key that signs transactions, derived from a mnemonic as the Cosmos SDK does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    KeyStoreError,
)

try:
    from cosmpy.crypto.address import Address
    from cosmpy.crypto.keypairs import PrivateKey
    from cosmpy.mnemonic import COSMOS_HD_PATH, derive_child_key_from_mnemonic

    HAS_COSMPY = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_COSMPY = False


@dataclass(frozen=True, repr=False)
class AccountKey:
    """A secp256k1 key with its account address."""

    private_key: PrivateKey
    account_address: str

    @property
    def public_key(self) -> bytes:
        """The compressed public key (33 bytes)."""
        return bytes(self.private_key.public_key.public_key_bytes)

    def sign(self, message: bytes) -> bytes:
        """Sign the SHA-256 of a message; 64 bytes."""
        return bytes(self.private_key.sign(message, deterministic=True))


def from_mnemonic(mnemonic: str, prefix: str = "cosmos") -> AccountKey:
    """Derive the key of path m/44'/118'/0'/0/0; InvalidInput when the text is no valid mnemonic."""
    try:
        private_key = PrivateKey(derive_child_key_from_mnemonic(" ".join(mnemonic.split()), path=COSMOS_HD_PATH))
    except Exception as error:  # cosmpy and its libraries raise many kinds; none may carry the mnemonic into a message
        raise InvalidInput(
            f"the mnemonic cannot be used ({type(error).__name__}): expected 12 or 24 words of BIP-39"
        ) from None
    return AccountKey(private_key, str(Address(private_key.public_key, prefix)))


def read_mnemonic(mnemonic: str | None, mnemonic_file: str | None) -> str:
    """Return the mnemonic given directly or in a file; exactly one of the two must be given."""
    if bool(mnemonic) == bool(mnemonic_file):
        raise InvalidInput("give exactly one of mnemonic and mnemonic_file: the key that signs the transaction")
    if mnemonic:
        return mnemonic
    try:
        return Path(str(mnemonic_file)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyStoreError(
            f"the mnemonic file {mnemonic_file} cannot be read: {getattr(error, 'strerror', None) or 'not text'}"
        ) from None
