# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source: its options, and that it neither loses nor repeats a change, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import random
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.cluster import state_store
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    HeightInFuture,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source import (
    checks,
    deliveries,
    endpoints,
    headers,
    source,
    state_keeper,
    tip_follower,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import (
    AnswerTooLarge,
    ResultsDiscarded,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry
from ansible_collections.interchain.security.plugins.module_utils.ics.events import Hints
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import Block, Change, Kind
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import event_receipt
from tests.operation import run_operation
from tests.unit.eda.fake_node import UNBONDING, Entry, FakeChain, FakeNode, RandomFaults, State

URL = "http://127.0.0.1:1"
DEADLINE = 20.0  # seconds; only reached when a test fails
SCHEMA = json.loads((Path(ccv.__file__).parents[2] / "schemas" / "ccv.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(headers, "LONGEST_BACKOFF", 0.01)
    monkeypatch.setattr(endpoints, "FUTURE_HEIGHT_INTERVAL", 0.001)
    monkeypatch.setattr(endpoints, "FUTURE_HEIGHT_PATIENCE", 0.02)
    monkeypatch.setattr(endpoints, "AVOID_SECONDS", 0.01)
    monkeypatch.setattr(tip_follower, "REVIEW_INTERVAL", 0.01)
    monkeypatch.setattr(source, "BEAT_SECONDS", 0.005)
    monkeypatch.setattr(deliveries, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(deliveries, "PAUSE", 0.005)
    monkeypatch.setattr(state_keeper, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(state_store, "FILE_POLL_SECONDS", 0.002)
    monkeypatch.setattr(state_keeper, "RETRY_SECONDS", 0.01)


def arguments(**changes: Any) -> Arguments:
    return Arguments.from_args({"provider_rpc_url": URL, "poll_interval": 0.002, "spawn_notice": 0.001, **changes})


async def silence(self: headers.HeaderSocket) -> None:
    """A socket on which nothing comes: the source has to ask."""
    await asyncio.Event().wait()


class Run:
    """A source at work on a queue of one event, as in ansible-rulebook; what takes the events gives receipts."""

    def __init__(
        self,
        nodes: FakeNode | Sequence[FakeNode],
        state: Path | None = None,
        *,
        outcome: Callable[[dict[str, Any]], str] = lambda event: "done",
        listen: bool = False,
        queue_size: int = 1,
        **options: Any,
    ) -> None:
        self.nodes = [nodes] if isinstance(nodes, FakeNode) else list(nodes)
        urls = [f"http://127.0.0.1:{number}" for number in range(1, len(self.nodes) + 1)]
        self.events: list[dict[str, Any]] = []
        self.store = FileStateStore(str(state)) if state else None
        self.telemetry = Telemetry()
        self._outcome = outcome
        self._listen = listen
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(queue_size)
        self._stop = asyncio.Event()
        given_arguments = arguments(**{"provider_rpc_url": urls, **options})
        self.source = source.Source(self._queue, given_arguments, self.telemetry, self.store)

    async def __aenter__(self) -> Run:
        waiting = iter(itertools.cycle(self.nodes))
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(source, "Node", lambda url, given, counted: next(waiting))
        self._patch.setattr(source, "Session", self._session)
        if not self._listen:
            self._patch.setattr(headers.HeaderSocket, "run", silence)
        self._tasks = [asyncio.create_task(self.source.run(self._stop)), asyncio.create_task(self._drain())]
        while not hasattr(self, "session"):
            await asyncio.sleep(0)
        return self

    def _session(self, *parts: Any) -> source.Session:
        self.session = _REAL_SESSION(*parts)
        return self.session

    async def __aexit__(self, *_details: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._patch.undo()

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        self._stop.set()
        async with asyncio.timeout(DEADLINE):
            await self._tasks[0]

    async def _drain(self) -> None:
        while True:
            event = await self._queue.get()
            VALIDATOR.validate(event)
            self.events.append(event)
            if self.store and event["type"] in ("phase_changed", "consumer_updated", "membership_changed"):
                outcome = self._outcome(event)
                if outcome:
                    give_receipt(self.store, event, outcome)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                assert not self._tasks[0].done(), "the source ended"
                await asyncio.sleep(0.001)

    async def until_block(self, height: int) -> None:
        await self.until(lambda: self.session._height >= height)
        await self.settled()

    async def settled(self) -> None:
        await self.until(
            lambda: not (self.session._deliveries.sending() or self.session._deliveries._events) and self._queue.empty()
        )

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def last_phases(self) -> dict[str, str]:
        return {name: phase for name, _unused, phase in self.phases()}

    def phases(self) -> list[tuple[str, str, str]]:
        changes = self.of_type("phase_changed")
        return [(event["consumer_id"], event["previous_phase"], event["phase"]) for event in changes]


_REAL_SESSION = source.Session


def give_receipt(store: FileStateStore, event: dict[str, Any], outcome: str) -> None:
    name = f"consumer-{event['consumer_id']}"
    known = store.read(name)
    data = {"event_uuid": event["meta"]["uuid"], "event_outcome": outcome, "event_reason": "on purpose"}
    store.write(name, data, known.version if known else None)


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "provider_rpc_url"),
        ({"provider_rpc_url": []}, "provider_rpc_url"),
        ({"provider_rpc_url": ["ftp://x"]}, "provider_rpc_url"),
        ({"provider_rpc_url": [1]}, "provider_rpc_url"),
        ({"provider_rpc_url": "http://x:port"}, "provider_rpc_url"),
        ({"provider_rpc_url": "http://:1"}, "provider_rpc_url"),
        ({"provider_rpc_url": "http://me:secret@x:1"}, "provider_rpc_url"),
        ({"provider_rpc_url": URL, "sync_interval": "often"}, "sync_interval"),
        ({"provider_rpc_url": URL, "sync_interval": True}, "sync_interval"),
        ({"provider_rpc_url": URL, "poll_interval": 0}, "poll_interval"),
        ({"provider_rpc_url": URL, "request_timeout": "nan"}, "request_timeout"),
        ({"provider_rpc_url": URL, "check_interval": -1}, "check_interval"),
        ({"provider_rpc_url": URL, "provider_chain_id": 7}, "provider_chain_id"),
        ({"provider_rpc_url": URL, "state_directory": "state"}, "state_directory"),
        ({"provider_rpc_url": URL, "state_directory": "/no/such/directory"}, "state_directory"),
        ({"provider_rpc_url": URL, "state_directory": "/tmp", "state_namespace": "a"}, "state_directory"),
        ({"provider_rpc_url": URL, "kubeconfig": "/no/such/file"}, "kubeconfig"),
        ({"provider_rpc_url": URL, "state_namespace": "a", "kubeconfig": "/no/such/file"}, "kubeconfig"),
        ({"provider_rpc_url": URL, "max_outstanding": 0}, "max_outstanding"),
        ({"provider_rpc_url": URL, "max_outstanding": "1.5"}, "max_outstanding"),
        ({"provider_rpc_url": URL, "confirm_endpoints": 2}, "confirm_endpoints"),
        ({"provider_rpc_url": URL, "ca_file": "/no/such/file"}, "ca_file"),
        ({"provider_rpc_url": URL, "ca_file": __file__}, "ca_file"),
        ({"provider_rpc_url": URL, "username": "me"}, "password"),
        ({"provider_rpc_url": URL, "password": "secret"}, "username"),
        ({"provider_rpc_url": URL, "metrics_port": 65536}, "metrics_port"),
        ({"provider_rpc_url": URL, "sync_intervall": 3}, "sync_intervall"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_before_anything_is_done(args: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: ") as told:
        # Not awaited further than to its first await: send() runs the coroutine up to it.
        ccv.main(asyncio.Queue(), args).send(None)
    assert "secret" not in str(told.value)


def test_options_may_be_text_and_come_with_those_of_the_rulebook() -> None:
    args = {
        "provider_rpc_url": "http://a:1/, tcp://b:2",
        "sync_interval": "7.5",
        "check_interval": "0",
        "max_outstanding": "3",
        "provider_chain_id": "",
        "eda_feedback_queue": object(),
        "feedback": True,
    }
    checked = Arguments.from_args(args)
    assert checked.provider_rpc_url == ("http://a:1", "http://b:2")
    assert checked.sync_interval == 7.5
    assert checked.check_interval == 0
    assert checked.max_outstanding == 3
    assert checked.provider_chain_id is None


def test_a_password_shows_nowhere() -> None:
    assert "secret" not in repr(arguments(username="me", password="secret"))


def test_every_option_is_documented_with_its_default() -> None:
    documented = yaml.safe_load(ccv.DOCUMENTATION)["options"]
    fields = Arguments.__dataclass_fields__
    assert set(documented) == set(fields)
    for name, option in documented.items():
        if not option.get("required"):
            assert option.get("default") == fields[name].default
    yaml.safe_load(ccv.EXAMPLES)


def test_the_credential_type_fills_options_of_the_source() -> None:
    path = Path(ccv.__file__).parents[2] / "credential_types" / "provider_rpc.yml"
    made = yaml.safe_load(path.read_text())
    assert set(made["injectors"]["extra_vars"]) <= set(Arguments.__dataclass_fields__)
    fields = {field["id"]: field for field in made["inputs"]["fields"]}
    assert fields["password"]["secret"] is True
    assert set(made["inputs"]["required"]) <= set(fields)


def test_it_loads_by_its_path_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "collections" not in entry])
    assert asyncio.iscoroutinefunction(runpy.run_path(ccv.__file__)["main"])


# -- nothing lost, nothing twice ----------------------------------------------------------------------------------------


def due(chain: FakeChain, doomed: set[str]) -> State:
    """What moves in the next block without any event."""
    now = chain.time(chain.height + 1)
    return {
        name: Entry(Phase.REGISTERED) if name in doomed else Entry(Phase.LAUNCHED, entry.spawn_time)
        for name, entry in chain.states[-1].items()
        if entry.phase is Phase.INITIALIZED and entry.spawn_time is not None and entry.spawn_time <= now
    }


@st.composite
def histories(draw: st.DrawFn) -> FakeChain:
    """Lives of consumers as the provider makes them, with and without events."""
    chain = FakeChain()
    doomed: set[str] = set()
    stopped: dict[str, int] = {}
    for _unused in range(draw(st.integers(1, 14))):
        height = chain.height + 1
        loud: State = {}
        silent = due(chain, doomed)
        silent |= {
            name: Entry(Phase.DELETED)
            for name, since in stopped.items()
            if chain.states[-1][name].phase is Phase.STOPPED and chain.time(height) >= chain.time(since) + UNBONDING
        }
        for name in draw(st.lists(st.sampled_from(["0", "1", "2"]), unique=True, max_size=3)):
            entry = chain.states[-1].get(name)
            if name in silent:
                continue
            if entry is None:
                loud[name] = Entry(Phase.REGISTERED)
            elif entry.phase in (Phase.REGISTERED, Phase.INITIALIZED):
                spawn_time = chain.time(height) + timedelta(seconds=draw(st.integers(1, 3)))
                loud[name] = Entry(Phase.INITIALIZED, spawn_time)
                (doomed.add if draw(st.booleans()) else doomed.discard)(name)
            elif entry.phase is Phase.LAUNCHED:
                loud[name] = Entry(Phase.STOPPED)
                stopped[name] = height
        chain.add({**silent, **loud})
        chain.hints[-1] = Hints(tuple(loud), frozenset(loud))
    for _unused in range(5):
        height = chain.height + 1
        gone = {
            name: Entry(Phase.DELETED)
            for name, since in stopped.items()
            if chain.states[-1][name].phase is Phase.STOPPED and chain.time(height) >= chain.time(since) + UNBONDING
        }
        chain.add({**due(chain, doomed), **gone}, silent=True)
    return chain


def lives(chain: FakeChain) -> dict[str, list[tuple[str, int]]]:
    """The phases of each consumer and the block of each, one after the other."""
    found: dict[str, list[tuple[str, int]]] = {}
    for height, (before, after) in enumerate(itertools.pairwise(chain.states), start=2):
        for name, entry in after.items():
            if name not in before or before[name].phase is not entry.phase:
                found.setdefault(name, []).append((entry.phase.value, height))
    return found


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.3]), st.sampled_from([0.0001, 0.02, 30.0]))
def test_every_change_comes_once_and_with_its_own_block(
    chain: FakeChain, seed: int, fault_share: float, sync_interval: float
) -> None:
    chance = random.Random(seed)
    # A consumer that is answered with an error again and again is left for later, so that is not among them.
    faults = RandomFaults(seed, [ChainUnreachable, HeightInFuture], fault_share)
    seen = {"tip": 1}
    runs: list[Run] = []

    def tip() -> int:
        # A start announces what it finds; only what happens afterwards has to come change by change.
        if runs and runs[0].of_type("started"):
            seen["tip"] = min(chain.height, seen["tip"] + chance.choice([0, 0, 1, 1, 2, 5]))
        return seen["tip"]

    async def play() -> None:
        # What waits for a place in the queue becomes one with what follows; here nothing has to wait.
        node = FakeNode(chain, tip=tip, fault=faults)
        async with Run(node, sync_interval=sync_interval, queue_size=0) as run:
            runs.append(run)
            await run.until_block(chain.height)
        found: dict[str, list[tuple[str, int]]] = {}
        before: dict[str, str] = {}
        for event in run.of_type("phase_changed"):
            name = event["consumer_id"]
            assert event["previous_phase"] == before.get(name, "none")
            before[name] = event["phase"]
            found.setdefault(name, []).append((event["phase"], event["height"]))
        assert found == lives(chain)
        identifiers = [event["meta"]["uuid"] for event in run.events]
        assert len(set(identifiers)) == len(identifiers)
        assert len(run.of_type("started")) == 1

    with quiet():
        asyncio.run(play())


@settings(max_examples=8, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_a_source_that_is_cut_again_and_again_loses_nothing(chain: FakeChain, seed: int) -> None:
    chance = random.Random(seed)
    seen = {"tip": 1}

    def tip() -> int:
        seen["tip"] = min(chain.height, seen["tip"] + chance.choice([0, 0, 0, 1]))
        return seen["tip"]

    effects: dict[str, str] = {}  # by uuid
    order: list[dict[str, Any]] = []

    fates = ["done", "done", "failed", ""]  # an empty one is a playbook that was cut

    def outcome(event: dict[str, Any]) -> str:
        fate = chance.choice(fates)
        if fate == "done" and event["meta"]["uuid"] not in effects:
            effects[event["meta"]["uuid"]] = event["consumer_id"]
            order.append(event)
        return fate

    async def play(directory: Path) -> None:
        options = {"outcome": outcome, "action_timeout": 30, "sync_interval": 0.05}
        first = FakeNode(FakeChain(chain.chain_id, chain.states[:1], chain.hints[:1]))
        async with Run(first, directory, **options) as run:
            await run.until(lambda: bool(run.of_type("started")))
            await run.stop()
        for _unused in range(6):
            # Cut without a word: the task is cancelled in the middle of whatever it does.
            async with Run(FakeNode(chain, tip=tip), directory, **options):
                await asyncio.sleep(chance.uniform(0.005, 0.06))
        fates[:] = ["done", "done", "failed"]
        async with Run(FakeNode(chain), directory, **options) as run:
            await run.until_block(chain.height)
        last: dict[str, str] = {}
        for event in order:
            if event["type"] == "phase_changed":
                name = event["consumer_id"]
                assert event["previous_phase"] == last.get(name, "none")
                last[name] = event["phase"]
        assert last == {name: phases[-1][0] for name, phases in lives(chain).items()}

    with quiet(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        asyncio.run(play(Path(directory)))


# -- restarts -----------------------------------------------------------------------------------------------------------


def test_a_restart_goes_on_where_the_cursor_is(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.INITIALIZED, chain.time(5)), "1": Entry(Phase.LAUNCHED), "2": Entry(Phase.STOPPED)})

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path) as first:
            await first.until(lambda: len(first.events) == 4)
            await first.settled()
            await first.stop()
        assert sorted(event["type"] for event in first.events) == ["phase_changed"] * 3 + ["started"]
        assert {previous for _unused, previous, _unused in first.phases()} == {"none"}
        for _unused in range(5):
            chain.add()
        # Nothing tells of these two.
        chain.states[4:] = [{**chain.states[4], "0": Entry(Phase.REGISTERED), "2": Entry(Phase.DELETED)}] * 3
        async with Run(FakeNode(chain), tmp_path) as second:
            await second.until(lambda: len(second.events) == 3)
        assert sorted(second.phases()) == [("0", "initialized", "registered"), ("2", "stopped", "deleted")]
        heights = {event["consumer_id"]: event["height"] for event in second.of_type("phase_changed")}
        assert heights == {"0": 5, "2": chain.height}

    asyncio.run(play())


def test_what_had_no_receipt_is_sent_again_as_it_was(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.REGISTERED), "1": Entry(Phase.REGISTERED)})

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path, outcome=lambda event: "") as first:
            await first.until(lambda: len(first.events) == 3)
            await first.stop()
        # Its playbook ended while nobody looked.
        give_receipt(FileStateStore(str(tmp_path)), first.of_type("phase_changed")[1], "done")
        chain.add({"0": Entry(Phase.LAUNCHED)})
        async with Run(FakeNode(chain), tmp_path) as second:
            await second.until_block(chain.height)
            await second.until(lambda: len(second.events) == 3)
        again, launched = second.of_type("phase_changed")
        assert again["meta"]["uuid"] == first.of_type("phase_changed")[0]["meta"]["uuid"]
        assert (again["phase"], again["attempt"]) == ("registered", 1)
        assert (launched["consumer_id"], launched["previous_phase"], launched["phase"]) == (
            "0",
            "registered",
            "launched",
        )

    asyncio.run(play())


