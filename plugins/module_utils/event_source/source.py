# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source: from blocks and readings of the state to changes on their way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import StateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    HeightNotAvailable,
    QueryFailed,
    StateConflict,
    StateError,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.alarms import Alarms
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments
from ansible_collections.interchain.security.plugins.module_utils.event_source.blocks import BlockReader, ReadBlock
from ansible_collections.interchain.security.plugins.module_utils.event_source.checks import Announcements, Checks
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import Cursor
from ansible_collections.interchain.security.plugins.module_utils.event_source.deliveries import (
    Deliveries,
    FeedbackQueue,
    Queue,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.endpoints import Endpoints
from ansible_collections.interchain.security.plugins.module_utils.event_source.headers import Tip, backoff
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import Node
from ansible_collections.interchain.security.plugins.module_utils.event_source.state_keeper import StateKeeper
from ansible_collections.interchain.security.plugins.module_utils.event_source.states import (
    Reading,
    StateReader,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry
from ansible_collections.interchain.security.plugins.module_utils.event_source.tip_follower import TipFollower
from ansible_collections.interchain.security.plugins.module_utils.ics import events
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import (
    Block,
    ConsumerState,
    Follower,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import CHECK, ENDPOINTS

logger = logging.getLogger("interchain.security.ccv")

BEAT_SECONDS = 1.0
LAST_SAVE_SECONDS = 5.0
ENDPOINTS_INTERVAL = 10.0  # seconds between looks at what the validators announce
LONGEST_PAUSE = 5.0  # seconds until a part that failed is begun again
SYNC_WITHOUT_RESULTS = 5.0  # seconds between readings of all consumers while the node keeps no block results
UNREADABLE_AGAIN = timedelta(seconds=30)  # block time until a consumer that could not be read is tried again


class Source:
    """Follows the chain for ever. A second monitor on the same state store makes this one wait until that has ended."""

    def __init__(
        self,
        queue: Queue,
        arguments: Arguments,
        telemetry: Telemetry,
        store: StateStore | None = None,
        feedback: FeedbackQueue | None = None,
    ) -> None:
        self._queue, self._feedback = queue, feedback
        self._arguments = arguments
        self._telemetry = telemetry
        self._store = store
        self._alarms = Alarms(telemetry)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the chain until stop is set, then store where it is."""
        ending = asyncio.create_task(stop.wait())
        following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait([ending, following], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            following.cancel()
            await asyncio.gather(ending, following, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            session = Session(self._queue, self._arguments, self._telemetry, self._alarms, self._store, self._feedback)
            try:
                await session.run()
            except StateConflict as error:
                self._telemetry.ready(False, "another monitor runs with the same state")
                self._alarms.raised(
                    "state_conflict", f"{error}: another monitor runs with the same state; this one waits"
                )
                await session.until_alone()
                self._alarms.cleared("state_conflict")
            except Exception:  # a source that raises would end the whole rulebook
                logger.exception("the source failed and begins again")
                await asyncio.sleep(LONGEST_PAUSE)
            finally:
                await session.close()


class Session:
    """One run of the source, from reading the cursor until somebody else writes it."""

    def __init__(
        self,
        queue: Queue,
        arguments: Arguments,
        telemetry: Telemetry,
        alarms: Alarms,
        store: StateStore | None,
        feedback: FeedbackQueue | None,
    ) -> None:
        self._arguments = arguments
        self._telemetry = telemetry
        self._alarms = alarms
        nodes = [Node(url, arguments, telemetry.requests) for url in arguments.provider_rpc_url]
        self._endpoints = Endpoints(nodes, arguments.provider_chain_id, alarms, telemetry)
        self._blocks = BlockReader(self._endpoints)
        self._states = StateReader(self._endpoints, arguments.confirm_endpoints)
        self._tip = Tip()
        self._tip_follower = TipFollower(
            self._endpoints, self._tip, arguments, telemetry, self._blocks.hear, self._want_sync
        )
        self._keeper = StateKeeper(store, alarms, self._snapshot, telemetry.beat) if store is not None else None
        self._deliveries = Deliveries(
            queue,
            tracked=store is not None,
            most=arguments.max_outstanding,
            action_timeout=arguments.action_timeout,
            telemetry=telemetry,
            chain_id=lambda: str(self._endpoints.chain_id),
            may_leave=lambda: not alarms.stopping(),
            save=self._save,
            saved_soon=self._save_soon,
            feedback=feedback,
        )
        self._follower = Follower()
        self._block: Block | None = None  # the last one that was worked through
        self._reconciled = ""
        self._unreadable: dict[str, datetime] = {}
        self._sync: asyncio.Task[None] | None = None
        self._next_sync = 0.0
        self._started = asyncio.Event()
        self._announcements = Announcements()

    async def run(self) -> None:
        """Follow the chain until cancelled. Raises StateConflict when somebody else writes the cursor."""
        if self._keeper is not None:
            await self._restore(self._keeper)
        work: list[Callable[[], Awaitable[None]]] = [self._tip_follower.run, self._work, self._deliveries.run]
        if self._keeper is not None:
            keeper = self._keeper
            work += [keeper.keep_saving, lambda: keeper.watch_receipts(self._deliveries), self._endpoint_checks(keeper)]
            if self._arguments.check_interval > 0:
                work.append(self._checks(keeper))
        tasks = [asyncio.create_task(_for_ever(part)) for part in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            if self._sync is not None:
                self._sync.cancel()
                await asyncio.gather(self._sync, return_exceptions=True)
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(StateError, TimeoutError):
                await asyncio.wait_for(self._save(), LAST_SAVE_SECONDS)

    async def close(self) -> None:
        """Close all connections."""
        await self._blocks.close()
        await self._endpoints.close()
        if self._keeper is not None:
            self._keeper.close()

    async def until_alone(self) -> None:
        """Wait until nobody else writes the cursor."""
        if self._keeper is not None:
            await self._keeper.until_quiet()

    # -- the cursor -------------------------------------------------------------------------------------------------

    async def _restore(self, keeper: StateKeeper) -> None:
        cursor = await keeper.load()
        await keeper.load_receipts(self._deliveries)
        if cursor is None:
            return
        logger.info("going on after block %d, with %d events on their way", cursor.height, len(cursor.sending))
        # The cursor of another chain than the configured one is a replaced chain, not a fresh start.
        self._endpoints.chain_id = self._endpoints.chain_id or cursor.chain_id
        self._endpoints.cursor_chain_id = cursor.chain_id
        self._endpoints.lowest_height = cursor.height
        if cursor.hash:
            self._endpoints.known = (cursor.hash_height, cursor.hash)
        self._follower = Follower(cursor.records)
        self._block = Block(cursor.height, cursor.block_time)
        self._reconciled = cursor.reconciled
        if cursor.announcements_pending:
            self._announcements.changed()
        self._deliveries.restore(cursor.sending)
        # From now on another monitor's next writing fails.
        await keeper.save()

    def _snapshot(self) -> Cursor | None:
        if self._block is None or self._endpoints.chain_id is None:
            return None
        hash_height, block_hash = self._endpoints.known or (0, "")
        return Cursor(
            chain_id=self._endpoints.chain_id,
            height=self._block.height,
            block_time=self._block.time,
            hash=block_hash,
            hash_height=hash_height,
            records=self._follower.records,
            sending=self._deliveries.sending(),
            announcements_pending=self._announcements.pending,
            reconciled=self._reconciled,
        )

    async def _save(self) -> None:
        if self._keeper is not None:
            await self._keeper.save()

    def _save_soon(self) -> None:
        if self._keeper is not None:
            self._keeper.save_soon()

    # -- block by block ---------------------------------------------------------------------------------------------

    @property
    def _height(self) -> int:
        return self._block.height if self._block else 0

    async def _work(self) -> None:
        """Work through all blocks as they come."""
        while True:
            self._telemetry.beat()
            if not await self._tip.wait_for_more_than(self._height, BEAT_SECONDS):
                self._start_sync_when_due()
                continue
            if self._block is None:
                await self._read_everything("the first start")
                self._first_reading_done()
                continue
            while self._height < self._tip.height:
                try:
                    block = await self._blocks.read(self._height + 1, self._tip.height)
                    await self._work_through(block)
                except HeightNotAvailable as error:
                    await self._read_everything(f"block {self._height + 1} cannot be read any more: {error}")
                    self._first_reading_done()
                self._start_sync_when_due()

    async def _work_through(self, read: ReadBlock) -> None:
        block = self._checked(read.header)
        if read.unseen:
            self._missed_events(read)
        names = dict.fromkeys([*read.hints.consumer_ids, *self._follower.due(block.time)])
        again = [name for name, moment in self._unreadable.items() if moment <= block.time and name not in names]
        states: list[ConsumerState] = []

        def found(state: ConsumerState) -> None:
            # At once: the launch of one consumer does not wait until two hundred others have been read.
            if state.consumer_id in read.hints.written:
                state = replace(state, written=True)
            if state.phase is Phase.STOPPED:
                states.append(state)
            else:
                self._deliveries.add(self._follower.observe([state], block))

        if read.hints.everything:
            # Most of it shows no more than the phase, so what the block names is read beside it.
            reading = await self._states.everything(self._follower.records, block.height, thorough=False)
            states += self._taken(reading, block)
        if names:
            self._taken(await self._states.some(names, block.height, found=found), block)
        if again:
            states += self._taken(await self._states.some(again, block.height, refusals=1), block)
        states = await self._with_removal_times(states, block)
        changes = self._follower.observe(states, block)
        changes += self._follower.imminent(block, timedelta(seconds=self._arguments.spawn_notice))
        changes += self._follower.members_changed(read.hints.members, block)
        if read.hints.endpoints or read.hints.everything:
            self._endpoints_changed()
        if self._height < self._tip.height - 1:
            self._telemetry.filled(1)
        self._block = block
        self._remember_hash(read.header)
        self._telemetry.worked(block.height, block.time)
        if changes:
            self._deliveries.add(changes)

    def _missed_events(self, read: ReadBlock) -> None:
        height = read.header.height
        if read.hints.everything:
            self._reconciled = f"at block {height}: {read.unseen}"
            logger.warning("block %d: %s; all consumers are read in its state instead", height, read.unseen)
        else:
            self._alarms.raised(
                "results_discarded",
                f"{read.unseen}; all consumers are read every {SYNC_WITHOUT_RESULTS:.0f} s instead: "
                "set discard_abci_responses = false on the node",
            )
            self._reconciled = f"from block {height}: block results are discarded"
            self._next_sync = min(self._next_sync, asyncio.get_running_loop().time() + SYNC_WITHOUT_RESULTS)

    def _checked(self, header: BlockHeader) -> Block:
        """Compare a header with what is known of the chain. QueryFailed when it belongs to another one."""
        problem = ""
        if header.chain_id != self._endpoints.chain_id:
            problem = f"block {header.height} belongs to chain {header.chain_id[:60]!r}"
        elif self._endpoints.known is not None and header.parent_hash:
            height, known = self._endpoints.known
            if height == header.height - 1 and header.parent_hash != known:
                problem = f"block {header.height} follows {header.parent_hash[:64]}, and block {height} was {known}"
        if problem:
            # What it is, is found out before it is used again.
            if self._endpoints.current is not None:
                self._endpoints.leave(self._endpoints.current, problem, "another chain")
            self._blocks.forget()
            raise QueryFailed(problem)
        return Block(header.height, header.time)

    def _remember_hash(self, header: BlockHeader) -> None:
        if header.hash:
            self._endpoints.known = (header.height, header.hash)
        elif header.parent_hash:
            self._endpoints.known = (header.height - 1, header.parent_hash)
        self._endpoints.lowest_height = header.height

    async def _with_removal_times(self, states: Sequence[ConsumerState], block: Block) -> list[ConsumerState]:
        """Add when those are deleted that this very block has stopped."""
        records = self._follower.records
        stopped = {
            state.consumer_id
            for state in states
            if state.phase is Phase.STOPPED
            and (record := records.get(state.consumer_id)) is not None
            and record.phase is not Phase.STOPPED
        }
        if not stopped:
            return list(states)
        moment = block.time + await self._states.unbonding_time(block.height)
        return [replace(state, removal_time=moment) if state.consumer_id in stopped else state for state in states]

    def _taken(self, reading: Reading, block: Block) -> Iterable[ConsumerState]:
        """The states of a reading, after taking note of what could not be read."""
        for state in reading.states:
            self._unreadable.pop(state.consumer_id, None)
        for name in reading.unreadable:
            self._unreadable[name] = block.time + UNREADABLE_AGAIN
        if self._unreadable:
            self._alarms.raised(
                "consumer_unreadable", f"consumers cannot be read: {', '.join(sorted(self._unreadable))}"
            )
        else:
            self._alarms.cleared("consumer_unreadable")
        return reading.states

    # -- all consumers ----------------------------------------------------------------------------------------------

    def _want_sync(self) -> None:
        self._next_sync = 0.0

    def _start_sync_when_due(self) -> None:
        """Read all consumers beside the blocks, in the state of the last block; never in front of blocks that are missing."""
        if self._sync is not None and self._sync.done():
            task, self._sync = self._sync, None
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.warning("not all consumers could be read, trying again: %s", error)
                self._next_sync = asyncio.get_running_loop().time() + min(5.0, self._arguments.sync_interval)
        due = asyncio.get_running_loop().time() >= self._next_sync
        if self._sync is None and due and self._block is not None and self._height >= self._tip.height:
            # What is missed from now on is for the next reading.
            self._next_sync = asyncio.get_running_loop().time() + self._arguments.sync_interval
            self._sync = asyncio.create_task(self._read_beside(self._block))

    async def _read_beside(self, block: Block) -> None:
        began = time.monotonic()
        reading = await self._states.everything(self._follower.records, block.height, thorough=False)
        self._take_all(reading, block, began)
        self._first_reading_done()

    async def _read_everything(self, why: str) -> None:
        """Go on at the tip with a reading of all consumers instead of the blocks up to it."""
        height = self._tip.height
        if self._block is not None:
            logger.warning("blocks %d to %d are not worked through one by one: %s", self._height + 1, height, why)
            self._endpoints_changed()
        header = await self._blocks.header(height)
        block = self._checked(header)
        began = time.monotonic()
        reading = await self._states.everything(self._follower.records, height, thorough=True)
        self._reconciled = f"at block {height}: {why}"[:500]
        self._block = block
        self._remember_hash(header)
        self._take_all(reading, block, began)
        self._telemetry.worked(block.height, block.time)
        self._next_sync = asyncio.get_running_loop().time() + self._arguments.sync_interval

    def _take_all(self, reading: Reading, block: Block, began: float) -> None:
        """Announce what a reading of all consumers makes known. What a later block has shown meanwhile stays."""
        changes = self._follower.observe(self._taken(reading, block), block)
        self._deliveries.add(changes, stored_first=True)
        self._telemetry.reconciled(time.monotonic() - began)
        self._telemetry.consumers(reading.counts)

    def _first_reading_done(self) -> None:
        if self._started.is_set() or self._block is None:
            return
        self._started.set()
        self._telemetry.ready(True, "")
        self._send(events.STARTED)
        self._save_soon()

    def _send(self, kind: str) -> str:
        """Send an event that belongs to no consumer, and return its uuid. QueryFailed before the first reading."""
        if self._block is None:
            raise QueryFailed(f"there is no block yet of which {kind} could be told")
        event = events.of_no_consumer(
            kind,
            provider_chain_id=str(self._endpoints.chain_id),
            height=self._block.height,
            block_time=self._block.time,
            produced_at=datetime.now(UTC),
        )
        self._deliveries.add_event(event)
        return str(event["meta"]["uuid"])

    def _checks(self, keeper: StateKeeper) -> Callable[[], Awaitable[None]]:
        return self._once_started(
            Checks(
                self._arguments.check_interval,
                self._arguments.action_timeout,
                ask=lambda: self._send(events.CHECK_DUE),
                waits=self._deliveries.waits,
                ended=lambda: keeper.ended(CHECK),
                busy=lambda: self._deliveries.expecting,
            )
        )

    def _endpoint_checks(self, keeper: StateKeeper) -> Callable[[], Awaitable[None]]:
        def ask() -> str:
            uuid = self._send(events.ENDPOINT_CHANGED)
            self._announcements.asked()
            return uuid

        return self._once_started(
            Checks(
                ENDPOINTS_INTERVAL,
                self._arguments.action_timeout,
                ask=ask,
                waits=self._deliveries.waits,
                ended=lambda: keeper.ended(ENDPOINTS),
                wanted=self._announcements.wanted,
                settled=self._announcements.settled,
                busy=lambda: self._deliveries.expecting,
            )
        )

    def _once_started(self, checks: Checks) -> Callable[[], Awaitable[None]]:
        async def check_for_ever() -> None:
            await self._started.wait()
            await checks.run()

        return check_for_ever

    def _endpoints_changed(self) -> None:
        """Note that validators may announce something else than before. Nobody's peers change while no consumer is launched."""
        if self._follower.has_launched():
            self._announcements.changed()


async def _for_ever(part: Callable[[], Awaitable[None]]) -> None:
    """Do one part of the work again when it fails: a source that raises would end the whole rulebook."""
    failures = 0
    while True:
        began = time.monotonic()
        try:
            await part()
        except StateConflict:
            raise
        except (QueryFailed, StateError) as error:
            logger.warning("%s", error)
        except Exception:
            logger.exception("a part of the source failed and is begun again")
        failures = 1 if time.monotonic() - began > 60 else failures + 1
        await asyncio.sleep(min(backoff(failures), LONGEST_PAUSE))
