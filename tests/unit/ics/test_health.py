# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.health import Seen, as_results, judge, with_since

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WELL = Seen(
    now=NOW,
    wanted=True,
    ready=True,
    height=100,
    block_time=NOW - timedelta(seconds=2),
    catching_up=False,
    peers=1,
    validators=2,
    in_validator_set=True,
    signed=20,
    commits=20,
    disk=0.2,
)


def of(seen: Seen) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in judge(seen)}


def test_a_node_that_is_well() -> None:
    assert {status for status, _reason in of(WELL).values()} == {"True"}
    assert list(of(WELL)) == ["Running", "Rising", "CaughtUp", "Connected", "Signing", "Disk"]


@pytest.mark.parametrize(
    ("change", "kind", "status", "reason"),
    [
        ({"ready": False}, "Running", "False", "NotReady"),
        ({"block_time": NOW - timedelta(minutes=2)}, "Rising", "False", "Halted"),
        ({"height": 0}, "Rising", "False", "NoBlock"),
        ({"height": None}, "Rising", "Unknown", "NoAnswer"),
        ({"catching_up": True}, "CaughtUp", "False", "CatchingUp"),
        ({"peers": 0}, "Connected", "False", "NoPeers"),
        ({"peers": 0, "validators": 1}, "Connected", "True", "Peers"),
        ({"signed": 9}, "Signing", "False", "Missing"),
        ({"signed": 10}, "Signing", "True", "Signs"),
        ({"commits": 0, "signed": 0}, "Signing", "Unknown", "NoCommit"),
        ({"in_validator_set": False}, "Signing", "False", "NotInSet"),
        ({"mode": "follow"}, "Signing", "False", "Follows"),
        ({"disk": 0.9}, "Disk", "False", "Full"),
        ({"disk": None}, "Disk", "Unknown", "NoAnswer"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], kind: str, status: str, reason: str) -> None:
    assert of(replace(WELL, **change))[kind] == (status, reason)


def test_a_stopped_node_has_nothing_else_to_say() -> None:
    assert of(replace(WELL, wanted=False)) == {"Running": ("False", "Stopped")}


def test_the_last_end_of_a_container_is_told() -> None:
    (running, *_others) = judge(replace(WELL, restarts=3, last_end="double sign check"))
    assert "3 times, last because: double sign check" in running.message


def test_since_stays_until_the_status_changes() -> None:
    first = as_results(with_since(judge(WELL), [], NOW))
    later = NOW + timedelta(minutes=5)
    again = with_since(judge(replace(WELL, now=later, block_time=later, disk=0.99)), first, later)
    since = {condition.type: condition.since for condition in again}
    assert since["Rising"] == "2026-11-23T12:00:00Z"
    assert since["Disk"] == "2026-11-23T12:05:00Z"


@pytest.mark.parametrize(
    "before", [[], ["x"], [{"type": "Rising"}], [{"type": "Rising", "status": "True", "reason": "NewBlocks"}]]
)
def test_what_was_kept_may_be_unusable(before: Any) -> None:
    assert all(condition.since == "2026-11-23T12:00:00Z" for condition in with_since(judge(WELL), before, NOW))
