# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node of a ProviderChain: the RPC of CometBFT 0.38 over HTTP and WebSocket, and faults a real node cannot be made to show.

It runs on loopback in a thread of its own. Answers follow recorded ones of a real node (tests/unit/fakes/test_provider_node.py)
and a live one (tests/integration/test_fake_node.py).
"""

from __future__ import annotations

import asyncio
import base64
import bisect
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.fakes.provider_chain import PHASES, VALIDATOR, Block, ProviderChain, chains_message, rfc3339

SUBSCRIPTION = "tm.event='NewBlockHeader'"
CHUNK = b" " * 65536  # white space is JSON, so a reader cannot tell early that the answer is senseless


class RpcError(Exception):
    """An error in the JSON-RPC answer."""

    def __init__(self, data: str, code: int = -32603, message: str = "Internal error") -> None:
        super().__init__(data)
        self.body = {"code": code, "message": message, **({"data": data} if data else {})}


class StateError(Exception):
    """An error of the application, inside the answer of abci_query."""

    def __init__(self, code: int, log: str, codespace: str = "sdk") -> None:
        super().__init__(log)
        self.code, self.log, self.codespace = code, log, codespace


@dataclass(frozen=True)
class Call:
    """One request that the node got."""

    method: str
    height: int  # 0: the newest, or none given
    path: str  # of an abci_query
    moment: float  # time.monotonic()


Fault = Callable[[web.Request, Call], Awaitable[web.StreamResponse]]


# -- faults: what a request gets instead of its answer ----------------------------------------------------------------


def error(data: str) -> Fault:
    """A JSON-RPC error with this text."""

    async def answer(_request: web.Request, _call: Call) -> web.StreamResponse:
        body = {"jsonrpc": "2.0", "id": 1, "error": RpcError(data).body}
        return web.Response(text=json.dumps(body), content_type="application/json")

    return answer


def body(text: str, status: int = 200) -> Fault:
    """Exactly this text."""

    async def answer(_request: web.Request, _call: Call) -> web.StreamResponse:
        return web.Response(text=text, status=status)

    return answer


def hang() -> Fault:
    """Nothing, and the connection stays open."""

    async def answer(_request: web.Request, _call: Call) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return answer


class Stream:
    """A body of that many bytes (None: endless), piece by piece every pause seconds. sent counts what the reader took."""

    def __init__(self, size: int | None, *, piece: bytes = CHUNK, pause: float = 0.0) -> None:
        self._size, self._piece, self._pause = size, piece, pause
        self.calls = 0
        self.sent = 0

    async def __call__(self, request: web.Request, call: Call) -> web.StreamResponse:
        self.calls += 1
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        left = self._size
        with contextlib.suppress(ConnectionError):
            while left is None or left > 0:
                piece = self._piece if left is None else self._piece[:left]
                await response.write(piece)
                self.sent += len(piece)
                if left is not None:
                    left -= len(piece)
                await asyncio.sleep(self._pause)
            await response.write_eof()
        return response


# -- the node ---------------------------------------------------------------------------------------------------------


class ProviderNode:
    """One endpoint of a chain. Attributes may be changed at any time:

    chain: what it answers from; lag: blocks that it is behind; at_most: its highest block (it stands still there);
    state_lag: blocks that its state is behind its blocks; lowest: the lowest block whose results and state it has;
    catching_up; keeps_results: False answers like discard_abci_responses; silent: the sockets get no headers;
    delay: seconds before each answer.
    """

    def __init__(
        self,
        chain: ProviderChain,
        *,
        username: str | None = None,
        password: str = "",
        certificate: ssl.SSLContext | None = None,
    ) -> None:
        self.chain = chain
        self.lag = 0
        self.at_most: int | None = None
        self.state_lag = 0
        self.lowest = 1
        self.catching_up = False
        self.keeps_results = True
        self.silent = False
        self.delay = 0.0
        self.calls: list[Call] = []
        self.faults: dict[tuple[str, int | None], Fault] = {}
        self.sockets_opened = 0
        pair = f"{username}:{password}".encode()
        self._authorization = f"Basic {base64.b64encode(pair).decode()}" if username else None
        self._certificate = certificate
        self._sockets: dict[web.WebSocketResponse, Any] = {}  # with the id of its subscription
        self._tasks: set[asyncio.Task[None]] = set()
        self._announced = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._port = 0
        self._thread: threading.Thread | None = None

    # -- running ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> ProviderNode:
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()
        self._loop.close()

    def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        self._ready.clear()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="fake node", daemon=True)
        self._thread.start()
        assert self._ready.wait(10), "the fake node did not start"
        self._announced = self.tip
        self.chain.listeners.append(self._sealed)

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._thread is None:
            return
        self.chain.listeners.remove(self._sealed)
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the fake node did not stop"
        self._thread = None

    def move_to(self, chain: ProviderChain) -> None:
        """Answer from another chain from now on."""
        self.chain.listeners.remove(self._sealed)
        self.chain = chain
        self._announced = self.tip
        chain.listeners.append(self._sealed)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        application = web.Application(client_max_size=2**20)
        application.router.add_post("/", self._post)
        application.router.add_get("/websocket", self._websocket)
        application.router.add_get("/{method}", self._get)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._certificate, reuse_address=True)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        for socket in list(self._sockets):
            _abort(socket)
        await runner.cleanup()

    def _in_loop(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)

    # -- what tests do to it ------------------------------------------------------------------------------------------

    @property
    def tip(self) -> int:
        tip = max(self.chain.height - self.lag, 1)
        return tip if self.at_most is None else min(tip, self.at_most)

    def break_(self, method: str, fault: Fault, height: int | None = None) -> None:
        """Answer requests of this method, of one height or of all, with a fault."""
        self.faults[method, height] = fault

    def mend(self) -> None:
        """Answer everything again."""
        self.faults.clear()

    def count(self, method: str, height: int | None = None) -> int:
        """How many requests of this method, and height when given, there were."""
        return sum(call.method == method and height in (None, call.height) for call in list(self.calls))

    def cut(self) -> None:
        """Break all sockets off without a goodbye."""
        self._in_loop(lambda: [_abort(socket) for socket in self._sockets])

    def tell(self, message: str) -> None:
        """Send this text to all sockets."""
        self._in_loop(lambda: [self._start(_send(socket, message)) for socket in self._sockets])

    def cancel_subscriptions(self) -> None:
        """End the subscriptions as a node does whose client is too slow: the sockets stay open."""
        body = RpcError(
            "subscription was canceled (reason: client is not pulling messages fast enough)", -32000, "Server error"
        )
        self.silent = True
        self.tell(json.dumps({"jsonrpc": "2.0", "id": 1, "error": body.body}))

    # -- requests -----------------------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        try:
            asked = json.loads(await request.read())
        except ValueError:
            return _json({"jsonrpc": "2.0", "error": RpcError("", -32700, "Parse error. Invalid JSON").body})
        if isinstance(asked, list):
            return _json([self._answer(one.get("id"), one["method"], one.get("params") or {}) for one in asked])
        return await self._respond(request, asked.get("id"), str(asked["method"]), asked.get("params") or {})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        method = request.match_info["method"]
        if method not in self._methods:
            return web.Response(text="404 page not found\n", status=404)
        params = {name: text.strip('"').removeprefix("0x") for name, text in request.query.items()}
        return await self._respond(request, -1, method, params)

    def _refused(self, request: web.Request) -> web.Response | None:
        if self._authorization and request.headers.get("authorization") != self._authorization:
            return web.Response(status=401, headers={"www-authenticate": 'Basic realm="node"'})
        return None

    async def _respond(
        self, request: web.Request, number: Any, method: str, params: dict[str, Any]
    ) -> web.StreamResponse:
        call = Call(method, int(params.get("height") or 0), str(params.get("path") or ""), time.monotonic())
        self.calls.append(call)
        if self.delay:
            await asyncio.sleep(self.delay)
        fault = self.faults.get((method, call.height)) or self.faults.get((method, None))
        if fault is not None:
            return await fault(request, call)
        answer = self._answer(number, method, params)
        failed_get = request.method == "GET" and "error" in answer
        return _json(answer, 500 if failed_get else 200)

    def _answer(self, number: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": number}
        try:
            if method not in self._methods:
                raise RpcError("", -32601, "Method not found")
            with self.chain.lock:
                return {**answer, "result": self._methods[method](self, params)}
        except RpcError as failure:
            return {**answer, "error": failure.body}

    def _block_of(self, params: dict[str, Any]) -> Block:
        text = params.get("height")
        height = self.tip if text in (None, "") else int(str(text))
        if height <= 0:
            raise RpcError(f"height must be greater than 0, but got {height}")
        if height > self.tip:
            raise RpcError(f"height {height} must be less than or equal to the current blockchain height {self.tip}")
        if height < self.lowest:
            raise RpcError(f"height {height} is not available, lowest height is {self.lowest}")
        return self.chain.block(height)

    # -- the methods --------------------------------------------------------------------------------------------------

    def _health(self, _params: dict[str, Any]) -> Any:
        return {}

    def _status(self, _params: dict[str, Any]) -> Any:
        first, last = self.chain.block(self.lowest), self.chain.block(self.tip)
        return {
            "node_info": {
                "protocol_version": {"p2p": "8", "block": "11", "app": "0"},
                "id": "1b34d4358727434937bb7ead143ed4fc7ca6b117",
                "listen_addr": "tcp://127.0.0.1:26656",
                "network": self.chain.chain_id,
                "version": "0.38.17",
                "channels": "40202122233038606100",
                "moniker": "alice",
                "other": {"tx_index": "on", "rpc_address": f"tcp://127.0.0.1:{self._port}"},
            },
            "sync_info": {
                "latest_block_hash": self.chain.hash(last.height),
                "latest_app_hash": self.chain.app_hash(last.height),
                "latest_block_height": str(last.height),
                "latest_block_time": rfc3339(last.time),
                "earliest_block_hash": self.chain.hash(first.height),
                "earliest_app_hash": self.chain.app_hash(first.height),
                "earliest_block_height": str(first.height),
                "earliest_block_time": rfc3339(first.time),
                "catching_up": self.catching_up,
            },
            "validator_info": {
                "address": VALIDATOR,
                "pub_key": {
                    "type": "tendermint/PubKeyEd25519",
                    "value": "2akKKq/8mTM0fXinpKweDRs+sePgnbwtSRIh4HeIJqo=",
                },
                "voting_power": "600",
            },
        }

    def _commit_of(self, block: Block) -> dict[str, Any]:
        signature = {
            "block_id_flag": 2,
            "validator_address": VALIDATOR,
            "timestamp": rfc3339(block.time),
            "signature": base64.b64encode(bytes(64)).decode(),
        }
        return {
            "height": str(block.height),
            "round": 0,
            "block_id": self.chain.block_id(block.height),
            "signatures": [signature],
        }

    def _header_of(self, params: dict[str, Any]) -> Any:
        return {"header": self.chain.header(self._block_of(params).height)}

    def _block(self, params: dict[str, Any]) -> Any:
        block = self._block_of(params)
        content = {
            "header": self.chain.header(block.height),
            "data": {"txs": ["CpEB"] * len(block.transactions)},
            "evidence": {"evidence": []},
            "last_commit": self._commit_of(self.chain.block(max(block.height - 1, 1))),
        }
        return {"block_id": self.chain.block_id(block.height), "block": content}

    def _commit(self, params: dict[str, Any]) -> Any:
        block = self._block_of(params)
        return {
            "signed_header": {"header": self.chain.header(block.height), "commit": self._commit_of(block)},
            "canonical": True,
        }

    def _blockchain(self, params: dict[str, Any]) -> Any:
        last = min(int(params.get("maxHeight") or self.tip), self.tip)
        first = max(int(params.get("minHeight") or 1), last - 19, self.lowest)
        if first > last:
            raise RpcError(f"min height {first} can't be greater than max height {last}")
        metas = [
            {
                "block_id": self.chain.block_id(height),
                "block_size": "597",
                "header": self.chain.header(height),
                "num_txs": str(len(self.chain.block(height).transactions)),
            }
            for height in range(last, first - 1, -1)
        ]
        return {"last_height": str(self.tip), "block_metas": metas}

    def _block_results(self, params: dict[str, Any]) -> Any:
        if not self.keeps_results:
            raise RpcError("node is not persisting finalize block responses")
        block = self._block_of(params)
        return {
            "height": str(block.height),
            "txs_results": list(block.transactions) or None,
            "finalize_block_events": list(block.events),
            "validator_updates": None,
            "consensus_param_updates": {
                "block": {"max_bytes": "22020096", "max_gas": "-1"},
                "evidence": {
                    "max_age_num_blocks": "100000",
                    "max_age_duration": "172800000000000",
                    "max_bytes": "1048576",
                },
                "validator": {"pub_key_types": ["ed25519"]},
                "version": {},
                "abci": {},
            },
            "app_hash": base64.b64encode(bytes.fromhex(self.chain.app_hash(block.height))).decode(),
        }

    def _abci_info(self, _params: dict[str, Any]) -> Any:
        response = {
            "data": "interchain-security-p",
            "last_block_height": str(self.tip),
            "last_block_app_hash": base64.b64encode(bytes.fromhex(self.chain.app_hash(self.tip))).decode(),
        }
        return {"response": response}

    def _abci_query(self, params: dict[str, Any]) -> Any:
        response = {"code": 0, "log": "", "info": "", "index": "0", "key": None, "value": None, "proofOps": None}
        path, asked = str(params.get("path") or ""), int(params.get("height") or 0)
        height = asked or max(self.tip - self.state_lag, 1)
        query = self._queries.get(path)
        try:
            if query is None:
                asked = 0
                raise StateError(6, "unknown query path: unknown request")
            if height > max(self.tip - self.state_lag, 1):
                raise StateError(
                    26, "cannot query with height in the future; please provide a valid height: invalid height"
                )
            if height < self.lowest:
                raise StateError(
                    18,
                    f"failed to load state at height {height}; version mismatch on immutable IAVL tree; version does not exist. "
                    f"Version has either been pruned, or is for a future block height (latest height: {self.tip}): invalid request",
                )
            value = query(self, bytes.fromhex(str(params.get("data") or "")), height)
        except StateError as failure:
            of = str(height) if failure.log.startswith("rpc error") else "0"
            return {
                "response": {**response, "code": failure.code, "log": failure.log, "height": of, "codespace": "sdk"}
            }
        text = base64.b64encode(value).decode() or None
        return {"response": {**response, "value": text, "height": str(height), "codespace": ""}}

    # -- queries of the application -----------------------------------------------------------------------------------

    def _consumer_chain(self, data: bytes, height: int) -> bytes:
        consumer_id = messages.provider_message("QueryConsumerChainRequest").FromString(data).consumer_id
        if not consumer_id.isdecimal():
            parsing = f'strconv.ParseUint: parsing "{consumer_id}": invalid syntax'
            raise _invalid(f"consumer id ({consumer_id}) cannot be parsed: {parsing}: invalid consumer id")
        consumer = self.chain.consumer(consumer_id, height)
        if consumer is None:
            raise _invalid(f"cannot retrieve chain id for consumer id: {consumer_id}")
        return consumer.record

    def _consumer_chains(self, data: bytes, height: int) -> bytes:
        asked = messages.provider_message("QueryConsumerChainsRequest").FromString(data)
        phase = PHASES[asked.phase - 1] if asked.phase else None
        found = self.chain.consumers(height, phase)
        first = _after_key(asked.pagination.key) if asked.pagination.key else 0
        place = bisect.bisect_left(found, first, key=lambda one: int(one.consumer_id)) + asked.pagination.offset
        rest = found[place : place + (asked.pagination.limit or 100) + 1]
        limit = asked.pagination.limit or 100
        next_key = _key(rest[limit].consumer_id) if len(rest) > limit else b""
        counted = asked.pagination.count_total or not asked.HasField("pagination")
        total = len(found) if counted and not next_key else 0
        return chains_message((one.listed for one in rest[:limit]), next_key, total)

    def _opted_in(self, data: bytes, height: int) -> bytes:
        request = messages.provider_message("QueryConsumerChainOptedInValidatorsRequest").FromString(data)
        consumer = self.chain.consumer(request.consumer_id, height)
        if consumer is None or consumer.phase not in PHASES[:3]:
            raise _invalid(f"unknown consumer chain: {request.consumer_id}")
        answer = messages.provider_message("QueryConsumerChainOptedInValidatorsResponse")()
        if consumer.opted_in:
            answer.validators_provider_addresses.append("cosmosvalcons1huj3ztfwfg9xj922dpkm8dg677fdw7ra7xcrj")
        return bytes(answer.SerializeToString())

    def _staking_params(self, _data: bytes, _height: int) -> bytes:
        answer = messages.staking_query_pb2.QueryParamsResponse()
        params = answer.params
        params.unbonding_time.FromTimedelta(self.chain.unbonding)
        params.max_validators, params.max_entries, params.historical_entries = 100, 7, 10000
        params.bond_denom, params.min_commission_rate = "stake", "0"
        return bytes(answer.SerializeToString())

    _methods: dict[str, Callable[[ProviderNode, dict[str, Any]], Any]] = {
        "health": _health,
        "status": _status,
        "header": _header_of,
        "block": _block,
        "commit": _commit,
        "blockchain": _blockchain,
        "block_results": _block_results,
        "abci_info": _abci_info,
        "abci_query": _abci_query,
    }
    _queries: dict[str, Callable[[ProviderNode, bytes, int], bytes]] = {
        f"/{messages.PROVIDER}.Query/QueryConsumerChain": _consumer_chain,
        f"/{messages.PROVIDER}.Query/QueryConsumerChains": _consumer_chains,
        f"/{messages.PROVIDER}.Query/QueryConsumerChainOptedInValidators": _opted_in,
        "/cosmos.staking.v1beta1.Query/Params": _staking_params,
    }

    # -- WebSocket ----------------------------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        fault = self.faults.get(("websocket", None))
        if fault is not None:
            return await fault(request, Call("websocket", 0, "", time.monotonic()))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets_opened += 1
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(self._socket_answer(socket, json.loads(message.data)))
        finally:
            self._sockets.pop(socket, None)
        return socket

    def _socket_answer(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> str:
        number, method = asked.get("id"), asked.get("method")
        if method != "subscribe":
            return json.dumps(self._answer(number, str(method), asked.get("params") or {}))
        if socket in self._sockets:
            return json.dumps({"jsonrpc": "2.0", "id": number, "error": RpcError("already subscribed").body})
        # Other subscriptions lose events on a real node; the fake has none of them.
        assert asked["params"]["query"].replace(" ", "") == SUBSCRIPTION, asked
        self._sockets[socket] = number
        return json.dumps({"jsonrpc": "2.0", "id": number, "result": {}})

    def _sealed(self, _block: Block) -> None:
        first, last = self._announced + 1, self.tip
        self._announced = max(self._announced, last)
        if self.silent:
            return
        results = [
            {
                "query": SUBSCRIPTION,
                "data": {
                    "type": "tendermint/event/NewBlockHeader",
                    "value": {"header": self.chain.header(height)},
                },
                "events": {"tm.event": ["NewBlockHeader"]},
            }
            for height in range(first, last + 1)
        ]
        self._in_loop(lambda: [self._announce(result) for result in results])

    def _announce(self, result: dict[str, Any]) -> None:
        for socket, number in self._sockets.items():
            self._start(_send(socket, json.dumps({"jsonrpc": "2.0", "id": number, "result": result})))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _send(socket: web.WebSocketResponse, text: str) -> None:
    with contextlib.suppress(ConnectionError):
        await socket.send_str(text)


def _abort(socket: web.WebSocketResponse) -> None:
    transport = socket._req.transport if socket._req is not None else None
    if transport is not None:
        transport.abort()


def _json(answer: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(answer, separators=(",", ":")), status=status, content_type="application/json")


def _invalid(text: str) -> StateError:
    return StateError(18, f"rpc error: code = InvalidArgument desc = {text}: invalid request")


def _key(consumer_id: str) -> bytes:
    # The provider's store writes a length of eight bytes before the text of the id; the byte before it is the store's own.
    return len(consumer_id).to_bytes(8, "big") + consumer_id.encode()


def _after_key(key: bytes) -> int:
    return int(key[8:])
