# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows the tip of the chain over the endpoint in use, and looks after the endpoints meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments
from ansible_collections.interchain.security.plugins.module_utils.event_source.endpoints import (
    Endpoint,
    Endpoints,
    NoEndpoint,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.headers import (
    HeaderSocket,
    Tip,
    backoff,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry

logger = logging.getLogger("interchain.security.ccv")

REVIEW_INTERVAL = 5.0  # seconds between looks at the endpoints that are not in use
LONGEST_WAIT = 10.0  # seconds between attempts to find an endpoint
SOCKET_FAILURES = 3  # in a row, before another endpoint is tried


class TipFollower:
    """Tells a Tip of new blocks, by the socket and, while that is silent, by asking.

    ``heard`` gets each header, ``interrupted`` is called when blocks may have been missed.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        tip: Tip,
        arguments: Arguments,
        telemetry: Telemetry,
        heard: Callable[[BlockHeader], None],
        interrupted: Callable[[], None],
    ) -> None:
        self._endpoints, self._tip = endpoints, tip
        self._arguments, self._telemetry = arguments, telemetry
        self._hear, self._interrupted = heard, interrupted
        self._next_review = 0.0

    async def run(self) -> None:
        """Follow for ever, over one endpoint after the other."""
        failures = 0
        while True:
            try:
                endpoint = await self._endpoints.select()
            except NoEndpoint:
                failures += 1
                await asyncio.sleep(min(backoff(failures), LONGEST_WAIT))
                continue
            failures = 0
            await self._follow(endpoint)

    async def _follow(self, endpoint: Endpoint) -> None:
        """Work with one endpoint until another is to be used."""
        self._tip.restart(endpoint.height)
        self._telemetry.tip(endpoint.height)
        connections = 0
        suspect = False

        def heard(header: BlockHeader) -> None:
            nonlocal suspect
            if header.chain_id != self._endpoints.chain_id:
                suspect = True  # it is asked again what it is
                return
            endpoint.height = header.height
            self._telemetry.tip(header.height)
            self._hear(header)
            self._tip.reach(header.height)

        def connected() -> None:
            nonlocal connections, suspect
            connections += 1
            suspect = suspect or connections > 1
            self._interrupted()

        def failed(times: int) -> None:
            self._telemetry.reconnected("socket")
            if times >= SOCKET_FAILURES and self._endpoints.several:
                self._endpoints.leave(endpoint, f"its socket failed {times} times in a row", "socket failed again")

        socket = HeaderSocket(endpoint.node.url, self._arguments, heard=heard, connected=connected, failed=failed)
        listening = asyncio.create_task(socket.run())
        try:
            while self._endpoints.current is endpoint:
                self._endpoints.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._endpoints.changed.wait(), self._arguments.poll_interval)
                if listening.done():
                    listening.result()
                if self._endpoints.current is not endpoint:
                    return
                if suspect:
                    suspect = False
                    await self._endpoints.recheck()
                elif socket.quiet():
                    await self._poll(endpoint)
                await self._review()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _poll(self, endpoint: Endpoint) -> None:
        try:
            status, _hash = await endpoint.node.status()
        except InterchainError as error:
            self._endpoints.leave(endpoint, str(error), "unreachable")
            return
        if status.chain_id != self._endpoints.chain_id:
            await self._endpoints.recheck()
            return
        endpoint.height = status.latest_height
        self._telemetry.tip(status.latest_height)
        self._tip.reach(status.latest_height)

    async def _review(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_review:
            self._next_review = now + REVIEW_INTERVAL
            await self._endpoints.review()
