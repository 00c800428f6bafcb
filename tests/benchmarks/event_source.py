# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source in figures: delay of a launch, back-fill, requests when nothing happens, memory with 10 000 consumers.

`make bench`. Makes provider nodes of its own; needs the testbed's build. Prints a table; exit code 1 when a goal is missed.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import httpx

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from tests.fakes.provider_chain import DELETED, INITIALIZED, LAUNCHED, REGISTERED, STOPPED, Consumer, ProviderChain
from tests.fakes.provider_node import ProviderNode
from tests.integration.owner import Owner
from tests.integration.single_node import Node, free_port
from tests.testbed.parts import CHAIN

LAUNCHES = 24
LAUNCH_SPACING = 1.0  # seconds
BACK_FILL_BLOCKS = 1500
BACK_FILL_ROUNDS = 5
AT_ONCE = 16  # raw requests on their way at the same time
IDLE_BLOCKS = 90
IDLE_PACE = 0.1  # seconds between blocks; the sync interval is scaled alike, 30 blocks as with blocks of one second
MEMORY_SECONDS = 40.0
LIMIT = 240.0  # seconds for each thing waited for

RULEBOOK = """\
- name: Memory
  hosts: localhost
  gather_facts: false
  execution_strategy: parallel
  sources:
    - interchain.security.ccv:
        provider_rpc_url: "{url}"
        sync_interval: 5
        metrics_port: {port}
  rules:
    - name: Started
      condition: event.type == "started"
      action:
        debug:
          msg: started
"""


@dataclass(frozen=True)
class Figure:
    """One measured thing beside its goal; good is None where it has none."""

    name: str
    value: str
    goal: str = ""
    good: bool | None = None


