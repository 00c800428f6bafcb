# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the event source, keeps what it sends, and holds that against what happened on the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv

DEADLINE = 60.0  # seconds for each thing waited for
# Short waits, so that faults are noticed within a test.
QUICK = {"request_timeout": 3, "sync_interval": 5, "poll_interval": 0.5, "silence_timeout": 3}

Transition = tuple[str, str, str, int]


class Watch:
    """The queue of a running source; without a state store every event counts as done once it is taken."""

    def __init__(self, urls: str | Sequence[str], chain_id: str, **args: Any) -> None:
        self.args = {"provider_rpc_url": urls, "provider_chain_id": chain_id, **QUICK, **args}
        self.events: list[dict[str, Any]] = []

    async def put(self, event: dict[str, Any], /) -> None:
        self.events.append(event)

    async def __aenter__(self) -> Watch:
        self.task = asyncio.create_task(ccv.main(self, self.args))
        return self

    async def __aexit__(self, *_details: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, what: str, condition: Callable[[], object], deadline: float = DEADLINE) -> None:
        """Wait until the condition holds; the source has to run all the while."""
        try:
            async with asyncio.timeout(deadline):
                while not condition():
                    assert not self.task.done(), f"the source ended: {self.task}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {deadline} s: {what}; it sent {self.sent()}") from None

    async def start(self) -> int:
        """Wait for the event started; return its height."""
        await self.until("started", lambda: self._started() is not None)
        return int(self._started() or 0)

    async def reach(self, *changes: tuple[str, str]) -> None:
        """Wait for changes (consumer_id, phase)."""
        for wanted in changes:
            await self.until(
                f"{wanted}", lambda wanted=wanted: wanted in [(name, new) for name, _old, new, _h in self.sent()]
            )

    def _started(self) -> int | None:
        return next((event["height"] for event in self.events if event["type"] == "started"), None)

    def sent(self) -> list[Transition]:
        """The phase changes sent, in order."""
        return [
            (event["consumer_id"], event["previous_phase"], event["phase"], event["height"])
            for event in self.events
            if event["type"] == "phase_changed"
        ]

    def check(self, transitions: Iterable[Transition], tip: int) -> None:
        """Hold what was sent against the chain's transitions up to a tip: none missing, none twice, each from its block."""
        uuids = [event["meta"]["uuid"] for event in self.events]
        assert len(set(uuids)) == len(uuids), "an event was sent twice"
        started = self._started()
        assert started is not None
        happened = [change for change in transitions if started < change[3] <= tip]
        sent = sorted(
            (change for change in self.sent() if started < change[3] <= tip), key=lambda one: (one[3], int(one[0]))
        )
        assert sent == happened
        assert happened, "nothing happened meanwhile"
        for name in {change[0] for change in happened}:
            heights = [height for of, _old, _new, height in self.sent() if of == name]
            assert heights == sorted(heights), f"consumer {name} was announced out of order"
