# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeping the peers of a running node current: what is still due, and whether its node is to be restarted for that.

A node reads its peers when it starts, and one with a gate can be told later ones. A validator that has moved dials the others itself, so mostly
its new address is needed by the next start only. Where it does not, and the node cannot be told, a restart is the last resort, and strangers must
not be able to bring about many: not again for the same validator for a while, or while the last one has not helped, and not for anybody shortly after
the last one. Every validator's monitor sees the same announcement at the same time, so each waits for its turn.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.health import moment
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator

DUE, RESTARTED = "peers_due", "peers_restarted"
# Between two restarts of one node, whoever they are for.
NODE_PAUSE = timedelta(minutes=10)
# For a validator that was not connected after a restart either: where it announces to be, nobody has found it.
UNREACHED_PAUSE = timedelta(days=7)
# By the clock, which needs no word between the monitors. The rest of a turn is for the node to show that it is back, or that it is not. A monitor
# looks every minute, so that it misses no turn of its own.
TURN, TURN_BEGINS_WITHIN = timedelta(seconds=120), timedelta(seconds=90)


@dataclass(frozen=True)
class Past:
    """What is remembered of a consumer, by operator address.

    ``due`` says since when a validator's address is written down that the running node does not know; ``restarted`` when it was last
    restarted for that validator.
    """

    due: Mapping[str, datetime] = field(default_factory=dict)
    restarted: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> Past:
        """Read it out of a consumer's document; what cannot be understood counts as not there."""
        return cls(_moments(data.get(DUE, "")), _moments(data.get(RESTARTED, "")))

    def data(self) -> dict[str, str]:
        """Return it as it is kept."""
        return {DUE: _text(self.due), RESTARTED: _text(self.restarted)}


@dataclass(frozen=True)
class Verdict:
    """Whether to restart, for which validators, and why, or why not. The reason is empty when nothing is due."""

    restart: bool
    operators: tuple[str, ...] = ()
    reason: str = ""


def node_id(address: str) -> str:
    """Return the node id of ``node id@host:port``."""
    return address.partition("@")[0]


def missing(wanted: Mapping[str, str], connected: Collection[str]) -> list[str]:
    """Return the addresses whose node is not among the connected node ids. Which side has dialled does not matter."""
    return [address for address in wanted.values() if node_id(address) not in connected]


def noted(past: Past, wanted: Mapping[str, str], configured: Collection[str], now: datetime) -> Past:
    """Return what is due before other peers are written: whoever is not among the configured ones is due from now on."""
    due = {operator: since for operator, since in past.due.items() if operator in wanted}
    due.update({operator: now for operator, address in wanted.items() if address not in configured})
    return Past(due, past.restarted)


def settled(
    past: Past,
    wanted: Mapping[str, str],
    connected: Collection[str],
    made: datetime | None,
    now: datetime,
    pause: timedelta,
) -> Past:
    """Return what is due still. ``made`` is when the running pod was made: what was written before, its node knows and dials itself."""
    due = {
        operator: since
        for operator, since in past.due.items()
        if operator in wanted and node_id(wanted[operator]) not in connected and (made is None or made <= since)
    }

    def kept(operator: str) -> timedelta:
        """Return how long a restart for a validator counts. One that has gone may only have gone to be forgotten."""
        reached = operator in wanted and node_id(wanted[operator]) in connected
        return max(pause, NODE_PAUSE if reached else UNREACHED_PAUSE)

    return Past(due, {operator: at for operator, at in past.restarted.items() if now - at < kept(operator)})


def decide(past: Past, wanted: Mapping[str, str], now: datetime, pause: timedelta, *, told: bool = False) -> Verdict:
    """Say whether the node is restarted for the validators that are due and still not connected.

    One that was ``told`` their addresses while it runs dials them as it would after a restart, so that has nothing to add.
    """
    if not past.due:
        return Verdict(restart=False)
    named = ", ".join(wanted[operator] for operator in past.due)
    if told:
        return Verdict(
            restart=False, reason=f"not connected: {named}; the running node was told the address and goes on dialling"
        )
    if past.due.keys() <= past.restarted.keys():
        return Verdict(restart=False, reason=f"not connected: {named}; the node was restarted for it lately")
    last = max(past.restarted.values(), default=None)
    if last is not None and now - last < min(NODE_PAUSE, pause):
        return Verdict(restart=False, reason=f"not connected: {named}; the node was restarted for another peer lately")
    return Verdict(
        restart=True,
        operators=tuple(past.due),
        reason=f"not connected: {named}; the running node does not know the address",
    )


@dataclass(frozen=True)
class Turn:
    """A validator's place, from 0, among those that restart their nodes of a chain in turn, and how many they are."""

    rank: int = 0
    members: int = 1

    @classmethod
    def of(cls, operator: str, members: Iterable[Validator]) -> Turn:
        """Return that of a validator, by operator address. Only bonded members count: others could be made in any number."""
        others = {member.operator_address for member in members if member.status is BondStatus.BONDED}
        order = sorted(others | {operator})
        return cls(order.index(operator), len(order))

    def refusal(self, now: datetime) -> str:
        """Return why it may not begin a restart now, empty when it may."""
        if self.members == 1:
            return ""
        number, passed = divmod(now - datetime.fromtimestamp(0, UTC), TURN)
        ahead = (self.rank - number) % self.members
        if not ahead and passed < TURN_BEGINS_WITHIN:
            return ""
        begins = now - passed + TURN * (ahead or self.members)
        return f"the next turn of this one of the chain's {self.members} validators begins at {begins:%H:%M} UTC"


def after_restart(past: Past, operators: Collection[str], now: datetime) -> Past:
    """Return what is remembered once the node is started anew, which then knows all that is written."""
    return Past({}, {**past.restarted, **dict.fromkeys(operators, now)})


def _moments(text: str) -> dict[str, datetime]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    read = {operator: moment(at) for operator, at in found.items() if isinstance(at, str)}
    return {operator: at for operator, at in read.items() if at is not None}


def _text(moments: Mapping[str, datetime]) -> str:
    if not moments:
        return ""
    shown = {operator: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for operator, at in moments.items()}
    return json.dumps(shown, sort_keys=True)
