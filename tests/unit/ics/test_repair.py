# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about a node that is not well."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Condition,
    Pod,
    Seen,
    judge,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.repair import (
    LONGEST_PAUSE,
    Action,
    Limits,
    Past,
    Repair,
    cured,
    decide,
    pause,
)
from tests.unit.ics.test_health import NOW, OLD, POD, SILENT, WELL

LIMITS = Limits(patience=timedelta(minutes=3), pause=timedelta(minutes=10))
HUNG = replace(SILENT, pod=replace(POD, ready=False))
HALTED = replace(WELL, block_time=OLD, peers_height=100)
ALONE = replace(WELL, block_time=OLD, peers=0)
REFUSED = replace(
    POD, running=False, started=False, ready=False, waits="CrashLoopBackOff", restarts=5, own_signature=True
)
NEVER = Past()


def after(seen: Seen, wrong_for: timedelta, past: Past = NEVER) -> Repair:
    """Decide about a node that was seen like this for so long."""
    conditions = with_since(judge(seen), [], NOW - wrong_for)
    return decide(seen, conditions, past, LIMITS)


@pytest.mark.parametrize(
    ("seen", "minutes", "action", "reason"),
    [
        (WELL, 60, "nothing", ""),
        # It hangs: both the kubelet and the monitor have to say so.
        (HUNG, 3, "restart", "neither the kubelet nor the monitor"),
        (HUNG, 2, "nothing", ""),
        (SILENT, 60, "nothing", ""),  # ready for the kubelet
        (replace(HUNG, silent=False), 60, "nothing", ""),  # the API server does not get through
        (replace(WELL, pod=replace(POD, ready=False)), 60, "nothing", ""),  # answers here
        # The cluster is at it.
        (replace(HUNG, pod=None), 60, "nothing", "it has no pod"),
        (replace(HUNG, pod=replace(POD, ending=True)), 60, "nothing", "being ended"),
        (replace(HUNG, pod=replace(POD, running=False, waits="ErrImagePull")), 60, "nothing", "ErrImagePull"),
        (replace(HUNG, pod=replace(POD, started=False)), 60, "nothing", "not answered since"),
        # It finds its own signature in the newest blocks, and again.
        (replace(HUNG, pod=REFUSED), 0, "look_back_off", "started 5 times and found its own signature"),
        (replace(HUNG, pod=replace(REFUSED, running=True)), 0, "look_back_off", "found its own signature"),
        (replace(HUNG, pod=replace(REFUSED, restarts=4)), 60, "nothing", "CrashLoopBackOff"),
        (replace(HUNG, pod=replace(REFUSED, own_signature=False)), 60, "nothing", "CrashLoopBackOff"),
        (replace(HUNG, pod=replace(REFUSED, ending=True)), 60, "nothing", "being ended"),
        (replace(WELL, pod=replace(REFUSED, running=True, started=True, ready=True)), 60, "nothing", ""),  # long ago
        # It stands still.
        (HALTED, 60, "nothing", "the chain stands still"),
        (replace(HALTED, peers_height=101), 60, "nothing", "the chain stands still"),  # one block is on its way
        (replace(HALTED, peers_height=102), 3, "restart", "its peers are at block 102"),
        (replace(HALTED, peers_height=102), 2, "nothing", ""),
        (replace(HALTED, peers_height=None), 60, "nothing", ""),
        (replace(HALTED, peers_height=500, catching_up=True), 60, "nothing", ""),
        (ALONE, 9, "restart", "it has no peer"),
        (ALONE, 8, "nothing", "it has no peer"),
        (replace(ALONE, catching_up=True), 9, "restart", "it has no peer"),
        (replace(ALONE, validators=1), 60, "nothing", "nothing"),
        (replace(WELL, height=0), 60, "nothing", ""),
        # A restart would not help.
        (replace(WELL, signed=0), 60, "nothing", ""),
        (replace(WELL, disk=0.99), 60, "nothing", ""),
        (replace(WELL, mode="follow"), 60, "nothing", ""),
        # Objects are missing.
        (replace(WELL, missing=("Service p2p", "Secret keys")), 0, "converge", "Service p2p, Secret keys is not there"),
        (Seen(NOW, exists=False, wanted=False), 0, "converge", "StatefulSet"),
        (Seen(NOW, exists=False, wanted=False, volume=False), 60, "nothing", "the volume with its data is gone"),
        # Somebody has scaled it to 0.
        (Seen(NOW, wanted=False), 60, "nothing", ""),
        (Seen(NOW, wanted=False, missing=("Secret keys",)), 60, "nothing", ""),
    ],
)
def test_actions(seen: Seen, minutes: int, action: str, reason: str) -> None:
    decided = after(seen, timedelta(minutes=minutes))
    assert decided.action.value == action
    if reason == "nothing":
        return
    assert (reason in decided.reason) if reason else not decided.reason


