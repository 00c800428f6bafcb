# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source on a fake node, which answers as no real one can be made to; the fake is held against a real one elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore
from tests.fakes import provider_node as faults
from tests.fakes.provider_chain import DELETED, LAUNCHED, STOPPED, Consumer, NewBlock, ProviderChain
from tests.fakes.provider_node import Fault, ProviderNode, Stream
from tests.integration.source_watch import Watch
from tests.testbed.certificates import Authority

CHAIN_ID = "provider-1"
PACE = 0.05  # seconds between blocks of the fake chain, whose block times are one second apart
MEBIBYTE = 2**20
Happening = Callable[[NewBlock], object]


def new_chain(**changes: Any) -> ProviderChain:
    """A chain of five blocks that deletes a consumer eight seconds after it has stopped."""
    chain = ProviderChain(CHAIN_ID, unbonding=timedelta(seconds=8), **changes)
    chain.blocks(4)
    return chain


@pytest.fixture
def chain() -> ProviderChain:
    return new_chain()


@pytest.fixture
def node(chain: ProviderChain) -> Iterator[ProviderNode]:
    with ProviderNode(chain) as running:
        yield running


@asynccontextmanager
async def growing(
    chain: ProviderChain, happenings: dict[int, Happening] | None = None
) -> AsyncIterator[dict[int, Happening]]:
    """Let the chain grow; what happens in which block may be added to while it does."""
    happenings = {} if happenings is None else happenings

    async def grow() -> None:
        while True:
            await asyncio.sleep(PACE)
            new = chain.next_block()
            happenings.pop(chain.height + 1, lambda _block: None)(new)
            new.seal()

    task = asyncio.create_task(grow())
    try:
        yield happenings
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


def life(first: int) -> dict[int, Happening]:
    """The blocks of all ways in which a phase can move, with events and without, beginning at a height."""
    return {
        first: lambda block: (
            block.create("0", 6).create("1", 6, opted_in=False).create("2", 7, connection_id="connection-9")
        ),
        first + 2: lambda block: block.create("3").update("0", 5),
        first + 4: lambda block: block.update("3", 3),
        first + 10: lambda block: block.remove("0"),
        first + 12: lambda block: block.time_out("2"),
        first + 13: lambda block: block.update("1", 4).opt_in("1"),
    }


LIFE = 21  # blocks from the first until all has happened


async def passed(watch: Watch, chain: ProviderChain, height: int) -> None:
    """Wait for the chain to come to a height, and for the source to have had the time to tell of it."""
    await watch.until(f"block {height}", lambda: chain.height >= height)
    await asyncio.sleep(0.3)


async def check(watch: Watch, chain: ProviderChain, *, exact: bool = True) -> None:
    """Hold what was sent against the chain once there is nothing more to come."""
    started = await watch.start()
    tip = chain.height
    happened = [change for change in chain.transitions() if started < change[3] <= tip]
    last = {name: phase for name, _before, phase, _height in happened}

    def told() -> bool:
        sent = [change for change in watch.sent() if change[3] > started]
        if exact:
            return len([change for change in sent if change[3] <= tip]) >= len(happened)
        return {name: phase for name, _before, phase, _height in sent} == last

    await watch.until(f"{happened}", told, 20)
    await asyncio.sleep(0.5)
    watch.check(chain.transitions(), tip, exact=exact)


def logged(caplog: pytest.LogCaptureFixture, *words: str) -> bool:
    """Tell whether one error in the log holds all these words."""
    return any(
        record.levelno >= logging.ERROR and all(word in record.getMessage() for word in words)
        for record in caplog.records
    )


# -- without a fault --------------------------------------------------------------------------------------------------


