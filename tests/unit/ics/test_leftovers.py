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
RUNNING = Holding("3", namespace=True, node_wanted=True, fences=1, key=True, key_kept_until=None, decision="opt_in")
STAGED = replace(RUNNING, node_wanted=False, fences=0)
GONE = replace(RUNNING, namespace=False, node_wanted=False, fences=0)


@pytest.mark.parametrize(
    ("holding", "phase", "expected"),
    [
        (RUNNING, Phase.LAUNCHED, []),
        (STAGED, Phase.INITIALIZED, []),
        (STAGED, Phase.STOPPED, []),
        (GONE, Phase.DELETED, []),
        (GONE, Phase.REGISTERED, []),
        (replace(GONE, key_kept_until=NOW + timedelta(1)), Phase.DELETED, []),
        (RUNNING, None, ["unknown/remove"]),
        (GONE, None, ["unknown/remove"]),
        (replace(GONE, key=False), None, []),
        (replace(GONE, key_kept_until=NOW + timedelta(1)), None, []),  # removed, its key is kept
        (replace(GONE, key_kept_until=NOW), None, ["expired_key/remove_key"]),
        (replace(GONE, fences=1, key_kept_until=NOW + timedelta(1)), None, ["unknown/remove"]),
        (RUNNING, Phase.STOPPED, ["stopped/stop"]),
        (RUNNING, Phase.DELETED, ["deleted/remove"]),
        (replace(GONE, fences=1), Phase.DELETED, ["deleted/remove"]),
        (replace(GONE, key_kept_until=NOW), Phase.DELETED, ["expired_key/remove_key"]),
        (replace(STAGED, key_kept_until=NOW), Phase.DELETED, ["deleted/remove", "expired_key/remove_key"]),
        (replace(GONE, key=False, key_kept_until=NOW), Phase.DELETED, []),
        # A key that may sign a chain which lives never expires, whatever is written down.
        (replace(RUNNING, key_kept_until=NOW), Phase.LAUNCHED, []),
        (replace(STAGED, key_kept_until=NOW), Phase.STOPPED, []),
        (STAGED, Phase.LAUNCHED, ["half_made/repair"]),
        (replace(STAGED, decision="stay_out"), Phase.LAUNCHED, ["half_made/remove"]),
        (replace(STAGED, decision="stay_out"), Phase.INITIALIZED, ["half_made/remove"]),
        (replace(STAGED, decision=""), Phase.REGISTERED, ["half_made/remove"]),
        # Opted out, and it has to sign until the chain's validator set no longer holds it.
        (replace(RUNNING, decision="stay_out"), Phase.LAUNCHED, []),
    ],
)
def test_findings(holding: Holding, phase: Phase | None, expected: list[str]) -> None:
    found: list[Any] = find(holding, phase, NOW)
    assert [f"{entry.kind.value}/{entry.remedy.value}" for entry in found] == expected
    assert all(entry.reason and entry.consumer_id == "3" for entry in found)
