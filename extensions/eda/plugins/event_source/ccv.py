# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event source: the phase changes of the consumer chains of a Cosmos Interchain Security provider chain."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

# ansible-rulebook runs this file by its path, with no collection on sys.path.
_ROOT, _SEPARATOR, _IN_COLLECTION = os.path.abspath(__file__).partition(f"{os.sep}ansible_collections{os.sep}")
if _IN_COLLECTION and _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader, NodeStatus, checked_url
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
    InterchainError,
    InvalidInput,
    QueryFailed,
    WrongChain,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import events
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer, ConsumerSummary
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import (
    Block,
    ConsumerState,
    Follower,
    PhaseChange,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

DOCUMENTATION = r"""
---
short_description: Phase changes of the consumer chains of a provider chain
description:
  - Follows a provider chain of Cosmos Interchain Security block by block and sends one event for each consumer chain that has moved to another phase.
  - New blocks are learned of over the WebSocket of the node, and by asking for its status while the socket is silent.
    The results of every block are read in order, also those of blocks missed during an interruption.
  - Events of a block are taken as hints only. A consumer is read back in the state of that block before anything is sent.
    A phase that moves without an event is found at the consumer's spawn time, and by reading all consumers at regular times.
  - On a start, C(phase_changed) is sent for every consumer that is not deleted, then C(started) once. What acts on the events has to bear repetition.
  - The source never ends by itself. It takes the next endpoint when one fails, for ever.
    While no endpoint belongs to the expected chain it sends nothing and logs an error with each attempt.
  - An event holds checked values only, no text that the owner of a consumer chose.
options:
  provider_rpc_url:
    description:
      - RPC addresses of nodes of the provider chain, for example C(http://provider:26657), in the order in which they are tried.
      - A text is taken as a list separated by commas.
    type: list
    elements: str
    required: true
  provider_chain_id:
    description:
      - The chain that the endpoints have to belong to.
      - Without it, the chain in O(cursor_file), or the one of the first endpoint that answers.
    type: str
  cursor_file:
    description:
      - Absolute path of a file in which the source keeps the last block and the phases it has announced, so that the first events after a restart
        carry the previous phase and that a chain that was replaced is noticed.
      - Its directory has to exist.
    type: str
  request_timeout:
    description: Seconds to wait for an answer of a node.
    type: float
    default: 10.0
  sync_interval:
    description: Seconds between readings of all consumers.
    type: float
    default: 30.0
  poll_interval:
    description: Seconds of silence on the socket after which the node's status is asked for.
    type: float
    default: 2.0
  silence_timeout:
    description:
      - Seconds without a new block after which the socket is taken for dead and the next endpoint is used.
      - Five times the time between blocks is used where that is more.
    type: float
    default: 30.0
notes:
  - "C(phase_changed) has C(consumer_id) (text of digits), C(phase), C(previous_phase) (V(none) when not known), C(height), C(block_time)
    and, for an initialized consumer that has one, C(spawn_time)."
  - "C(started) has C(height)."
  - "A launch that failed since nobody had opted in shows as phase V(registered) with previous phase V(initialized)."
"""

EXAMPLES = r"""
- name: Follow the consumer chains
  hosts: localhost
  execution_strategy: parallel
  sources:
    - name: Provider chain
      interchain.security.ccv:
        provider_rpc_url:
          - http://provider-0:26657
          - http://provider-1:26657
        provider_chain_id: provider
        cursor_file: /var/lib/interchain/cursor.json
  rules:
    - name: A consumer was launched
      condition: event.type == "phase_changed" and event.phase == "launched"
      action:
        run_playbook:
          name: interchain.security.consumer_launched
          lock: "{{ event.consumer_id }}"
          extra_vars:
            consumer_id: "{{ event.consumer_id }}"
            event_height: "{{ event.height }}"
"""

logger = logging.getLogger("interchain.security.ccv")

Answer = TypeVar("Answer")

FIRST_BACKOFF = 0.5  # seconds; doubled with each failure in a row
LONGEST_BACKOFF = 30.0  # seconds
FUTURE_HEIGHT_PATIENCE = 10.0  # seconds for a node to have the state of a block it announced
FUTURE_HEIGHT_INTERVAL = 0.05  # seconds
SOCKET_FAILURES = 3  # in a row, before another endpoint is tried
BLOCK_TIMES_OF_SILENCE = 5
LARGEST_MESSAGE = 1024 * 1024  # bytes; a header has about 1.2 kB
SUBSCRIPTION = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"query": "tm.event='NewBlockHeader'"}}


