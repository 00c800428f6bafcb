# SPDX-License-Identifier: GPL-3.0-or-later
"""Which step of the CCV handshake comes next, from what both chains hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import (
    Channel,
    Connection,
    Decision,
    End,
    Sight,
    Step,
    decide,
    turn_begins,
)

NOTHING = Sight("07-tendermint-0", "07-tendermint-9")


def on_consumer(state: End, number: int = 0, end: str = "", **changes: object) -> Connection:
    made = Connection(f"connection-{number}", "07-tendermint-0", state, "07-tendermint-9", end)
    return replace(made, **changes)  # type: ignore[arg-type]


def on_provider(state: End, number: int = 4, end: str = "connection-0", **changes: object) -> Connection:
    made = Connection(f"connection-{number}", "07-tendermint-9", state, "07-tendermint-0", end)
    return replace(made, **changes)  # type: ignore[arg-type]


def consumer_channel(state: End, number: int = 0, end: str = "", **changes: object) -> Channel:
    made = Channel(f"channel-{number}", "consumer", state, True, "1", "provider", end, "connection-0")
    return replace(made, **changes)  # type: ignore[arg-type]


def provider_channel(state: End, number: int = 7, end: str = "channel-0") -> Channel:
    return Channel(f"channel-{number}", "provider", state, True, "1", "consumer", end, "connection-4")


CONNECTED = replace(
    NOTHING,
    consumer_connections=[on_consumer(End.OPEN, end="connection-4")],
    provider_connections=[on_provider(End.OPEN)],
)


def test_nothing_begins_with_the_connection() -> None:
    assert decide(NOTHING).step is Step.BEGIN_CONNECTION


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        (End.INIT, None),
        (End.INIT, End.TRYOPEN),
        (End.OPEN, End.TRYOPEN),  # acknowledged, and not confirmed yet
    ],
)
def test_a_connection_that_somebody_began_is_waited_for(mine: End, other: End | None) -> None:
    sight = replace(
        NOTHING,
        consumer_connections=[on_consumer(mine, end="connection-4" if mine is End.OPEN else "")],
        provider_connections=[] if other is None else [on_provider(other)],
    )
    assert decide(sight).step is Step.AWAIT_CONNECTION


def test_an_open_connection_gets_the_channel() -> None:
    found = decide(CONNECTED)
    assert (found.step, found.consumer_connection, found.provider_connection) == (
        Step.BEGIN_CHANNEL,
        "connection-0",
        "connection-4",
    )


@pytest.mark.parametrize(
    "changes", [{"delay_period": 1}, {"counterparty_client": "07-tendermint-3"}, {"client_id": "07-tendermint-1"}]
)
def test_connections_of_other_clients_or_with_a_delay_do_not_count(changes: dict[str, object]) -> None:
    sight = replace(CONNECTED, consumer_connections=[on_consumer(End.OPEN, end="connection-4", **changes)])
    assert decide(sight).step is Step.BEGIN_CONNECTION


def test_a_connection_beside_an_unfinished_one_is_used() -> None:
    stale = on_consumer(End.INIT, number=0)
    good = on_consumer(End.OPEN, number=1, end="connection-4")
    sight = replace(
        NOTHING,
        consumer_connections=[stale, good],
        provider_connections=[on_provider(End.OPEN, end="connection-1")],
    )
    assert decide(sight).consumer_connection == "connection-1"


@pytest.mark.parametrize(
    ("mine", "other"), [(End.INIT, None), (End.INIT, End.TRYOPEN), (End.OPEN, End.TRYOPEN), (End.OPEN, None)]
)
def test_a_channel_that_somebody_began_is_waited_for(mine: End, other: End | None) -> None:
    sight = replace(
        CONNECTED,
        consumer_channels=[consumer_channel(mine, end="channel-7" if mine is End.OPEN else "")],
        provider_channels=[] if other is None else [provider_channel(other)],
    )
    assert decide(sight).step is Step.AWAIT_CHANNEL


def test_the_open_channel_is_named_on_both_chains() -> None:
    sight = replace(
        CONNECTED,
        consumer_channels=[consumer_channel(End.OPEN, end="channel-7")],
        provider_channels=[provider_channel(End.OPEN)],
    )
    assert decide(sight) == Decision(
        Step.OPEN, "the CCV channel is open on both chains", "connection-0", "connection-4", "channel-0", "channel-7"
    )


def test_a_second_channel_that_was_begun_changes_nothing() -> None:
    sight = replace(
        CONNECTED,
        consumer_channels=[consumer_channel(End.INIT), consumer_channel(End.OPEN, number=1, end="channel-7")],
        provider_channels=[provider_channel(End.OPEN, end="channel-1"), provider_channel(End.TRYOPEN, number=8)],
    )
    found = decide(sight)
    assert (found.step, found.consumer_channel, found.provider_channel) == (Step.OPEN, "channel-1", "channel-7")


@pytest.mark.parametrize("changes", [{"port": "transfer"}, {"counterparty_port": "transfer"}, {"ordered": False}])
def test_other_channels_do_not_count(changes: dict[str, object]) -> None:
    channel = consumer_channel(End.OPEN, end="channel-7", **changes)
    sight = replace(CONNECTED, consumer_channels=[channel], provider_channels=[provider_channel(End.OPEN)])
    assert decide(sight).step is Step.BEGIN_CHANNEL


@pytest.mark.parametrize(("mine", "other"), [(End.CLOSED, End.CLOSED), (End.OPEN, End.CLOSED), (End.CLOSED, End.OPEN)])
def test_a_closed_channel_stays_closed(mine: End, other: End) -> None:
    sight = replace(
        CONNECTED,
        consumer_channels=[consumer_channel(mine, end="channel-7")],
        provider_channels=[provider_channel(other)],
    )
    assert decide(sight).step is Step.CLOSED


STATES = st.sampled_from(list(End))


@given(
    st.lists(st.builds(on_consumer, STATES, st.integers(0, 3), st.sampled_from(["", "connection-4"])), max_size=3),
    st.lists(st.builds(on_provider, STATES, st.just(4), st.sampled_from(["connection-0", "connection-1"])), max_size=1),
    st.lists(st.builds(consumer_channel, STATES, st.integers(0, 3), st.sampled_from(["", "channel-7"])), max_size=3),
    st.lists(st.builds(provider_channel, STATES, st.just(7), st.sampled_from(["channel-0", "channel-1"])), max_size=1),
)
def test_a_channel_is_begun_only_where_there_is_none_on_the_connections(
    mine: list[Connection], other: list[Connection], channels: list[Channel], ends: list[Channel]
) -> None:
    sight = Sight("07-tendermint-0", "07-tendermint-9", mine, other, channels, ends)
    found = decide(sight)
    if found.step is Step.BEGIN_CHANNEL:
        assert any(entry.state is End.OPEN and entry.connection_id == found.consumer_connection for entry in mine)
        known = {entry.connection_id for entry in mine}
        assert not [entry for entry in channels if entry.state is not End.CLOSED and entry.connection_id in known]
    if found.step is Step.BEGIN_CONNECTION:
        assert not mine


def test_turns_follow_each_other() -> None:
    assert turn_begins(0) == 0
    assert turn_begins(2) - turn_begins(1) == turn_begins(1) > 60


def test_states_that_are_not_known_are_no_state_of_ours() -> None:
    assert End.from_chain(3) is End.OPEN
    assert End.from_chain(6) is End.OTHER
