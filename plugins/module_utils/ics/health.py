# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is a consumer's node well? What was seen of it in, conditions with their reasons out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Standing

OLDEST_BLOCK = timedelta(seconds=60)
FULLEST_DISK = 0.85
FEWEST_SIGNATURES = 0.5  # of the newest commits
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
ADVICE = {
    Standing.UNBONDED: "the validator is not bonded on the provider: it needs more stake there than the last one of its active set",
    Standing.JAILED: (
        "the validator is jailed on the provider: once its jail time is over (`interchain-security-pd query slashing signing-info`), "
        "`interchain-security-pd tx slashing unjail` ends that"
    ),
    Standing.TOMBSTONED: (
        "the validator is tombstoned on the provider: it is never unjailed. Its consensus key there has to go, and a new validator with a new one to be made"
    ),
}


@dataclass(frozen=True)
class Pod:
    """A node's pod as the cluster tells of it.

    ``running``: its container runs; ``started``: the node in it has answered since; ``ready``: it answers now. ``waits`` is why the
    container does not run, ``last_end`` why it ended before, ``own_signature`` whether that was the look back: it found its own signature in
    the newest blocks.
    """

    uid: str
    ending: bool = False
    running: bool = True
    started: bool = True
    ready: bool = True
    waits: str = ""
    restarts: int = 0
    last_end: str = ""
    own_signature: bool = False


@dataclass(frozen=True)
class Seen:
    """What was seen of a node. None: it could not be asked.

    ``exists``: there is a StatefulSet of it; ``wanted``: which wants a pod. ``missing`` names other objects that it needs and that are not
    there, ``volume`` tells of the one with its data.

    ``signed`` and ``commits`` count the newest commits with the own signature and all of them; ``in_validator_set`` whether the chain's
    present set holds the node's key, ``promoted_height`` since which height it does (0: it does not), ``validator_keys`` are all keys of
    that set (base64). ``peers_height`` is the highest block of a peer, asked for only when the own one is old. ``disk`` is
    the used part of its volume, 0 to 1. ``problem`` is why it could not be asked, ``silent`` whether it was reached and gave no answer.
    ``standing`` is how the validator stands on the provider, None when that is not known.
    """

    now: datetime
    exists: bool = True
    wanted: bool = True
    pod: Pod | None = None
    missing: tuple[str, ...] = ()
    volume: bool = True
    problem: str = ""
    silent: bool = False
    height: int | None = None
    block_time: datetime | None = None
    catching_up: bool | None = None
    peers: int | None = None
    peers_height: int | None = None
    validators: int | None = None
    in_validator_set: bool | None = None
    validator_keys: frozenset[str] = frozenset()
    promoted_height: int | None = None
    signed: int | None = None
    commits: int | None = None
    disk: float | None = None
    mode: str = "sign"
    standing: Standing | None = None

    @property
    def may_be_asked(self) -> bool:
        """Tell whether there is anything to ask: its container runs."""
        return self.wanted and self.pod is not None and self.pod.running and not self.pod.ending

    @property
    def block_is_old(self) -> bool:
        """Tell whether the newest block is older than those of a chain that makes blocks."""
        return self.block_time is not None and self.now - self.block_time > OLDEST_BLOCK


@dataclass(frozen=True)
class Condition:
    """One condition in the manner of Kubernetes: ``status`` is True, False or Unknown; ``since`` an RFC 3339 time.

    The message says no more than what holds as long as status and reason do.
    """

    type: str
    status: str
    reason: str
    message: str
    since: str = ""


def judge(seen: Seen) -> list[Condition]:
    """Return the conditions Running, Rising, CaughtUp, Connected, Signing and Disk."""
    running = _running(seen)
    if not seen.exists or not seen.wanted:
        return [running]
    return [running, _rising(seen), _caught_up(seen), _connected(seen), _signing(seen), _disk(seen)]


def _running(seen: Seen) -> Condition:
    def no(reason: str, message: str) -> Condition:
        return Condition("Running", FALSE, reason, message)

    if not seen.exists:
        what = (
            "its StatefulSet is not there" if seen.volume else "its StatefulSet and the volume with its data are gone"
        )
        return no("Missing", what)
    if not seen.wanted:
        return no("Stopped", "the node is stopped")
    pod = seen.pod
    if pod is None:
        return no("NoPod", "it has no pod (yet)")
    ended = f"; it was started again {pod.restarts} times, last because: {pod.last_end}" if pod.restarts else ""
    if pod.ending:
        return no("Ending", "its pod is being ended")
    if not pod.running:
        return no("Waiting", f"its container does not run: {pod.waits or 'no reason is known'}{ended}")
    if not pod.started:
        return no("Starting", f"it has not answered since its container began{ended}")
    if not pod.ready:
        return no("NotReady", f"it does not answer the kubelet{ended}")
    if seen.missing:
        return no("Missing", f"it runs, and is not complete: {', '.join(seen.missing)} is not there")
    return Condition("Running", TRUE, "Ready", f"its pod is ready{ended}")


