# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of consumers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.leftovers import Holding, find
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RUNNING = Holding(
    "3", namespace=True, node=True, node_wanted=True, fences=1, key=True, key_kept_until=None, decision="opt_in"
)
STAGED = replace(RUNNING, node_wanted=False, fences=0)
GONE = replace(RUNNING, namespace=False, node=False, node_wanted=False, fences=0)


@pytest.mark.parametrize(
    ("holding", "phase", "expected"),
    [
        (RUNNING, Phase.LAUNCHED, []),
        (STAGED, Phase.INITIALIZED, []),
        (replace(STAGED, node=False), Phase.INITIALIZED, []),
        (STAGED, Phase.STOPPED, []),
        (GONE, Phase.DELETED, []),
        (GONE, Phase.REGISTERED, []),
        (replace(GONE, key_kept_until=NOW + timedelta(1)), Phase.DELETED, []),
        (RUNNING, None, ["unknown"]),
        (GONE, None, ["unknown"]),
        (RUNNING, Phase.STOPPED, ["stopped"]),
        (RUNNING, Phase.DELETED, ["deleted"]),
        (replace(GONE, fences=1), Phase.DELETED, ["deleted"]),
        (replace(GONE, key_kept_until=NOW), Phase.DELETED, ["expired_key"]),
        (replace(STAGED, key_kept_until=NOW), Phase.DELETED, ["deleted", "expired_key"]),
        (replace(GONE, key=False, key_kept_until=NOW), Phase.DELETED, []),
        (STAGED, Phase.LAUNCHED, ["half_made"]),
        (replace(STAGED, decision="stay_out"), Phase.INITIALIZED, ["half_made"]),
        (replace(STAGED, decision=""), Phase.REGISTERED, ["half_made"]),
    ],
)
def test_findings(holding: Holding, phase: Phase | None, expected: list[str]) -> None:
    found: list[Any] = find(holding, phase, NOW)
    assert [entry.kind.value for entry in found] == expected
    assert all(entry.reason and entry.consumer_id == "3" for entry in found)
