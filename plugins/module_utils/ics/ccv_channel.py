# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The CCV channel of a consumer: which step of its handshake comes next, and whose turn it is to begin one.

Only the two steps that begin something, the connection's and the channel's first, are decided here. The others carry proofs; a relayer
that follows both chains makes them as soon as it sees the step before.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

CONSUMER_PORT, PROVIDER_PORT, VERSION = "consumer", "provider", "1"
CONSUMER_CLIENT = "07-tendermint-0"  # made by the CCV genesis
TURN_SECONDS = 90.0  # a healthy handshake takes half of that


class End(enum.Enum):
    """State of one end of a connection or channel, with the chain's own numbers."""

    UNINITIALIZED = 0
    INIT = 1
    TRYOPEN = 2
    OPEN = 3
    CLOSED = 4
    OTHER = -1

    @classmethod
    def from_chain(cls, number: int) -> End:
        """Return the state of that number."""
        return cls(number) if number in cls._value2member_map_ else cls.OTHER


@dataclass(frozen=True)
class Connection:
    """One end of a connection; ``delay_period`` is in nanoseconds."""

    connection_id: str
    client_id: str
    state: End
    counterparty_client: str
    counterparty_id: str
    delay_period: int = 0


@dataclass(frozen=True)
class Channel:
    """One end of a channel."""

    channel_id: str
    port: str
    state: End
    ordered: bool
    version: str
    counterparty_port: str
    counterparty_id: str
    connection_id: str


@dataclass(frozen=True)
class Sight:
    """What both chains hold between the two clients of a consumer, at about the same time."""

    consumer_client: str
    provider_client: str
    consumer_connections: Sequence[Connection] = ()
    provider_connections: Sequence[Connection] = ()
    consumer_channels: Sequence[Channel] = ()
    provider_channels: Sequence[Channel] = ()


class Step(enum.Enum):
    """What comes next."""

    OPEN = "open"
    BEGIN_CONNECTION = "begin_connection"
    AWAIT_CONNECTION = "await_connection"
    BEGIN_CHANNEL = "begin_channel"
    AWAIT_CHANNEL = "await_channel"
    CLOSED = "closed"


@dataclass(frozen=True)
class Decision:
    """The next step, with what it is about: ids on the consumer, and on the provider where they are known; empty when there is none."""

    step: Step
    reason: str
    consumer_connection: str = ""
    provider_connection: str = ""
    consumer_channel: str = ""
    provider_channel: str = ""


def turn_begins(rank: int) -> float:
    """Return from how many seconds after the launch on a validator may begin a step; ``rank`` counts the members from 0, the largest first."""
    return rank * TURN_SECONDS


def decide(sight: Sight) -> Decision:
    """Return the next step. What exists is used or finished, whoever began it; a second CCV channel is never begun beside one."""
    ours = {entry.connection_id: entry for entry in sight.provider_connections if _fits(entry, sight, provider=True)}
    theirs = {entry.connection_id: entry for entry in sight.consumer_connections if _fits(entry, sight, provider=False)}
    channels = sorted(
        (entry for entry in sight.consumer_channels if _is_ccv(entry, CONSUMER_PORT, PROVIDER_PORT)), key=_number
    )
    ends = {
        entry.channel_id: entry for entry in sight.provider_channels if _is_ccv(entry, PROVIDER_PORT, CONSUMER_PORT)
    }

    for channel in channels:
        end = ends.get(channel.counterparty_id)
        if end is None or end.counterparty_id != channel.channel_id:
            continue
        found = _about(channel.connection_id, theirs, channel.channel_id, end.channel_id)
        if channel.state is End.OPEN and end.state is End.OPEN:
            return Decision(Step.OPEN, "the CCV channel is open on both chains", *found)
        # The chain lets nobody make another one after it.
        if End.CLOSED in (channel.state, end.state) and {channel.state, end.state} & {End.OPEN, End.CLOSED}:
            return Decision(Step.CLOSED, "the CCV channel was closed", *found)
    for channel in channels:
        if channel.connection_id in theirs and channel.state is not End.CLOSED:
            what = f"channel {channel.channel_id} is {channel.state.name} on the consumer"
            return Decision(
                Step.AWAIT_CHANNEL,
                what,
                *_about(channel.connection_id, theirs, channel.channel_id, channel.counterparty_id),
            )
    for connection in sorted(theirs.values(), key=_number):
        end_connection = ours.get(connection.counterparty_id)
        if connection.state is End.OPEN and end_connection is not None and end_connection.state is End.OPEN:
            what = f"connection {connection.connection_id} is open, and there is no channel on it yet"
            return Decision(Step.BEGIN_CHANNEL, what, connection.connection_id, connection.counterparty_id)
    for connection in sorted(theirs.values(), key=_number, reverse=True):
        what = f"connection {connection.connection_id} is {connection.state.name} on the consumer"
        return Decision(Step.AWAIT_CONNECTION, what, connection.connection_id, connection.counterparty_id)
    return Decision(Step.BEGIN_CONNECTION, "there is no connection yet")


def _fits(connection: Connection, sight: Sight, *, provider: bool) -> bool:
    """Tell whether a connection is between the two clients and delays no packet."""
    clients = (
        (sight.provider_client, sight.consumer_client) if provider else (sight.consumer_client, sight.provider_client)
    )
    return (connection.client_id, connection.counterparty_client) == clients and connection.delay_period == 0


def _is_ccv(channel: Channel, port: str, counterparty_port: str) -> bool:
    return (channel.port, channel.counterparty_port) == (port, counterparty_port) and channel.ordered


def _about(
    connection_id: str, connections: dict[str, Connection], consumer_channel: str, provider_channel: str
) -> tuple[str, str, str, str]:
    known = connections.get(connection_id)
    return connection_id, known.counterparty_id if known else "", consumer_channel, provider_channel


def _number(entry: Connection | Channel) -> tuple[int, str]:
    name = entry.connection_id if isinstance(entry, Connection) else entry.channel_id
    digits = name.rpartition("-")[2]
    return (int(digits) if digits.isascii() and digits.isdigit() else 0, name)
