# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the state of consumers at one height."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ansible_collections.interchain.security.plugins.module_utils.chain.paging import PageLimit
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightNotAvailable,
    InterchainError,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.endpoints import Endpoints
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import AnswerTooLarge, Listed, Page
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import ConsumerState, Record
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

logger = logging.getLogger("interchain.security.ccv")

AT_ONCE = 16
REFUSALS = 3  # answers with an error, before a consumer is left for later
LIVE_PHASES = (Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED, Phase.STOPPED)
SPAWN_TIMES_AT_ONCE = (
    16  # initialized consumers that each reading of all looks at again, although their listing is the same
)


@dataclass(frozen=True)
class Reading:
    """All consumers at one height. ``unreadable`` are those that gave no answer; they are to be tried again."""

    states: list[ConsumerState]
    unreadable: set[str] = field(default_factory=set)
    counts: Mapping[str, int] = field(default_factory=dict)


class StateReader:
    """Reads consumers over the endpoint in use. Every method may raise HeightNotAvailable."""

    def __init__(self, endpoints: Endpoints, agreeing: int = 1) -> None:
        self._endpoints = endpoints
        self._agreeing = agreeing  # so many endpoints have to say the same of a consumer
        self._limits = {phase: PageLimit() for phase in LIVE_PHASES}
        self._listed: dict[str, Listed] = {}
        self._turn = 0

    async def some(
        self,
        names: Iterable[str],
        height: int,
        *,
        refusals: int = REFUSALS,
        found: Callable[[ConsumerState], None] = lambda state: None,
    ) -> Reading:
        """Return those consumers that there are, some of them read at the same time; found gets each as soon as it is read.

        One that was answered with an error refusals times is left for later.
        """
        states: list[ConsumerState] = []
        unreadable: set[str] = set()
        waiting = iter(names)

        async def work() -> None:
            for name in waiting:
                try:
                    state = await self._consumer(name, height, refusals)
                    states.append(state)
                    found(state)
                except ConsumerNotFound:
                    logger.warning("block %d names consumer %s, which does not exist", height, name)
                except HeightNotAvailable:
                    raise
                except InterchainError as error:
                    # One consumer that cannot be read must not hold up all others.
                    logger.error("consumer %s cannot be read at block %d, trying again: %s", name, height, error)
                    unreadable.add(name)

        workers = [asyncio.create_task(work()) for _unused in range(AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return Reading(states, unreadable)

    async def unbonding_time(self, height: int) -> timedelta:
        """Return the provider's unbonding time."""
        return await self._endpoints.insist("the staking parameters", lambda node: node.unbonding_time(height))

    async def everything(self, known: Mapping[str, Record], height: int, *, thorough: bool) -> Reading:
        """Return all consumers that are not deleted at a height, and those known ones that are.

        Only what the listing does not show of a consumer that may have changed is read one by one; with thorough, of every
        consumer whose record is known.
        """
        listed: dict[str, Listed] = {}
        for phase in LIVE_PHASES:
            async for page in self._pages(phase, height):
                listed.update((entry.consumer_id, entry) for entry in page.entries)
        wanted = set(self._to_read(listed, known, height, thorough))
        reading = await self.some(wanted, height)
        # The listing alone, of one endpoint, says nothing of a consumer that was asked for and not confirmed.
        states = reading.states + [
            ConsumerState(entry.consumer_id, entry.phase)
            for entry in listed.values()
            if entry.consumer_id not in wanted
        ]
        self._listed = listed
        counts = {phase.value: 0 for phase in LIVE_PHASES}
        for entry in listed.values():
            counts[entry.phase.value] += 1
        return Reading(states, reading.unreadable, counts)

    def _to_read(
        self, listed: Mapping[str, Listed], known: Mapping[str, Record], height: int, thorough: bool
    ) -> list[str]:
        wanted = []
        waiting = []
        for name, entry in listed.items():
            record = known.get(name)
            moved = record is None or record.phase is not entry.phase
            if moved and (entry.phase is Phase.INITIALIZED or self._agreeing > 1):
                wanted.append(name)
            elif record is None or record.digest is None:
                continue
            elif thorough or (name in self._listed and self._listed[name].content != entry.content):
                wanted.append(name)
            elif entry.phase is Phase.INITIALIZED:
                waiting.append(name)
        if waiting:
            self._turn %= len(waiting)
            wanted += (waiting + waiting)[self._turn : self._turn + min(SPAWN_TIMES_AT_ONCE, len(waiting))]
            self._turn += SPAWN_TIMES_AT_ONCE
        # A known consumer that is not listed any more was deleted. One first seen later than height was not there yet.
        wanted += [name for name, record in known.items() if name not in listed and record.height <= height]
        return wanted

    async def _pages(self, phase: Phase, height: int) -> AsyncIterator[Page]:
        limit = self._limits[phase]
        key = b""
        while True:
            try:
                page = await self._page(phase, key, limit.limit, height)
            except AnswerTooLarge:
                if not limit.refused():
                    raise
                continue
            limit.answered(page.count, page.size)
            yield page
            key = page.next_key
            if not key:
                return

    async def _page(self, phase: Phase, key: bytes, limit: int, height: int) -> Page:
        what = f"the list of {phase.value} consumers at block {height}"
        return await self._endpoints.insist(what, lambda node: node.consumers(phase, key, limit, height))

    async def _consumer(self, name: str, height: int, refusals: int) -> ConsumerState:
        what = f"consumer {name} at block {height}"
        if self._agreeing > 1:
            return await self._endpoints.insist_agreeing(what, self._agreeing, lambda node: node.consumer(name, height))
        return await self._endpoints.insist(what, lambda node: node.consumer(name, height), refusals=refusals)