def test_a_block_worked_through_twice_gives_the_same_events(tmp_path: Path) -> None:
    chain = FakeChain()

    async def play() -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as directory:
            short = FakeChain(chain.chain_id, chain.states[:1], chain.hints[:1])
            async with Run(FakeNode(short), Path(directory)) as run:
                await run.until(lambda: bool(run.of_type("started")))
                await run.stop()
            async with Run(FakeNode(chain), Path(directory)) as run:
                await run.until_block(chain.height)
                return run.of_type("phase_changed")

    chain.add({"0": Entry(Phase.INITIALIZED, chain.time(4))})
    chain.add()
    chain.add({"0": Entry(Phase.LAUNCHED)}, silent=True)
    first, second = asyncio.run(play()), asyncio.run(play())
    assert [event["meta"]["uuid"] for event in first] == [event["meta"]["uuid"] for event in second]
    assert [event["height"] for event in first] == [2, 4]


def test_a_failed_playbook_is_run_again_as_another_attempt(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.REGISTERED)})

    async def play() -> None:
        fate = {1: "failed", 2: "failed", 3: "done"}
        async with Run(FakeNode(chain), tmp_path, outcome=lambda event: fate[event["attempt"]]) as run:
            await run.until(lambda: len(run.of_type("phase_changed")) == 3)
            await run.settled()
        attempts = run.of_type("phase_changed")
        assert [event["attempt"] for event in attempts] == [1, 2, 3]
        assert len({event["meta"]["uuid"] for event in attempts}) == 3

    with quiet():
        asyncio.run(play())