async def poll(what: str, condition: Callable[[], Any], pause: float = 0.02) -> Any:
    """Wait until a condition holds and return its value."""
    deadline = time.monotonic() + LIMIT
    while not (found := await asyncio.to_thread(condition)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {LIMIT:.0f} s")
        await asyncio.sleep(pause)
    return found


def metric(port: int, name: str) -> float:
    """One figure of a running source; -1 while it does not answer."""
    try:
        # httpx would read all certificates first, which costs more than what is measured.
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return -1.0
    found = re.search(rf"^interchain_{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else -1.0


def height_of(url: str) -> int:
    try:
        status = httpx.get(f"{url}/status", timeout=5).json()
        return int(status["result"]["sync_info"]["latest_block_height"])
    except (httpx.HTTPError, KeyError):
        return 0


class Arrivals:
    """A queue that notes when each event came."""

    def __init__(self) -> None:
        self.events: list[tuple[float, dict[str, Any]]] = []

    async def put(self, event: dict[str, Any], /) -> None:
        self.events.append((time.monotonic(), event))

    def started(self) -> bool:
        return any(event["type"] == "started" for _moment, event in self.events)

    def launches(self) -> dict[int, float]:
        """Height of a launch: when its event came."""
        return {event["height"]: moment for moment, event in self.events if event.get("phase") == "launched"}


@asynccontextmanager
async def source(url: str, **args: Any) -> AsyncIterator[Arrivals]:
    """Run the event source in this process."""
    arrivals = Arrivals()
    task = asyncio.create_task(ccv.main(arrivals, {"provider_rpc_url": url, **args}))
    try:
        yield arrivals
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def real_node(folder: Path, commit: str) -> AsyncIterator[Node]:
    node = Node(CHAIN.ensure() / "interchain-security-pd", folder)
    node.configure(timeout_commit=f'"{commit}"')
    node.start()
    try:
        await poll("the first blocks", lambda: height_of(node.url) > 2)
        yield node
    finally:
        node.kill()


# -- launch block readable -> event out -------------------------------------------------------------------------------


def watch_blocks(url: str, first: int, results: Connection) -> None:
    """In a process of its own: note when the results of each block can first be read, until told to stop."""
    readable: dict[int, float] = {}
    height = first
    with httpx.Client(timeout=5) as http:
        while not results.poll():
            if "result" in http.get(f"{url}/block_results?height={height}").json():
                readable[height] = time.monotonic()
                height += 1
            else:
                time.sleep(0.001)
    results.send(readable)


async def launch_delay(folder: Path) -> list[Figure]:
    async with real_node(folder / "launches", "1s") as node, source(node.url) as arrivals:
        await poll("the start", arrivals.started)
        owner = Owner(node)
        here, there = multiprocessing.Pipe()
        watcher = multiprocessing.get_context("spawn").Process(
            target=watch_blocks, args=(node.url, height_of(node.url) + 1, there)
        )
        watcher.start()
        try:
            spawn_in = [15 + LAUNCH_SPACING * number for number in range(LAUNCHES)]
            await asyncio.to_thread(owner.create_many, spawn_in, opt_in=True)
            await poll(
                "all launches", lambda: sum(e.get("phase") == "launched" for _m, e in arrivals.events) >= LAUNCHES
            )
            await asyncio.sleep(1)
            here.send("stop")
            readable: dict[int, float] = await asyncio.to_thread(here.recv)
        finally:
            watcher.terminate()
            watcher.join()
    times = [moment for _height, moment in sorted(readable.items())]
    interval = statistics.median(later - earlier for earlier, later in itertools.pairwise(times))
    delays = sorted(moment - readable[height] for height, moment in arrivals.launches().items())
    p99 = delays[min(len(delays) - 1, int(len(delays) * 0.99))]
    return [
        Figure("blocks with a launch", str(len(delays)), ">= 20", len(delays) >= 20),
        Figure("block interval", f"{interval:.3f} s"),
        Figure("launch readable -> event, median", f"{statistics.median(delays) * 1000:.0f} ms"),
        Figure(
            "launch readable -> event, p99 / block interval", f"{p99 / interval:.3f}", "<= 0.5", p99 <= interval / 2
        ),
    ]


# -- back-fill --------------------------------------------------------------------------------------------------------


async def raw_gets(url: str, first: int, last: int) -> float:
    """Blocks per second of plain GETs of the results, many at once, nothing done with them."""
    heights = iter(range(first, last + 1))

    async def work(http: aiohttp.ClientSession) -> None:
        for height in heights:
            async with http.get(f"{url}/block_results?height={height}") as answer:
                await answer.read()

    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(work(http) for _unused in range(AT_ONCE)))
    return (last - first + 1) / (time.monotonic() - began)


async def back_fill(folder: Path) -> list[Figure]:
    state = folder / "state"
    state.mkdir()
    args = {"state_directory": str(state), "sync_interval": 600}
    async with real_node(folder / "filled", "1ms") as node:
        async with source(node.url, **args) as arrivals:
            await poll("the start", arrivals.started)
            await asyncio.sleep(1)
        first = height_of(node.url) + 1
        await poll("blocks to fill", lambda: height_of(node.url) >= first + BACK_FILL_BLOCKS)
        # It stands still while the blocks are read.
        node.kill()
        node.configure(timeout_commit='"600s"')
        node.start()
        last = await poll("the node", lambda: height_of(node.url))
        await asyncio.sleep(3)
        last = height_of(node.url)
        pairs = []
        for number in range(BACK_FILL_ROUNDS):
            again = folder / f"state-{number}"
            shutil.copytree(state, again)
            raw = await raw_gets(node.url, first, last)
            pairs.append((await filled(node.url, {**args, "state_directory": str(again)}, last), raw))
    rate, raw = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
    return [
        Figure("blocks filled", f"{last - first + 1}, {len(pairs)} times"),
        Figure("raw pipelined GETs", f"{raw:.0f} blocks/s"),
        Figure("back-fill", f"{rate:.0f} blocks/s"),
        Figure("back-fill / raw, median", f"{rate / raw:.2f}", ">= 0.7", rate / raw >= 0.7),
    ]


async def filled(url: str, args: dict[str, Any], last: int) -> float:
    """Blocks per second of a source that goes on from its cursor."""
    port = free_port()
    async with source(url, **args, metrics_port=port):
        start = await poll("the figures", lambda: max(metric(port, "height"), 0), 0.005)
        began = time.monotonic()
        await poll("the back-fill", lambda: metric(port, "height") >= last, 0.05)
        return (last - start) / (time.monotonic() - began)


# -- size -------------------------------------------------------------------------------------------------------------


def crowded(number: int) -> ProviderChain:
    """A chain of that many consumers of which most are deleted and some have the largest texts and lists."""
    chain = ProviderChain(genesis_time=datetime.now(UTC))
    chain.blocks(3)
    phases = [LAUNCHED, REGISTERED, INITIALIZED, STOPPED, *[DELETED] * 6]
    block = chain.next_block()
    for name in range(number):
        phase = phases[name % len(phases)]
        spawn_time = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=name) if phase == INITIALIZED else None
        large: dict[str, Any] = {"description": "x" * 10000, "entries": 1000} if name % 101 == 0 else {}
        block.put(Consumer(str(name), phase, spawn_time, **large))
    block.seal()
    return chain


