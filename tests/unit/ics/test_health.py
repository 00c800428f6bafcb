# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node is well."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Pod,
    Seen,
    from_text,
    is_well,
    judge,
    standing_in,
    to_text,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Standing

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POD = Pod("uid")
WELL = Seen(
    now=NOW,
    pod=POD,
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
SILENT = Seen(now=NOW, pod=POD, problem="timed out", silent=True)
OLD = NOW - timedelta(minutes=2)


def of(seen: Seen) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in judge(seen)}


def test_a_node_that_is_well() -> None:
    assert {status for status, _reason in of(WELL).values()} == {"True"}
    assert list(of(WELL)) == ["Running", "Rising", "CaughtUp", "Connected", "Signing", "Disk"]
    assert is_well(judge(WELL))


@pytest.mark.parametrize(
    ("change", "kind", "status", "reason"),
    [
        ({"pod": None}, "Running", "False", "NoPod"),
        ({"pod": replace(POD, ending=True)}, "Running", "False", "Ending"),
        ({"pod": replace(POD, running=False, waits="CrashLoopBackOff")}, "Running", "False", "Waiting"),
        ({"pod": replace(POD, started=False, ready=False)}, "Running", "False", "Starting"),
        ({"pod": replace(POD, ready=False)}, "Running", "False", "NotReady"),
        ({"missing": ("Service p2p",)}, "Running", "False", "Missing"),
        ({"block_time": OLD}, "Rising", "False", "Halted"),
        ({"block_time": OLD, "catching_up": True}, "Rising", "False", "Behind"),
        ({"height": 0}, "Rising", "False", "NoBlock"),
        ({"height": 0, "block_time": OLD}, "Rising", "False", "NoBlock"),
        ({"height": None}, "Rising", "Unknown", "NotAsked"),
        ({"height": None, "silent": True}, "Rising", "Unknown", "NoAnswer"),
        ({"catching_up": True}, "CaughtUp", "False", "CatchingUp"),
        ({"peers": 0}, "Connected", "False", "NoPeers"),
        ({"peers": 0, "validators": 1}, "Connected", "True", "Peers"),
        ({"signed": 9}, "Signing", "False", "Missing"),
        ({"signed": 10}, "Signing", "True", "Signs"),
        ({"commits": 0, "signed": 0}, "Signing", "Unknown", "NoCommit"),
        ({"in_validator_set": False}, "Signing", "False", "NotInSet"),
        ({"in_validator_set": False, "standing": Standing.NORMAL}, "Signing", "False", "NotInSet"),
        ({"in_validator_set": False, "standing": Standing.UNBONDED}, "Signing", "False", "Unbonded"),
        ({"in_validator_set": False, "standing": Standing.JAILED}, "Signing", "False", "Jailed"),
        ({"in_validator_set": False, "standing": Standing.TOMBSTONED}, "Signing", "False", "Tombstoned"),
        # The chain has not heard of it yet, and counts the node's votes.
        ({"standing": Standing.JAILED}, "Signing", "True", "Signs"),
        ({"mode": "follow", "standing": Standing.JAILED}, "Signing", "False", "Follows"),
        ({"mode": "follow"}, "Signing", "False", "Follows"),
        ({"disk": 0.9}, "Disk", "False", "Full"),
        ({"disk": None}, "Disk", "Unknown", "NotAsked"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], kind: str, status: str, reason: str) -> None:
    seen = replace(WELL, **change)
    assert of(seen)[kind] == (status, reason)
    assert not is_well(judge(seen)) or status == "True"


@pytest.mark.parametrize(
    ("seen", "reason", "said"),
    [
        (Seen(NOW, wanted=False), "Stopped", "stopped"),
        (Seen(NOW, exists=False, wanted=False), "Missing", "StatefulSet is not there"),
        (Seen(NOW, exists=False, wanted=False, volume=False), "Missing", "the volume with its data are gone"),
    ],
)
def test_a_node_that_is_not_there_has_nothing_else_to_say(seen: Seen, reason: str, said: str) -> None:
    (condition,) = judge(seen)
    assert (condition.type, condition.status, condition.reason) == ("Running", "False", reason)
    assert said in condition.message
    assert not seen.may_be_asked


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ({}, True),
        ({"wanted": False}, False),
        ({"pod": None}, False),
        ({"pod": replace(POD, running=False)}, False),
        ({"pod": replace(POD, ending=True)}, False),
        ({"pod": replace(POD, started=False, ready=False)}, True),
    ],
)
def test_who_may_be_asked(change: dict[str, Any], may: bool) -> None:
    assert replace(WELL, **change).may_be_asked is may


