# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source on real provider nodes while network and nodes fail: what it sends is what a scan of all blocks finds."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.tcp_proxy import TcpProxy
from tests.integration.chain_scan import scan
from tests.integration.namespace import Namespace
from tests.integration.owner import Owner
from tests.integration.single_node import CHAIN_ID, FullNode, Node
from tests.integration.source_watch import DEADLINE, Watch
from tests.testbed.parts import CHAIN

CUT_SECONDS = 1.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with Namespace() as made:
        yield made


@pytest.fixture(scope="module")
def node(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("faults") / "provider"
    made = Node(CHAIN.ensure() / "interchain-security-pd", home, namespace.address, namespace.inside)
    made.start()
    try:
        wait_for_height(made.url, 2)
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def owner(node: Node) -> Owner:
    return Owner(node)


@pytest.fixture(autouse=True)
def _whole_again(namespace: Namespace) -> Iterator[None]:
    yield
    namespace.heal()


def height_of(url: str) -> int:
    """The newest block of a node, 0 while it does not answer."""
    try:
        answer = httpx.get(f"{url}/status", timeout=5).json()
        return int(answer["result"]["sync_info"]["latest_block_height"])
    except (httpx.HTTPError, KeyError):
        return 0


def wait_for_height(url: str, height: int) -> int:
    deadline = time.monotonic() + DEADLINE
    while (found := height_of(url)) < height:
        assert time.monotonic() < deadline, f"{url} has not reached block {height}, it is at {found}"
        time.sleep(0.05)
    return found


async def blocks_pass(url: str, number: int) -> int:
    return await asyncio.to_thread(lambda: wait_for_height(url, height_of(url) + number))


async def check(watch: Watch, node: Node) -> None:
    """Hold all that was sent against the chain, once the source has had the time to say what it has to."""
    started = await watch.start()
    found = await asyncio.to_thread(scan, node.url)
    await watch.until(f"block {found.tip}", lambda: watch.has_all(found.transitions(started), found.tip), 60)
    await blocks_pass(node.url, 2)  # time in which something could be sent again
    watch.check(found.transitions(), found.tip)


async def live(watch: Watch, owner: Owner) -> None:
    """A launch, a launch that fails since nobody has opted in, and a removal."""
    good, bad = await asyncio.to_thread(owner.create_many, [4, 4])
    await asyncio.to_thread(owner.opt_in, good)
    await watch.reach((good, "launched"), (bad, "registered"))
    await asyncio.to_thread(owner.remove, good)
    await watch.reach((good, "stopped"))


async def test_sockets_that_break_all_the_time(node: Node, owner: Owner) -> None:
    async with TcpProxy(node.url) as proxy, Watch(proxy.url, CHAIN_ID) as watch:
        await watch.start()

        async def cut() -> None:
            while True:
                await asyncio.sleep(CUT_SECONDS)
                proxy.cut_sockets()

        cutting = asyncio.create_task(cut())
        await live(watch, owner)
        cutting.cancel()
        assert proxy.cuts >= 3
        await check(watch, node)


async def test_half_open_connections(node: Node, owner: Owner, namespace: Namespace) -> None:
    async with Watch(node.url, CHAIN_ID) as watch:
        await watch.start()
        await blocks_pass(node.url, 1)
        lost = namespace.connected_ports()
        assert lost, "the source has no connection to lose"
        for port in lost:
            namespace.lose(port=port)
        await live(watch, owner)
        # The lost ones stay lost: it has to have made new connections.
        await check(watch, node)
        assert set(namespace.connected_ports()) - set(lost)


async def test_a_node_that_dies_before_a_launch(node: Node, owner: Owner) -> None:
    async with Watch(node.url, CHAIN_ID) as watch:
        await watch.start()
        good, bad = await asyncio.to_thread(owner.create_many, [3, 3])
        await asyncio.to_thread(owner.opt_in, good)
        await watch.reach((good, "initialized"), (bad, "initialized"))
        await blocks_pass(node.url, 1)
        node.kill()
        await asyncio.sleep(3)
        node.start()
        await watch.reach((good, "launched"), (bad, "registered"))
        node.kill()
        node.start()
        await asyncio.to_thread(wait_for_height, node.url, 2)
        await asyncio.to_thread(owner.remove, good)
        await watch.reach((good, "stopped"))
        await check(watch, node)


async def test_a_node_that_stands_still_without_closing(node: Node, owner: Owner) -> None:
    async with Watch(node.url, CHAIN_ID) as watch:
        await watch.start()
        good = (await asyncio.to_thread(owner.create_many, [5], opt_in=True))[0]
        await watch.reach((good, "initialized"))
        os.kill(node.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(4)
        finally:
            os.kill(node.pid, signal.SIGCONT)
        await watch.reach((good, "launched"))
        await check(watch, node)


async def test_blocks_with_many_transactions(node: Node, owner: Owner) -> None:
    async with Watch(node.url, CHAIN_ID) as watch:
        await watch.start()
        first = await asyncio.to_thread(owner.create_many, [6, 6], opt_in=True)
        await asyncio.to_thread(owner.pay_itself, 1000)
        last = await asyncio.to_thread(owner.create_many, [6, 6], opt_in=True)
        await watch.reach(*[(name, "launched") for name in first + last])
        await check(watch, node)
    found = await asyncio.to_thread(scan, node.url)
    assert max(found.transactions) > 100


async def test_an_endpoint_that_lags_and_then_goes_back(
    node: Node, owner: Owner, namespace: Namespace, tmp_path: Path
) -> None:
    other = FullNode(node, tmp_path / "other")
    try:
        other.start()
        await asyncio.to_thread(wait_for_height, other.url, height_of(node.url) - 1)
        other.kill()
        old = tmp_path / "old"
        shutil.copytree(other.home / "data", old)
        other.start()
        await asyncio.to_thread(wait_for_height, other.url, height_of(node.url) - 1)
        async with Watch([other.url, node.url], CHAIN_ID) as watch:
            await watch.start()
            good, bad = await asyncio.to_thread(owner.create_many, [5, 5])
            await asyncio.to_thread(owner.opt_in, good)
            await watch.reach((good, "initialized"), (bad, "initialized"))
            # From now on the first endpoint answers, but hears of no new block.
            namespace.lose(port=int(node.peer.rpartition(":")[2]))
            await watch.reach((good, "launched"), (bad, "registered"))
            assert height_of(other.url) < height_of(node.url)
            # It comes back with the state of long ago.
            other.kill()
            shutil.rmtree(other.home / "data")
            shutil.copytree(old, other.home / "data")
            other.start()
            await asyncio.to_thread(owner.remove, good)
            await watch.reach((good, "stopped"))
            went_back_to = await asyncio.to_thread(wait_for_height, other.url, 1)
            assert went_back_to < max(height for _id, _old, _new, height in watch.sent()) - 5
            await blocks_pass(node.url, 4)
            namespace.heal()
            later = await asyncio.to_thread(owner.create, 600)
            await watch.reach((later, "initialized"))
            await check(watch, node)
    finally:
        other.kill()