async def test_every_way_in_which_a_phase_can_move(chain: ProviderChain, node: ProviderNode) -> None:
    async with Watch(node.url, CHAIN_ID, sync_interval=600) as watch, growing(chain, life(chain.height + 5)):
        await watch.start()
        await passed(watch, chain, chain.height + 5 + LIFE)
        await check(watch, chain)
    phases = [(name, phase) for name, _before, phase, _height in watch.sent()]
    assert [phase for name, phase in phases if name == "0"] == ["initialized", "launched", "stopped", "deleted"]
    assert [phase for name, phase in phases if name == "1"] == ["initialized", "registered", "initialized", "launched"]
    assert [phase for name, phase in phases if name == "2"] == ["initialized", "launched", "stopped", "deleted"]
    assert [phase for name, phase in phases if name == "3"] == ["registered", "initialized", "launched"]


async def test_a_spawn_time_is_told_before_it_and_when_it_changes(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5
    happenings: dict[int, Happening] = {
        first: lambda block: block.create("0", 12),
        first + 3: lambda block: block.update("0", 20),
    }
    async with Watch(node.url, CHAIN_ID, spawn_notice=10) as watch, growing(chain, happenings):
        await watch.reach(("0", "launched"))
    told = [(event["type"], event["height"] - first) for event in watch.events if event["type"] != "started"]
    launch = first + 23
    assert told == [
        ("phase_changed", 0),
        ("spawn_imminent", 2),
        ("consumer_updated", 3),
        ("spawn_imminent", 13),
        ("phase_changed", launch - first),
    ]
    imminent = [event for event in watch.events if event["type"] == "spawn_imminent"]
    assert [event["seconds"] for event in imminent] == [10, 10]


# -- block results ----------------------------------------------------------------------------------------------------


UNREADABLE: dict[str, Fault] = {
    "error": faults.error("could not load the results"),
    "bad gateway": faults.body("<html>502 Bad Gateway</html>", 502),
    "cut off": faults.body('{"jsonrpc":"2.0","id":1,"result":{"height":"7","txs_res'),
    "not results": faults.body('{"jsonrpc":"2.0","id":1,"result":{"surprise":[]}}'),
    "deeply nested": faults.body("[" * 100000),
    "no answer": faults.hang(),
}


async def test_results_of_one_height_that_cannot_be_read_for_a_while() -> None:
    # Each on a chain of its own, beside each other since they mostly wait.
    await asyncio.gather(*(_unreadable_for_a_while(name, fault) for name, fault in UNREADABLE.items()))


async def _unreadable_for_a_while(name: str, fault: Fault) -> None:
    chain = new_chain()
    first = chain.height + 8
    bad = first + 7  # three launches
    with ProviderNode(chain) as node:
        node.break_("block_results", fault, bad)
        async with (
            Watch(node.url, CHAIN_ID, request_timeout=0.5, sync_interval=600) as watch,
            growing(chain, life(first)),
        ):
            await watch.start()
            await watch.until(f"two attempts ({name})", lambda: node.count("block_results", bad) >= 2)
            await passed(watch, chain, bad + 10)
            assert all(height < bad for _id, _old, _new, height in watch.sent()), f"{name}: a block was skipped"
            node.mend()
            await passed(watch, chain, first + LIFE)
            await check(watch, chain)


@pytest.mark.parametrize(
    "size",
    [pytest.param(200 * MEBIBYTE, id="200 MiB"), pytest.param(None, id="endless")],
)
async def test_results_that_are_too_large(chain: ProviderChain, node: ProviderNode, size: int | None) -> None:
    first = chain.height + 8
    stream = Stream(size)
    node.break_("block_results", stream, first + 7)
    with ProviderNode(chain) as other:
        async with Watch([node.url, other.url], CHAIN_ID) as watch, growing(chain, life(first)):
            await watch.start()
            await passed(watch, chain, first + LIFE)
            await check(watch, chain)
    assert stream.calls
    assert stream.sent < 80 * MEBIBYTE * stream.calls


async def test_results_that_are_too_large_everywhere(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 8
    stream = Stream(200 * MEBIBYTE)
    node.break_("block_results", stream, first + 7)
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)):
        await watch.start()
        await passed(watch, chain, first + LIFE)
        await check(watch, chain, exact=False)
    assert stream.calls < 20