def _unknown(kind: str, seen: Seen) -> Condition:
    reason = "NoAnswer" if seen.silent else "NotAsked"
    return Condition(kind, UNKNOWN, reason, seen.problem or "the node was not asked")


def _rising(seen: Seen) -> Condition:
    if seen.height is None or seen.block_time is None:
        return _unknown("Rising", seen)
    if seen.height < 1:
        return Condition("Rising", FALSE, "NoBlock", "the chain has made no block yet")
    if seen.block_is_old and seen.catching_up:
        return Condition("Rising", FALSE, "Behind", "the newest block is old: the node still reads old blocks")
    if seen.block_is_old:
        since = seen.block_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Condition("Rising", FALSE, "Halted", f"there is no block after {seen.height}, which is of {since}")
    return Condition("Rising", TRUE, "NewBlocks", "the newest block is younger than a minute")


def _caught_up(seen: Seen) -> Condition:
    if seen.catching_up is None:
        return _unknown("CaughtUp", seen)
    if seen.catching_up:
        return Condition("CaughtUp", FALSE, "CatchingUp", "the node still reads old blocks from its peers")
    return Condition("CaughtUp", TRUE, "CaughtUp", "the node has the newest block that its peers have")


def _connected(seen: Seen) -> Condition:
    if seen.peers is None:
        return _unknown("Connected", seen)
    if seen.peers == 0 and seen.validators != 1:
        return Condition("Connected", FALSE, "NoPeers", "the node has no peer: what do the other validators announce?")
    return Condition(
        "Connected", TRUE, "Peers", "the node has peers" if seen.peers else "the chain has no other validator"
    )


def _signing(seen: Seen) -> Condition:
    if seen.mode != "sign":
        return Condition("Signing", FALSE, "Follows", "the node only follows the chain: it has no key to sign with")
    if seen.signed is None or seen.commits is None or seen.in_validator_set is None:
        return _unknown("Signing", seen)
    if not seen.in_validator_set and seen.standing in ADVICE:
        return Condition("Signing", FALSE, seen.standing.value, ADVICE[seen.standing])
    if not seen.in_validator_set:
        return Condition("Signing", FALSE, "NotInSet", "the chain's validator set does not hold the node's key (yet)")
    if seen.commits == 0:
        return Condition("Signing", UNKNOWN, "NoCommit", "the chain has no commit yet")
    if seen.signed < seen.commits * FEWEST_SIGNATURES:
        return Condition("Signing", FALSE, "Missing", "less than half of the newest commits hold its signature")
    return Condition("Signing", TRUE, "Signs", "the newest commits hold its signature")


def _disk(seen: Seen) -> Condition:
    if seen.disk is None:
        return Condition("Disk", UNKNOWN, "NotAsked", "the volume could not be looked at")
    if seen.disk > FULLEST_DISK:
        return Condition("Disk", FALSE, "Full", f"more than {FULLEST_DISK:.0%} of the volume is used: make it larger")
    return Condition("Disk", TRUE, "Room", "the volume has room")


def with_since(conditions: Sequence[Condition], before: Sequence[Condition], now: datetime) -> list[Condition]:
    """Return the conditions with the time since which each has its status and reason; what has not changed stays as it was kept."""
    known = {_identity(entry): entry for entry in before if moment(entry.since)}
    since = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [known.get(_identity(condition)) or replace(condition, since=since) for condition in conditions]


def _identity(condition: Condition) -> tuple[str, str, str, str]:
    # A chain that makes a block now and then has halted anew each time.
    detail = condition.message if condition.reason == "Halted" else ""
    return condition.type, condition.status, condition.reason, detail


def standing_in(conditions: Sequence[Condition]) -> Standing | None:
    """Return the validator's standing on the provider as conditions tell of it; None when they do not."""
    reasons = {entry.reason for entry in conditions if entry.type == "Signing"}
    return next((standing for standing in ADVICE if standing.value in reasons), None)


def is_well(conditions: Sequence[Condition]) -> bool:
    """Tell whether all that was looked at is as it should be."""
    return all(entry.status == TRUE for entry in conditions)


def summary(conditions: Sequence[Condition]) -> str:
    """Return the first condition that is not as it should be, with its reason and since when; empty when there is none."""
    wrong = next((entry for entry in conditions if entry.status != TRUE), None)
    return "" if wrong is None else f"{wrong.type} {wrong.reason} since {wrong.since}: {wrong.message}"


def as_results(conditions: Sequence[Condition]) -> list[dict[str, str]]:
    """Return conditions as a module returns them."""
    return [asdict(condition) for condition in conditions]


def to_text(conditions: Sequence[Condition]) -> str:
    """Return conditions as they are kept."""
    return json.dumps(as_results(conditions), sort_keys=True)


def from_text(text: str) -> list[Condition]:
    """Read what was kept; what cannot be understood counts as not kept."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    fields = set(Condition.__dataclass_fields__)
    return [
        Condition(**entry)
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, Mapping)
        and set(entry) == fields
        and all(isinstance(value, str) for value in entry.values())
    ]


def moment(text: str) -> datetime | None:
    """Read an RFC 3339 time, None when it is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
