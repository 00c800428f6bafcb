# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bech32 addresses: one account under several prefixes."""

from __future__ import annotations

import hashlib

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

try:
    import bech32

    HAS_BECH32 = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_BECH32 = False

OPERATOR_SUFFIX = "valoper"


def decode(address: str) -> tuple[str, bytes]:
    """Return prefix and raw bytes of an address; InvalidInput when its checksum or form is wrong."""
    prefix, words = bech32.bech32_decode(address)
    raw = bech32.convertbits(words, 5, 8, False) if words else None
    if prefix is None or not raw or len(raw) not in (20, 32):
        raise InvalidInput(f"not a bech32 address: {address[:80]!r}")
    return prefix, bytes(raw)


def encode(prefix: str, raw: bytes) -> str:
    """Return the address of ``raw`` under ``prefix``."""
    return str(bech32.bech32_encode(prefix, bech32.convertbits(raw, 8, 5) or []))


def with_prefix(address: str, prefix: str) -> str:
    """Return the same account under another prefix."""
    return encode(prefix, decode(address)[1])


def account_of(operator_address: str) -> str:
    """Return the account address of a validator's operator address."""
    prefix, raw = decode(operator_address)
    if not prefix.endswith(OPERATOR_SUFFIX):
        raise InvalidInput(f"not an operator address (…{OPERATOR_SUFFIX}1…): {operator_address[:80]!r}")
    return encode(prefix.removesuffix(OPERATOR_SUFFIX), raw)


def operator_of(account_address: str) -> str:
    """Return the operator address of a validator's account address."""
    prefix, raw = decode(account_address)
    return encode(prefix + OPERATOR_SUFFIX, raw)


def consensus_bytes(public_key: bytes) -> bytes:
    """Return the raw consensus address of an ed25519 public key: the first 20 bytes of its SHA-256."""
    return hashlib.sha256(public_key).digest()[:20]


def module_account(name: str, prefix: str) -> str:
    """Return the account of a module of the chain, such as ``gov``: the first 20 bytes of the SHA-256 of its name."""
    return encode(prefix, hashlib.sha256(name.encode()).digest()[:20])
