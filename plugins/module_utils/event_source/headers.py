# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the source learns of new blocks: the WebSocket of the endpoint in use."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.header_hash import header_hash
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader, parse_time
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import (
    Arguments,
    endpoint_label,
)

try:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    HAS_WEBSOCKETS = True
except ImportError:  # told by ccv.py, which cannot be loaded without it
    HAS_WEBSOCKETS = False

logger = logging.getLogger("interchain.security.ccv")

FIRST_BACKOFF = 0.5  # seconds; doubled with each failure in a row
LONGEST_BACKOFF = 30.0  # seconds
BLOCK_TIMES_OF_SILENCE = 5
BLOCK_TIMES_UNTIL_POLL = 3
ASSUMED_BLOCK_TIME = 5.0  # seconds, until two headers were heard
LARGEST_MESSAGE = 1024 * 1024  # bytes; a header has about 1.2 kB
SUBSCRIPTION = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"query": "tm.event='NewBlockHeader'"}}


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(max(failures - 1, 0), 10))


class Tip:
    """The highest block that the endpoint in use told of. Older news is dropped, so it never fills up."""

    def __init__(self) -> None:
        self.height = 0
        self._news = asyncio.Event()

    def reach(self, height: int) -> None:
        """Note a block."""
        if height > self.height:
            self.height = height
            self._news.set()

    def restart(self, height: int) -> None:
        """Forget what was told and begin at a height: another endpoint is in use, or the last one told of too much."""
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
    """Reads new headers of one endpoint for ever and hands each on.

    ``connected`` is called after each subscription, ``failed`` with the number of failures in a row.
    """

    def __init__(
        self,
        url: str,
        arguments: Arguments,
        *,
        heard: Callable[[BlockHeader], None],
        connected: Callable[[], None],
        failed: Callable[[int], None],
    ) -> None:
        self._url = websocket_url(url)
        self._label = endpoint_label(url)
        self._arguments = arguments
        self._hear, self._connected, self._failed = heard, connected, failed
        self._block_time = ASSUMED_BLOCK_TIME  # seconds between the last two headers
        self._last = 0.0  # when the last header was heard; 0 while there is no subscription

    def quiet(self) -> bool:
        """Tell whether it has been silent for so long that the node is better asked."""
        silence = asyncio.get_running_loop().time() - self._last
        return not self._last or silence > BLOCK_TIMES_UNTIL_POLL * self._block_time

    @property
    def longest_silence(self) -> float:
        """Seconds without a header after which it is taken for dead."""
        return max(self._arguments.silence_timeout, BLOCK_TIMES_OF_SILENCE * self._block_time)

    async def run(self) -> None:
        """Read until cancelled."""
        failures = 0
        while True:
            heard_before = self._last
            try:
                await self._read()
            except (
                OSError,
                TimeoutError,
                WebSocketException,
                ValueError,
                LookupError,
                TypeError,
                QueryFailed,
            ) as error:
                failures = failures + 1 if self._last == heard_before else 1
                logger.warning("socket of %s failed: %s", self._label, error or type(error).__name__)
                self._failed(failures)
            self._last = 0.0
            await asyncio.sleep(backoff(failures))

    async def _read(self) -> None:
        timeout = self._arguments.request_timeout
        loop = asyncio.get_running_loop()
        async with connect(
            self._url,
            open_timeout=timeout,
            close_timeout=1,
            max_size=LARGEST_MESSAGE,
            ssl=self._arguments.tls_context() if self._url.startswith("wss") else None,
            additional_headers=self._arguments.authorization(),
        ) as socket:
            await socket.send(json.dumps(SUBSCRIPTION))
            _checked(await asyncio.wait_for(socket.recv(), timeout))
            logger.info("listening on %s", self._label)
            self._connected()
            previous = 0.0
            while True:
                try:
                    message = await asyncio.wait_for(socket.recv(), self.longest_silence)
                except TimeoutError:
                    raise TimeoutError(f"no block for {self.longest_silence:.0f} s") from None
                header = _header(_checked(message))
                self._last = loop.time()
                if previous:
                    self._block_time = self._last - previous
                previous = self._last
                self._hear(header)


def _checked(message: str | bytes) -> dict[str, Any]:
    answer = json.loads(message)
    if answer.get("error"):
        # The node cancels a subscription by such a message and leaves the socket open.
        raise ValueError(f"the node ended the subscription: {str(answer['error'])[:200]}")
    result = answer["result"]
    if not isinstance(result, dict):
        raise ValueError("the node sent an unknown message")
    return result


def _header(result: dict[str, Any]) -> BlockHeader:
    header = result["data"]["value"]["header"]
    parent = (header.get("last_block_id") or {}).get("hash") or ""
    try:
        # A header does not hold its own hash, with which the next one has to agree.
        own = header_hash(header)
    except ValueError:
        own = ""  # not all of its fields are there: only its parent can be compared
    return BlockHeader(str(header["chain_id"]), int(header["height"]), parse_time(header["time"]), own, str(parent))
