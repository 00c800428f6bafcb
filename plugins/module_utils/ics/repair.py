# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about a consumer's node that is not well. Nothing in here can make a key sign twice.

There are three repairs. A *restart* deletes the pod, that very one, with its grace period: its StatefulSet makes the next one when the kubelet has
said that the old one is gone, on the same volume with the same sign state. To *converge* makes objects again that somebody removed; the launch
decides anew whether the node may sign. *Look back off* lets a node start that found its own signature in the newest blocks again and
again, as when the chain stands still without it: the launch, run again, sets double_sign_check_height to 0, only on the volume whose sign state
guards the key. Never: a deletion by force (the old node might still run), a second pod, a volume, a sign state, a key.
A node that was scaled to 0 stays so: somebody may run it elsewhere.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    FALSE,
    TRUE,
    Condition,
    Seen,
    moment,
)

LONGEST_PAUSE = timedelta(hours=6)
# A node without peers waits longer: the other validators' monitors may be about to repair theirs.
ALONE = 3
# Starts that ended at the look back. The kubelet pauses longer after each: in these five minutes a chain that goes on leaves the signature behind.
REFUSALS = 5


class Action(enum.Enum):
    """What is done."""

    NOTHING = "nothing"
    RESTART = "restart"
    CONVERGE = "converge"
    LOOK_BACK_OFF = "look_back_off"


@dataclass(frozen=True)
class Past:
    """The last repair: when, which, why, and how many there were since the node was well. ``at`` is None when there was none."""

    at: datetime | None = None
    action: str = ""
    reason: str = ""
    count: int = 0

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> Past:
        """Read it out of a consumer's document; what cannot be understood counts as not there."""
        count = data.get("repair_count", "")
        return cls(
            at=moment(data.get("repair_at", "")),
            action=data.get("repair_action", ""),
            reason=data.get("repair_reason", ""),
            count=int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0,
        )

    def data(self) -> dict[str, str]:
        """Return it as it is kept."""
        return {
            "repair_at": _text(self.at) if self.at else "",
            "repair_action": self.action,
            "repair_reason": self.reason,
            "repair_count": str(self.count),
        }


@dataclass(frozen=True)
class Limits:
    """How long something must be wrong before anything is done, and the pause after a repair, doubled with each that was of no use."""

    patience: timedelta
    pause: timedelta


@dataclass(frozen=True)
class Repair:
    """What to do and why, or why nothing is done. The reason is empty when nothing is wrong that could be repaired."""

    action: Action
    reason: str = ""


def decide(seen: Seen, conditions: Sequence[Condition], past: Past, limits: Limits) -> Repair:
    """Return what to do about a node whose chain is launched and whose validator takes part. ``conditions`` are those of ``seen``, with since."""
    cause, action = _cause(seen, {entry.type: entry for entry in conditions}, past, limits)
    # Missing objects do not wait because of a restart; a restart waits after whatever was done.
    other = action in (Action.CONVERGE, Action.LOOK_BACK_OFF) and past.action == Action.RESTART.value
    if action is Action.NOTHING or past.at is None or other:
        return Repair(action, cause)
    next_one = past.at + pause(past, limits)
    if seen.now < next_one:
        return Repair(Action.NOTHING, f"{cause}; not before {_text(next_one)}: it was repaired at {_text(past.at)}")
    return Repair(action, cause)


def pause(past: Past, limits: Limits) -> timedelta:
    """Return how long nothing is done after the last repair."""
    return min(limits.pause * 2.0 ** min(max(past.count - 1, 0), 20), max(LONGEST_PAUSE, limits.pause))


def cured(conditions: Sequence[Condition]) -> bool:
    """Tell whether a repair has had its effect, so that the next one counts as the first."""
    wanted = {"Running", "Rising", "Connected"}
    return wanted <= {entry.type for entry in conditions if entry.status == TRUE}


def _cause(seen: Seen, conditions: Mapping[str, Condition], past: Past, limits: Limits) -> tuple[str, Action]:
    running = conditions["Running"]

    def lasts(kind: str, reason: str, times: int = 1) -> bool:
        entry = conditions.get(kind)
        since = moment(entry.since) if entry is not None and entry.reason == reason else None
        return since is not None and seen.now - since >= limits.patience * times

    if not seen.exists:
        if not seen.volume:
            return "the volume with its data is gone: nothing is made again without being asked to", Action.NOTHING
        return running.message, Action.CONVERGE
    if not seen.wanted:
        return "", Action.NOTHING
    if seen.missing:
        return f"{', '.join(seen.missing)} is not there", Action.CONVERGE
    pod = seen.pod
    if pod is not None and not pod.ending and not pod.started and pod.own_signature and pod.restarts >= REFUSALS:
        reason = f"it was started {pod.restarts} times and found its own signature in the newest blocks: it is to start without looking for it"
        return reason, Action.LOOK_BACK_OFF
    if pod is None or pod.ending or not pod.running or not pod.started:
        # The cluster is at it. Only who knows that a lost machine is off may remove its pod by force.
        return running.message if lasts("Running", running.reason) else "", Action.NOTHING
    if lasts("Running", "NotReady") and lasts("Rising", "NoAnswer"):
        return "the node answers neither the kubelet nor the monitor", Action.RESTART
    if not lasts("Rising", "Halted") and not lasts("Rising", "Behind"):
        return "", Action.NOTHING
    halted = conditions["Rising"].message
    if conditions["Connected"].status == FALSE:
        if past.count > 0:
            return f"{halted}; and it has no peer, which a restart did not change", Action.NOTHING
        return f"{halted}; and it has no peer", Action.RESTART if lasts(
            "Connected", "NoPeers", ALONE
        ) else Action.NOTHING
    if seen.catching_up or seen.peers_height is None or seen.height is None:
        return "", Action.NOTHING
    if seen.peers_height > seen.height + 1:
        return f"{halted}; and its peers are at block {seen.peers_height}", Action.RESTART
    return f"{halted}; and its peers have none either: the chain stands still", Action.NOTHING


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
