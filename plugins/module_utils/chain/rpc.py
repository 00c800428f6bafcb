# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The RPC of a chain's nodes: one endpoint at a time; when it does not answer, the next one is taken."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import json
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
    WrongChain,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import (
    Event,
    parse_block_results,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

try:
    # httpx would import it with the first client: in each of Ansible's workers anew, and not once in the process that they come from.
    import httpcore  # noqa: F401  # pylint: disable=unused-import
    import httpx

    HAS_HTTPX = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_HTTPX = False

with contextlib.suppress(ImportError):  # a module reports it through missing_required_lib
    from google.protobuf.message import DecodeError

FUTURE_SECONDS = 3.0
FUTURE_POLL_SECONDS = 0.1
LARGEST_ANSWER = 64 * 1024 * 1024
OLD_SECONDS = 60.0  # generous against slow chains: no block for so long, and what a node knows counts as old


@dataclass(frozen=True)
class NodeStatus:
    """What a node says of itself."""

    chain_id: str
    latest_height: int
    latest_block_time: datetime
    catching_up: bool

    def why_old(self, now: datetime) -> str:
        """Return why what the node knows may be old, empty when it keeps up with the chain. ``now`` is the clock, which only makes careful."""
        if self.catching_up:
            return f"the provider node is at block {self.latest_height} and catching up"
        age = (now - self.latest_block_time).total_seconds()
        if age > OLD_SECONDS:
            return f"the newest block of the provider node, {self.latest_height}, is {age:.0f} s old"
        return ""


@dataclass(frozen=True)
class BlockHeader:
    """The part of a block's header that is used here; hashes are upper-case hex, empty when not known."""

    chain_id: str
    height: int
    time: datetime
    hash: str
    parent_hash: str = ""


@dataclass(frozen=True)
class TransactionResult:
    """A transaction that is in a block; ``code`` 0 is success."""

    hash: str
    height: int
    code: int
    codespace: str
    log: str
    events: tuple[Event, ...]
    gas_wanted: int = 0
    gas_used: int = 0


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as CometBFT writes it (up to nanoseconds; what is finer than microseconds is cut)."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if not found:
        raise QueryFailed(f"the node sent a time in an unknown form: {text[:60]!r}")
    micro = (found[2] or "").ljust(6, "0")[:6]
    return datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(microsecond=int(micro), tzinfo=UTC)


def _trust(urls: Sequence[str]) -> ssl.SSLContext:
    """Return whom TLS connections trust: the host's authorities, read once (40 ms), and nobody where no URL asks for TLS."""
    return _authorities() if any(url.startswith("https:") for url in urls) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class NodeRpc:
    """The nodes of one chain.

    ``urls`` are RPC addresses such as ``http://host:26657``. ``chain_id``, when given, must be the chain's: WrongChain
    otherwise. ``timeout`` is in seconds for each request.
    """

    def __init__(self, urls: Sequence[str], chain_id: str | None = None, timeout: float = 10.0) -> None:
        self._urls = [checked_url(url) for url in urls]
        if not self._urls:
            raise InvalidInput(
                "provider_rpc_url is empty: give the RPC address of a provider node, e.g. http://127.0.0.1:26657"
            )
        self._chain_id = chain_id or None
        self._verified: set[str] = set()
        self._only_current = False
        self._old: dict[str, NodeStatus] = {}
        self._current = 0
        self._http = httpx.Client(verify=_trust(self._urls), timeout=timeout, follow_redirects=False)

    @property
    def url(self) -> str:
        """The endpoint in use."""
        return self._urls[self._current]

    def use_current(self) -> NodeStatus:
        """Ask from now on only endpoints that keep up with the chain; return what the one in use says of itself.

        When none keeps up, as on a chain that has halted, all may be asked, first the one that knows most: ``why_old`` of its status says so.
        """
        self._verified.clear()
        self._old.clear()
        self._only_current = True
        try:
            return self.status()
        except ChainUnreachable:
            if not self._old:
                raise
            self._only_current = False
            newest = max(self._old, key=lambda url: (not self._old[url].catching_up, self._old[url].latest_height))
            self._current = self._urls.index(newest)
            return self.status()

    def next_endpoint(self) -> None:
        """Use the next endpoint from now on."""
        self._current = (self._current + 1) % len(self._urls)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def rpc(self, method: str, **params: Any) -> Any:
        """Call a method of the node's JSON-RPC on the endpoint in use, or the first other one that answers."""
        failures = []
        for _attempt in self._urls:
            try:
                self._verify(self.url)
                return self._call(self.url, method, params)
            except ChainUnreachable as error:
                failures.append(str(error))
                self.next_endpoint()
        raise ChainUnreachable("; ".join(failures))

    def _verify(self, url: str) -> None:
        if (self._chain_id is None and not self._only_current) or url in self._verified:
            return
        status = _node_status(self._call(url, "status", {}))
        if self._chain_id not in (None, status.chain_id):
            raise WrongChain(
                f"{url} is a node of chain {status.chain_id[:60]!r}, not of {self._chain_id!r}: correct provider_rpc_url"
            )
        why_old = status.why_old(datetime.now(UTC))
        if self._only_current and why_old:
            self._old[url] = status
            raise ChainUnreachable(f"{url}: {why_old}")
        self._verified.add(url)

    def _call(self, url: str, method: str, params: dict[str, Any]) -> Any:
        body = self._exchange(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        try:
            answer = json.loads(body)
            error = answer.get("error")
            if not error:
                return answer["result"]
            text = f"{error.get('message', '')} {error.get('data', '')}".strip()
        except (ValueError, KeyError, AttributeError) as failure:
            raise ChainUnreachable(f"{url} does not answer like a CometBFT node: is it the RPC address?") from failure
        raise query_error(f"{method} on {url}: {text}")

    def _exchange(self, url: str, request: Mapping[str, Any]) -> bytes:
        """Send one request and return the body of the answer; ChainUnreachable without one."""
        body = bytearray()
        try:
            with self._http.stream("POST", url, json=request) as response:
                for part in response.iter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise ChainUnreachable(f"{url} sent more than {LARGEST_ANSWER} bytes for {request['method']}")
        except httpx.HTTPError as failure:
            raise ChainUnreachable(f"{url} does not answer: {failure or type(failure).__name__}") from failure
        return bytes(body)

    def status(self) -> NodeStatus:
        """Return what the node says of itself."""
        return _node_status(self.rpc("status"))

    def block_header(self, height: int) -> BlockHeader:
        """Return the header of a block."""
        result = self.rpc("block", height=str(height))
        header = result["block"]["header"]
        return BlockHeader(
            str(header["chain_id"]),
            int(header["height"]),
            parse_time(header["time"]),
            str(result["block_id"]["hash"]),
        )

    def block_results(self, height: int) -> list[Event]:
        """Return the events of a block in their order; those of failed transactions are left out."""
        try:
            return parse_block_results(self.rpc("block_results", height=str(height)))
        except ValueError as error:
            raise QueryFailed(
                f"{self.url} sent block results of height {height} that cannot be read: {error}"
            ) from error

    def transaction(self, tx_hash: str) -> TransactionResult | None:
        """Return the transaction with that hash (upper-case hex), or None when it is in no block."""
        try:
            found = self.rpc("tx", hash=base64.b64encode(bytes.fromhex(tx_hash)).decode())
        except QueryFailed as error:
            if "not found" in str(error):
                return None
            raise
        return _transaction_result(str(found["hash"]), int(found["height"]), found["tx_result"])

    def transaction_in_block(self, height: int, tx_hash: str) -> TransactionResult | None:
        """Return the transaction with that hash (upper-case hex) when it is in the block of that height.

        It needs no index of transactions, and unlike one it is never behind the chain.
        """
        texts = self.rpc("block", height=str(height))["block"]["data"].get("txs") or []
        for position, text in enumerate(texts):
            if hashlib.sha256(base64.b64decode(text)).hexdigest().upper() == tx_hash:
                results = self.rpc("block_results", height=str(height))["txs_results"]
                return _transaction_result(tx_hash, height, results[position])
        return None

    def transactions(self, query: str, page: int, per_page: int = 100) -> list[TransactionResult]:
        """Return a page (from 1) of the transactions that a search in the node's index finds, the newest first.

        QueryFailed when the node has no index of transactions.
        """
        try:
            found = self.rpc(
                "tx_search", query=query, prove=False, page=str(page), per_page=str(per_page), order_by="desc"
            )
        except QueryFailed as error:
            if "page should be within" in str(error):  # how it says that there is no such page
                return []
            raise
        return [_transaction_result(str(tx["hash"]), int(tx["height"]), tx["tx_result"]) for tx in found["txs"]]

    def broadcast(self, raw: bytes) -> tuple[int, str, str]:
        """Hand a signed transaction to the node's mempool; return its (code, codespace, log), code 0 when it was taken."""
        result = self.rpc("broadcast_tx_sync", tx=base64.b64encode(raw).decode())
        return (
            int(result.get("code") or 0),
            str(result.get("codespace") or ""),
            str(result.get("log") or ""),
        )

    # -- queries of the application ----------------------------------------------------------------------------------------

    def query(self, path: str, request: Any, response_class: Any, height: int = 0) -> Any:
        """Run a gRPC query through ``abci_query`` and return its answer; ``height`` 0 is the newest."""
        try:
            return response_class.FromString(self._abci_query(path, request.SerializeToString(), height))
        except DecodeError as failure:
            raise QueryFailed(f"{self.url} sent an answer to {path} that cannot be read") from failure

    def simulated_gas(self, raw_transaction: bytes) -> int:
        """Return the gas that a signed transaction would use. It asks the application itself: a node may have no gRPC."""
        answer = self._abci_query("/app/simulate", raw_transaction, 0)
        try:
            return int(json.loads(answer)["gas_info"]["gas_used"])
        except (ValueError, KeyError, TypeError) as failure:
            raise QueryFailed(f"{self.url} sent an answer to a simulation that cannot be read") from failure

    def account(self, address: str, height: int = 0) -> tuple[int, int]:
        """Return (account number, sequence) of an account; QueryFailed when the chain knows none of that address."""
        answer = self.query(
            "/cosmos.auth.v1beta1.Query/Account",
            messages.auth_query_pb2.QueryAccountRequest(address=address),
            messages.auth_query_pb2.QueryAccountResponse,
            height,
        )
        account = messages.auth_pb2.BaseAccount()
        if not answer.account.Unpack(account):
            raise QueryFailed(f"{address} is an account of a type that cannot sign here: {answer.account.type_url}")
        return account.account_number, account.sequence

    def stored(self, store: str, key: bytes, height: int = 0) -> bytes:
        """Return what a module keeps under a key of its store; empty when there is nothing."""
        return self._abci_query(f"/store/{store}/key", key, height)

    def _abci_query(self, path: str, data: bytes, height: int) -> bytes:
        deadline = time.monotonic() + FUTURE_SECONDS
        while True:
            response = self.rpc(
                "abci_query",
                path=path,
                data=data.hex(),
                height=str(height),
                prove=False,
            )["response"]
            if int(response.get("code") or 0) == 0:
                return base64.b64decode(response.get("value") or "")
            error = query_error(f"{path.rsplit('/', 1)[-1]} at height {height or 'latest'}: {response.get('log', '')}")
            error.code, error.codespace = int(response["code"]), str(response.get("codespace") or "")
            if not isinstance(error, HeightInFuture) or time.monotonic() > deadline:
                raise error
            time.sleep(FUTURE_POLL_SECONDS)  # a block can be read a moment before its state can


def _node_status(result: Mapping[str, Any]) -> NodeStatus:
    info = result["sync_info"]
    return NodeStatus(
        chain_id=str(result["node_info"]["network"]),
        latest_height=int(info["latest_block_height"]),
        latest_block_time=parse_time(info["latest_block_time"]),
        catching_up=bool(info["catching_up"]),
    )


def _transaction_result(tx_hash: str, height: int, result: Mapping[str, Any]) -> TransactionResult:
    return TransactionResult(
        hash=tx_hash,
        height=height,
        code=int(result.get("code") or 0),
        codespace=str(result.get("codespace") or ""),
        log=str(result.get("log") or ""),
        events=tuple(
            Event(
                event["type"],
                {pair["key"]: pair.get("value") or "" for pair in event["attributes"]},
                f"tx/{position}",
            )
            for position, event in enumerate(result.get("events") or [])
        ),
        gas_wanted=int(result.get("gas_wanted") or 0),
        gas_used=int(result.get("gas_used") or 0),
    )


def checked_url(text: str) -> str:
    """Return an RPC address without a trailing slash; ``tcp://`` counts as ``http://``. InvalidInput for anything else."""
    url = re.sub(r"^tcp://", "http://", text.strip()).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise InvalidInput(f"not an RPC address: {text[:80]!r}; expected e.g. http://127.0.0.1:26657")
    return url


def query_error(text: str) -> QueryFailed:
    """Return the error that a node's or an application's text stands for."""
    lowered = text.lower()
    if (
        "height in the future" in lowered
        or "must be less than or equal to" in lowered
        or "could not find results for height" in lowered
    ):
        return HeightInFuture(text)
    if (
        "failed to load state at height" in lowered
        or "lowest height is" in lowered
        or "version does not exist" in lowered
        or "not persisting" in lowered  # discard_abci_responses
    ):
        return HeightNotAvailable(text)
    if "consumer" in lowered and any(
        words in lowered
        for words in (
            "unknown consumer",
            "not found",
            "cannot retrieve",
            "no consumer",
            "cannot find",
            "consumer does not exist",
        )
    ):
        return ConsumerNotFound(text)
    return QueryFailed(text)
