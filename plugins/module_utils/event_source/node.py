# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One endpoint of the provider chain, asked without blocking. Answers are bounded in size and in time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import (
    BlockHeader,
    NodeStatus,
    parse_time,
    query_error,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    HeightInFuture,
    HeightNotAvailable,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import (
    Arguments,
    endpoint_label,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import (
    Hints,
    hints,
    is_consumer_id,
    is_quiet,
    parse_block_results,
    scan_block_results,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import ConsumerState
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

try:
    import aiohttp

    HAS_AIOHTTP = True
except ImportError:  # told by ccv.py, which cannot be loaded without it
    HAS_AIOHTTP = False

with contextlib.suppress(ImportError):  # as above
    from google.protobuf.message import DecodeError

LARGEST_ANSWER = 32 * 1024 * 1024  # bytes
LARGE_ANSWER = 256 * 1024  # bytes; above it an answer is scanned, and only one at a time is read
CONNECTIONS = 32
LONGEST_ANSWER = 6  # times request_timeout
HEADERS_AT_ONCE = 20  # as many as a node gives
ZERO_TIME_SECONDS = -62135596800  # 0001-01-01T00:00:00Z, how the chain writes "no spawn time"
QUERY = f"/{messages.PROVIDER}.Query"


class ResultsDiscarded(HeightNotAvailable):
    """The node keeps no block results at all (``discard_abci_responses``)."""


class AnswerTooLarge(QueryFailed):
    """An answer had more bytes than are read."""


@dataclass(frozen=True)
class Listed:
    """A consumer in a listing; ``content`` differs when something that the listing shows of it differs."""

    consumer_id: str
    phase: Phase
    content: int


@dataclass(frozen=True)
class Page:
    """One page of a listing: entries, the key of the next page (empty at the end), and its size in bytes."""

    entries: list[Listed]
    next_key: bytes
    size: int
    count: int


class Node:
    """The RPC of one endpoint. Every method may raise ChainUnreachable or QueryFailed. ``counted`` is told of each request."""

    def __init__(self, url: str, arguments: Arguments, counted: Callable[[int], None]) -> None:
        self.url = url
        self.label = endpoint_label(url)
        self._arguments = arguments
        self._counted = counted
        self._session: aiohttp.ClientSession | None = None
        self._large = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- blocks -----------------------------------------------------------------------------------------------------

    async def status(self) -> tuple[NodeStatus, str]:
        """Return what the node says of itself, and the hash of its newest block."""
        result = await self._call("status", {})
        try:
            info = result["sync_info"]
            status = NodeStatus(
                chain_id=str(result["node_info"]["network"]),
                latest_height=int(info["latest_block_height"]),
                latest_block_time=parse_time(info["latest_block_time"]),
                catching_up=bool(info["catching_up"]),
            )
            return status, str(info["latest_block_hash"])
        except (LookupError, TypeError, ValueError) as error:
            raise ChainUnreachable(f"{self.label} sent a status that cannot be read: {error!r}") from error

    async def headers(self, lowest: int, highest: int) -> dict[int, BlockHeader]:
        """Return the headers of some heights, HEADERS_AT_ONCE at most. Those above the newest block are left out.

        Raises HeightInFuture or HeightNotAvailable when the lowest one is not there.
        """
        try:
            result = await self._call("blockchain", {"minHeight": str(lowest), "maxHeight": str(highest)})
        except QueryFailed as error:
            found = re.search(r"min height (\d+) can't be greater than max height", str(error))
            if not found:
                raise
            if int(found[1]) > lowest:
                raise HeightNotAvailable(f"{self.label} no longer has block {lowest}: {error}") from error
            raise HeightInFuture(str(error)) from error
        try:
            headers = {}
            for entry in result["block_metas"] or []:
                header = entry["header"]
                height = int(header["height"])
                parent = (header.get("last_block_id") or {}).get("hash") or ""
                headers[height] = BlockHeader(
                    str(header["chain_id"]),
                    height,
                    parse_time(header["time"]),
                    str(entry["block_id"]["hash"]),
                    str(parent),
                )
            newest = int(result["last_height"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise QueryFailed(f"{self.label} sent headers that cannot be read: {error!r}") from error
        if lowest not in headers:
            if newest < lowest:
                raise HeightInFuture(f"{self.label} does not have block {lowest} yet")
            raise HeightNotAvailable(f"{self.label} no longer has block {lowest}")
        return headers

    async def hints(self, height: int) -> Hints:
        """Return what the events of a block ask to read back. ResultsDiscarded when the node keeps none."""
        body = await self._post("block_results", {"height": str(height)})
        if is_quiet(body, height):
            return Hints()
        if len(body) > LARGE_ANSWER and b'"result"' in body[:1000]:
            # Everything else of it stays unread, so its size costs no memory beyond its bytes.
            return scan_block_results(body)
        try:
            return hints(parse_block_results(self._result("block_results", body)))
        except HeightNotAvailable as error:
            if "not persisting" in str(error):
                raise ResultsDiscarded(str(error)) from error
            raise
        except HeightInFuture as error:
            # The same words for results that are not there yet and for those that are gone.
            status, _hash = await self.status()
            if status.latest_height > height + 1:
                raise HeightNotAvailable(str(error)) from error
            raise
        except ValueError as error:
            raise QueryFailed(
                f"{self.label} sent block results of height {height} that cannot be read: {error}"
            ) from error

    # -- state ------------------------------------------------------------------------------------------------------

    async def consumer(self, consumer_id: str, height: int) -> ConsumerState:
        """Return a consumer's state at a height; ConsumerNotFound when there is none of that id."""
        request = messages.provider_message("QueryConsumerChainRequest")(consumer_id=consumer_id)
        value = await self._query(f"{QUERY}/QueryConsumerChain", request.SerializeToString(), height)
        try:
            answer = messages.provider_message("QueryConsumerChainResponse").FromString(value)
            phase = Phase.from_chain(answer.phase)
            # As in the listing, so that an event is the same whichever way the change was found.
            spawn_time = _moment(answer.init_params.spawn_time) if phase is Phase.INITIALIZED else None
            answer.ClearField("phase")
            answer.ClearField("client_id")  # set by the launch, not by the owner
            digest = hashlib.sha256(answer.SerializeToString(deterministic=True)).hexdigest()[:8]
        except (DecodeError, ValueError, OverflowError) as error:
            raise QueryFailed(
                f"{self.label} sent a consumer {consumer_id} at height {height} that cannot be read: {error}"
            ) from error
        return ConsumerState(consumer_id, phase, spawn_time, digest)

    async def consumers(self, phase: Phase, key: bytes, limit: int, height: int) -> Page:
        """Return a page of the consumers in a phase at a height. Entries without a consumer_id are left out."""
        request = messages.provider_message("QueryConsumerChainsRequest")(
            phase=list(Phase).index(phase) + 1, pagination={"key": key, "limit": limit}
        )
        value = await self._query(f"{QUERY}/QueryConsumerChains", request.SerializeToString(), height)
        try:
            answer = messages.provider_message("QueryConsumerChainsResponse").FromString(value)
            entries = []
            for chain in answer.chains:
                found = Phase.from_chain(chain.phase)
                chain.ClearField("phase")
                chain.ClearField("client_id")
                if is_consumer_id(chain.consumer_id):
                    entries.append(Listed(chain.consumer_id, found, hash(chain.SerializeToString(deterministic=True))))
        except (DecodeError, ValueError) as error:
            raise QueryFailed(
                f"{self.label} sent a list of consumers at height {height} that cannot be read: {error}"
            ) from error
        return Page(entries, bytes(answer.pagination.next_key), len(value), len(answer.chains))

    async def unbonding_time(self, height: int) -> timedelta:
        """Return the unbonding time of the staking module at a height."""
        request = messages.staking_query_pb2.QueryParamsRequest()
        value = await self._query("/cosmos.staking.v1beta1.Query/Params", request.SerializeToString(), height)
        try:
            params = messages.staking_query_pb2.QueryParamsResponse.FromString(value).params
        except DecodeError as error:
            raise QueryFailed(f"{self.label} sent staking parameters that cannot be read") from error
        return timedelta(seconds=params.unbonding_time.seconds, microseconds=params.unbonding_time.nanos // 1000)

    # -- transport --------------------------------------------------------------------------------------------------

    async def _query(self, path: str, data: bytes, height: int) -> bytes:
        result = await self._call(
            "abci_query", {"path": path, "data": data.hex(), "height": str(height), "prove": False}
        )
        try:
            response = result["response"]
            if int(response.get("code") or 0) == 0:
                return base64.b64decode(response.get("value") or "")
            text = str(response.get("log", ""))[:500]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise QueryFailed(f"{self.label} sent an answer to {path} that cannot be read: {error!r}") from error
        raise query_error(f"{path.rsplit('/', 1)[-1]} at height {height} on {self.label}: {text}")

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        return self._result(method, await self._post(method, params))

    def _result(self, method: str, body: bytes | bytearray) -> Any:
        try:
            answer = json.loads(body)
            error = answer.get("error")
            if not error:
                return answer["result"]
            text = f"{error.get('message', '')} {error.get('data', '')}".strip()[:500]
        except (ValueError, LookupError, AttributeError) as failure:
            raise ChainUnreachable(
                f"{self.label} does not answer {method} like a CometBFT node: is it the RPC address?"
            ) from failure
        raise query_error(f"{method} on {self.label}: {text}")

    async def _post(self, method: str, params: dict[str, Any]) -> bytearray:
        """Return the body of an answer."""
        self._counted(1)
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            async with self._open().post(self.url, json=request, allow_redirects=False) as response:
                body = bytearray()
                async with contextlib.AsyncExitStack() as large:
                    async for part in response.content.iter_any():
                        if len(body) <= LARGE_ANSWER < len(body) + len(part):
                            await large.enter_async_context(self._large)
                        body += part
                        if len(body) > LARGEST_ANSWER:
                            raise AnswerTooLarge(f"{self.label} sent more than {LARGEST_ANSWER} bytes for {method}")
                    if response.status in (401, 403):
                        raise ChainUnreachable(f"{self.label} answers {response.status}: check username and password")
                    return body
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
            raise ChainUnreachable(f"{self.label} does not answer: {failure or type(failure).__name__}") from failure

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            seconds = self._arguments.request_timeout
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._arguments.tls_context()),
                timeout=aiohttp.ClientTimeout(total=seconds * LONGEST_ANSWER, sock_connect=seconds, sock_read=seconds),
                headers=self._arguments.authorization(),
            )
        return self._session


def _moment(timestamp: Any) -> datetime | None:
    if timestamp.seconds in (0, ZERO_TIME_SECONDS):
        return None
    return datetime.fromtimestamp(timestamp.seconds, UTC).replace(microsecond=timestamp.nanos // 1000)
