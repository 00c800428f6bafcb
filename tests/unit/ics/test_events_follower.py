# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which changes follow from readings of the state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.follower import (
    Block,
    Change,
    ConsumerState,
    Follower,
    Kind,
    Record,
    next_reading,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

START = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def block(height: int) -> Block:
    return Block(height, at(height))


def kinds(changes: list[Change]) -> list[tuple[str, Kind]]:
    return [(change.consumer_id, change.kind) for change in changes]


def test_a_failed_launch_is_a_return_to_registered() -> None:
    follower = Follower()
    first = follower.observe([ConsumerState("1", Phase.INITIALIZED, at(10), "a")], block(3))
    assert [(change.phase, change.previous_phase) for change in first] == [(Phase.INITIALIZED, None)]
    assert follower.due(at(9.9)) == []
    assert follower.due(at(10)) == ["1"]
    second = follower.observe([ConsumerState("1", Phase.REGISTERED, None, "b")], block(10))
    assert [(change.phase, change.previous_phase) for change in second] == [(Phase.REGISTERED, Phase.INITIALIZED)]
    assert follower.due(at(10**6)) == []


def test_an_overdue_launch_is_looked_at_less_and_less_often() -> None:
    assert next_reading(at(100), at(50)) == at(100)
    assert next_reading(at(100), at(100)) == at(101)
    assert next_reading(at(100), at(130)) == at(131)
    assert next_reading(at(100), at(131)) == at(136)
    assert next_reading(at(100), at(220)) == at(225)
    assert next_reading(at(100), at(221)) == at(251)


def test_other_members_are_told_of_launched_consumers_alone() -> None:
    follower = Follower()
    assert not follower.has_launched()
    phases = {
        "1": Phase.REGISTERED,
        "2": Phase.INITIALIZED,
        "3": Phase.LAUNCHED,
        "4": Phase.STOPPED,
        "11": Phase.LAUNCHED,
    }
    follower.observe([ConsumerState(name, phase) for name, phase in phases.items()], block(1))
    assert follower.has_launched()
    changes = follower.members_changed([*phases, "99"], block(2))
    assert kinds(changes) == [("3", Kind.MEMBERS), ("11", Kind.MEMBERS)]
    assert {change.block.height for change in changes} == {2}


def test_a_moved_spawn_time_is_an_update_and_moves_the_reading() -> None:
    follower = Follower()
    follower.observe([ConsumerState("1", Phase.INITIALIZED, at(10), "a")], block(1))
    changes = follower.observe([ConsumerState("1", Phase.INITIALIZED, at(20), "b")], block(2))
    assert kinds(changes) == [("1", Kind.UPDATED)]
    assert changes[0].spawn_time == at(20)
    assert follower.due(at(19)) == []
    assert follower.due(at(20)) == ["1"]


@pytest.mark.parametrize(
    ("known", "found", "written", "told"),
    [
        ("a", "a", True, False),
        ("a", "b", False, True),
        ("a", None, False, False),
        (None, "b", False, False),
        (None, "b", True, True),
    ],
)
def test_an_update_is_another_record_or_an_unknown_one_that_was_written(
    known: str | None, found: str | None, written: bool, told: bool
) -> None:
    follower = Follower({"1": Record(Phase.LAUNCHED, 1, digest=known)})
    changes = follower.observe([ConsumerState("1", Phase.LAUNCHED, digest=found, written=written)], block(2))
    assert kinds(changes) == ([("1", Kind.UPDATED)] if told else [])
    assert follower.observe([ConsumerState("1", Phase.LAUNCHED, digest=found)], block(3)) == []


def test_a_listing_says_nothing_of_the_spawn_time() -> None:
    follower = Follower()
    follower.observe([ConsumerState("1", Phase.INITIALIZED, at(10), "a")], block(1))
    assert follower.observe([ConsumerState("1", Phase.INITIALIZED)], block(2)) == []
    assert follower.due(at(10)) == ["1"]


