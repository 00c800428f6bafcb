# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash of a block, out of its header alone: a header that a node announces does not hold its own hash.

As CometBFT 0.38 does it: the root of a Merkle tree (RFC 6962) over the header's fourteen fields, each in protobuf.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_HASHES = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
    "proposer_address",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def header_hash(header: Mapping[str, Any]) -> str:
    """Return the hash in upper-case hex of a header in the JSON form of the RPC. ValueError when it is not of that form."""
    try:
        version = header["version"]
        last = header["last_block_id"]
        parts = last["parts"]
        part_set = _number(1, int(parts["total"])) + _bytes(2, bytes.fromhex(parts["hash"]))
        fields = [
            _number(1, int(version["block"])) + _number(2, int(version.get("app") or 0)),
            _bytes(1, str(header["chain_id"]).encode()),
            _number(1, int(header["height"])),
            _time(str(header["time"])),
            # The second field is always written, even when it holds nothing, as in the first block.
            _bytes(1, bytes.fromhex(last["hash"])) + b"\x12" + _varint(len(part_set)) + part_set,
            *(_bytes(1, bytes.fromhex(header[name])) for name in _HASHES),
        ]
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a header: {error!r}") from error
    return _root(fields).hex().upper()


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def _time(text: str) -> bytes:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if not found:
        raise ValueError(f"not a time: {text[:60]!r}")
    seconds = datetime.fromisoformat(f"{found[1]}+00:00") - _EPOCH
    return _number(1, seconds.days * 86400 + seconds.seconds) + _number(2, int((found[2] or "").ljust(9, "0")))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    number &= 2**64 - 1
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value) if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value if value else b""
