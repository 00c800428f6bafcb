# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which endpoint is used: the first of the list that is well, of the right chain, and close to the best one's height."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
    InterchainError,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.alarms import Alarms
from ansible_collections.interchain.security.plugins.module_utils.event_source.headers import backoff
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import AnswerTooLarge, Node
from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry

logger = logging.getLogger("interchain.security.ccv")

Answer = TypeVar("Answer")

LAG_BLOCKS = 3  # behind the best endpoint: another one is used
CHECKS_BEFORE_RETURN = 3  # in a row that a preferred endpoint has to pass before it is used again
AVOID_SECONDS = 15.0
FUTURE_HEIGHT_PATIENCE = 10.0  # seconds for a node to have the state of a block it announced
FUTURE_HEIGHT_INTERVAL = 0.05  # seconds
FAILURES_BEFORE_ALARM = 3


class NoEndpoint(InterchainError):
    """No endpoint can be used now."""


@dataclass
class Endpoint:
    """What is known of one endpoint. ``problem`` is why it cannot be used, empty when it can."""

    node: Node
    problem: str = "it was not asked yet"
    height: int = 0
    good_checks: int = 0
    avoid_until: float = 0.0  # loop time; it was left for a reason that asking it does not show
    # It answered as another chain does, or with another block at a known height. Stays until it answers rightly.
    is_wrong: str = ""


