# SPDX-License-Identifier: GPL-3.0-or-later
"""When checks of the consumer nodes are asked for: never one while another waits or runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import StateError
from ansible_collections.interchain.security.plugins.module_utils.event_source.checks import Checks
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import busy_consumers

DEADLINE = 10.0  # seconds; only reached when a test fails
LOOKS = 20  # enough to see that nothing more is asked for


class Monitor:
    """What is asked for, and the receipts, of one source."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.receipt = ""
        self.looked = 0  # for the receipt
        self.seen_waiting = 0
        self.waiting = False
        self.broken = False

    def checks(self, timeout: float = 600.0) -> Checks:
        return Checks(0.001, timeout, ask=self.ask, waits=self.waits, ended=self.ended)

    def ask(self) -> str:
        self.asked.append(f"uuid-{len(self.asked)}")
        return self.asked[-1]

    def waits(self, uuid: str) -> bool:
        assert uuid == self.asked[-1]
        self.seen_waiting += 1
        return self.waiting

    async def ended(self) -> str:
        self.looked += 1
        if self.broken:
            raise StateError("the cluster does not answer")
        return self.receipt


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0)


async def run(checks: Checks, play: Callable[[], object]) -> None:
    task = asyncio.create_task(checks.run())
    try:
        await play()  # type: ignore[misc]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_next_one_follows_the_receipt_of_the_last() -> None:
    monitor = Monitor()

    async def play() -> None:
        await until(lambda: monitor.looked >= LOOKS)
        assert monitor.asked == ["uuid-0"]
        monitor.receipt = "uuid-0"
        await until(lambda: len(monitor.asked) == 2)
        before = monitor.looked
        await until(lambda: monitor.looked >= before + LOOKS)
        assert len(monitor.asked) == 2  # the receipt of the first does not count for the second

    await run(monitor.checks(), play)


async def test_one_that_cannot_leave_is_waited_for() -> None:
    monitor = Monitor()
    monitor.waiting = True

    async def play() -> None:
        await until(lambda: monitor.seen_waiting >= LOOKS)
        assert monitor.asked == ["uuid-0"]
        assert monitor.looked == 0

    await run(monitor.checks(timeout=0.002), play)


async def test_receipts_that_cannot_be_read_are_no_receipts() -> None:
    monitor = Monitor()
    monitor.broken = True

    async def play() -> None:
        await until(lambda: monitor.looked >= LOOKS)
        assert monitor.asked == ["uuid-0"]
        monitor.broken, monitor.receipt = False, "uuid-0"
        await until(lambda: len(monitor.asked) == 2)

    await run(monitor.checks(), play)


async def test_one_that_is_lost_is_followed_by_another() -> None:
    monitor = Monitor()

    async def play() -> None:
        await until(lambda: len(monitor.asked) == 3)

    await run(monitor.checks(timeout=0.01), play)


async def test_begun_again_it_knows_of_the_outstanding_one() -> None:
    monitor = Monitor()
    checks = monitor.checks()

    async def play() -> None:
        before = monitor.looked
        await until(lambda: monitor.looked >= before + LOOKS)
        assert monitor.asked == ["uuid-0"]

    await run(checks, play)
    await run(checks, play)


@pytest.mark.parametrize(
    ("outstanding", "busy"),
    [
        ("[]", set()),
        (json.dumps([{"consumer_id": "3", "put": True}, {"consumer_id": "4", "put": False}]), {"3", "4"}),
        # Its playbook has failed and is not tried again yet: what is wrong meanwhile may be told, and repaired.
        (json.dumps([{"consumer_id": "3", "put": False, "next_try": "2026-11-23T12:00:00Z"}]), set()),
        ("{", set()),
        ("[1]", set()),
        ("7", set()),
        ("[{}]", set()),
    ],
)
def test_whose_events_are_being_dealt_with(outstanding: str, busy: set[str]) -> None:
    assert busy_consumers({"outstanding": outstanding}) == busy
    assert busy_consumers({}) == set()