def test_why_it_cannot_be_asked_and_its_last_end_are_told() -> None:
    pod = replace(POD, running=False, waits="CrashLoopBackOff", restarts=3, last_end="double sign check")
    running, rising, *_others = judge(replace(SILENT, pod=pod))
    assert "CrashLoopBackOff" in running.message
    assert "3 times, last because: double sign check" in running.message
    assert rising.message == "timed out"


def test_since_stays_until_status_or_reason_change() -> None:
    first = with_since(judge(WELL), [], NOW)
    later = NOW + timedelta(minutes=5)
    again = with_since(judge(replace(WELL, now=later, block_time=later, disk=0.99, height=400)), first, later)
    since = {condition.type: condition.since for condition in again}
    assert since["Rising"] == "2026-11-23T12:00:00Z"
    assert since["Disk"] == "2026-11-23T12:05:00Z"
    assert [entry for entry in again if entry.type != "Disk"] == [entry for entry in first if entry.type != "Disk"]


def test_a_chain_that_halts_at_another_block_has_halted_anew() -> None:
    first = with_since(judge(replace(WELL, block_time=OLD)), [], NOW)
    later = NOW + timedelta(minutes=5)
    same = with_since(judge(replace(WELL, now=later, block_time=OLD)), first, later)
    other = with_since(judge(replace(WELL, now=later, block_time=OLD + timedelta(minutes=1), height=101)), first, later)
    assert same[1] == first[1]
    assert other[1].since == "2026-11-23T12:05:00Z"


def test_what_was_kept_is_read_again() -> None:
    kept = with_since(judge(replace(WELL, disk=None)), [], NOW)
    assert from_text(to_text(kept)) == kept


@pytest.mark.parametrize(
    "before",
    ["", "{", "{}", "[1]", '["x"]', '[{"type": "Rising"}]', json.dumps([{**asdict(judge(WELL)[1]), "since": 7}])],
)
def test_what_was_kept_may_be_unusable(before: str) -> None:
    assert from_text(before) == []


def test_kept_without_a_usable_time_it_begins_anew() -> None:
    kept = [replace(entry, since="yesterday") for entry in judge(WELL)]
    assert all(entry.since == "2026-11-23T12:00:00Z" for entry in with_since(judge(WELL), kept, NOW))


@pytest.mark.parametrize(
    ("standing", "advice"),
    [
        (Standing.UNBONDED, "more stake"),
        (Standing.JAILED, "once its jail time is over .* slashing unjail"),
        (Standing.TOMBSTONED, "never unjailed.* consensus key there has to go"),
    ],
)
def test_why_the_set_does_not_hold_the_key_is_told_and_kept(standing: Standing, advice: str) -> None:
    conditions = judge(replace(WELL, in_validator_set=False, standing=standing))
    (signing,) = (entry for entry in conditions if entry.type == "Signing")
    assert re.search(advice, signing.message)
    assert standing_in(from_text(to_text(conditions))) is standing


def test_conditions_that_do_not_tell_of_the_standing() -> None:
    for seen in (WELL, replace(WELL, in_validator_set=False), SILENT):
        assert standing_in(judge(seen)) is None
