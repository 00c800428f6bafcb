# SPDX-License-Identifier: GPL-3.0-or-later
"""When checks of the consumer nodes are asked for: never one while another waits or runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import StateError
from ansible_collections.interchain.security.plugins.module_utils.event_source import checks as module
from ansible_collections.interchain.security.plugins.module_utils.event_source.checks import Announcements, Checks
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import busy_consumers

DEADLINE = 10.0  # seconds; only reached when a test fails
LOOKS = 20  # enough to see that nothing more is asked for


class Monitor:
    """What is asked for, and the receipts, of one source."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.receipt, self.outcome = "", "done"
        self.looked = 0  # for the receipt
        self.seen_waiting = 0
        self.waiting = False
        self.broken = False
        self.busy_looks = 0  # further looks at which consumers' events are dealt with

    def checks(self, timeout: float = 600.0, interval: float = 0.001) -> Checks:
        return Checks(interval, timeout, ask=self.ask, waits=self.waits, ended=self.ended, busy=self.busy)

    def busy(self) -> bool:
        self.busy_looks -= 1
        return self.busy_looks >= 0

    def ask(self) -> str:
        self.asked.append(f"uuid-{len(self.asked)}")
        return self.asked[-1]

    def waits(self, uuid: str) -> bool:
        assert uuid == self.asked[-1]
        self.seen_waiting += 1
        return self.waiting

    async def ended(self) -> tuple[str, str]:
        self.looked += 1
        if self.broken:
            raise StateError("the cluster does not answer")
        return self.receipt, self.outcome


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


async def test_events_of_consumers_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With looks of a millisecond and an interval of one, the bound is far away: what is waited for is that they are done."""
    monkeypatch.setattr(module, "PUT_OFF_INTERVALS", 10**6)
    monitor = Monitor()
    monitor.busy_looks = LOOKS

    async def play() -> None:
        await until(lambda: monitor.busy_looks < LOOKS // 2)
        assert monitor.asked == []
        await until(lambda: monitor.asked == ["uuid-0"])
        assert monitor.busy_looks < 0

    await run(monitor.checks(), play)


async def test_no_check_waits_for_ever_for_events_of_consumers() -> None:
    monitor = Monitor()
    monitor.busy_looks = 10**9

    async def play() -> None:
        await until(lambda: monitor.asked == ["uuid-0"])
        assert monitor.busy_looks < 10**9  # it was put off before

    await run(monitor.checks(interval=0.01), play)


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


# -- announcements ------------------------------------------------------------------------------------------------------


def looks(monitor: Monitor, announcements: Announcements, timeout: float = 600.0) -> Checks:
    def ask() -> str:
        announcements.asked()
        return monitor.ask()

    return Checks(
        0.001,
        timeout,
        ask=ask,
        waits=monitor.waits,
        ended=monitor.ended,
        wanted=announcements.wanted,
        settled=announcements.settled,
    )


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)


@pytest.mark.usefixtures("no_delays")
async def test_announcements_are_looked_at_once_for_many_changes() -> None:
    monitor, announcements = Monitor(), Announcements()

    async def play() -> None:
        for _unused in range(LOOKS):
            await asyncio.sleep(0.001)
        assert monitor.asked == []
        assert not announcements.pending
        for _unused in range(3):
            announcements.changed()
        await until(lambda: monitor.looked >= LOOKS)
        announcements.changed()  # while one looks
        before = monitor.looked
        await until(lambda: monitor.looked >= before + LOOKS)
        assert monitor.asked == ["uuid-0"]
        monitor.receipt = "uuid-0"
        await until(lambda: len(monitor.asked) == 2)
        assert announcements.pending
        monitor.receipt = "uuid-1"
        await until(lambda: not announcements.pending)
        before = monitor.looked
        for _unused in range(LOOKS):
            await asyncio.sleep(0.001)
        assert monitor.looked == before  # nothing is waited for, so nothing is read
        assert len(monitor.asked) == 2

    await run(looks(monitor, announcements), play)


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize("lost", [False, True])
async def test_a_look_that_failed_or_is_lost_is_done_again(lost: bool) -> None:
    monitor, announcements = Monitor(), Announcements()

    async def play() -> None:
        announcements.changed()
        await until(lambda: len(monitor.asked) == 1)
        if not lost:
            monitor.receipt, monitor.outcome = "uuid-0", "failed"
        await until(lambda: len(monitor.asked) == 2)
        assert announcements.pending

    await run(looks(monitor, announcements, 0.01 if lost else 600.0), play)


async def test_changes_of_a_few_seconds_wait_for_each_other() -> None:
    announcements = Announcements()
    announcements.changed()
    assert not announcements.wanted()
    assert announcements.pending
