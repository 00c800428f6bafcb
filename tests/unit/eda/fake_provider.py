# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A provider chain in memory, for faults that a real one cannot be made to show on demand."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader, NodeStatus
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    ConsumerSummary,
    InitializationParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import Event
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

GENESIS_TIME = datetime(2026, 11, 23, tzinfo=UTC)
State = dict[str, tuple[Phase, datetime | None]]


@dataclass
class FakeChain:
    """Blocks of one second each; block H is at index H - 1 of states and events."""

    chain_id: str = "provider-1"
    states: list[State] = field(default_factory=lambda: [{}])
    events: list[list[Event]] = field(default_factory=lambda: [[]])
    fork: str = ""

    @property
    def height(self) -> int:
        return len(self.states)

    @staticmethod
    def time(height: int) -> datetime:
        return GENESIS_TIME + timedelta(seconds=height)

    def add(self, changes: State | None = None, *, silent: bool = False) -> int:
        """Add a block with these changes, with an event for each unless silent; return its height."""
        changes = changes or {}
        self.events.append(
            []
            if silent
            else [Event("update_consumer", {"consumer_id": name}, f"tx{index}/0") for index, name in enumerate(changes)]
        )
        self.states.append({**self.states[-1], **changes})
        return self.height


class FakeClient:
    """A client of a FakeChain that sees its blocks up to a tip of its own. fault may raise before any call."""

    def __init__(
        self,
        chain: FakeChain,
        *,
        tip: Callable[[], int] | None = None,
        fault: Callable[[str], None] | None = None,
        lowest: int = 1,
    ) -> None:
        self.chain = chain
        self.lowest = lowest
        self.catching_up = False
        self._tip = tip or (lambda: chain.height)
        self._fault = fault or (lambda name: None)

    def status(self) -> NodeStatus:
        self._fault("status")
        tip = self._tip()
        return NodeStatus(self.chain.chain_id, tip, self.chain.time(tip), self.catching_up)

    def block_header(self, height: int) -> BlockHeader:
        self._check("block_header", height)
        return BlockHeader(
            self.chain.chain_id,
            height,
            self.chain.time(height),
            f"{self.chain.fork}{height:064X}"[-64:] + self.chain.fork,
        )

    def block_results(self, height: int) -> list[Event]:
        self._check("block_results", height)
        if height < self.lowest:
            raise HeightNotAvailable(f"height {height} is not available, lowest height is {self.lowest}")
        return self.chain.events[height - 1]

    def consumers(self, phase: Phase | None = None, height: int = 0) -> list[ConsumerSummary]:
        self._check("consumers", height)
        state = self.chain.states[height - 1]
        return [
            ConsumerSummary(name, "{{ 1 }}", found)
            for name, (found, _unused) in state.items()
            if phase in (None, found)
        ]

    def consumer(self, consumer_id: str, height: int = 0) -> Consumer:
        self._check("consumer", height)
        try:
            phase, spawn_time = self.chain.states[height - 1][consumer_id]
        except KeyError:
            raise ConsumerNotFound(f"unknown consumer {consumer_id}") from None
        initialization = InitializationParameters(spawn_time=spawn_time)
        return Consumer(consumer_id, "{{ 1 }}", phase, "", "", "", "", "", initialization)

    def close(self) -> None:
        pass

    def _check(self, name: str, height: int) -> None:
        self._fault(name)
        if height > self.chain.height:
            raise HeightInFuture(
                f"height {height} must be less than or equal to the current blockchain height {self.chain.height}"
            )


class RandomFaults:
    """Raises one of some errors in a share of all calls, the same for the same seed; after the given number no more."""

    def __init__(self, seed: int, errors: list[type[Exception]], share: float, most: int = 40) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._errors = errors
        self._share = share
        self._left = most

    def __call__(self, name: str) -> None:
        with self._lock:
            if self._left > 0 and self._random.random() < self._share:
                self._left -= 1
                raise self._random.choice(self._errors)(f"{name} failed on purpose")

    def stop(self) -> None:
        """Raise nothing from now on."""
        with self._lock:
            self._left = 0
