# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A provider chain in memory and nodes of it, for faults that a real one cannot be made to show on demand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader, NodeStatus
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import Listed, Page
from ansible_collections.interchain.security.plugins.module_utils.ics.events import Hints
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import ConsumerState
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

GENESIS_TIME = datetime(2026, 11, 23, tzinfo=UTC)
UNBONDING = timedelta(seconds=3)


@dataclass(frozen=True)
class Entry:
    """A consumer in the state of one block; ``text`` stands for the rest of its record."""

    phase: Phase
    spawn_time: datetime | None = None
    text: str = ""


State = dict[str, Entry]


@dataclass
class FakeChain:
    """Blocks of one second each; block H is at index H - 1 of states and hints."""

    chain_id: str = "provider-1"
    states: list[State] = field(default_factory=lambda: [{}])
    hints: list[Hints] = field(default_factory=lambda: [Hints()])
    fork_from: int | None = None

    @property
    def height(self) -> int:
        return len(self.states)

    @staticmethod
    def time(height: float) -> datetime:
        return GENESIS_TIME + timedelta(seconds=height)

    def hash(self, height: int) -> str:
        forked = self.fork_from is not None and height >= self.fork_from
        return f"{height:063X}{'F' if forked else '0'}"

    def header(self, height: int) -> BlockHeader:
        return BlockHeader(self.chain_id, height, self.time(height), self.hash(height), self.hash(height - 1))

    def add(
        self,
        changes: State | None = None,
        *,
        silent: bool = False,
        members: Iterable[str] = (),
        endpoints: bool = False,
    ) -> int:
        """Add a block with these changes, with an event for each unless silent; return its height."""
        changes = changes or {}
        names = () if silent else tuple(changes)
        self.hints.append(Hints(names, frozenset(names), members=frozenset(members), endpoints=endpoints))
        self.states.append({**self.states[-1], **changes})
        return self.height


class FakeNode:
    """A node of a FakeChain that sees its blocks up to a tip of its own. fault may raise before any call."""

    def __init__(
        self,
        chain: FakeChain,
        *,
        label: str = "fake:1",
        tip: Callable[[], int] | None = None,
        fault: Callable[[str], None] | None = None,
        lowest: int = 1,
    ) -> None:
        self.chain = chain
        self.label = label
        self.url = "http://127.0.0.1:1"
        self.lowest = lowest
        self.catching_up = False
        self.calls: list[tuple[str, int]] = []
        self._tip = tip or (lambda: self.chain.height)
        self._fault = fault or (lambda name: None)

    async def status(self) -> tuple[NodeStatus, str]:
        await asyncio.sleep(0)
        self._fault("status")
        tip = self._tip()
        return NodeStatus(self.chain.chain_id, tip, self.chain.time(tip), self.catching_up), self.chain.hash(tip)

    async def headers(self, lowest: int, highest: int) -> dict[int, BlockHeader]:
        await self._check("headers", lowest)
        return {height: self.chain.header(height) for height in range(lowest, min(highest, self._tip()) + 1)}

    async def hints(self, height: int) -> Hints:
        await self._check("hints", height)
        return self.chain.hints[height - 1]

    async def consumer(self, consumer_id: str, height: int) -> ConsumerState:
        await self._check("consumer", height)
        entry = self.chain.states[height - 1].get(consumer_id)
        if entry is None:
            raise ConsumerNotFound(f"unknown consumer {consumer_id}")
        spawn_time = entry.spawn_time if entry.phase is Phase.INITIALIZED else None
        return ConsumerState(consumer_id, entry.phase, spawn_time, f"{entry.text}{entry.spawn_time}")

    async def consumers(self, phase: Phase, key: bytes, limit: int, height: int) -> Page:
        await self._check("consumers", height)
        found = [
            Listed(name, entry.phase, hash(entry.text))
            for name, entry in self.chain.states[height - 1].items()
            if entry.phase is phase
        ]
        start = int(key or b"0")
        entries = found[start : start + limit]
        rest = str(start + limit).encode() if len(found) > start + limit else b""
        return Page(entries, rest, 100 * len(entries), len(entries))

    async def unbonding_time(self, height: int) -> timedelta:
        await self._check("unbonding_time", height)
        return UNBONDING

    async def close(self) -> None:
        pass

    async def _check(self, name: str, height: int) -> None:
        await asyncio.sleep(0)
        self.calls.append((name, height))
        self._fault(name)
        if height > self.chain.height:
            raise HeightInFuture(
                f"height {height} must be less than or equal to the current blockchain height {self.chain.height}"
            )
        if height < self.lowest:
            raise HeightNotAvailable(f"height {height} is not available, lowest height is {self.lowest}")


class RandomFaults:
    """Raises one of some errors in a share of all calls, the same for the same seed; after the given number no more."""

    def __init__(self, seed: int, errors: list[type[Exception]], share: float, most: int = 40) -> None:
        self._random = random.Random(seed)
        self._errors = errors
        self._share = share
        self._left = most

    def __call__(self, name: str) -> None:
        if self._left > 0 and self._random.random() < self._share:
            self._left -= 1
            raise self._random.choice(self._errors)(f"{name} failed on purpose")

    def stop(self) -> None:
        """Raise nothing from now on."""
        self._left = 0
