# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which consensus keys of a validator's former monitor go over to this one. What the chain counts on decides, not what a Secret is called."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


class KeyStep(enum.Enum):
    """What happens with the key of one consumer."""

    COPY = "copy"  # the former monitor's key is the one that the chain counts on
    HELD = "held"  # it is held here already
    OWN = "own"  # the chain counts on the provider's key: this monitor assigns one of its own
    LEAVE = "leave"  # its node goes on signing until the chain knows another key
    WITHOUT = "without"  # nobody has the key: the node follows without signing
    OVER = "over"  # the chain has stopped


@dataclass(frozen=True)
class Facts:
    """One consumer of the former monitor. Public keys in base64, empty for none.

    ``phase`` is None when the provider knows no such consumer; ``assigned_key`` is what the provider knows for this validator, ``former_key``
    what the former monitor's Secret holds (``former_fault``: why it cannot be read), ``held_key`` what is held here. Powers are votes of a
    launched chain.
    """

    consumer_id: str
    phase: Phase | None
    assigned_key: str = ""
    former_key: str = ""
    former_fault: str = ""
    held_key: str = ""
    own_power: int = 0
    total_power: int = 0

    @property
    def stands_still(self) -> bool:
        """Does the chain stand still without the former node? Then what it signed last, which is on no volume, is what counts there next."""
        needed = self.phase is Phase.LAUNCHED and self.total_power > 0 and self.own_power * 3 >= self.total_power
        replaced = self.held_key != "" and self.held_key == self.assigned_key != self.former_key
        return needed and not replaced


@dataclass(frozen=True)
class Decision:
    """What happens with one key, and why; ``problem`` is what forbids to take anything over, a sentence without its full stop."""

    consumer_id: str
    step: KeyStep | None
    reason: str = ""
    problem: str = ""


def decide(facts: Facts, without: Collection[str] = (), leave: Collection[str] = ()) -> Decision:
    """Decide for one consumer. ``without`` are the consumers whose key may be missing, ``leave`` those whose former node goes on."""
    if facts.phase is None:
        return _problem(
            facts, "the provider knows no such consumer: the former monitor followed another provider chain"
        )
    if facts.phase in (Phase.STOPPED, Phase.DELETED):
        return Decision(facts.consumer_id, KeyStep.OVER, "the chain has stopped and needs no key")
    if facts.consumer_id in leave:
        reason = "the former node goes on signing: give the chain another key, and take over again when the chain's set holds it"
        return Decision(facts.consumer_id, KeyStep.LEAVE, reason)
    if facts.stands_still:
        return _problem(
            facts,
            f"with {facts.own_power} of {facts.total_power} votes the chain stands still without the former node, and what that one signed last "
            "is on no volume: leave it running, until the chain knows another key",
        )
    if not facts.assigned_key:
        reason = "the chain counts on the provider's key, which this monitor never uses: it assigns one of its own"
        return Decision(facts.consumer_id, KeyStep.OWN, reason)
    if facts.held_key == facts.assigned_key:
        return Decision(facts.consumer_id, KeyStep.HELD, "the assigned key is held here already")
    if facts.held_key:
        return _problem(
            facts, f"the key {facts.held_key} is held here, but {facts.assigned_key} is assigned on the chain"
        )
    if facts.former_key == facts.assigned_key:
        return Decision(facts.consumer_id, KeyStep.COPY, "the former monitor's key is the one that is assigned")
    if facts.consumer_id in without:
        reason = f"nobody has the assigned key {facts.assigned_key}: the node follows until assign_key gives it another"
        return Decision(facts.consumer_id, KeyStep.WITHOUT, reason)
    if facts.former_fault:
        return _problem(facts, facts.former_fault)
    found = f"the former monitor has {facts.former_key}" if facts.former_key else "the former monitor has none"
    return _problem(facts, f"{found}, but {facts.assigned_key} is assigned on the chain: find out who holds that one")


def decide_all(facts: Iterable[Facts], without: Collection[str] = (), leave: Collection[str] = ()) -> list[Decision]:
    """Decide for all consumers, in order of their ids."""
    return [decide(entry, without, leave) for entry in sorted(facts, key=lambda entry: int(entry.consumer_id))]


def _problem(facts: Facts, text: str) -> Decision:
    return Decision(facts.consumer_id, None, problem=text)
