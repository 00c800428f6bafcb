# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account key that signs transactions, derived from a mnemonic as the Cosmos SDK does it (BIP-39, BIP-32, BIP-44)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

try:
    from cosmpy.crypto.address import Address
    from cosmpy.crypto.keypairs import PrivateKey, PublicKey
    from cosmpy.mnemonic import (
        derive_child_key_from_index,
        derive_master_key,
        derive_seed_from_mnemonic,
        entropy_to_mnemonic,
        generate_mnemonic,
    )
    from cosmpy.mnemonic.words import ENGLISH_MNEMONIC_WORDS_LIST

    HAS_COSMPY = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_COSMPY = False

PREFIX = "cosmos"
COIN_TYPE = 118
HARDENED = 1 << 31
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PREFIX = re.compile(r"[a-z][a-z0-9]{0,39}")


@dataclass(frozen=True, repr=False)
class AccountKey:
    """A secp256k1 key with its account address."""

    private_key: PrivateKey
    account_address: str

    @property
    def private_bytes(self) -> bytes:
        """The private key (32 bytes)."""
        return bytes(self.private_key.private_key_bytes)

    @property
    def public_key(self) -> bytes:
        """The compressed public key (33 bytes)."""
        return bytes(self.private_key.public_key.public_key_bytes)

    def sign(self, message: bytes) -> bytes:
        """Sign the SHA-256 of a message; 64 bytes."""
        return bytes(self.private_key.sign(message, deterministic=True))


def hd_path(coin_type: int = COIN_TYPE, account: int = 0, index: int = 0) -> str:
    """Return the path of BIP-44, ``m/44'/coin_type'/account'/0/index``."""
    for name, number in (("coin_type", coin_type), ("account", account), ("index", index)):
        if not 0 <= number < HARDENED:
            raise InvalidInput(f"{name} must lie between 0 and {HARDENED - 1}")
    return f"m/44'/{coin_type}'/{account}'/0/{index}"


def from_mnemonic(mnemonic: str, prefix: str = PREFIX, path: str | None = None, passphrase: str = "") -> AccountKey:
    """Derive a key; InvalidInput when the words are no mnemonic of BIP-39 or the path is none of BIP-32.

    ``path`` is m/44'/118'/0'/0/0 when not given; ``passphrase`` is the one of BIP-39 ("25th word").
    """
    path = path or hd_path()
    _steps(path)  # a bad path has a message of its own
    words = mnemonic.split()
    try:
        if not _is_checksum_right(words):
            raise ValueError("checksum")
        secret = derive(derive_seed_from_mnemonic(" ".join(words), passphrase), path)
    except Exception as error:  # cosmpy and its libraries raise many kinds; none may carry the mnemonic into a message
        raise InvalidInput(
            f"the mnemonic cannot be used ({type(error).__name__}): expected 12, 15, 18, 21 or 24 words of BIP-39, the last "
            "with the right checksum"
        ) from None
    return from_private_key(secret, prefix)


def derive(seed: bytes, path: str) -> bytes:
    """Return the private key (32 bytes) of a path below a seed, by BIP-32."""
    secret, chain_code = derive_master_key(seed)
    for step in _steps(path):
        secret, chain_code = derive_child_key_from_index(secret, chain_code, step)
    return bytes(secret)


def from_private_key(secret: bytes, prefix: str = PREFIX) -> AccountKey:
    """Return the key of 32 secret bytes; InvalidInput when they are no secp256k1 key."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput(f"account_prefix must be small letters and digits such as cosmos, not {prefix[:40]!r}")
    if len(secret) != 32 or not 0 < int.from_bytes(secret) < CURVE_ORDER:
        raise InvalidInput("the private key cannot be used: expected 32 bytes of a secp256k1 key")
    private_key = PrivateKey(secret)
    return AccountKey(private_key, str(Address(private_key.public_key, prefix)))


def from_hex(text: str, prefix: str = PREFIX) -> AccountKey:
    """Return the key of 64 hexadecimal digits, with or without 0x; InvalidInput when they are none."""
    digits = text.strip().removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digits):
        raise InvalidInput("the private key cannot be used: expected 64 hexadecimal digits")
    return from_private_key(bytes.fromhex(digits), prefix)


def raw_address(public_key: bytes) -> bytes:
    """Return the address (20 bytes) of a compressed public key."""
    return bytes(Address(PublicKey(public_key)))


def new_mnemonic() -> str:
    """Return 24 new words from the operating system's random source."""
    return str(generate_mnemonic(256))


def mnemonic_of(entropy: bytes) -> str:
    """Return the 24 words of 32 random bytes; InvalidInput for another number of bytes."""
    if len(entropy) != 32:
        raise InvalidInput("24 words are made of 32 bytes")
    return str(entropy_to_mnemonic(entropy))


def _is_checksum_right(words: list[str]) -> bool:
    """Tell whether the bits after the entropy are the start of its hash, which cosmpy does not check."""
    numbers = [ENGLISH_MNEMONIC_WORDS_LIST.index(word) for word in words]
    length = len(words) * 11
    entropy = int("".join(f"{number:011b}" for number in numbers)[: length - length // 33], 2)
    return bool(entropy_to_mnemonic(entropy.to_bytes((length - length // 33) // 8)) == " ".join(words))


def _steps(path: str) -> list[int]:
    if not re.fullmatch(r"m|(m/)?[0-9]{1,10}'?(/[0-9]{1,10}'?)*", path):
        raise InvalidInput(f"hd_path must have the form m/44'/118'/0'/0/0, not {path[:60]!r}")
    steps = []
    for part in path.removeprefix("m").removeprefix("/").split("/") if path != "m" else ():
        number = int(part.rstrip("'"))
        if number >= HARDENED:
            raise InvalidInput(f"hd_path must have numbers below {HARDENED}, not {path[:60]!r}")
        steps.append(number + HARDENED if part.endswith("'") else number)
    return steps