async def test_endless_answers_to_every_other_question() -> None:
    await asyncio.gather(*(_endless_answers_to(method) for method in ("status", "blockchain", "abci_query")))


async def _endless_answers_to(method: str) -> None:
    chain = new_chain()
    first = chain.height + 8
    stream = Stream(None, piece=b" " * MEBIBYTE)
    with ProviderNode(chain) as node, ProviderNode(chain) as other:
        async with Watch([node.url, other.url], CHAIN_ID) as watch, growing(chain, life(first)):
            await watch.start()
            await passed(watch, chain, first + 3)
            node.break_(method, stream)
            node.cut()
            await passed(watch, chain, first + LIFE)
            await check(watch, chain)
    assert stream.sent < 80 * MEBIBYTE * max(stream.calls, 1), method


async def test_an_answer_that_comes_drop_by_drop(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 8
    dripping = Stream(None, piece=b" ", pause=0.3)
    node.break_("block_results", dripping, first + 7)
    with ProviderNode(chain) as other:
        urls = [node.url, other.url]
        async with Watch(urls, CHAIN_ID, request_timeout=0.5) as watch, growing(chain, life(first)):
            await watch.start()
            await passed(watch, chain, first + LIFE)
            await check(watch, chain)
    assert dripping.calls


async def test_a_node_that_keeps_no_results(chain: ProviderChain, node: ProviderNode) -> None:
    node.keeps_results = False
    async with Watch(node.url, CHAIN_ID, sync_interval=0.5) as watch, growing(chain, life(chain.height + 5)):
        await watch.start()
        await passed(watch, chain, chain.height + 5 + LIFE)
        await check(watch, chain, exact=False)


async def test_a_node_that_was_pruned_past_the_cursor(
    chain: ProviderChain, node: ProviderNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = chain.height + 5
    happenings = life(first)
    async with Watch(node.url, CHAIN_ID, state_directory=str(tmp_path)) as watch, growing(chain, happenings):
        await watch.start()
        await watch.reach(("3", "registered"))
    async with growing(chain, happenings):
        while chain.height < first + 15:
            await asyncio.sleep(PACE)
    node.lowest = chain.height - 3
    args = {"state_directory": str(tmp_path), "sync_interval": 0.5}
    async with Watch(node.url, CHAIN_ID, **args) as again, growing(chain, happenings):
        await again.start()
        # When they are deleted is not known, since the blocks that stopped them were not seen.
        await again.reach(("0", "deleted"), ("2", "deleted"), ("1", "launched"))
    for one in (watch, again):
        ids = [event["meta"]["uuid"] for event in one.events]
        assert len(set(ids)) == len(ids)
    # What left just before the end, when the cursor could not say so any more, is sent again as the same event.
    sent_before = {event["meta"]["uuid"] for event in watch.events}
    again.events = [event for event in again.events if event["meta"]["uuid"] not in sent_before]
    for name, end in (("0", "deleted"), ("1", "launched"), ("2", "deleted"), ("3", "launched")):
        told = [change for change in watch.sent() + again.sent() if change[0] == name]
        assert told[-1][2] == end
        assert [change[1] for change in told] == ["none", *(change[2] for change in told[:-1])], told
    # It is written down that blocks were not worked through one by one.
    document = FileStateStore(str(tmp_path)).read("cursor")
    assert document is not None
    assert "cannot be read any more" in document.data["reconciled"]
    assert any("not worked through one by one" in record.getMessage() for record in caplog.records)


async def test_events_of_consumers_that_state_does_not_know(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5
    names = ("999", "18446744073709551616", "9" * 25, "-1", "1e3", "{{ 1 }}", "../0", "")
    happenings = life(first)

    def forge(block: NewBlock) -> None:
        for name in names:
            block.forge("consumer_client_created", name).forge("create_consumer", name, in_block=False)
        block.forge("consumer_client_created", "0").forge("remove_consumer", "2", in_block=False)

    happenings[first + 3] = forge
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, happenings):
        await watch.start()
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)
    assert {change[0] for change in watch.sent()} == {"0", "1", "2", "3"}


# -- sockets ----------------------------------------------------------------------------------------------------------


async def test_sockets_that_say_wrong_things(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5
    wrong = [
        "no JSON",
        '{"jsonrpc":"2.0","id":1,"result":{"data":{"value":{"header":{"chain_id":"provider-1","height":"-7"}}}}}',
        '{"jsonrpc":"2.0","id":1,"result":{"data":{"value":{"header":{"chain_id":"another-1","height":"99999"}}}}}',
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"data": "x" * 3 * MEBIBYTE}}),
    ]
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)):
        await watch.start()
        for number, text in enumerate(wrong):
            await watch.until(f"socket {number + 1}", lambda opened=number: node.sockets_opened > opened)
            await asyncio.sleep(0.3)
            node.tell(text)
        node.cancel_subscriptions()
        await asyncio.sleep(0.5)
        node.silent = False
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)