def test_without_a_receipt_an_event_is_sent_again_after_a_time(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.REGISTERED)})

    async def play() -> None:
        fate = {1: "", 2: "done"}
        node = FakeNode(chain)
        async with Run(node, tmp_path, outcome=lambda event: fate[event["attempt"]], action_timeout=0.05) as run:
            await run.until(lambda: len(run.of_type("phase_changed")) == 2)
            await run.settled()

    with quiet():
        asyncio.run(play())


def test_few_events_are_outstanding_and_launches_come_first(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({str(number): Entry(Phase.REGISTERED) for number in range(6)})
    chain.states[-1]["9"] = Entry(Phase.LAUNCHED)

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path, outcome=lambda event: "", max_outstanding=2) as run:
            await run.until(lambda: len(run.of_type("phase_changed")) == 2)
            await asyncio.sleep(0.05)
            assert [event["consumer_id"] for event in run.of_type("phase_changed")] == ["9", "0"]
            # What waits becomes one with what follows; what is out does not.
            for entry in (Entry(Phase.INITIALIZED, chain.time(99)), Entry(Phase.LAUNCHED)):
                chain.add({"5": entry, "0": entry})
            await run.until(lambda: run.session._height == chain.height)
            assert run.store is not None
            for event in run.of_type("phase_changed"):
                give_receipt(run.store, event, "done")
            await run.until(lambda: len(run.of_type("phase_changed")) == 4)
        assert sorted(run.phases()[2:]) == [("0", "registered", "launched"), ("5", "none", "launched")]

    asyncio.run(play())


