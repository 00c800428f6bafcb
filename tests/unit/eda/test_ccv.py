# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source: its options, its file, and that it neither loses nor repeats a change."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import random
import runpy
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    HeightInFuture,
    HeightNotAvailable,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from tests.unit.eda.fake_provider import FakeChain, FakeClient, RandomFaults, State

URL = "http://127.0.0.1:1"
DEADLINE = 20.0  # seconds; only reached when a test fails
Listener = Callable[[str, str, ccv.Tip], Awaitable[None]]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccv, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(ccv, "LONGEST_BACKOFF", 0.01)
    monkeypatch.setattr(ccv, "FUTURE_HEIGHT_INTERVAL", 0.001)
    monkeypatch.setattr(ccv, "FUTURE_HEIGHT_PATIENCE", 0.02)


def arguments(**changes: Any) -> ccv.Arguments:
    return ccv.Arguments.from_args({"provider_rpc_url": URL, "poll_interval": 0.002, **changes})


async def never(url: str, chain_id: str, tip: ccv.Tip) -> None:
    """A socket that stays silent."""
    await asyncio.Event().wait()


class Run:
    """A source at work on a queue of one event, as in ansible-rulebook."""

    def __init__(
        self, given_arguments: ccv.Arguments, client: Callable[[str], FakeClient], listen: Listener | None = never
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self.source = ccv.Source(self._queue, given_arguments, client, listen)

    async def __aenter__(self) -> Run:
        self._tasks = [asyncio.create_task(self.source.run()), asyncio.create_task(self._drain())]
        return self

    async def __aexit__(self, *_details: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self) -> None:
        while True:
            self.events.append(await self._queue.get())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                assert not self._tasks[0].done(), "the source ended"
                await asyncio.sleep(0.001)

    async def until_block(self, height: int) -> None:
        await self.until(lambda: self.source._height >= height and self._queue.empty())

    def phases(self) -> list[tuple[str, str, str]]:
        changes = [event for event in self.events if event["type"] == "phase_changed"]
        return [(event["consumer_id"], event["previous_phase"], event["phase"]) for event in changes]


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "provider_rpc_url"),
        ({"provider_rpc_url": []}, "provider_rpc_url"),
        ({"provider_rpc_url": ["ftp://x"]}, "provider_rpc_url"),
        ({"provider_rpc_url": [1]}, "provider_rpc_url"),
        ({"provider_rpc_url": URL, "sync_interval": "often"}, "sync_interval"),
        ({"provider_rpc_url": URL, "sync_interval": True}, "sync_interval"),
        ({"provider_rpc_url": URL, "poll_interval": 0}, "poll_interval"),
        ({"provider_rpc_url": URL, "request_timeout": "nan"}, "request_timeout"),
        ({"provider_rpc_url": URL, "provider_chain_id": 7}, "provider_chain_id"),
        ({"provider_rpc_url": URL, "cursor_file": "cursor.json"}, "cursor_file"),
        ({"provider_rpc_url": URL, "cursor_file": "/no/such/directory/cursor.json"}, "cursor_file"),
        ({"provider_rpc_url": URL, "sync_intervall": 3}, "sync_intervall"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_before_anything_is_done(args: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        # Not awaited further than to its first await: send() runs the coroutine up to it.
        ccv.main(asyncio.Queue(), args).send(None)


def test_options_may_be_text_and_come_with_those_of_the_rulebook() -> None:
    args = {
        "provider_rpc_url": "http://a:1/, tcp://b:2",
        "sync_interval": "7.5",
        "provider_chain_id": "",
        "eda_feedback_queue": object(),
    }
    checked = ccv.Arguments.from_args(args)
    assert checked.provider_rpc_url == ("http://a:1", "http://b:2")
    assert checked.sync_interval == 7.5
    assert checked.provider_chain_id is None


def test_every_option_is_documented_with_its_default() -> None:
    documented = yaml.safe_load(ccv.DOCUMENTATION)["options"]
    fields = ccv.Arguments.__dataclass_fields__
    assert set(documented) == set(fields)
    for name, option in documented.items():
        if not option.get("required"):
            assert option.get("default") == fields[name].default
    yaml.safe_load(ccv.EXAMPLES)


def test_it_loads_by_its_path_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "collections" not in entry])
    assert asyncio.iscoroutinefunction(runpy.run_path(ccv.__file__)["main"])