class Endpoints:
    """All endpoints, and the one in use.

    ``expected_chain_id`` is the configured one, None to take the first endpoint's. ``known`` is the height and hash of a
    block that was worked through; every endpoint has to have the same one.
    """

    def __init__(
        self, nodes: Sequence[Node], expected_chain_id: str | None, alarms: Alarms, telemetry: Telemetry
    ) -> None:
        self._all = [Endpoint(node) for node in nodes]
        self.chain_id = expected_chain_id
        self.cursor_chain_id: str | None = None
        self.known: tuple[int, str] | None = None
        self.lowest_height = 0  # the cursor's: an endpoint below it has to catch up first
        self.current: Endpoint | None = None
        self.changed = asyncio.Event()
        self._alarms = alarms
        self._telemetry = telemetry
        self._selecting = asyncio.Lock()

    @property
    def several(self) -> bool:
        """Tell whether there is another endpoint to go to."""
        return len(self._all) > 1

    @property
    def best_height(self) -> int:
        """The highest block that any endpoint which can be used told of."""
        return max((endpoint.height for endpoint in self._all if not endpoint.problem), default=0)

    async def close(self) -> None:
        """Close all connections."""
        for endpoint in self._all:
            await endpoint.node.close()

    # -- choosing ---------------------------------------------------------------------------------------------------

    async def select(self) -> Endpoint:
        """Return the endpoint in use, after choosing one where there is none. NoEndpoint says why there is none."""
        async with self._selecting:
            if self.current is not None:
                return self.current
            await self._check(self._all)
            now, best = asyncio.get_running_loop().time(), self.best_height
            usable = [one for one in self._all if not one.problem and one.height >= best - LAG_BLOCKS]
            # The list's order, those last that were left a moment ago.
            for endpoint in sorted(usable, key=lambda one: one.avoid_until > now):
                self._use(endpoint)
                return endpoint
            reasons = "; ".join(f"{endpoint.node.label}: {endpoint.problem}" for endpoint in self._all)
            if not any(endpoint.is_wrong for endpoint in self._all):
                self._alarms.raised("no_endpoint", f"provider_rpc_url: no endpoint can be used: {reasons}")
            raise NoEndpoint(reasons)

    def _use(self, endpoint: Endpoint) -> None:
        logger.info("using %s, at block %d", endpoint.node.label, endpoint.height)
        self.current = endpoint
        self._alarms.cleared("no_endpoint")
        self._telemetry.endpoint(endpoint.node.label)
        self.changed.set()

    def leave(self, endpoint: Endpoint, reason: str, short: str) -> None:
        """Use another endpoint from now on. ``short`` is the reason's label in the figures."""
        endpoint.problem, endpoint.good_checks = reason, 0
        endpoint.avoid_until = asyncio.get_running_loop().time() + AVOID_SECONDS
        if self.current is endpoint:
            logger.warning("leaving %s: %s", endpoint.node.label, reason)
            self._telemetry.reconnected(short)
            self.current = None
            self.changed.set()

    async def review(self) -> None:
        """Look at the endpoints that are not in use: return to a preferred one, or leave a lagging one."""
        current = self.current
        if current is None or not self.several:
            return
        await self._check([endpoint for endpoint in self._all if endpoint is not current])
        if self.current is not current:
            return
        now = asyncio.get_running_loop().time()
        preferred = self._all[: self._all.index(current)]
        for endpoint in preferred:
            is_well = endpoint.good_checks >= CHECKS_BEFORE_RETURN and endpoint.avoid_until <= now
            if is_well and endpoint.height >= current.height - 1:
                logger.info("%s is well again", endpoint.node.label)
                self._telemetry.reconnected("preferred endpoint is well again")
                self._use(endpoint)
                return
        if current.height < self.best_height - LAG_BLOCKS:
            reason = f"it is at block {current.height}, another endpoint at {self.best_height}"
            self.leave(current, reason, "lagging")

    async def recheck(self) -> None:
        """Ask the endpoint in use again what it is, as after its socket was cut: it may have been replaced."""
        current = self.current
        if current is not None:
            await self._check([current])
            if current.problem:
                self.leave(current, current.problem, "check failed")

    async def _check(self, endpoints: Sequence[Endpoint]) -> None:
        answers = await asyncio.gather(*(endpoint.node.status() for endpoint in endpoints), return_exceptions=True)
        for endpoint, answer in zip(endpoints, answers, strict=True):
            if isinstance(answer, InterchainError):
                endpoint.problem, endpoint.good_checks = str(answer), 0
                continue
            if isinstance(answer, BaseException):
                raise answer
            status, _hash = answer
            endpoint.height = status.latest_height
            expected = next(
                (one for one in (self.chain_id, self.cursor_chain_id) if one not in (None, status.chain_id)), None
            )
            if expected is not None:
                problem = endpoint.is_wrong = (
                    f"{endpoint.node.label} is a node of chain {status.chain_id[:60]!r}, not of {expected!r}: "
                    "correct provider_rpc_url or provider_chain_id"
                    + ("" if expected == self.chain_id else ", or remove the state that is kept of the chain before")
                )
            elif status.catching_up or status.latest_height < 1:
                problem = f"it is at block {status.latest_height} and catching up: its state is old"
            elif status.latest_height < self.lowest_height:
                problem = f"it is at block {status.latest_height} and {self.lowest_height} was seen already; it has to catch up"
            else:
                problem = await self._check_history(endpoint)
                if not problem:
                    self.chain_id = status.chain_id
            endpoint.problem = problem
            endpoint.good_checks = 0 if problem else endpoint.good_checks + 1
        self._update_alarms()

    async def _check_history(self, endpoint: Endpoint) -> str:
        """Compare a block that was worked through with the endpoint's: a chain never changes a block."""
        known = self.known
        if known is not None:
            height, expected = known
            try:
                found = (await endpoint.node.headers(height, height))[height].hash
            except HeightNotAvailable:
                logger.debug("%s no longer has block %d, its hash is not compared", endpoint.node.label, height)
            except InterchainError as error:
                return str(error)
            else:
                if found != expected:
                    endpoint.is_wrong = (
                        f"block {height} of {endpoint.node.label} has hash {found[:64]}, and {expected} was seen before: "
                        "it is another chain"
                    )
                    return endpoint.is_wrong
        endpoint.is_wrong = ""
        return ""

    def _update_alarms(self) -> None:
        wrong = [endpoint.is_wrong for endpoint in self._all if endpoint.is_wrong]
        forks = [reason for reason in wrong if reason.startswith("block ")]
        chains = [reason for reason in wrong if not reason.startswith("block ")]
        for kind, reasons in (("fork", forks), ("wrong_chain", chains)):
            if reasons:
                self._alarms.raised(kind, f"{'; '.join(reasons)}; nothing is announced until that is right")
            else:
                self._alarms.cleared(kind)

    # -- asking -----------------------------------------------------------------------------------------------------

    async def call(self, read: Callable[[Node], Awaitable[Answer]]) -> Answer:
        """Ask the endpoint in use; when it has no answer, the other ones that can be used.

        Raises what the first one said when none has an answer: ChainUnreachable, HeightNotAvailable, QueryFailed.
        """
        first = await self.select()
        failure: InterchainError | None = None
        for endpoint in [first, *(other for other in self._all if other is not first and not other.problem)]:
            try:
                return await _patiently(endpoint.node, read)
            except ConsumerNotFound:
                raise
            except ChainUnreachable as error:
                self.leave(endpoint, str(error), "unreachable")
                failure = failure or error
            except QueryFailed as error:
                # An endpoint that no longer has something says less than one that failed for now.
                if failure is None or isinstance(failure, HeightNotAvailable):
                    failure = error
        raise failure or ChainUnreachable("no endpoint is configured")

    async def insist(
        self, what: str, read: Callable[[Node], Awaitable[Answer]], *, refusals: int | None = None
    ) -> Answer:
        """Ask until there is an answer, however long it takes.

        Raises only what will not change by asking again: HeightNotAvailable, ConsumerNotFound, AnswerTooLarge; and, with
        ``refusals``, QueryFailed after that many answers with an error.
        """
        failures = refused = 0
        while True:
            self._telemetry.beat()
            try:
                found = await self.call(read)
            except NoEndpoint:
                pass  # told by select(), once and again
            except (HeightNotAvailable, ConsumerNotFound, AnswerTooLarge):
                raise
            except InterchainError as error:
                refused += isinstance(error, QueryFailed) and not isinstance(error, HeightInFuture)
                if refusals is not None and refused >= refusals:
                    raise
                logger.warning("%s: %s", what, error)
                if failures + 1 >= FAILURES_BEFORE_ALARM:
                    self._alarms.raised(
                        "unreadable", f"{what} cannot be read, it is asked for again and again: {error}"
                    )
            else:
                if failures:
                    self._alarms.cleared("unreadable")
                return found
            failures += 1
            await asyncio.sleep(min(backoff(failures), 5.0))

    async def insist_agreeing(self, what: str, count: int, read: Callable[[Node], Awaitable[Answer]]) -> Answer:
        """Ask all endpoints until count of them give the same answer, however long it takes.

        Raises ConsumerNotFound or HeightNotAvailable when count endpoints do.
        """
        failures = 0
        while True:
            self._telemetry.beat()
            asked = [endpoint for endpoint in self._all if endpoint is self.current or not endpoint.problem]
            answers = await asyncio.gather(*(_patiently(one.node, read) for one in asked), return_exceptions=True)
            for answer in answers:
                if isinstance(answer, (ConsumerNotFound, HeightNotAvailable)):
                    if sum(type(other) is type(answer) for other in answers) >= count:
                        raise answer
                elif isinstance(answer, BaseException):
                    if not isinstance(answer, InterchainError):
                        raise answer
                elif answers.count(answer) >= count:
                    self._alarms.cleared("unconfirmed")
                    return answer
            failures += 1
            if failures >= FAILURES_BEFORE_ALARM:
                self._alarms.raised(
                    "unconfirmed",
                    f"confirm_endpoints: {count} endpoints do not say the same of {what}; it is not announced",
                )
            await asyncio.sleep(min(backoff(failures), 5.0))


async def _patiently(node: Node, read: Callable[[Node], Awaitable[Answer]]) -> Answer:
    """Read something of a block that the node announced but may not have stored yet."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FUTURE_HEIGHT_PATIENCE
    while True:
        try:
            return await read(node)
        except HeightInFuture:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(FUTURE_HEIGHT_INTERVAL)