def test_a_second_monitor_on_the_same_state_makes_the_first_one_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_keeper, "SAVE_INTERVAL", 0.01)
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path) as first:
            await first.until(lambda: first.store is not None and first.store.read("cursor") is not None)
            assert first.store is not None
            found = first.store.read("cursor")
            assert found is not None
            first.store.write("cursor", found.data, found.version)
            chain.add({"0": Entry(Phase.REGISTERED)})
            await first.until(lambda: "another monitor" in caplog.text)
            chain.add({"0": Entry(Phase.LAUNCHED)})
            await asyncio.sleep(0.05)
            assert ("0", "registered", "launched") not in first.phases()
            monkeypatch.setattr(state_keeper, "TAKE_OVER_AFTER", 0.05)
            await first.until(lambda: any(change[2] == "launched" for change in first.phases()))

    asyncio.run(play())


# -- endpoints ----------------------------------------------------------------------------------------------------------


def test_another_chain_is_an_alarm_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.LAUNCHED)})
    other = FakeChain("provider-2", chain.states, chain.hints)

    async def alarmed(node: FakeNode, **options: Any) -> None:
        caplog.clear()
        async with Run(node, tmp_path, **options) as run:
            await run.until(lambda: "ALARM" in caplog.text)
            await asyncio.sleep(0.02)
        assert run.events == []
        assert "wrong_chain" in run.telemetry.not_ready_reason()

    async def play() -> None:
        await alarmed(FakeNode(chain), provider_chain_id="provider-9")
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.settled()
            await run.until(lambda: bool(run.of_type("started")))
            await run.stop()
        await alarmed(FakeNode(other))
        await alarmed(FakeNode(other), provider_chain_id="provider-2")

    asyncio.run(play())