async def test_a_height_that_the_node_does_not_have(chain: ProviderChain, node: ProviderNode) -> None:
    header = {"chain_id": CHAIN_ID, "height": "999999999", "time": "2026-11-23T00:00:00Z"}
    first = chain.height + 5
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)):
        await watch.start()
        node.tell(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"data": {"value": {"header": header}}}}))
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)


async def test_no_socket_at_all(chain: ProviderChain, node: ProviderNode) -> None:
    node.break_("websocket", faults.body("no", 403))
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(chain.height + 5)):
        await watch.start()
        await passed(watch, chain, chain.height + 5 + LIFE)
        await check(watch, chain)


# -- endpoints --------------------------------------------------------------------------------------------------------


async def test_state_that_lags_behind_the_blocks(chain: ProviderChain, node: ProviderNode) -> None:
    node.state_lag = 2
    first = chain.height + 5
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)):
        await watch.start()
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)


async def test_an_endpoint_that_goes_back_and_comes_again(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)):
        await watch.start()
        await passed(watch, chain, first + 3)
        node.at_most, node.catching_up = chain.height - 5, True
        node.cut()
        await passed(watch, chain, first + 10)
        node.at_most, node.catching_up = None, False
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)


async def test_an_endpoint_of_another_chain_is_never_followed(caplog: pytest.LogCaptureFixture) -> None:
    other = ProviderChain("another-1")
    other.next_block().create("0", 5).seal()
    with ProviderNode(other) as node:
        async with Watch(node.url, CHAIN_ID) as watch, growing(other):
            await watch.until("the alarm", lambda: logged(caplog, "another-1", CHAIN_ID))
            await passed(watch, other, other.height + 10)
            assert watch.events == []
            right = new_chain()
            node.move_to(right)
            node.cut()
            async with growing(right, life(right.height + 5)):
                await watch.start()
                await passed(watch, right, right.height + 5 + LIFE)
                await check(watch, right)


async def test_an_endpoint_that_turns_into_another_chain(caplog: pytest.LogCaptureFixture) -> None:
    chain, other = new_chain(), ProviderChain("another-1")
    other.next_block().create("0", 5).seal()
    first = chain.height + 8
    with ProviderNode(chain) as node:
        async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)), growing(other):
            await watch.start()
            await passed(watch, chain, first + 3)
            other.blocks(chain.height)
            node.move_to(other)
            node.cut()
            await watch.until("the alarm", lambda: logged(caplog, "another-1"))
            before = len(watch.events)
            await passed(watch, chain, first + 12)
            assert len(watch.events) == before
            node.move_to(chain)
            await passed(watch, chain, first + LIFE)
            # What was being read in that moment may have been found with the next block only.
            await check(watch, chain, exact=False)


