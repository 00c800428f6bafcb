# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a provider chain over the RPC of its nodes, pinned to a height where that is asked for.

One client asks one endpoint at a time; when it does not answer, the next one is taken.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Sequence
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
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    ConsumerSummary,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import (
    Event,
    parse_block_results,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import (
    BondStatus,
    Validator,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

try:
    import httpx

    HAS_HTTPX = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_HTTPX = False

try:
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError
except ImportError:  # a module reports it through missing_required_lib
    pass

PAGE_SIZE = 20
FUTURE_SECONDS = 3.0
FUTURE_POLL_SECONDS = 0.1
LARGEST_ANSWER = 64 * 1024 * 1024
ZERO_TIME_SECONDS = -62135596800  # 0001-01-01T00:00:00Z, how the chain writes "no spawn time"


@dataclass(frozen=True)
class NodeStatus:
    """What a node says of itself."""

    chain_id: str
    latest_height: int
    latest_block_time: datetime
    catching_up: bool


@dataclass(frozen=True)
class BlockHeader:
    """The part of a block's header that is used here; ``hash`` is upper-case hex."""

    chain_id: str
    height: int
    time: datetime
    hash: str


@dataclass(frozen=True)
class TransactionResult:
    """A transaction that is in a block; ``code`` 0 is success."""

    hash: str
    height: int
    code: int
    codespace: str
    log: str
    events: tuple[Event, ...]


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as CometBFT writes it (up to nanoseconds; what is finer than microseconds is cut)."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if not found:
        raise QueryFailed(f"the node sent a time in an unknown form: {text[:60]!r}")
    micro = (found[2] or "").ljust(6, "0")[:6]
    return datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(microsecond=int(micro), tzinfo=UTC)


class ProviderClient:
    """A provider chain.

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
        self._current = 0
        self._http = httpx.Client(timeout=timeout, follow_redirects=False)

    @property
    def url(self) -> str:
        """The endpoint in use."""
        return self._urls[self._current]

    def next_endpoint(self) -> None:
        """Use the next endpoint from now on."""
        self._current = (self._current + 1) % len(self._urls)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- the node's RPC -------------------------------------------------------------------------------------------------

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
        if self._chain_id is None or url in self._verified:
            return
        found = str(self._call(url, "status", {})["node_info"]["network"])
        if found != self._chain_id:
            raise WrongChain(
                f"{url} is a node of chain {found[:60]!r}, not of {self._chain_id!r}: correct provider_rpc_url"
            )
        self._verified.add(url)

    def _call(self, url: str, method: str, params: dict[str, Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            with self._http.stream("POST", url, json=request) as response:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise ChainUnreachable(f"{url} sent more than {LARGEST_ANSWER} bytes for {method}")
            answer = json.loads(body)
            error = answer.get("error")
            if not error:
                return answer["result"]
            text = f"{error.get('message', '')} {error.get('data', '')}".strip()
        except httpx.HTTPError as failure:
            raise ChainUnreachable(f"{url} does not answer: {failure or type(failure).__name__}") from failure
        except (ValueError, KeyError, AttributeError) as failure:
            raise ChainUnreachable(f"{url} does not answer like a CometBFT node: is it the RPC address?") from failure
        raise _query_error(f"{method} on {url}: {text}")

    def status(self) -> NodeStatus:
        """Return what the node says of itself."""
        result = self.rpc("status")
        info = result["sync_info"]
        return NodeStatus(
            chain_id=str(result["node_info"]["network"]),
            latest_height=int(info["latest_block_height"]),
            latest_block_time=parse_time(info["latest_block_time"]),
            catching_up=bool(info["catching_up"]),
        )

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
        result = found["tx_result"]
        return TransactionResult(
            hash=str(found["hash"]),
            height=int(found["height"]),
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
        )

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
            error = _query_error(f"{path.rsplit('/', 1)[-1]} at height {height or 'latest'}: {response.get('log', '')}")
            if not isinstance(error, HeightInFuture) or time.monotonic() > deadline:
                raise error
            time.sleep(FUTURE_POLL_SECONDS)  # a block can be read a moment before its state can

    def provider_query(self, name: str, height: int = 0, **fields: Any) -> Any:
        """Run a query of the provider module by the name of its messages, e.g. ``QueryConsumerChain``."""
        request = messages.provider_message(f"{name}Request")(**fields)
        return self.query(
            f"/{messages.PROVIDER}.Query/{name}",
            request,
            messages.provider_message(f"{name}Response"),
            height,
        )

    def consumers(self, phase: Phase | None = None, height: int = 0) -> list[ConsumerSummary]:
        """Return all consumers, in order of consumer_id, read in pages."""
        found: list[ConsumerSummary] = []
        page: dict[str, Any] = {"limit": PAGE_SIZE}
        while True:
            number = 0 if phase is None else list(Phase).index(phase) + 1
            answer = self.provider_query("QueryConsumerChains", height, phase=number, pagination=page)
            found += [
                ConsumerSummary(chain.consumer_id, chain.chain_id, Phase.from_chain(chain.phase))
                for chain in answer.chains
            ]
            if not answer.pagination.next_key:
                return sorted(found, key=lambda consumer: int(consumer.consumer_id))
            page = {"limit": PAGE_SIZE, "key": answer.pagination.next_key}

    def consumer(self, consumer_id: str, height: int = 0) -> Consumer:
        """Return a consumer; ConsumerNotFound when the provider knows none of that id."""
        try:
            answer = self.provider_query("QueryConsumerChain", height, consumer_id=consumer_id)
        except ConsumerNotFound as error:
            raise ConsumerNotFound(
                f"the provider knows no consumer {consumer_id} at height {height or 'latest'}"
            ) from error
        initial = answer.init_params
        return Consumer(
            consumer_id=answer.consumer_id,
            chain_id=answer.chain_id,
            phase=Phase.from_chain(answer.phase),
            owner_address=answer.owner_address,
            client_id=answer.client_id,
            name=answer.metadata.name,
            description=answer.metadata.description,
            metadata=answer.metadata.metadata,
            spawn_time=_moment(initial.spawn_time),
            initial_height=(
                initial.initial_height.revision_number,
                initial.initial_height.revision_height,
            ),
            connection_id=initial.connection_id,
            unbonding_seconds=initial.unbonding_period.seconds,
            top_n=answer.power_shaping_params.top_N,
        )

    def opted_in(self, consumer_id: str, height: int = 0) -> list[str]:
        """Return the provider consensus addresses of the validators that are opted in; empty once the consumer has stopped."""
        try:
            answer = self.provider_query("QueryConsumerChainOptedInValidators", height, consumer_id=consumer_id)
        except ConsumerNotFound:
            return []
        return list(answer.validators_provider_addresses)

    def consumer_keys(self, consumer_id: str, height: int = 0) -> dict[str, str]:
        """Return the keys assigned for a consumer: provider consensus address to consumer public key (base64)."""
        answer = self.provider_query("QueryAllPairsValConsAddrByConsumer", height, consumer_id=consumer_id)
        return {
            pair.provider_address: public_key_base64(pair.consumer_key.ed25519) for pair in answer.pair_val_con_addr
        }

    def ccv_genesis(self, consumer_id: str) -> dict[str, Any]:
        """Return the CCV genesis of a launched consumer in the JSON form of the consumer's genesis file."""
        answer = self.provider_query("QueryConsumerGenesis", consumer_id=consumer_id)
        state: dict[str, Any] = MessageToDict(
            answer.genesis_state,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        try:
            consensus = state["provider"]["consensus_state"]
            # CometBFT's own type: written in hex where protobuf's JSON would have base64.
            consensus["next_validators_hash"] = base64.b64decode(consensus["next_validators_hash"]).hex().upper()
        except KeyError as missing:
            raise QueryFailed(
                f"the provider has no complete CCV genesis for consumer {consumer_id}: {missing} is missing"
            ) from missing
        return state

    def validators(self, height: int = 0) -> list[Validator]:
        """Return all validators of the staking module at a height."""
        found: list[Validator] = []
        page: dict[str, Any] = {"limit": 100}
        while True:
            answer = self.query(
                "/cosmos.staking.v1beta1.Query/Validators",
                messages.staking_query_pb2.QueryValidatorsRequest(pagination=page),
                messages.staking_query_pb2.QueryValidatorsResponse,
                height,
            )
            found += [_validator(entry) for entry in answer.validators]
            if not answer.pagination.next_key:
                return found
            page = {"limit": 100, "key": answer.pagination.next_key}

    def account(self, address: str) -> tuple[int, int]:
        """Return (account number, sequence) of an account; QueryFailed when the chain knows none of that address."""
        answer = self.query(
            "/cosmos.auth.v1beta1.Query/Account",
            messages.auth_query_pb2.QueryAccountRequest(address=address),
            messages.auth_query_pb2.QueryAccountResponse,
        )
        account = messages.auth_pb2.BaseAccount()
        if not answer.account.Unpack(account):
            raise QueryFailed(f"{address} is an account of a type that cannot sign here: {answer.account.type_url}")
        return account.account_number, account.sequence


def checked_url(text: str) -> str:
    """Return an RPC address without a trailing slash; ``tcp://`` counts as ``http://``. InvalidInput for anything else."""
    url = re.sub(r"^tcp://", "http://", text.strip()).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise InvalidInput(f"not an RPC address: {text[:80]!r}; expected e.g. http://127.0.0.1:26657")
    return url


def _moment(timestamp: Any) -> datetime | None:
    if timestamp.seconds in (0, ZERO_TIME_SECONDS):
        return None
    return datetime.fromtimestamp(timestamp.seconds, UTC).replace(microsecond=timestamp.nanos // 1000)


def _validator(entry: Any) -> Validator:
    key = entry.consensus_pubkey
    return Validator(
        operator_address=entry.operator_address,
        moniker=entry.description.moniker,
        tokens=int(entry.tokens),
        jailed=entry.jailed,
        status={1: BondStatus.UNBONDED, 2: BondStatus.UNBONDING, 3: BondStatus.BONDED}[entry.status],
        details=entry.description.details,
        # cosmos.crypto.ed25519.PubKey { bytes key = 1 }: tag and length take two bytes.
        consensus_public_key=key.value[2:] if key.type_url == "/cosmos.crypto.ed25519.PubKey" else b"",
    )


def _query_error(text: str) -> QueryFailed:
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