@pytest.mark.parametrize("live", [True, False], ids=["while running", "after a restart"])
def test_another_block_at_a_known_height_stops_everything_until_it_is_right_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, live: bool
) -> None:
    chain = FakeChain()
    for _unused in range(4):
        chain.add()
    node = FakeNode(chain)

    async def play() -> None:
        async with Run(node, tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            if not live:
                await run.stop()
        chain.fork_from = chain.height
        chain.add({"0": Entry(Phase.LAUNCHED)})
        async with Run(node, tmp_path) as run:
            await run.until(lambda: "is another chain" in caplog.text)
            await asyncio.sleep(0.02)
            assert run.events == []
            chain.fork_from = None
            await run.until(lambda: len(run.events) == 2)

    asyncio.run(play())


def test_a_fork_seen_by_its_parent_hash_stops_everything(caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain)) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add()
            await run.until_block(chain.height)
            chain.fork_from = chain.height
            chain.add({"0": Entry(Phase.LAUNCHED)})
            await run.until(lambda: "is another chain" in caplog.text)
            assert run.phases() == []

    asyncio.run(play())


def test_a_lagging_endpoint_is_left_and_a_preferred_one_used_again() -> None:
    chain = FakeChain()
    for _unused in range(20):
        chain.add()
    stuck = {"tip": 21}
    first, second = FakeNode(chain, label="first:1", tip=lambda: stuck["tip"]), FakeNode(chain, label="second:1")

    async def play() -> None:
        async with Run([first, second]) as run:
            await run.until(lambda: bool(run.of_type("started")))
            assert run.session._endpoints.current is not None
            assert run.session._endpoints.current.node is first
            for _unused in range(6):
                chain.add({"0": Entry(Phase.LAUNCHED)})
            await run.until(lambda: bool(run.phases()))
            stuck["tip"] = 10**6
            first._tip = lambda: chain.height
            await run.until(
                lambda: (
                    run.session._endpoints.current is not None and run.session._endpoints.current.node is first  # type: ignore[comparison-overlap]
                )
            )

    with quiet():
        asyncio.run(play())


def test_an_endpoint_that_goes_back_in_height_has_to_catch_up() -> None:
    chain = FakeChain()
    for _unused in range(9):
        chain.add()
    tip = {"height": 10}

    async def play() -> None:
        async with Run(FakeNode(chain, tip=lambda: tip["height"])) as run:
            await run.until(lambda: bool(run.of_type("started")))
            tip["height"] = 5
            await run.session._endpoints.recheck()
            await run.until(lambda: "catch up" in run.session._endpoints._all[0].problem)
            chain.add({"0": Entry(Phase.REGISTERED)})
            tip["height"] = chain.height
            await run.until(lambda: run.phases() == [("0", "none", "registered")])

    with quiet():
        asyncio.run(play())


@pytest.mark.parametrize("agree", [True, False])
def test_an_event_leaves_when_enough_endpoints_confirm_it(agree: bool, caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain()
    liar = FakeChain(chain.chain_id, [{}], [Hints()])
    nodes = [FakeNode(liar, label="a:1"), FakeNode(chain, label="b:1"), FakeNode(chain, label="c:1")]

    async def play() -> None:
        async with Run(nodes, confirm_endpoints=2 if agree else 3) as run:
            await run.until(lambda: bool(run.of_type("started")))
            liar.add({"0": Entry(Phase.LAUNCHED)})
            chain.add({"0": Entry(Phase.REGISTERED)})
            if agree:
                await run.until(lambda: run.phases() == [("0", "none", "registered")])
            else:
                await run.until(lambda: "confirm_endpoints" in caplog.text)
                assert run.phases() == []

    asyncio.run(play())


# -- blocks that cannot be read -----------------------------------------------------------------------------------------


def test_a_block_that_cannot_be_read_is_asked_for_again_and_never_skipped(caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain()
    broken = {"hints": True}

    def fault(name: str) -> None:
        if name == "hints" and broken["hints"]:
            raise QueryFailed("internal error")

    async def play() -> None:
        async with Run(FakeNode(chain, fault=fault)) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add({"0": Entry(Phase.REGISTERED)})
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(99))})
            await run.until(lambda: "the results of block 2 cannot be read" in caplog.text)
            assert run.phases() == []
            broken["hints"] = False
            await run.until_block(3)
        assert run.phases() == [("0", "none", "registered"), ("0", "registered", "initialized")]

    asyncio.run(play())


