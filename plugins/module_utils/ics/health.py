# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is a consumer's node well? What was seen of it in, conditions with their reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

OLDEST_BLOCK = timedelta(seconds=60)
FULLEST_DISK = 0.85
FEWEST_SIGNATURES = 0.5  # of the newest commits


@dataclass(frozen=True)
class Seen:
    """What was seen of a node. None: it could not be asked.

    ``signed`` and ``commits`` count the newest commits with the own signature and all of them; ``in_validator_set`` whether the chain's
    present set holds the node's key. ``disk`` is the used part of its volume, 0 to 1. ``problem`` is why it could not be asked.
    """

    now: datetime
    wanted: bool  # the StatefulSet wants a pod
    ready: bool
    restarts: int = 0
    last_end: str = ""
    problem: str = ""
    height: int | None = None
    block_time: datetime | None = None
    catching_up: bool | None = None
    peers: int | None = None
    validators: int | None = None
    in_validator_set: bool | None = None
    signed: int | None = None
    commits: int | None = None
    disk: float | None = None
    mode: str = "sign"


@dataclass(frozen=True)
class Condition:
    """One condition in the manner of Kubernetes: ``status`` is True, False or Unknown; ``since`` an RFC 3339 time."""

    type: str
    status: str
    reason: str
    message: str
    since: str = ""


def judge(seen: Seen) -> list[Condition]:
    """Return the conditions Running, Rising, CaughtUp, Connected, Signing and Disk."""
    if not seen.wanted:
        stopped = "the node is stopped"
        return [Condition("Running", "False", "Stopped", stopped)]
    ended = f"; it was started again {seen.restarts} times, last because: {seen.last_end}" if seen.restarts else ""
    running = (
        Condition("Running", "True", "Ready", f"its pod is ready{ended}")
        if seen.ready
        else Condition("Running", "False", "NotReady", f"its pod is not ready{ended}")
    )
    return [running, _rising(seen), _caught_up(seen), _connected(seen), _signing(seen), _disk(seen)]


def _unknown(kind: str, seen: Seen) -> Condition:
    return Condition(kind, "Unknown", "NoAnswer", seen.problem or "the node was not asked")


def _rising(seen: Seen) -> Condition:
    if seen.height is None or seen.block_time is None:
        return _unknown("Rising", seen)
    age = seen.now - seen.block_time
    if seen.height < 1:
        return Condition("Rising", "False", "NoBlock", "the chain has made no block yet")
    if age > OLDEST_BLOCK:
        return Condition(
            "Rising", "False", "Halted", f"the newest block, {seen.height}, is {age.total_seconds():.0f} s old"
        )
    return Condition("Rising", "True", "NewBlocks", "the newest block is younger than a minute")


def _caught_up(seen: Seen) -> Condition:
    if seen.catching_up is None:
        return _unknown("CaughtUp", seen)
    if seen.catching_up:
        return Condition("CaughtUp", "False", "CatchingUp", "the node still reads old blocks from its peers")
    return Condition("CaughtUp", "True", "CaughtUp", "the node has the newest block that its peers have")


def _connected(seen: Seen) -> Condition:
    if seen.peers is None:
        return _unknown("Connected", seen)
    if seen.peers == 0 and seen.validators != 1:
        return Condition(
            "Connected", "False", "NoPeers", "the node has no peer: what do the other validators announce?"
        )
    return Condition(
        "Connected", "True", "Peers", "the node has peers" if seen.peers else "the chain has no other validator"
    )


def _signing(seen: Seen) -> Condition:
    if seen.mode != "sign":
        return Condition("Signing", "False", "Follows", "the node only follows the chain: it has no key to sign with")
    if seen.signed is None or seen.commits is None or seen.in_validator_set is None:
        return _unknown("Signing", seen)
    if not seen.in_validator_set:
        return Condition("Signing", "False", "NotInSet", "the chain's validator set does not hold the node's key (yet)")
    if seen.commits == 0:
        return Condition("Signing", "Unknown", "NoCommit", "the chain has no commit yet")
    if seen.signed < seen.commits * FEWEST_SIGNATURES:
        return Condition(
            "Signing", "False", "Missing", f"only {seen.signed} of the newest {seen.commits} commits hold its signature"
        )
    return Condition("Signing", "True", "Signs", "the newest commits hold its signature")


def _disk(seen: Seen) -> Condition:
    if seen.disk is None:
        return _unknown("Disk", seen)
    if seen.disk > FULLEST_DISK:
        return Condition("Disk", "False", "Full", f"{seen.disk:.0%} of the volume is used: make it larger")
    return Condition("Disk", "True", "Room", "the volume has room")


def with_since(conditions: Sequence[Condition], before: Sequence[Mapping[str, str]], now: datetime) -> list[Condition]:
    """Return the conditions with the time since which each has its status and reason. ``before`` is what was kept of the last look."""
    known = {entry.get("type"): entry for entry in before if isinstance(entry, Mapping)}
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = []
    for condition in conditions:
        last = known.get(condition.type, {})
        same = (last.get("status"), last.get("reason")) == (condition.status, condition.reason)
        result.append(replace(condition, since=str(last["since"]) if same and last.get("since") else moment))
    return result


def as_results(conditions: Sequence[Condition]) -> list[dict[str, str]]:
    """Return conditions as a module returns them."""
    return [asdict(condition) for condition in conditions]