def test_two_witnesses_must_have_agreed_for_long_enough() -> None:
    for first, second in (("Running", "Rising"), ("Rising", "Running")):
        old = {entry.type: entry for entry in with_since(judge(HUNG), [], NOW - timedelta(minutes=9))}
        new = {entry.type: entry for entry in with_since(judge(HUNG), [], NOW - timedelta(minutes=2))}
        conditions = [{**old, second: new[second]}[name] for name in old]
        assert {entry.type: entry for entry in conditions}[first] == old[first]
        assert decide(HUNG, conditions, NEVER, LIMITS).action is Action.NOTHING


@pytest.mark.parametrize(
    ("count", "minutes", "action"),
    [
        (1, 9, "nothing"),
        (1, 10, "restart"),
        (2, 19, "nothing"),
        (2, 20, "restart"),
        (3, 40, "restart"),
        (99, 359, "nothing"),
    ],
)
def test_a_repair_that_did_not_help_is_repeated_ever_more_rarely(count: int, minutes: int, action: str) -> None:
    past = Past(NOW - timedelta(minutes=minutes), "restart", "it hung", count)
    decided = after(HUNG, timedelta(hours=9), past)
    assert decided.action.value == action
    assert ("not before" in decided.reason) == (action == "nothing")


@pytest.mark.parametrize(
    ("before", "seen", "action"),
    [
        ("restart", HUNG, "nothing"),
        ("converge", HUNG, "nothing"),
        ("restart", replace(WELL, missing=("Secret keys",)), "converge"),
        ("converge", replace(WELL, missing=("Secret keys",)), "nothing"),
    ],
)
def test_missing_objects_do_not_wait_because_of_a_restart(before: str, seen: Seen, action: str) -> None:
    past = Past(NOW - timedelta(minutes=1), before, "it was so", 1)
    assert after(seen, timedelta(hours=1), past).action.value == action


def test_a_halted_chain_is_not_restarted_again_and_again() -> None:
    past = Past(NOW - timedelta(days=9), "restart", "it has no peer", 1)
    decided = after(ALONE, timedelta(days=9), past)
    assert decided.action is Action.NOTHING
    assert "a restart did not change" in decided.reason


def test_by_hand_nothing_is_waited_for() -> None:
    at_once = Limits(timedelta(0), timedelta(0))
    past = Past(NOW, "restart", "it hung", 5)
    assert decide(HUNG, with_since(judge(HUNG), [], NOW), past, at_once).action is Action.RESTART
    assert decide(WELL, with_since(judge(WELL), [], NOW), past, at_once).action is Action.NOTHING


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"signed": 0, "disk": 0.99}, True),
        ({"peers": 0}, False),
        ({"block_time": OLD}, False),
        ({"pod": None}, False),
        ({"wanted": False}, False),
    ],
)
def test_cured(change: dict[str, Any], expected: bool) -> None:
    assert cured(judge(replace(WELL, **change))) is expected


@given(st.integers(0, 10**6))
def test_pauses_grow_up_to_a_limit(count: int) -> None:
    assert LIMITS.pause <= pause(Past(NOW, count=count), LIMITS) <= LONGEST_PAUSE


moments = st.datetimes(min_value=datetime(2026, 11, 1), max_value=datetime(2026, 11, 30)).map(
    lambda found: found.strftime("%Y-%m-%dT%H:%M:%SZ")
)


@given(
    st.sampled_from([WELL, HUNG, SILENT, HALTED, ALONE, replace(HALTED, peers_height=900)]),
    st.builds(Pod, st.just("uid"), st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.lists(moments, min_size=6, max_size=6),
    st.integers(0, 3),
)
def test_only_a_running_node_that_has_answered_before_is_restarted(
    seen: Seen, pod: Pod, since: list[str], count: int
) -> None:
    """And never one whose pod is ended already: its successor might come too early."""
    seen = replace(seen, pod=pod)
    conditions: list[Condition] = [
        replace(entry, since=moment) for entry, moment in zip(judge(seen), since, strict=True)
    ]
    decided = decide(seen, conditions, Past(count=count), LIMITS)
    if decided.action is Action.RESTART:
        assert pod.running
        assert pod.started
        assert not pod.ending
        assert decided.reason