def test_results_that_are_too_large_cost_a_reading_of_that_very_block() -> None:
    chain = FakeChain()

    def fault(name: str) -> None:
        if name == "hints":
            raise AnswerTooLarge("more than can be read")

    async def play() -> None:
        async with Run(FakeNode(chain, fault=fault), sync_interval=600) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add({"0": Entry(Phase.REGISTERED)})
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(99))})
            await run.until_block(3)
        assert [event["height"] for event in run.of_type("phase_changed")] == [2, 3]

    with quiet():
        asyncio.run(play())


def test_discarded_results_cost_intermediate_phases_at_most(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SYNC_WITHOUT_RESULTS", 0.01)
    chain = FakeChain()

    def fault(name: str) -> None:
        if name == "hints":
            raise ResultsDiscarded("node is not persisting finalize block responses")

    async def play() -> None:
        async with Run(FakeNode(chain, fault=fault), sync_interval=600) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(5))})
            await run.until(lambda: len(run.phases()) == 1)
            while chain.height < 4:
                chain.add()
            height = chain.add({"0": Entry(Phase.LAUNCHED)}, silent=True)
            await run.until(lambda: len(run.phases()) == 2)
        # The launch was due, so it comes from its own block all the same.
        assert run.of_type("phase_changed")[-1]["height"] == height
        assert "discard_abci_responses" in caplog.text

    asyncio.run(play())


@settings(max_examples=20, deadline=None)
@given(histories(), st.integers(1, 20))
def test_pruned_blocks_cost_intermediate_phases_at_most(chain: FakeChain, lowest: int) -> None:
    tips = iter(range(1, chain.height))

    async def play() -> None:
        node = FakeNode(chain, tip=lambda: next(tips, chain.height), lowest=min(lowest, chain.height))
        async with Run(node, sync_interval=0.01) as run:
            await run.until_block(chain.height)
            # A removal whose time nobody could know is found by the next reading of all consumers.
            await run.until(
                lambda: all(
                    run.last_phases().get(name, "deleted") == entry.phase.value
                    for name, entry in chain.states[-1].items()
                )
            )
        last: dict[str, str] = {}
        for name, previous, phase in run.phases():
            assert previous == last.get(name, "none")
            last[name] = phase

    with quiet():
        asyncio.run(play())


def test_a_gap_is_noted_in_the_cursor(tmp_path: Path) -> None:
    chain = FakeChain()
    node = FakeNode(chain)

    async def play() -> None:
        async with Run(node, tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            await run.stop()
        for phase in (Phase.REGISTERED, Phase.LAUNCHED, Phase.LAUNCHED):
            chain.add({"0": Entry(phase)})
        node.lowest = chain.height
        async with Run(node, tmp_path) as run:
            await run.until_block(chain.height)
            await run.stop()
        assert run.phases() == [("0", "none", "launched")]
        found = FileStateStore(str(tmp_path)).read("cursor")
        assert found is not None
        assert found.data["reconciled"].startswith(f"at block {chain.height}: block 2 cannot be read any more")

    with quiet():
        asyncio.run(play())


# -- single cases -------------------------------------------------------------------------------------------------------


def test_a_forged_event_of_an_unknown_consumer_does_nothing() -> None:
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain)) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add()
            chain.hints[-1] = Hints(("77",), frozenset({"77"}))
            await run.until_block(chain.height)
        assert run.phases() == []

    with quiet():
        asyncio.run(play())


def test_a_consumer_that_cannot_be_read_holds_up_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "UNREADABLE_AGAIN", timedelta(seconds=1))
    chain = FakeChain()

    class Node(FakeNode):
        broken = True

        async def consumer(self, consumer_id: str, height: int) -> Any:
            if consumer_id == "0" and self.broken:
                raise QueryFailed("it cannot be read")
            return await super().consumer(consumer_id, height)

    async def play() -> None:
        node = Node(chain)
        async with Run(node, sync_interval=600) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add({"0": Entry(Phase.REGISTERED), "1": Entry(Phase.REGISTERED)})
            await run.until(lambda: run.phases() == [("1", "none", "registered")])
            node.broken = False
            for _unused in range(3):
                chain.add()
            await run.until(lambda: ("0", "none", "registered") in run.phases())

    with quiet():
        asyncio.run(play())


def test_a_changed_record_and_a_coming_launch_are_told() -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.INITIALIZED, chain.time(20), "a")})

    async def play() -> None:
        async with Run(FakeNode(chain), spawn_notice=3, sync_interval=0.02) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(20), "a")})
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(30), "a")})
            # An update that no event tells of.
            chain.add({"0": Entry(Phase.INITIALIZED, chain.time(30), "b")}, silent=True)
            await run.until(lambda: len(run.of_type("consumer_updated")) == 2)
            while chain.height < 29:
                chain.add()
            await run.until_block(29)
            chain.add({"0": Entry(Phase.LAUNCHED)}, silent=True)
            await run.until_block(30)
        assert next(event["height"] for event in run.of_type("consumer_updated")) == 4
        (imminent,) = run.of_type("spawn_imminent")
        assert (imminent["height"], imminent["seconds"]) == (27, 3)
        assert run.phases() == [("0", "none", "initialized"), ("0", "initialized", "launched")]

    asyncio.run(play())


