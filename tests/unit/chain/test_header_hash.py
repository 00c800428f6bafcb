# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash of a header, held against recorded blocks of a real chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain.header_hash import header_hash

FIXTURES = Path(__file__).parents[1] / "fixtures" / "provider"


def block() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / "block_83.json").read_text())["result"]
    return found


def test_the_hash_of_a_recorded_block() -> None:
    assert header_hash(block()["block"]["header"]) == block()["block_id"]["hash"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height", "84"),
        ("chain_id", "provider-2"),
        ("time", "2026-11-23T06:45:34.968712325Z"),
        ("time", "2026-11-23T06:45:34Z"),
        ("app_hash", "00"),
        ("proposer_address", ""),
        ("version", {"block": "11", "app": "1"}),
        ("last_block_id", {"hash": "", "parts": {"total": 0, "hash": ""}}),
    ],
)
def test_every_field_counts(name: str, value: Any) -> None:
    header = block()["block"]["header"]
    assert header_hash({**header, name: value}) != block()["block_id"]["hash"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height", "high"),
        ("time", "now"),
        ("time", "2026-13-23T06:45:34Z"),
        ("app_hash", "xy"),
        ("app_hash", 7),
        ("version", None),
        ("last_block_id", {}),
        ("last_block_id", []),
        ("last_block_id", {"hash": "", "parts": {"total": {}, "hash": ""}}),
    ],
)
def test_what_is_no_header(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        header_hash({**block()["block"]["header"], name: value})
    with pytest.raises(ValueError, match="not a header"):
        header_hash({})