# -- nothing lost, nothing twice ----------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> FakeChain:
    """Lives of consumers as the provider makes them, with and without events."""
    chain = FakeChain()
    doomed: set[str] = set()
    for _unused in range(draw(st.integers(1, 14))):
        height = chain.height + 1
        loud: State = {}
        silent: State = {}
        for name, (phase, spawn_time) in chain.states[-1].items():
            if phase is Phase.INITIALIZED and spawn_time is not None and spawn_time <= chain.time(height):
                silent[name] = (Phase.REGISTERED, None) if name in doomed else (Phase.LAUNCHED, spawn_time)
        for name in draw(st.lists(st.sampled_from(["0", "1", "2"]), unique=True, max_size=3)):
            phase = chain.states[-1].get(name, (None, None))[0]
            if name in silent or phase is Phase.DELETED:
                continue
            if phase is None:
                loud[name] = (Phase.REGISTERED, None)
            elif phase in (Phase.REGISTERED, Phase.INITIALIZED):
                loud[name] = (Phase.INITIALIZED, chain.time(height) + timedelta(seconds=draw(st.integers(1, 3))))
                (doomed.add if draw(st.booleans()) else doomed.discard)(name)
            elif phase is Phase.LAUNCHED:
                loud[name] = (Phase.STOPPED, None)
            else:
                silent[name] = (Phase.DELETED, None)
        chain.add({**silent, **loud})
        chain.events[-1] = [event for event in chain.events[-1] if event.attributes["consumer_id"] in loud]
    # Blocks enough for spawn times to come, and for a last reading of everything.
    for _unused in range(5):
        height = chain.height + 1
        launched = {
            name: (Phase.REGISTERED, None) if name in doomed else (Phase.LAUNCHED, spawn_time)
            for name, (phase, spawn_time) in chain.states[-1].items()
            if phase is Phase.INITIALIZED and spawn_time is not None and spawn_time <= chain.time(height)
        }
        chain.add(launched, silent=True)
    return chain


def lives(chain: FakeChain) -> dict[str, list[str]]:
    """The phases of each consumer, one after the other."""
    found: dict[str, list[str]] = {}
    for before, after in itertools.pairwise(chain.states):
        for name, (phase, _unused) in after.items():
            if name not in before or before[name][0] is not phase:
                found.setdefault(name, ["none"]).append(phase.value)
    return found


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.3]), st.sampled_from([0.0001, 0.02, 30.0]))
def test_no_change_is_lost_or_sent_twice(chain: FakeChain, seed: int, fault_share: float, sync_interval: float) -> None:
    chance = random.Random(seed)
    faults = RandomFaults(seed, [ChainUnreachable, HeightInFuture, RuntimeError], fault_share)
    seen = {"tip": 1}
    sources: list[ccv.Source] = []

    def tip() -> int:
        # A start announces what it finds; only what happens afterwards has to come change by change.
        if sources and sources[0]._started:
            seen["tip"] = min(chain.height, seen["tip"] + chance.choice([0, 0, 1, 1, 2, 5]))
        return seen["tip"]

    async def ticks(url: str, chain_id: str, told: ccv.Tip) -> None:
        for _unused in range(chance.randint(0, 4)):
            await asyncio.sleep(chance.choice([0, 0.001, 0.003]))
            told.reach(chance.randint(0, seen["tip"]))
            told.sync_wanted = told.sync_wanted or chance.random() < 0.3
        if chance.random() < 0.5:
            raise ccv.EndpointFailed("the socket failed on purpose")
        await never(url, chain_id, told)

    async def play() -> None:
        async with Run(
            arguments(sync_interval=sync_interval), lambda url: FakeClient(chain, tip=tip, fault=faults), ticks
        ) as run:
            sources.append(run.source)
            await run.until_block(chain.height)
            # What moved without any event is found by the next reading of all consumers.
            chain.add()
            run.source._next_sync = 0.0
            await run.until_block(chain.height)
        found: dict[str, list[tuple[str, str]]] = {}
        for name, previous, phase in run.phases():
            found.setdefault(name, []).append((previous, phase))
        assert found == {name: list(itertools.pairwise(phases)) for name, phases in lives(chain).items()}
        identifiers = [event["meta"]["uuid"] for event in run.events]
        assert len(set(identifiers)) == len(identifiers)
        assert [event["type"] for event in run.events].count("started") == 1

    with quiet():
        asyncio.run(play())


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(0, 2**32), st.integers(1, 20))
def test_queries_that_fail_and_pruned_blocks_cost_intermediate_phases_at_most(
    chain: FakeChain, seed: int, lowest: int
) -> None:
    faults = RandomFaults(seed, [QueryFailed, HeightNotAvailable], 0.2)
    tips = iter(range(1, chain.height))

    async def play() -> None:
        client = FakeClient(chain, tip=lambda: next(tips, chain.height), fault=faults, lowest=lowest)
        async with Run(arguments(), lambda url: client) as run:
            await run.until_block(chain.height)
            faults.stop()
            chain.add()
            run.source._next_sync = 0.0
            await run.until_block(chain.height)
        last: dict[str, str] = {}
        for name, previous, phase in run.phases():
            assert previous == last.get(name, "none")
            last[name] = phase
        for name, (phase, _unused) in chain.states[-1].items():
            assert last.get(name, "deleted") == phase.value

    with quiet():
        asyncio.run(play())