class Queue(Protocol):
    """Where the events go."""

    async def put(self, event: dict[str, Any], /) -> None: ...


class Provider(Protocol):
    """What is needed of a provider chain's client; all calls block."""

    def status(self) -> NodeStatus: ...
    def block_header(self, height: int) -> BlockHeader: ...
    def block_results(self, height: int) -> list[events.Event]: ...
    def consumers(self, phase: Phase | None = None, height: int = 0) -> list[ConsumerSummary]: ...
    def consumer(self, consumer_id: str, height: int = 0) -> Consumer: ...
    def close(self) -> None: ...


# -- arguments --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arguments:
    """The source's options, checked. Times are in seconds."""

    provider_rpc_url: tuple[str, ...]
    provider_chain_id: str | None = None
    cursor_file: str | None = None
    request_timeout: float = 10.0
    sync_interval: float = 30.0
    poll_interval: float = 2.0
    silence_timeout: float = 30.0

    @classmethod
    def from_args(cls, args: dict[str, Any]) -> Arguments:
        """Check what a rulebook gives; values from its variables arrive as text. ValueError names the option."""
        known = set(cls.__dataclass_fields__)
        # ansible-rulebook adds arguments of its own, all named eda_*.
        unknown = sorted(name for name in args if name not in known and not str(name).startswith("eda_"))
        if unknown:
            raise ValueError(
                f"{unknown[0]}: not an option of interchain.security.ccv; its options are {', '.join(sorted(known))}"
            )
        given = {name: value for name, value in args.items() if name in known and value not in (None, "")}
        values: dict[str, Any] = {"provider_rpc_url": _urls(given.pop("provider_rpc_url", None))}
        for name, value in given.items():
            values[name] = _text(name, value) if name in ("provider_chain_id", "cursor_file") else _seconds(name, value)
        cursor_file = values.get("cursor_file")
        if cursor_file and not (os.path.isabs(cursor_file) and os.path.isdir(os.path.dirname(cursor_file))):
            raise ValueError(f"cursor_file: {cursor_file!r} is not an absolute path in an existing directory")
        return cls(**values)