async def idle_requests(number: int) -> tuple[float, float]:
    """Requests for each block when nothing happens: those of the blocks, and with those of reading all consumers."""
    chain = crowded(number)

    async def grow() -> None:
        while True:
            await asyncio.sleep(IDLE_PACE)
            await asyncio.to_thread(lambda: chain.next_block().seal())

    with ProviderNode(chain) as node:
        task = asyncio.create_task(grow())
        try:
            async with source(node.url, sync_interval=30 * IDLE_PACE) as arrivals:
                await poll("the start", arrivals.started)
                await asyncio.sleep(30 * IDLE_PACE * 2)
                begin, calls = chain.height, len(node.calls)
                await poll("idle blocks", lambda: chain.height >= begin + IDLE_BLOCKS)
                asked, blocks = list(node.calls)[calls:], chain.height - begin
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    of_blocks = sum(call.method != "abci_query" for call in asked)
    return of_blocks / blocks, len(asked) / blocks


async def requests() -> list[Figure]:
    few_blocks, few = await idle_requests(100)
    many_blocks, many = await idle_requests(10000)
    equal = abs(many_blocks - few_blocks) < 0.1
    return [
        Figure("requests per idle block, 100 consumers", f"{few_blocks:.2f}", "<= 2", few_blocks <= 2),
        Figure(
            "requests per idle block, 10 000 consumers", f"{many_blocks:.2f}", "<= 2, equal", many_blocks <= 2 and equal
        ),
        # What a reading of all costs grows with the pages of those that are not deleted.
        Figure("with a reading of all each 30 blocks, 100", f"{few:.2f}"),
        Figure("with a reading of all each 30 blocks, 10 000", f"{many:.2f}"),
    ]


async def memory(folder: Path) -> list[Figure]:
    chain = crowded(10000)
    port = free_port()
    (folder / "inventory.yml").write_text("localhost:\n  hosts:\n    localhost:\n")

    def resident(pid: int, name: str) -> float:
        text = Path(f"/proc/{pid}/status").read_text()
        return int(re.findall(rf"{name}:\s+(\d+) kB", text)[0]) / 1024

    with ProviderNode(chain) as node:
        (folder / "memory.yml").write_text(RULEBOOK.format(url=node.url, port=port))
        tools = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "JAVA_TOOL_OPTIONS": "-Xrs"}
        command = [str(tools / "ansible-rulebook"), "--rulebook", "memory.yml", "--inventory", "inventory.yml"]
        with (folder / "output").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=environment, stdout=output, stderr=output
            )
        try:
            await poll("the monitor", lambda: process.returncode is not None or metric(port, "ready") == 1)
            end = time.monotonic() + MEMORY_SECONDS
            while time.monotonic() < end:
                await asyncio.to_thread(lambda: chain.next_block().seal())
                await asyncio.sleep(0.5)
            if process.returncode is not None or metric(port, "ready") != 1:
                raise RuntimeError(f"the monitor does not follow: {(folder / 'output').read_text()[-1000:]}")
            now, most = resident(process.pid, "VmRSS"), resident(process.pid, "VmHWM")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return [
        Figure("monitor's memory, 10 000 consumers", f"{now:.0f} MiB", "<= 256 MiB", now <= 256),
        Figure("monitor's most memory so far", f"{most:.0f} MiB"),
    ]


async def measure(folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    for part in (launch_delay(folder), back_fill(folder), requests(), memory(folder)):
        found = await part
        for figure in found:
            word = {None: "", True: "met", False: "MISSED"}[figure.good]
            print(f"{figure.name:46} {figure.value:>16}   {figure.goal:12} {word}".rstrip(), flush=True)
        figures += found
    return figures


def main() -> int:
    """Measure everything, one thing after the other."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder)))
    return 1 if any(figure.good is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