async def test_another_hash_at_a_height_that_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    chain, fork = new_chain(), new_chain(fork="replaced", fork_at=3)
    fork.next_block().create("0", 5).create("7", 9).seal()
    first = chain.height + 8
    with ProviderNode(chain) as node:
        async with Watch(node.url, CHAIN_ID) as watch, growing(chain, life(first)), growing(fork):
            await watch.start()
            await passed(watch, chain, first + 3)
            fork.blocks(10)
            node.move_to(fork)
            node.cut()
            await watch.until("the alarm", lambda: logged(caplog, "hash"))
            before = len(watch.events)
            await passed(watch, chain, first + 12)
            assert len(watch.events) == before
            node.move_to(chain)
            node.cut()
            await passed(watch, chain, first + LIFE)
            # What was being read in that moment may have been found with the next block only.
            await check(watch, chain, exact=False)


async def test_nothing_is_sent_while_two_endpoints_tell_of_different_chains(caplog: pytest.LogCaptureFixture) -> None:
    chain, fork = new_chain(), new_chain(fork="replaced", fork_at=3)
    fork.next_block().create("7", 9).seal()
    first = chain.height + 8
    with ProviderNode(chain) as node, ProviderNode(fork) as wrong:
        async with Watch([node.url, wrong.url], CHAIN_ID) as watch, growing(chain, life(first)), growing(fork):
            await watch.until("the alarm", lambda: logged(caplog, "hash"))
            before = len(watch.events)
            await passed(watch, chain, first + 12)
            assert len(watch.events) == before
            wrong.move_to(chain)
            await watch.start()
            await passed(watch, chain, first + LIFE)
            # Meanwhile only the newest of a consumer is kept.
            await check(watch, chain, exact=False)
    assert "7" not in {change[0] for change in watch.sent()}


async def test_what_one_endpoint_alone_says_is_not_believed() -> None:
    chain, lie = new_chain(), new_chain()
    first = chain.height + 8
    happenings = life(first)
    told = {**life(first), first + 1: lambda block: block.create("66", 3)}
    with ProviderNode(lie) as liar, ProviderNode(chain) as one, ProviderNode(chain) as two:
        urls = [liar.url, one.url, two.url]
        async with Watch(urls, CHAIN_ID, confirm_endpoints=2) as watch, growing(chain, happenings), growing(lie, told):
            await watch.start()
            await passed(watch, chain, first + LIFE)
            await check(watch, chain)
    assert "66" not in {change[0] for change in watch.sent()}