def test_a_slow_reading_of_all_consumers_holds_no_block_up() -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.LAUNCHED), "1": Entry(Phase.LAUNCHED)})
    release = asyncio.Event()

    class Node(FakeNode):
        slow = False

        async def consumers(self, phase: Phase, key: bytes, limit: int, height: int) -> Any:
            if self.slow:
                await release.wait()
            return await super().consumers(phase, key, limit, height)

    async def play() -> None:
        node = Node(chain)
        async with Run(node, sync_interval=0.01) as run:
            await run.until(lambda: bool(run.of_type("started")))
            node.slow = True
            await asyncio.sleep(0.1)
            chain.add({"0": Entry(Phase.STOPPED)})
            chain.add()
            await run.until(lambda: ("0", "launched", "stopped") in run.phases())
            release.set()
            await run.until_block(chain.height)
        # The reading began before the stop and ended after it: the later block has it right.
        assert [change for change in run.phases() if change[0] == "0"] == [
            ("0", "none", "launched"),
            ("0", "launched", "stopped"),
        ]

    asyncio.run(play())


@pytest.mark.parametrize("count", [100, 3_000])
def test_an_idle_block_costs_as_much_whatever_the_number_of_consumers(count: int) -> None:
    chain = FakeChain()
    chain.add({str(number): Entry(Phase.LAUNCHED) for number in range(count)})

    async def play() -> None:
        node = FakeNode(chain)
        async with Run(node, sync_interval=600) as run:
            await run.until(lambda: len(run.events) == count + 1)
            await run.until(lambda: run.session._sync is None or run.session._sync.done())
            node.calls.clear()
            for _unused in range(50):
                chain.add()
            await run.until_block(chain.height)
        assert len(node.calls) <= 100
        assert {name for name, _unused in node.calls} == {"headers", "hints"}

    with quiet():
        asyncio.run(play())


def test_it_ends_at_a_signal_and_stores_where_it_is(tmp_path: Path) -> None:
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            for _unused in range(30):
                chain.add()
            await run.until_block(chain.height)
            await run.stop()
        found = FileStateStore(str(tmp_path)).read("cursor")
        assert found is not None
        assert found.data["height"] == str(chain.height)

    asyncio.run(play())


def test_a_state_store_that_fails_for_a_while_stops_nothing_that_blocks_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.interchain.security.plugins.module_utils.errors import StateError

    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            assert run.store is not None
            real = run.store.write

            def failing(*parts: Any) -> Any:
                if parts[0] == "cursor":
                    raise StateError("no space left")
                return real(*parts)

            monkeypatch.setattr(run.store, "write", failing)
            chain.add({"0": Entry(Phase.LAUNCHED)})
            await run.until(lambda: run.phases() == [("0", "none", "launched")])
            monkeypatch.setattr(run.store, "write", real)
            await run.settled()
            await run.stop()

    with quiet():
        asyncio.run(play())


# -- checks -------------------------------------------------------------------------------------------------------------


def test_checks_are_asked_for_after_the_first_reading_and_one_at_a_time(tmp_path: Path) -> None:
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path, check_interval=0.01) as run:
            for number in range(1, 4):
                await run.until(lambda number=number: len(run.of_type("check_due")) == number)  # type: ignore[misc]
                assert [event["type"] for event in run.events] == ["started"] + ["check_due"] * number
                chain.add()
                await run.until_block(chain.height)
                assert len(run.of_type("check_due")) == number
                give_check_receipt(tmp_path, run.events[-1])
            await run.until(lambda: len(run.of_type("check_due")) == 4)
            assert run.events[-1]["height"] == chain.height
            await run.stop()

    asyncio.run(play())


@pytest.mark.parametrize(("stored", "check_interval"), [(True, 0), (False, 0.001)])
def test_checks_can_be_switched_off_and_need_a_store(tmp_path: Path, stored: bool, check_interval: float) -> None:
    chain = FakeChain()

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path if stored else None, check_interval=check_interval) as run:
            await run.until(lambda: bool(run.of_type("started")))
            for _unused in range(30):
                chain.add()
            await run.until_block(chain.height)
            assert run.of_type("check_due") == []

    asyncio.run(play())


def test_other_members_cost_no_request_and_outlive_a_restart(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.LAUNCHED), "1": Entry(Phase.REGISTERED)})
    node = FakeNode(chain)

    async def play() -> None:
        async with Run(node, tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            await run.settled()
            asked = node.calls.count
            before = asked(("consumer", chain.height + 1))
            chain.add(members=["0", "1", "7"])
            await run.until(lambda: bool(run.of_type("membership_changed")))
            await run.until_block(chain.height)
            assert asked(("consumer", chain.height)) == before == 0
            (told,) = run.of_type("membership_changed")
            assert (told["consumer_id"], told["height"], told["attempt"]) == ("0", chain.height, 1)
            await run.stop()
        chain.add(members=["0"])  # while nobody looks
        async with Run(node, tmp_path) as run:
            await run.until(lambda: bool(run.of_type("membership_changed")))
            (told,) = run.of_type("membership_changed")
            assert told["height"] == chain.height
            await run.stop()

    asyncio.run(play())


def test_a_failed_look_at_the_members_comes_again(tmp_path: Path) -> None:
    chain = FakeChain()
    chain.add({"0": Entry(Phase.LAUNCHED)})
    outcomes = iter(["done", "failed"])

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path, outcome=lambda event: next(outcomes, "done")) as run:
            await run.until(lambda: bool(run.of_type("started")))
            await run.settled()
            chain.add(members=["0"])
            await run.until(lambda: len(run.of_type("membership_changed")) == 2)
            assert [event["attempt"] for event in run.of_type("membership_changed")] == [1, 2]

    with quiet():
        asyncio.run(play())


