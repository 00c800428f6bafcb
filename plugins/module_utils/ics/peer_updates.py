# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeping the peers of a running node current: what is still due, and whether its node is to be restarted for that.

A node reads its peers when it starts, and one with a gate can be told later ones. A validator that has moved dials the others itself, so mostly
its new address is needed by the next start only. Where it does not, and the node cannot be told, a restart is the last resort, and strangers must
not be able to bring about many: not again for the same validator for a while, and not for anybody shortly after the last one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.health import moment

DUE, RESTARTED = "peers_due", "peers_restarted"
# Between two restarts of one node, whoever they are for.
NODE_PAUSE = timedelta(minutes=10)


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
    restarted = {operator: at for operator, at in past.restarted.items() if now - at < max(pause, NODE_PAUSE)}
    return Past(due, restarted)


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
    fresh = tuple(
        operator for operator in past.due if operator not in past.restarted or now - past.restarted[operator] >= pause
    )
    if not fresh:
        return Verdict(restart=False, reason=f"not connected: {named}; the node was restarted for it lately")
    last = max(past.restarted.values(), default=None)
    if last is not None and now - last < min(NODE_PAUSE, pause):
        return Verdict(restart=False, reason=f"not connected: {named}; the node was restarted for another peer lately")
    return Verdict(
        restart=True,
        operators=tuple(past.due),
        reason=f"not connected: {named}; the running node does not know the address",
    )


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