# -- single cases -------------------------------------------------------------------------------------------------------


def test_a_restart_repeats_every_consumer_with_the_phase_announced_before(tmp_path: Path) -> None:
    cursor_file = tmp_path / "cursor.json"
    chain = FakeChain()
    chain.add({"0": (Phase.INITIALIZED, chain.time(9)), "1": (Phase.LAUNCHED, None), "2": (Phase.STOPPED, None)})

    async def play() -> None:
        async with Run(arguments(cursor_file=str(cursor_file)), lambda url: FakeClient(chain)) as first:
            await first.until(lambda: len(first.events) == 4)
            await first.until(cursor_file.exists)
        assert [event["type"] for event in first.events] == ["phase_changed"] * 3 + ["started"]
        assert {previous for _unused, previous, _unused in first.phases()} == {"none"}
        for _unused in range(5):
            chain.add({"0": (Phase.REGISTERED, None), "2": (Phase.DELETED, None)}, silent=True)
        async with Run(arguments(cursor_file=str(cursor_file)), lambda url: FakeClient(chain)) as second:
            await second.until(lambda: len(second.events) == 4)
        assert second.phases() == [
            ("0", "initialized", "registered"),
            ("1", "launched", "launched"),
            ("2", "stopped", "deleted"),
        ]

    asyncio.run(play())
    assert json.loads(cursor_file.read_text())["phases"] == {"0": "registered", "1": "launched"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["cursor.json"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"chain_id": "a", "height": 1, "hash": "b", "phases": {"../x": "launched"}}']
)
def test_a_cursor_file_that_cannot_be_understood_is_left_out(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "cursor.json"
    path.write_text(content)
    assert ccv.Cursor.load(str(path)) is None
    assert "cannot be used" in caplog.text
    assert ccv.Cursor.load(str(tmp_path / "none.json")) is None


def test_another_chain_is_an_alarm_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cursor_file = tmp_path / "cursor.json"
    chain = FakeChain()
    chain.add({"0": (Phase.LAUNCHED, None)})

    async def alarmed(given_arguments: ccv.Arguments, found: FakeChain) -> None:
        caplog.clear()
        async with Run(given_arguments, lambda url: FakeClient(found)) as run:
            await run.until(lambda: sum("ALARM" in record.message for record in caplog.records) >= 3)
        assert run.events == []
        assert {record.levelno for record in caplog.records if "ALARM" in record.message} == {logging.ERROR}

    async def play() -> None:
        await alarmed(arguments(provider_chain_id="provider-9"), chain)
        async with Run(arguments(cursor_file=str(cursor_file)), lambda url: FakeClient(chain)) as run:
            await run.until(cursor_file.exists)
        await alarmed(arguments(cursor_file=str(cursor_file)), FakeChain("provider-2", chain.states, chain.events))
        await alarmed(
            arguments(cursor_file=str(cursor_file), provider_chain_id="provider-2"),
            FakeChain("provider-2", chain.states, chain.events),
        )
        await alarmed(
            arguments(cursor_file=str(cursor_file)), FakeChain(chain.chain_id, chain.states, chain.events, fork="F")
        )

    asyncio.run(play())


def test_the_next_endpoint_is_used_when_one_fails_or_has_old_state() -> None:
    chain = FakeChain()
    chain.add({"0": (Phase.LAUNCHED, None)})

    def client(url: str) -> FakeClient:
        if url == "http://dead:1":
            return FakeClient(chain, fault=RandomFaults(0, [ChainUnreachable], 1.0))
        made = FakeClient(chain, tip=lambda: 1 if url == "http://old:1" else chain.height)
        made.catching_up = url == "http://old:1"
        return made

    async def play() -> None:
        urls = ["http://dead:1", "http://old:1", "http://good:1"]
        async with Run(arguments(provider_rpc_url=urls), client) as run:
            await run.until(lambda: len(run.events) == 2)
        assert [(event["type"], event["height"]) for event in run.events] == [("phase_changed", 2), ("started", 2)]

    asyncio.run(play())


def test_an_endpoint_that_fails_while_the_queue_is_full_repeats_nothing() -> None:
    chain = FakeChain()

    async def play() -> None:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        fail = asyncio.Event()

        async def listen(url: str, chain_id: str, tip: ccv.Tip) -> None:
            await fail.wait()
            fail.clear()
            raise ccv.EndpointFailed("on purpose")

        source = ccv.Source(queue, arguments(), lambda url: FakeClient(chain), listen)
        task = asyncio.create_task(source.run())
        async with asyncio.timeout(DEADLINE):
            assert (await queue.get())["type"] == "started"
            chain.add(dict.fromkeys(("0", "1", "2"), (Phase.REGISTERED, None)))
            while not queue.full():
                await asyncio.sleep(0.001)
            fail.set()
            while fail.is_set():
                await asyncio.sleep(0.001)
            found = [(await queue.get())["consumer_id"] for _unused in range(3)]
        assert found == ["0", "1", "2"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with quiet():
        asyncio.run(play())


def test_one_consumer_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    chain = FakeChain()

    class Poisoned(FakeClient):
        def consumer(self, consumer_id: str, height: int = 0) -> Any:
            if consumer_id == "0":
                raise QueryFailed("cannot be read")
            return super().consumer(consumer_id, height)

    async def play() -> None:
        async with Run(arguments(), lambda url: Poisoned(chain)) as run:
            await run.until_block(1)
            chain.add({"0": (Phase.INITIALIZED, chain.time(50)), "1": (Phase.INITIALIZED, chain.time(50))})
            await run.until_block(chain.height)
            chain.add({"1": (Phase.REGISTERED, None)})
            await run.until_block(chain.height)
        assert run.phases() == [("1", "none", "initialized"), ("1", "initialized", "registered")]

    with quiet():
        asyncio.run(play())


# -- a real socket ------------------------------------------------------------------------------------------------------


def header(chain: FakeChain, height: int) -> str:
    value = {"header": {"chain_id": chain.chain_id, "height": str(height)}}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"data": {"type": "tendermint/event/NewBlockHeader", "value": value}}}
    )