async def test_tls_and_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    authority = Authority(tmp_path)
    authority.issue("node", "node", hosts=("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "node.crt", tmp_path / "node.key")
    chain = new_chain()
    secret = {"username": "monitor", "password": "pass:word/ü"}
    with ProviderNode(chain, certificate=context, **secret) as node:
        args = {**secret, "ca_file": str(tmp_path / "ca.crt")}
        async with Watch(node.url, CHAIN_ID, **args) as watch, growing(chain, life(chain.height + 5)):
            await watch.start()
            await passed(watch, chain, chain.height + 5 + LIFE)
            await check(watch, chain)
            assert node.sockets_opened
        for wrong in ({**args, "password": "guess"}, dict(secret)):
            async with Watch(node.url, CHAIN_ID, **wrong) as watch:
                await watch.until("an alarm", lambda: logged(caplog, "provider_rpc_url"))
                assert watch.events == []
            caplog.clear()
    assert "pass:word" not in caplog.text


# -- size -------------------------------------------------------------------------------------------------------------


async def test_ten_thousand_consumers() -> None:
    chain = new_chain()
    block = chain.next_block()
    for number in range(10000):
        large = number % 100 == 0
        phase = LAUNCHED if number % 50 == 1 else STOPPED if number % 500 == 2 else DELETED
        text = {"description": "\u202e" * 3333, "entries": 1000} if large else {}
        block.put(Consumer(str(number), phase, **text))
    block.seal()
    alive = {name for name, _old, phase, _height in chain.transitions() if phase != "deleted"}
    first = chain.height + 30
    happenings: dict[int, Happening] = {
        first: lambda block: block.create("10000", 4),
        first + 8: lambda block: block.remove("10000"),
    }
    with ProviderNode(chain) as node:
        async with Watch(node.url, CHAIN_ID, sync_interval=600) as watch, growing(chain, happenings):
            started = await watch.start()
            assert sorted(change[0] for change in watch.sent()) == sorted(alive)
            assert {change[1] for change in watch.sent()} == {"none"}
            await watch.until("quiet", lambda: chain.height >= started + 5)
            calls, height = len(node.calls), chain.height
            await watch.until("quiet blocks", lambda: chain.height >= min(height + 10, first - 2))
            assert len(node.calls) - calls <= 2 * (chain.height - height) + 2
            await watch.reach(("10000", "stopped"))
            await check(watch, chain)


async def test_two_hundred_launches_in_one_block(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5

    def create(block: NewBlock) -> None:
        for number in range(450):
            block.create(str(number), 5)

    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, {first: create}):
        await watch.start()
        await watch.until("all launches", lambda: sum(one[2] == "launched" for one in watch.sent()) >= 450)
        await check(watch, chain)
    heights = [change[3] for change in watch.sent() if change[2] == "launched"]
    assert [heights.count(first + late) for late in (5, 6, 7)] == [200, 200, 50]


async def test_three_thousand_transactions_in_one_block(chain: ProviderChain, node: ProviderNode) -> None:
    first = chain.height + 5
    happenings = life(first)
    happenings[first] = lambda block: (
        life(first)[first](block.sends(1500).sends(500, failed=True)) and block.sends(1000)
    )
    async with Watch(node.url, CHAIN_ID) as watch, growing(chain, happenings):
        await watch.start()
        await passed(watch, chain, first + LIFE)
        await check(watch, chain)
    assert len(chain.block(first).transactions) == 3003


# -- options ----------------------------------------------------------------------------------------------------------


@contextmanager
def named(option: str) -> Iterator[None]:
    with pytest.raises(ValueError, match=f"^{option}: "):
        yield


@pytest.mark.parametrize(
    ("args", "option"),
    [
        ({"provider_rpc_url": "ftp://127.0.0.1:1"}, "provider_rpc_url"),
        ({"provider_rpc_url": "http://"}, "provider_rpc_url"),
        ({"provider_rpc_url": "http://user:word@127.0.0.1:1"}, "provider_rpc_url"),
        ({"provider_rpc_urls": "http://127.0.0.1:1"}, "provider_rpc_urls"),
        ({"ca_file": "/no/such/file"}, "ca_file"),
        ({"ca_file": "/dev/null"}, "ca_file"),
        ({"state_directory": "/no/such/directory"}, "state_directory"),
        ({"state_directory": "/tmp", "state_namespace": "monitor"}, "state_directory"),
        ({"confirm_endpoints": 2}, "confirm_endpoints"),
        ({"username": "somebody"}, "password"),
        ({"metrics_port": 99999}, "metrics_port"),
        ({"max_outstanding": 0}, "max_outstanding"),
    ],
)
async def test_a_wrong_argument_is_told_by_its_name_before_anything_is_sent(
    node: ProviderNode, args: dict[str, Any], option: str
) -> None:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    with named(option):
        await asyncio.wait_for(ccv.main(queue, {"provider_rpc_url": node.url, **args}), 5)
    assert queue.empty()
    assert node.calls == []


async def test_no_endpoint_that_can_be_reached_is_told_by_the_options_name(
    node: ProviderNode, caplog: pytest.LogCaptureFixture
) -> None:
    node.stop()
    async with Watch([node.url, "http://127.0.0.1:9"], CHAIN_ID) as watch:
        await watch.until("the alarm", lambda: logged(caplog, "provider_rpc_url"))
        assert watch.events == []
        node.start()
        await watch.start()
