# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which changes follow from readings of the state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.follower import (
    Block,
    ConsumerState,
    Follower,
    next_reading,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

START = datetime(2026, 11, 23, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def block(height: int) -> Block:
    return Block(height, at(height))


def test_a_failed_launch_is_a_return_to_registered() -> None:
    follower, first = Follower().observe([ConsumerState("1", Phase.INITIALIZED, at(10))], block(3))
    assert [(change.phase, change.previous_phase) for change in first] == [(Phase.INITIALIZED, None)]
    assert follower.due(at(9.9)) == []
    assert follower.due(at(10)) == ["1"]
    follower, second = follower.observe([ConsumerState("1", Phase.REGISTERED)], block(10))
    assert [(change.phase, change.previous_phase) for change in second] == [(Phase.REGISTERED, Phase.INITIALIZED)]
    assert follower.due(at(10**6)) == []


def test_an_overdue_launch_is_looked_at_less_and_less_often() -> None:
    assert next_reading(at(100), at(50)) == at(100)
    assert next_reading(at(100), at(100)) == at(101)
    assert next_reading(at(100), at(130)) == at(131)
    assert next_reading(at(100), at(131)) == at(136)
    assert next_reading(at(100), at(220)) == at(225)
    assert next_reading(at(100), at(221)) == at(251)


def test_a_moved_spawn_time_moves_the_reading() -> None:
    follower, _unused = Follower().observe([ConsumerState("1", Phase.INITIALIZED, at(10))], block(1))
    follower, changes = follower.observe([ConsumerState("1", Phase.INITIALIZED, at(20))], block(2))
    assert changes == []
    assert follower.due(at(19)) == []
    assert follower.due(at(20)) == ["1"]


def test_a_start_repeats_what_is_not_deleted_and_reports_what_was_deleted_meanwhile() -> None:
    follower = Follower({"1": Phase.LAUNCHED, "2": Phase.STOPPED})
    states = [
        ConsumerState(str(number), phase)
        for number, phase in enumerate([Phase.DELETED, Phase.LAUNCHED, Phase.DELETED, Phase.REGISTERED])
    ]
    after, changes = follower.observe(states, block(5), repeat=True)
    assert [(change.consumer_id, change.phase, change.previous_phase) for change in changes] == [
        ("1", Phase.LAUNCHED, Phase.LAUNCHED),
        ("2", Phase.DELETED, Phase.STOPPED),
        ("3", Phase.REGISTERED, None),
    ]
    assert set(after.phases) == {"1", "3"}


histories = st.lists(
    st.lists(st.tuples(st.sampled_from(["0", "1", "10"]), st.sampled_from(list(Phase))), max_size=4), max_size=12
)


@given(histories)
def test_changes_of_a_consumer_join_up_and_never_repeat(history: list[list[tuple[str, Phase]]]) -> None:
    follower = Follower()
    last: dict[str, Phase] = {}
    for height, readings in enumerate(history, start=1):
        states = [ConsumerState(consumer_id, phase) for consumer_id, phase in readings]
        follower, changes = follower.observe(states, block(height))
        assert follower.observe(states, block(height)) == (follower, [])
        assert len({change.consumer_id for change in changes}) == len(changes)
        for change in changes:
            assert change.previous_phase is last.get(change.consumer_id)
            assert change.phase is not change.previous_phase
            if change.phase is Phase.DELETED:
                del last[change.consumer_id]
            else:
                last[change.consumer_id] = change.phase
        assert last == dict(follower.phases)


@pytest.mark.parametrize("late", [0, 0.5, 29, 31, 119, 121, 10**6])
def test_the_next_reading_is_always_later(late: float) -> None:
    assert next_reading(at(0), at(late)) > at(late)