def test_a_removal_is_due_when_it_is_known() -> None:
    follower = Follower({"1": Record(Phase.LAUNCHED, 1)})
    follower.observe([ConsumerState("1", Phase.STOPPED, None, "a", removal_time=at(30))], block(2))
    assert follower.due(at(29)) == []
    assert follower.due(at(30)) == ["1"]
    assert follower.observe([ConsumerState("1", Phase.STOPPED, None, "a")], block(31)) == []
    assert follower.due(at(31)) == []
    assert follower.due(at(32)) == ["1"]
    (change,) = follower.observe([ConsumerState("1", Phase.DELETED)], block(32))
    assert (change.phase, change.previous_phase) == (Phase.DELETED, Phase.STOPPED)
    assert not follower.records


def test_what_a_later_block_has_shown_stays() -> None:
    follower = Follower({"1": Record(Phase.LAUNCHED, 1), "2": Record(Phase.STOPPED, 1)})
    follower.observe([ConsumerState("1", Phase.STOPPED), ConsumerState("2", Phase.DELETED)], block(9))
    late = [ConsumerState("1", Phase.LAUNCHED), ConsumerState("2", Phase.STOPPED), ConsumerState("3", Phase.REGISTERED)]
    assert kinds(follower.observe(late, block(8))) == [("3", Kind.PHASE)]


def test_a_launch_is_imminent_once_for_each_spawn_time() -> None:
    follower = Follower()
    notice = timedelta(seconds=5)
    follower.observe([ConsumerState("1", Phase.INITIALIZED, at(20), "a")], block(1))
    assert follower.imminent(block(14), notice) == []
    (change,) = follower.imminent(block(16), notice)
    assert (change.kind, change.seconds, change.spawn_time) == (Kind.IMMINENT, 4, at(20))
    follower.observe([ConsumerState("1", Phase.INITIALIZED, at(20), "a")], block(17))
    assert follower.imminent(block(17), notice) == []
    follower.observe([ConsumerState("1", Phase.INITIALIZED, at(40), "b")], block(18))
    assert follower.imminent(block(34), notice) == []
    assert kinds(follower.imminent(block(35), notice)) == [("1", Kind.IMMINENT)]
    follower.observe([ConsumerState("2", Phase.INITIALIZED, at(50), "c")], block(36))
    assert follower.imminent(block(50), notice) == []


histories = st.lists(
    st.lists(st.tuples(st.sampled_from(["0", "1", "10"]), st.sampled_from(list(Phase))), max_size=4), max_size=12
)


@settings(deadline=None)
@given(histories)
def test_changes_of_a_consumer_join_up_and_never_repeat(history: list[list[tuple[str, Phase]]]) -> None:
    follower = Follower()
    last: dict[str, Phase] = {}
    for height, readings in enumerate(history, start=1):
        states = [ConsumerState(consumer_id, phase) for consumer_id, phase in readings]
        changes = follower.observe(states, block(height))
        assert follower.observe(states, block(height)) == []
        assert len({change.consumer_id for change in changes}) == len(changes)
        for change in changes:
            assert change.previous_phase is last.get(change.consumer_id)
            assert change.phase is not change.previous_phase
            if change.phase is Phase.DELETED:
                del last[change.consumer_id]
            else:
                last[change.consumer_id] = change.phase
        assert last == {name: record.phase for name, record in follower.records.items()}


times = st.none() | st.integers(0, 40)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["0", "1", "2"]), times, st.integers(0, 3)), max_size=20))
def test_whatever_is_due_is_found_at_the_first_block_at_or_after_it(
    readings: list[tuple[str, int | None, int]],
) -> None:
    follower = Follower()
    height = 1
    for name, spawn, steps in readings:
        spawn_time = None if spawn is None else at(spawn)
        follower.observe([ConsumerState(name, Phase.INITIALIZED, spawn_time, str(spawn))], block(height))
        height += steps
        expected = [key for key, record in follower.records.items() if record.due and record.due <= at(height)]
        assert follower.due(at(height)) == sorted(expected)
        assert follower.due(at(height)) == sorted(expected)


@pytest.mark.parametrize("late", [0, 0.5, 29, 31, 119, 121, 10**6])
def test_the_next_reading_is_always_later(late: float) -> None:
    assert next_reading(at(0), at(late)) > at(late)