def _urls(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not entries or not all(isinstance(entry, str) for entry in entries):
        raise ValueError("provider_rpc_url: give the RPC address of a provider node, or a list of them")
    try:
        return tuple(dict.fromkeys(checked_url(entry) for entry in entries))
    except InvalidInput as error:
        raise ValueError(f"provider_rpc_url: {error}") from error


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not a text")
    return value


def _seconds(name: str, value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError("not a number")
        seconds = float(value)
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError("not above 0")
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is not a number of seconds above 0") from error
    return seconds


# -- cursor -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cursor:
    """The last block that was worked through, and the phases announced up to it."""

    chain_id: str
    height: int
    hash: str
    phases: dict[str, Phase]

    @classmethod
    def load(cls, path: str) -> Cursor | None:
        """Read the file of an earlier run; None when there is none. A file that cannot be understood is logged and left out."""
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            phases = {consumer_id: Phase(phase) for consumer_id, phase in content["phases"].items()}
            if not all(map(events.is_consumer_id, phases)):
                raise ValueError("it names something that is not a consumer_id")
            return cls(str(content["chain_id"]), int(content["height"]), str(content["hash"]), phases)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("%s cannot be used, previous phases are not known: %s", path, error)
            return None

    def save(self, path: str) -> None:
        """Replace the file at once, so that a reader sees the old or the new one."""
        content = {
            "chain_id": self.chain_id,
            "height": self.height,
            "hash": self.hash,
            "phases": {consumer_id: phase.value for consumer_id, phase in self.phases.items()},
        }
        descriptor, temporary = tempfile.mkstemp(prefix=".cursor-", dir=os.path.dirname(path))
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


# -- new blocks -------------------------------------------------------------------------------------------------------


class EndpointFailed(InterchainError):
    """An endpoint cannot be used any longer; the next one is to be taken."""


class Tip:
    """The highest block an endpoint told of. Older news is dropped, so it never fills up."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.sync_wanted = True
        self._news = asyncio.Event()

    def reach(self, height: int) -> None:
        """Note a block."""
        if height > self.height:
            self.height = height
            self._news.set()

    async def wait_for_more_than(self, height: int, timeout: float) -> bool:
        """Wait for a block above height, for timeout seconds at most; tell whether there is one."""
        self._news.clear()
        if self.height <= height:
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except TimeoutError:
                return False
        return self.height > height


def websocket_url(url: str) -> str:
    """The WebSocket of a node with that RPC address."""
    return re.sub(r"^http", "ws", url) + "/websocket"


class HeaderSocket:
    """Reads new headers of one endpoint for ever, and tells a Tip of their heights."""

    def __init__(self, url: str, chain_id: str, tip: Tip, arguments: Arguments, *, only_endpoint: bool) -> None:
        self._url = websocket_url(url)
        self._chain_id = chain_id
        self._tip = tip
        self._arguments = arguments
        self._only_endpoint = only_endpoint
        self._block_time = 0.0  # seconds between the last two headers
        self._heard = False

    async def run(self) -> None:
        """Read until cancelled. Raises EndpointFailed after some failures in a row when there are other endpoints."""
        failures = 0
        while True:
            self._heard = False
            try:
                await self._read()
            except (OSError, TimeoutError, WebSocketException, ValueError, LookupError, TypeError) as error:
                failures = 1 if self._heard else failures + 1
                logger.warning("socket %s failed: %s", self._url, error or type(error).__name__)
            if failures >= SOCKET_FAILURES and not self._only_endpoint:
                raise EndpointFailed(f"socket {self._url} failed {failures} times in a row")
            await asyncio.sleep(backoff(failures))

    async def _read(self) -> None:
        timeout = self._arguments.request_timeout
        async with connect(self._url, open_timeout=timeout, close_timeout=1, max_size=LARGEST_MESSAGE) as socket:
            await socket.send(json.dumps(SUBSCRIPTION))
            self._checked(await asyncio.wait_for(socket.recv(), timeout))
            logger.info("listening on %s", self._url)
            # What happened before the subscription is found by reading all consumers once.
            self._tip.sync_wanted = True
            last: datetime | None = None
            while True:
                silence = max(self._arguments.silence_timeout, BLOCK_TIMES_OF_SILENCE * self._block_time)
                try:
                    message = await asyncio.wait_for(socket.recv(), silence)
                except TimeoutError:
                    raise TimeoutError(f"no block for {silence:.0f} s") from None
                header = self._checked(message)["data"]["value"]["header"]
                if header["chain_id"] != self._chain_id:
                    raise ValueError("it sent a header of another chain")
                now = datetime.now(UTC)
                if last is not None:
                    self._block_time = (now - last).total_seconds()
                last = now
                self._heard = True
                self._tip.reach(int(header["height"]))

    @staticmethod
    def _checked(message: str | bytes) -> dict[str, Any]:
        answer = json.loads(message)
        if answer.get("error"):
            # The node cancels a subscription by such a message and leaves the socket open.
            raise ValueError(f"the node ended the subscription: {str(answer['error'])[:200]}")
        result = answer["result"]
        if not isinstance(result, dict):
            raise ValueError("the node sent an unknown message")
        return result


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(max(failures - 1, 0), 10))


# -- the source -------------------------------------------------------------------------------------------------------


class Source:
    """Follows the chain over one endpoint at a time and puts events on the queue.

    Heights are worked through strictly in order, and what was announced is noted only after it is on the queue.
    """

    def __init__(
        self,
        queue: Queue,
        arguments: Arguments,
        client: Callable[[str], Provider] | None = None,
        listen: Callable[[str, str, Tip], Awaitable[None]] | None = None,
    ) -> None:
        self._queue = queue
        self._arguments = arguments
        self._client = client or self._new_client
        self._listen = listen or self._new_listener
        self._started = False
        self._worked = False
        self._next_sync = 0.0
        self._follower = Follower()
        self._chain_id = arguments.provider_chain_id
        self._cursor_chain_id: str | None = None
        self._height = 0
        self._hash = ""

    async def run(self) -> None:
        """Follow the chain until cancelled."""
        await self._restore()
        urls: Sequence[str] = self._arguments.provider_rpc_url
        current = failures = 0
        while True:
            self._worked = False
            url = urls[current]
            try:
                await self._follow(url)
            except WrongChain as error:
                logger.error("ALARM: %s; nothing is done with it", error)
            except InterchainError as error:
                logger.warning("%s: %s", url, error)
            except Exception:  # a source that raises would end the whole rulebook
                logger.exception("%s: following the chain failed", url)
            failures = 1 if self._worked else failures + 1
            current = (current + 1) % len(urls)
            delay = backoff(math.ceil(failures / len(urls)))
            logger.info("trying %s in %.1f s", urls[current], delay)
            await asyncio.sleep(delay)

    async def _restore(self) -> None:
        path = self._arguments.cursor_file
        cursor = await asyncio.to_thread(Cursor.load, path) if path else None
        if cursor is None:
            return
        # The cursor of another chain than the configured one is a replaced chain, not a fresh start.
        self._chain_id = self._chain_id or cursor.chain_id
        self._cursor_chain_id = cursor.chain_id
        self._height, self._hash = cursor.height, cursor.hash
        self._follower = Follower(cursor.phases)

    def _new_client(self, url: str) -> Provider:
        return ProviderClient([url], None, self._arguments.request_timeout)

    async def _new_listener(self, url: str, chain_id: str, tip: Tip) -> None:
        only_endpoint = len(self._arguments.provider_rpc_url) == 1
        await HeaderSocket(url, chain_id, tip, self._arguments, only_endpoint=only_endpoint).run()

    async def _follow(self, url: str) -> None:
        """Work with one endpoint until it fails."""
        client = self._client(url)
        tasks: list[asyncio.Task[None]] = []
        try:
            status = await asyncio.to_thread(client.status)
            self._check_status(url, status)
            await self._check_history(url, client, status)
            tip = Tip(status.latest_height)
            tasks = [
                asyncio.create_task(_as_coroutine(self._listen(url, status.chain_id, tip))),
                asyncio.create_task(self._work(url, client, tip)),
            ]
            done, _unused = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(client.close)

    def _check_status(self, url: str, status: NodeStatus) -> None:
        for expected, why in (
            (self._chain_id, "the expected chain"),
            (self._cursor_chain_id, "the chain of cursor_file"),
        ):
            if expected is not None and status.chain_id != expected:
                raise WrongChain(f"{url} is a node of chain {status.chain_id[:60]!r}, not of {expected!r}, {why}")
        self._chain_id = status.chain_id
        if status.catching_up or status.latest_height < 1:
            raise EndpointFailed(f"the node is at block {status.latest_height} and catching up: its state is old")

    async def _check_history(self, url: str, client: Provider, status: NodeStatus) -> None:
        """Compare the last block worked through with the endpoint's: a chain never changes a block."""
        if not self._hash:
            return
        if status.latest_height < self._height:
            raise EndpointFailed(
                f"it is at block {status.latest_height} and {self._height} was seen already; it has to catch up"
            )
        try:
            header = await asyncio.to_thread(client.block_header, self._height)
        except HeightNotAvailable:
            logger.warning("%s no longer has block %d, its hash is not compared", url, self._height)
            return
        if header.hash != self._hash:
            raise WrongChain(
                f"block {self._height} of {url} has hash {header.hash}, and {self._hash} was seen before: it is another chain"
            )

    async def _work(self, url: str, client: Provider, tip: Tip) -> None:
        """Work through all blocks as they come."""
        loop = asyncio.get_running_loop()
        last_news = loop.time()
        if not self._started:
            await self._read_everything(client, tip.height)
            tip.sync_wanted = False
        while True:
            if await tip.wait_for_more_than(self._height, self._arguments.poll_interval):
                last_news = loop.time()
            else:
                status = await asyncio.to_thread(client.status)
                self._check_status(url, status)
                tip.reach(status.latest_height)
                silence = loop.time() - last_news
                several = len(self._arguments.provider_rpc_url) > 1
                if several and silence > max(self._arguments.silence_timeout, self._arguments.poll_interval * 2):
                    raise EndpointFailed(f"no new block for {silence:.0f} s")
            while self._height < tip.height:
                height = self._height + 1
                sync = height == tip.height and (tip.sync_wanted or loop.time() >= self._next_sync)
                try:
                    await self._work_through(client, height, sync)
                except HeightInFuture:
                    raise
                except QueryFailed as error:
                    logger.warning(
                        "blocks %d to %d cannot be read one by one, reading all consumers instead: %s",
                        height,
                        tip.height,
                        error,
                    )
                    await self._read_everything(client, tip.height)
                    sync = True
                if sync:
                    tip.sync_wanted = False
                self._worked = True
            await self._save()

    async def _work_through(self, client: Provider, height: int, sync: bool) -> None:
        header = await self._read_at(height, client.block_header, height)
        self._check_header(header)
        found = await self._read_at(height, client.block_results, height)
        if sync or events.may_stop_a_consumer(found):
            states = await self._all_states(client, height)
        else:
            names = dict.fromkeys([*events.dirty_consumers(found), *self._follower.due(header.time)])
            states = [state for name in names if (state := await self._state(client, name, height)) is not None]
        await self._announce(states, header)

    async def _read_everything(self, client: Provider, height: int) -> None:
        header = await self._read_at(height, client.block_header, height)
        self._check_header(header)
        states = await self._all_states(client, height)
        await self._announce(states, header)
        if not self._started:
            self._started = True
            await self._queue.put(
                events.started(provider_chain_id=header.chain_id, height=height, produced_at=datetime.now(UTC))
            )
        await self._save()
        self._worked = True

    def _check_header(self, header: BlockHeader) -> None:
        if header.chain_id != self._chain_id:
            raise WrongChain(
                f"block {header.height} belongs to chain {header.chain_id[:60]!r}, not to {self._chain_id!r}"
            )

    async def _all_states(self, client: Provider, height: int) -> list[ConsumerState]:
        states: list[ConsumerState] = []
        for summary in await self._read_at(height, client.consumers, None, height):
            if not events.is_consumer_id(summary.consumer_id):
                logger.error("the node lists a consumer with the id %.40r, which is none", summary.consumer_id)
            elif summary.phase is not Phase.INITIALIZED:
                states.append(ConsumerState(summary.consumer_id, summary.phase))
            # Only an initialized consumer has a spawn time to wait for; the listing does not show it.
            elif (state := await self._state(client, summary.consumer_id, height)) is not None:
                states.append(state)
        self._next_sync = asyncio.get_running_loop().time() + self._arguments.sync_interval
        return states

    async def _state(self, client: Provider, consumer_id: str, height: int) -> ConsumerState | None:
        try:
            consumer = await self._read_at(height, client.consumer, consumer_id, height)
        except ConsumerNotFound:
            logger.warning("an event of block %d names consumer %s, which does not exist", height, consumer_id)
            return None
        except (HeightInFuture, HeightNotAvailable):
            raise
        except (QueryFailed, ValueError) as error:
            # One consumer that cannot be read must not hold up all others; the next block's reading of all tries it again.
            logger.error("consumer %s cannot be read at block %d: %s", consumer_id, height, error)
            self._next_sync = 0.0
            return None
        # As in the listing, so that an event is the same whichever way the change was found.
        spawn_time = consumer.spawn_time if consumer.phase is Phase.INITIALIZED else None
        return ConsumerState(consumer_id, consumer.phase, spawn_time)

    async def _read_at(self, height: int, read: Callable[..., Answer], *arguments: object) -> Answer:
        """Read something of a block that the node announced but may not have stored yet."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FUTURE_HEIGHT_PATIENCE
        while True:
            try:
                return await asyncio.to_thread(read, *arguments)
            except HeightInFuture:
                if loop.time() >= deadline:
                    raise
            logger.debug("block %d is not there yet", height)
            await asyncio.sleep(FUTURE_HEIGHT_INTERVAL)

    async def _announce(self, states: Sequence[ConsumerState], header: BlockHeader) -> None:
        """Put the changes on the queue, and only then take note of them and of the block."""
        block = Block(header.height, header.time)
        follower, changes = self._follower.observe(states, block, repeat=not self._started)
        announced: set[str] = set()
        try:
            for change in changes:
                await self._queue.put(_outgoing(header.chain_id, change))
                announced.add(change.consumer_id)
        except asyncio.CancelledError:
            # The endpoint failed while the queue was full: the block comes again, what is on the queue must not.
            self._follower, _unused = self._follower.observe(
                (state for state in states if state.consumer_id in announced), block
            )
            raise
        self._follower = follower
        self._height, self._hash = header.height, header.hash
        if changes:
            await self._save()

    async def _save(self) -> None:
        path = self._arguments.cursor_file
        if path and self._hash:
            cursor = Cursor(str(self._chain_id), self._height, self._hash, dict(self._follower.phases))
            try:
                await asyncio.to_thread(cursor.save, path)
            except OSError as error:
                logger.error("%s cannot be written, a restart will not know previous phases: %s", path, error)


def _outgoing(chain_id: str, change: PhaseChange) -> dict[str, Any]:
    event = events.phase_changed(
        provider_chain_id=chain_id,
        consumer_id=change.consumer_id,
        phase=change.phase,
        previous_phase=change.previous_phase,
        height=change.block.height,
        block_time=change.block.time,
        spawn_time=change.spawn_time,
        produced_at=datetime.now(UTC),
    )
    logger.info(
        "consumer %s is %s (was %s) at block %d",
        *(event[name] for name in ("consumer_id", "phase", "previous_phase", "height")),
    )
    return event


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


async def main(queue: Queue, args: dict[str, Any]) -> None:
    """Entry point of ansible-rulebook. Raises ValueError for an option that cannot be used, before anything else is done."""
    arguments = Arguments.from_args(args)
    # It writes a line for each request, some for every block.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    await Source(queue, arguments).run()
