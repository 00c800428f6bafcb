# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes changes to the rulebook: a bounded number at a time, each again and again until its receipt says done."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import heapq
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import Sending
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry
from ansible_collections.interchain.security.plugins.module_utils.ics import events
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import Change, Kind
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

logger = logging.getLogger("interchain.security.ccv")

FIRST_RETRY = 2.0  # seconds; doubled with each failed attempt
LONGEST_RETRY = 300.0  # seconds
JITTER = 0.2
FEEDBACK_TIMEOUT = 30.0  # seconds for the rule engine to echo an event
PAUSE = 0.25  # seconds between looks at whether events may leave again

# What goes first when several wait: nothing is as urgent as a launch.
_URGENCY = {Phase.LAUNCHED: 0, Phase.STOPPED: 1, Phase.INITIALIZED: 2, Phase.DELETED: 3, Phase.REGISTERED: 4}


class Queue(Protocol):
    """Where the events go."""

    async def put(self, event: dict[str, Any], /) -> None: ...


class FeedbackQueue(Protocol):
    """Where the rule engine echoes the events that it took."""

    async def get(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Receipt:
    """What the playbook of an event says of its end."""

    uuid: str
    outcome: str
    reason: str = ""


class State(enum.Enum):
    """Where a delivery is."""

    READY = "ready"  # to be put
    PUT = "put"  # its receipt is waited for
    FAILED = "failed"  # its playbook failed; to be put again later


@dataclass
class Delivery:
    """One change on its way.

    With ``stored_first`` the cursor has to name it before it leaves, since a restart could not find the same change again.
    ``may_be_running`` says that it was put, perhaps by an earlier run: only its receipt ends it, no newer change does.
    ``when`` is the loop time of the next attempt (FAILED), or of giving up on its receipt (PUT); ``next_try`` the former
    by the clock on the wall.
    """

    change: Change
    stored_first: bool
    attempt: int = 1
    may_be_running: bool = False
    state: State = State.READY
    when: float = 0.0
    next_try: datetime | None = None


class Deliveries:
    """The changes on their way, at most one put for each consumer.

    ``save`` stores the cursor now, ``saved_soon`` asks for it; ``may_leave`` tells whether events may leave.
    With ``tracked`` False there are no receipts, and an event is done once it is taken.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        tracked: bool,
        most: int,
        action_timeout: float,
        telemetry: Telemetry,
        chain_id: Callable[[], str],
        may_leave: Callable[[], bool],
        save: Callable[[], Awaitable[None]],
        saved_soon: Callable[[], None],
        feedback: FeedbackQueue | None = None,
    ) -> None:
        self._queue, self._feedback = queue, feedback
        self._tracked, self._most, self._action_timeout = tracked, most, action_timeout
        self._telemetry = telemetry
        self._chain_id, self._may_leave = chain_id, may_leave
        self._save, self._saved_soon = save, saved_soon
        self._current: dict[str, Delivery] = {}
        self._following: dict[str, Delivery] = {}  # newer changes of consumers whose current one may be running
        self._timed: dict[str, Delivery] = {}  # those current ones that are put or have failed
        self._running = 0  # how many are put
        self._ready: list[
            tuple[tuple[int, int, int], int, Delivery]
        ] = []  # a heap; what is not ready any more stays in it
        self._count = itertools.count()
        self._notices: list[Change] = []
        self._events: list[dict[str, Any]] = []
        self._receipts: dict[str, Receipt] = {}
        self._news = asyncio.Event()
        self._random = random.Random()

    # -- what comes in ----------------------------------------------------------------------------------------------

    def add(self, changes: Iterable[Change], *, stored_first: bool = False) -> None:
        """Take changes. An older one of the same consumer that has not left yet becomes one with it."""
        for change in changes:
            name = change.consumer_id
            current, following = self._current.get(name), self._following.get(name)
            if change.kind is Kind.IMMINENT:
                self._notices.append(change)
            elif current is None:
                self._set(Delivery(change, stored_first))
            elif following is not None:
                self._following[name] = Delivery(merged(following.change, change), True)
            elif current.may_be_running:
                self._following[name] = Delivery(change, True)
            else:
                # Nothing has come of the older one, so the newer one stands for both.
                self._set(Delivery(merged(current.change, change), True))
        self._told()

    def add_event(self, event: dict[str, Any]) -> None:
        """Take an event that belongs to no consumer, to be put once, after what waits already."""
        self._events.append(event)
        self._told()

    def waits(self, uuid: str) -> bool:
        """Tell whether an event that belongs to no consumer has not been put yet."""
        return any(event["meta"]["uuid"] == uuid for event in self._events)

    def restore(self, entries: Iterable[Sending]) -> None:
        """Take what an earlier run had on its way; receipts have to be known by now."""
        for entry in entries:
            # Its event is named by the cursor already, so it may leave at once. It may have left after the cursor was written.
            follows = entry.change.consumer_id in self._current
            delivery = Delivery(entry.change, follows, entry.attempt, may_be_running=not follows)
            if entry.next_try is not None:
                delay = min((entry.next_try - datetime.now(UTC)).total_seconds(), LONGEST_RETRY)
                delivery.state, delivery.next_try = State.FAILED, entry.next_try
                delivery.when = asyncio.get_running_loop().time() + delay
            if follows:
                self._following[entry.change.consumer_id] = delivery
            else:
                self._set(delivery)
        self._told()

    def receipt(self, consumer_id: str, receipt: Receipt) -> None:
        """Note what a playbook says of its end."""
        if self._receipts.get(consumer_id) == receipt:
            return
        self._receipts[consumer_id] = receipt
        delivery = self._current.get(consumer_id)
        if delivery is not None and delivery.state is State.PUT:
            self._settle(delivery)

    @property
    def expecting(self) -> bool:
        """Tell whether a receipt is waited for."""
        return self._running > 0

    def sending(self) -> tuple[Sending, ...]:
        """What a restart has to know, of each consumer in order."""
        return tuple(
            Sending(entry.change, entry.attempt, entry.may_be_running, entry.next_try)
            for entry in (*self._current.values(), *self._following.values())
        )

    # -- what goes out ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Put events for ever."""
        while True:
            self._news.clear()
            self._look_at_the_clock()
            delay = await self._put_all()
            self._tell_figures()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), delay)

    async def _put_all(self) -> float | None:
        """Put what may leave now; return the seconds until there may be more, None when only news can change that."""
        while True:
            delivery = self._next()
            if delivery is None and not self._notices and not self._events:
                break
            if not self._may_leave():
                return PAUSE
            if self._notices:
                await self._put_untracked(self._notices[0])
                del self._notices[0]
            elif delivery is not None:
                await self._put_tracked(delivery)
            else:
                await self._put_untracked(self._events[0])
                del self._events[0]
        if not self._timed:
            return None
        return max(min(entry.when for entry in self._timed.values()) - asyncio.get_running_loop().time(), 0.01)

    def _next(self) -> Delivery | None:
        while self._ready and self._running < self._most:
            delivery = self._ready[0][-1]
            if delivery.state is State.READY and self._current.get(delivery.change.consumer_id) is delivery:
                return delivery
            heapq.heappop(self._ready)
        return None

    async def _put_tracked(self, delivery: Delivery) -> None:
        change = delivery.change
        name = change.consumer_id
        receipt = self._receipts.get(name)
        if self._tracked and receipt is not None and self._is_of(receipt, delivery):
            # An earlier run has put it, and was ended before it had noted that.
            self._settle(delivery)
            return
        if self._tracked and delivery.stored_first:
            # Not those that follow: the cursor has to show that what they follow has ended.
            stored = [*self._current.values()]
            await self._save()
            for entry in stored:
                entry.stored_first = False
            if self._current.get(name) is not delivery or not self._may_leave():
                return
        delivery.may_be_running = True
        event = events.outgoing(self._chain_id(), change, delivery.attempt, datetime.now(UTC))
        await self._queue.put(event)
        logger.info(
            "%s of consumer %s, %s (was %s) at block %d, was put, attempt %d",
            *(change.kind.value, name, change.phase.value),
            change.previous_phase.value if change.previous_phase else "none",
            *(change.block.height, delivery.attempt),
        )
        await self._echoed(event)
        self._telemetry.sent(change.kind.value)
        if not self._tracked:
            self._ended(name)
            return
        delivery.state = State.PUT
        self._running += 1
        self._timed[name] = delivery
        delivery.when = asyncio.get_running_loop().time() + self._action_timeout
        receipt = self._receipts.get(name)
        if receipt is not None and self._is_of(receipt, delivery):
            self._settle(delivery)
        self._saved_soon()

    async def _put_untracked(self, what: Change | dict[str, Any]) -> None:
        event = what if isinstance(what, dict) else events.outgoing(self._chain_id(), what, 1, datetime.now(UTC))
        await self._queue.put(event)
        logger.info("%s at block %d was put", event["type"], event["height"])
        await self._echoed(event)
        self._telemetry.sent(event["type"])

    async def _echoed(self, event: dict[str, Any]) -> None:
        """Wait until the rule engine says that it has taken the event."""
        if self._feedback is None:
            return
        try:
            async with asyncio.timeout(FEEDBACK_TIMEOUT):
                while True:
                    echo = await self._feedback.get()
                    meta = echo.get("meta") if isinstance(echo, dict) else None
                    if isinstance(meta, dict) and meta.get("uuid") == event["meta"]["uuid"]:
                        return
        except TimeoutError:
            logger.warning("the rule engine did not say within %.0f s that it took an event", FEEDBACK_TIMEOUT)

    # -- what comes back --------------------------------------------------------------------------------------------

    def _is_of(self, receipt: Receipt, delivery: Delivery) -> bool:
        attempts = range(1, delivery.attempt + 1)
        return any(
            receipt.uuid == events.identifier(self._chain_id(), delivery.change, attempt)
            and (receipt.outcome == "done" or attempt == delivery.attempt)
            for attempt in attempts
        )

    def _settle(self, delivery: Delivery) -> None:
        """Act on a receipt that is known of a delivery."""
        name = delivery.change.consumer_id
        receipt = self._receipts[name]
        if not self._is_of(receipt, delivery):
            return
        if receipt.outcome == "done":
            self._ended(name)
        else:
            self._telemetry.action_failed(name)
            delay = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(delivery.attempt - 1, 20))
            delay *= 1 + JITTER * self._random.uniform(-1, 1)
            logger.warning(
                "the playbook for consumer %s (%s, attempt %d) failed, %s: %s",
                *(name, delivery.change.phase.value, delivery.attempt),
                "a newer event follows" if name in self._following else f"it is run again in {delay:.0f} s",
                receipt.reason or "no reason was given",
            )
            self._again(delivery, delay)
        self._saved_soon()
        self._told()

    def _look_at_the_clock(self) -> None:
        now = asyncio.get_running_loop().time()
        for name, delivery in [*self._timed.items()]:
            if delivery.when > now:
                continue
            if delivery.state is State.FAILED:
                self._set(replace(delivery, state=State.READY, next_try=None))
                continue
            self._telemetry.action_timed_out(name)
            logger.warning(
                "no receipt for consumer %s (%s, attempt %d) within %.0f s: its event is put again",
                *(name, delivery.change.phase.value, delivery.attempt, self._action_timeout),
            )
            self._again(delivery, 0.0)

    def _again(self, delivery: Delivery, delay: float) -> None:
        name = delivery.change.consumer_id
        following = self._following.pop(name, None)
        if following is not None:
            self._set(Delivery(merged(delivery.change, following.change), True))
            return
        # Named by the cursor first: after a restart nobody could tell which attempt was the last.
        again = Delivery(delivery.change, True, delivery.attempt + 1)
        if delay:
            again.state, again.when = State.FAILED, asyncio.get_running_loop().time() + delay
            again.next_try = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=delay)
        self._set(again)

    def _ended(self, name: str) -> None:
        following = self._following.pop(name, None)
        if following is None:
            self._unset(name)
            del self._current[name]
        else:
            self._set(following)

    def _set(self, delivery: Delivery) -> None:
        """Make a delivery the current one of its consumer."""
        name = delivery.change.consumer_id
        self._unset(name)
        self._current[name] = delivery
        if delivery.state is State.FAILED:
            self._timed[name] = delivery
        else:
            heapq.heappush(self._ready, (_urgency(delivery.change), next(self._count), delivery))

    def _unset(self, name: str) -> None:
        before = self._timed.pop(name, None)
        self._running -= before is not None and before.state is State.PUT

    def _told(self) -> None:
        self._news.set()
        self._tell_figures()

    def _tell_figures(self) -> None:
        ready = len(self._current) - len(self._timed)
        self._telemetry.queue_depth(ready + len(self._following) + len(self._notices) + len(self._events))
        self._telemetry.outstanding(len(self._timed))


def _urgency(change: Change) -> tuple[int, int, int]:
    return (
        _URGENCY[change.phase] if change.kind is Kind.PHASE else len(_URGENCY),
        change.block.height,
        int(change.consumer_id),
    )


def merged(older: Change, newer: Change) -> Change:
    """One change that stands for two that follow each other."""
    # The playbook of a launch looks at record and members too, and that of a record at the members.
    if older.kind is Kind.MEMBERS or (older.kind is Kind.UPDATED and newer.kind is Kind.PHASE):
        return newer
    if older.kind is Kind.UPDATED:
        return replace(newer, kind=Kind.UPDATED)
    if newer.kind is not Kind.PHASE:
        return replace(newer, kind=Kind.PHASE, previous_phase=older.previous_phase)
    if newer.phase is older.previous_phase:
        # It came back to where it was, and its record may be another.
        return replace(newer, kind=Kind.UPDATED)
    return replace(newer, previous_phase=older.previous_phase)