@pytest.mark.parametrize(
    ("older", "newer", "merged"),
    [
        (Kind.MEMBERS, Kind.MEMBERS, Kind.MEMBERS),
        (Kind.MEMBERS, Kind.UPDATED, Kind.UPDATED),
        (Kind.UPDATED, Kind.MEMBERS, Kind.UPDATED),
        (Kind.PHASE, Kind.MEMBERS, Kind.PHASE),
        (Kind.MEMBERS, Kind.PHASE, Kind.PHASE),
    ],
)
def test_what_looks_at_more_stands_for_both(older: Kind, newer: Kind, merged: Kind) -> None:
    previous = {Kind.PHASE: Phase.INITIALIZED}
    changes = [
        Change(
            kind, "0", Phase.LAUNCHED, previous.get(kind, Phase.LAUNCHED), None, Block(height, FakeChain.time(height))
        )
        for height, kind in enumerate((older, newer), 1)
    ]
    found = deliveries.merged(*changes)
    assert (found.kind, found.block.height) == (merged, 2)
    assert found.previous_phase is previous.get(merged, Phase.LAUNCHED)


def test_changed_endpoints_are_told_once_and_again_when_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(checks, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(checks, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(source, "ENDPOINTS_INTERVAL", 0.01)
    chain = FakeChain()
    chain.add({"0": Entry(Phase.REGISTERED)})

    async def play() -> None:
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add(endpoints=True)  # nobody has peers yet
            chain.add({"0": Entry(Phase.LAUNCHED)})
            await run.until_block(chain.height)
            await asyncio.sleep(0.1)
            assert run.of_type("endpoint_changed") == []
            for _unused in range(5):
                chain.add(endpoints=True)
            await run.until(lambda: len(run.of_type("endpoint_changed")) == 1)
            await run.until_block(chain.height)
            await run.stop()
        # It has left, and nobody has said that it was dealt with.
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.until(lambda: len(run.of_type("endpoint_changed")) == 1)
            give_check_receipt(tmp_path, run.of_type("endpoint_changed")[0], subject="endpoints", outcome="failed")
            await run.until(lambda: len(run.of_type("endpoint_changed")) == 2)
            give_check_receipt(tmp_path, run.of_type("endpoint_changed")[1], subject="endpoints")
            await run.until(lambda: not run.session._announcements.pending)
            await run.stop()
        async with Run(FakeNode(chain), tmp_path) as run:
            await run.until(lambda: bool(run.of_type("started")))
            chain.add()
            await run.until_block(chain.height)
            assert not run.session._announcements.pending
            await run.stop()

    with quiet():
        asyncio.run(play())


def give_check_receipt(directory: Path, event: dict[str, Any], **more: str) -> None:
    """As the playbook of a check does in the end."""
    options = {"state_directory": str(directory), "event_uuid": event["meta"]["uuid"], "outcome": "done", **more}
    assert run_operation(event_receipt, **options)["changed"]


# -- a real socket ------------------------------------------------------------------------------------------------------


def message(chain: FakeChain, height: int) -> str:
    header = {"chain_id": chain.chain_id, "height": str(height), "time": f"2026-11-23T00:00:{height:02}Z"}
    header["last_block_id"] = {"hash": chain.hash(height - 1)}  # type: ignore[assignment]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"data": {"type": "t", "value": {"header": header}}}})


ENDINGS = ["closed", "cut", "error message", "silence", "not JSON", "another chain"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_lost_when_the_socket_is_lost(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = FakeChain(states=[{"1": Entry(Phase.STOPPED)}])
    connections: list[int] = []
    monkeypatch.setattr(headers, "ASSUMED_BLOCK_TIME", 0.05)

    async def node(socket: ServerConnection) -> None:
        connections.append(chain.height)
        assert json.loads(await socket.recv()) == headers.SUBSCRIPTION
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {}}))
        if len(connections) > 1:
            chain.add({"0": Entry(Phase.STOPPED)})
            await socket.send(message(chain, chain.height))
            await socket.wait_closed()
            return
        chain.add({"0": Entry(Phase.INITIALIZED, chain.time(100))})
        await socket.send(message(chain, chain.height))
        # What happens while nobody listens:
        chain.add({"0": Entry(Phase.LAUNCHED)})
        chain.add({"1": Entry(Phase.DELETED)}, silent=True)
        if ending == "cut":
            socket.transport.abort()
        elif ending == "error message":
            error = {"code": -32000, "message": "subscription was cancelled"}
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}))
            await socket.wait_closed()
        elif ending == "silence":
            await socket.wait_closed()
        elif ending == "not JSON":
            await socket.send("{")
            await socket.wait_closed()
        elif ending == "another chain":
            await socket.send(message(FakeChain("other"), 59))
            await socket.close()

    async def play() -> None:
        async with serve(node, "127.0.0.1", 0) as server:
            fake = FakeNode(chain)
            longest_silence = 0.3 if ending == "silence" else 30
            fake.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with Run(
                fake, listen=True, sync_interval=0.5, silence_timeout=longest_silence, poll_interval=0.05
            ) as run:
                await run.until(lambda: len(run.phases()) >= 5)
        assert [change for change in run.phases() if change[0] == "0"] == [
            ("0", "none", "initialized"),
            ("0", "initialized", "launched"),
            ("0", "launched", "stopped"),
        ]
        # No event tells of a deletion whose time is not known: a reading of all consumers finds it.
        assert [change for change in run.phases() if change[0] == "1"] == [
            ("1", "none", "stopped"),
            ("1", "stopped", "deleted"),
        ]
        assert len(connections) == 2 or ending == "silence"

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
