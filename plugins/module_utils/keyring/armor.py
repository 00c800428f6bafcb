# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private key in the ASCII armor of the Cosmos SDK, encrypted by a passphrase (crypto/armor.go of the SDK)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import textwrap

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError

try:
    import bcrypt
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    MISSING = ""
except ImportError as error:  # check_libraries reports it
    MISSING = str(error.name)

BLOCK = "TENDERMINT PRIVATE KEY"
ALGORITHM = "secp256k1"
# Amino's prefix of a secp256k1 private key, and the length of the key.
AMINO_PREFIX = bytes.fromhex("e1b0f79b20")
SHORTEST_PASSPHRASE = 8  # the SDK asks for as many
BCRYPT_COST = 12
BCRYPT_ALPHABET = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
NONCE = bytes(12)  # fixed: each key is used once, because its salt is random


def encrypt(private_key: bytes, passphrase: str) -> str:
    """Return the armored form of a secp256k1 private key (32 bytes), as ``keys export`` prints it."""
    _check_libraries()
    check_passphrase(passphrase)
    salt = os.urandom(16)
    content = ChaCha20Poly1305(_argon2(passphrase, salt)).encrypt(NONCE, AMINO_PREFIX + private_key, None)
    checksum = base64.b64encode(_crc24(content).to_bytes(3)).decode()
    return "\n".join(
        [
            f"-----BEGIN {BLOCK}-----",
            "kdf: argon2",
            f"salt: {salt.hex().upper()}",
            f"type: {ALGORITHM}",
            "",
            *textwrap.wrap(base64.b64encode(content).decode(), 64),
            f"={checksum}",
            f"-----END {BLOCK}-----",
            "",
        ]
    )


def decrypt(text: str, passphrase: str) -> bytes:
    """Return the secp256k1 private key (32 bytes) of an armored text, of this or an older SDK.

    InvalidInput when the text is not one; KeyStoreError when the passphrase does not open it.
    """
    _check_libraries()
    headers, content = _parse(text)
    if headers.get("type", ALGORITHM) != ALGORITHM:
        raise InvalidInput(f"the armored key is of type {headers['type'][:40]!r}, not {ALGORITHM}")
    try:
        salt = bytes.fromhex(headers.get("salt", ""))
        if headers.get("kdf") == "argon2":
            plain = ChaCha20Poly1305(_argon2(passphrase, salt)).decrypt(NONCE, content, None)
        elif headers.get("kdf") == "bcrypt":
            plain = SecretBox(_bcrypt(passphrase, salt)).decrypt(content)
        else:
            raise InvalidInput(f"the armored key is encrypted in an unknown way: {headers.get('kdf', 'no kdf')[:40]!r}")
    except (InvalidTag, CryptoError):
        raise KeyStoreError("the passphrase does not open the armored key") from None
    except ValueError:
        raise InvalidInput("the armored key is damaged") from None
    if not plain.startswith(AMINO_PREFIX) or len(plain) != len(AMINO_PREFIX) + 32:
        raise InvalidInput(f"the armored key holds no {ALGORITHM} private key")
    return plain[len(AMINO_PREFIX) :]


def check_passphrase(passphrase: str) -> None:
    """InvalidInput for a passphrase that the SDK would not take."""
    if not SHORTEST_PASSPHRASE <= len(passphrase.encode()) <= 72:
        raise InvalidInput(f"a passphrase must have between {SHORTEST_PASSPHRASE} and 72 bytes")


def _check_libraries() -> None:
    if MISSING:
        raise KeyStoreError(f"an armored key needs a Python package that is missing: {MISSING}")


def _parse(text: str) -> tuple[dict[str, str], bytes]:
    found = re.fullmatch(
        rf"\s*-----BEGIN {BLOCK}-----\r?\n((?:[A-Za-z]+: [^\n]*\n)*)\s*\n([A-Za-z0-9+/=\s]+?)\n=([A-Za-z0-9+/]{{4}})\s*-----END {BLOCK}-----\s*",
        text,
    )
    if not found:
        raise InvalidInput(f"not an armored key: it must begin with -----BEGIN {BLOCK}-----")
    headers = dict(line.strip().split(": ", 1) for line in found[1].splitlines())
    try:
        content = base64.b64decode("".join(found[2].split()), validate=True)
    except binascii.Error:
        raise InvalidInput("the armored key is damaged") from None
    if _crc24(content) != int.from_bytes(base64.b64decode(found[3])):
        raise InvalidInput("the armored key is damaged: its checksum is wrong")
    return headers, content


def _argon2(passphrase: str, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=1, lanes=4, memory_cost=64 * 1024).derive(passphrase.encode())


def _bcrypt(passphrase: str, salt: bytes) -> bytes:
    if len(salt) != 16:
        raise ValueError("salt")
    encoded = base64.b64encode(salt).rstrip(b"=").translate(bytes.maketrans(BASE64_ALPHABET, BCRYPT_ALPHABET))
    hashed = bcrypt.hashpw(passphrase.encode()[:72], b"$2a$%02d$" % BCRYPT_COST + encoded)
    return hashlib.sha256(hashed).digest()


def _crc24(content: bytes) -> int:
    """The checksum of OpenPGP's armor (RFC 4880, 6.1)."""
    crc = 0xB704CE
    for byte in content:
        crc ^= byte << 16
        for _bit in range(8):
            crc = (crc << 1) ^ 0x1864CFB if crc & 0x800000 else crc << 1
    return crc & 0xFFFFFF