ENDINGS = ["closed", "cut", "error message", "silence", "not JSON", "another chain"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost_when_the_socket_is_lost(ending: str) -> None:
    chain = FakeChain(states=[{"1": (Phase.STOPPED, None)}])
    connections: list[int] = []

    async def node(socket: ServerConnection) -> None:
        connections.append(chain.height)
        assert json.loads(await socket.recv()) == ccv.SUBSCRIPTION
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}}))
        if len(connections) > 1:
            chain.add({"0": (Phase.STOPPED, None)})
            await socket.send(header(chain, chain.height))
            await socket.wait_closed()
            return
        chain.add({"0": (Phase.INITIALIZED, chain.time(100))})
        await socket.send(header(chain, chain.height))
        # What happens while nobody listens:
        chain.add({"0": (Phase.LAUNCHED, None)})
        chain.add({"1": (Phase.DELETED, None)}, silent=True)
        if ending == "cut":
            socket.transport.abort()
        elif ending == "error message":
            await socket.send(
                json.dumps(
                    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "subscription was cancelled"}}
                )
            )
            await socket.wait_closed()
        elif ending == "silence":
            await socket.wait_closed()
        elif ending == "not JSON":
            await socket.send("{")
            await socket.wait_closed()
        elif ending == "another chain":
            await socket.send(header(FakeChain("other"), 10**9))
            await socket.wait_closed()

    async def play() -> None:
        async with serve(node, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            # The poll is slower than this test, so that only the socket can tell of blocks.
            given_arguments = arguments(
                provider_rpc_url=f"http://127.0.0.1:{port}", poll_interval=600, sync_interval=600, silence_timeout=0.3
            )
            async with Run(given_arguments, lambda url: FakeClient(chain), listen=None) as run:
                await run.until(lambda: len(run.phases()) >= 5)
        assert [change for change in run.phases() if change[0] == "0"] == [
            ("0", "none", "initialized"),
            ("0", "initialized", "launched"),
            ("0", "launched", "stopped"),
        ]
        # No event tells of a deletion, so it is the reading of all consumers after a reconnection that finds it.
        assert [change for change in run.phases() if change[0] == "1"] == [
            ("1", "none", "stopped"),
            ("1", "stopped", "deleted"),
        ]
        assert len(connections) == 2

    with quiet():
        asyncio.run(play())


def test_blocks_are_found_by_asking_while_there_is_no_socket() -> None:
    chain = FakeChain()

    async def play() -> None:
        # Nothing listens on port 1.
        async with Run(arguments(), lambda url: FakeClient(chain), listen=None) as run:
            await run.until_block(1)
            chain.add({"0": (Phase.REGISTERED, None)})
            await run.until(lambda: bool(run.phases()))

    with quiet():
        asyncio.run(play())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Failures on purpose fill no logs."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
