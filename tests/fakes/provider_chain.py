# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A provider chain in memory: blocks, consumers at every height, and the events that a real chain would write.

It follows the provider module's rules: a consumer launches, or silently falls back, in the first block at or after its
spawn time, at most 200 in one block; a removed one stops at once and is deleted after the unbonding time, without an event.
"""

from __future__ import annotations

import bisect
import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from ansible_collections.interchain.security.plugins.module_utils.chain.header_hash import header_hash
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

REGISTERED, INITIALIZED, LAUNCHED, STOPPED, DELETED = (
    f"CONSUMER_PHASE_{name}" for name in ("REGISTERED", "INITIALIZED", "LAUNCHED", "STOPPED", "DELETED")
)
PHASES = (REGISTERED, INITIALIZED, LAUNCHED, STOPPED, DELETED)
MOST_IN_ONE_BLOCK = 200
STATES_KEPT = 16
ZERO_TIME_SECONDS = -62135596800  # 0001-01-01T00:00:00Z
EMPTY_HASH = hashlib.sha256().hexdigest().upper()
VALIDATOR = "A451C7938DE868908652255EAD66E0C86044FFB5"
LONGEST_DURATION = Duration(seconds=9223372036, nanos=854775807)
OWNER = "cosmos1wsyhyljzxq2qx4xls6hevhm2u04gux4nptfnu3"
SOMEBODY = "cosmosvalcons1huj3ztfwfg9xj922dpkm8dg677fdw7ra7xcrj"

Event = dict[str, Any]
Transition = tuple[str, str, str, int]


def event(kind: str, /, *, mode: str | None = None, **attributes: str) -> Event:
    """One event as CometBFT writes it; mode for those of a block, none for those of a transaction."""
    if mode:
        attributes["mode"] = mode
    return {
        "type": kind,
        "attributes": [{"key": key, "value": text, "index": True} for key, text in attributes.items()],
    }


def transaction(*events: Event, code: int = 0) -> dict[str, Any]:
    """The result of one transaction with these events; those of a failed one hold no more than the fee."""
    paid = [
        event("tx", fee="", fee_payer=OWNER),
        event("tx", acc_seq=f"{OWNER}/1"),
        event(
            "tx", signature="ldPDYOUI/hMMv0U4QWP7BnnjIT9S+M3+443ZruCDK2cZiaeQKdz0KAa3mJMHcGXF6R+xu+jScFn+XRdarpuWlw=="
        ),
    ]
    return {
        "code": code,
        "data": "EgA=" if code == 0 else None,
        "log": "" if code == 0 else "out of gas",
        "info": "",
        "gas_wanted": "110347",
        "gas_used": "71611",
        "events": [*paid, *(events if code == 0 else ())],
        "codespace": "" if code == 0 else "sdk",
    }


@dataclass(frozen=True)
class Consumer:
    """One consumer as the chain has it at some height. entries: addresses in each of its three lists."""

    consumer_id: str
    phase: str
    spawn_time: datetime | None = None
    chain_id: str = "consumer-1"
    name: str = "c1"
    description: str = "d"
    metadata: str = "{}"
    client_id: str = ""
    connection_id: str = ""
    owner: str = OWNER
    entries: int = 0
    opted_in: bool = True
    removal_time: datetime | None = None

    @cached_property
    def record(self) -> bytes:
        """The answer QueryConsumerChainResponse."""
        answer = messages.provider_message("QueryConsumerChainResponse")(
            consumer_id=self.consumer_id,
            chain_id=self.chain_id,
            owner_address=self.owner,
            phase=self.phase,
            client_id=self.client_id,
            infraction_parameters=_infraction_parameters(),
        )
        for name in ("name", "description", "metadata"):
            setattr(answer.metadata, name, getattr(self, name))
        initial = answer.init_params
        initial.initial_height.revision_number = initial.initial_height.revision_height = 1
        initial.spawn_time.CopyFrom(_timestamp(self.spawn_time))
        initial.unbonding_period.seconds = 1209600
        initial.ccv_timeout_period.seconds = 2419200
        initial.transfer_timeout_period.seconds = 1800
        initial.consumer_redistribution_fraction = "0.75"
        initial.blocks_per_distribution_transmission = 1000
        initial.historical_entries = 10000
        initial.connection_id = self.connection_id
        shaping = answer.power_shaping_params
        shaping.SetInParent()
        for entries in (shaping.allowlist, shaping.denylist, shaping.prioritylist):
            entries.extend([SOMEBODY] * self.entries)
        return bytes(answer.SerializeToString())

    @cached_property
    def listed(self) -> bytes:
        """One entry of QueryConsumerChainsResponse, all fields of the real one in their order."""
        addresses = [SOMEBODY.encode()] * self.entries
        metadata = messages.provider_message("ConsumerMetadata")(
            name=self.name, description=self.description, metadata=self.metadata
        )
        parts = [
            _text(1, self.chain_id.encode()),
            _text(2, self.client_id.encode()),
            _varint(4 << 3) + _varint(2**64 - 1),  # min_power_in_top_N -1: there is no top N
            *(_text(7, address) for address in addresses),
            *(_text(8, address) for address in addresses),
            _text(9, self.phase.encode()),
            _message(10, metadata.SerializeToString()),
            _text(13, self.consumer_id.encode()),
            _message(14, b""),
            *(_text(15, address) for address in addresses),
            _message(16, _infraction_parameters().SerializeToString()),
        ]
        return b"".join(parts)


def _infraction_parameters() -> Any:
    parameters = messages.provider_message("InfractionParameters")()
    parameters.double_sign.slash_fraction = b"50000000000000000"
    parameters.double_sign.jail_duration.CopyFrom(LONGEST_DURATION)
    parameters.double_sign.tombstone = True
    parameters.downtime.slash_fraction = b"0"
    parameters.downtime.jail_duration.seconds = 600
    return parameters


def _timestamp(moment: datetime | None) -> Timestamp:
    if moment is None:
        return Timestamp(seconds=ZERO_TIME_SECONDS)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Timestamp(seconds=since // timedelta(seconds=1), nanos=since.microseconds * 1000)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, content: bytes) -> bytes:
    return _message(number, content) if content else b""


def chains_message(listed: Iterable[bytes], next_key: bytes, total: int = 0) -> bytes:
    """QueryConsumerChainsResponse out of its encoded entries."""
    page = messages.provider_message("QueryConsumerChainsResponse")()
    page.pagination.next_key = next_key
    page.pagination.total = total
    page.pagination.SetInParent()
    return b"".join(_message(1, entry) for entry in listed) + bytes(page.SerializeToString())


@dataclass(frozen=True)
class Block:
    """A sealed block and its results."""

    height: int
    time: datetime
    transactions: tuple[dict[str, Any], ...]
    events: tuple[Event, ...]


class ProviderChain:
    """All blocks of the chain from height 1 on. Chains that differ in fork have other hashes from height fork_at on."""

    def __init__(
        self,
        chain_id: str = "provider-1",
        *,
        genesis_time: datetime | None = None,
        unbonding: timedelta = timedelta(days=21),
        block_time: timedelta = timedelta(seconds=1),
        fork: str = "",
        fork_at: int = 0,
    ) -> None:
        self.chain_id = chain_id
        self.unbonding = unbonding
        self.block_time = block_time
        self._fork = fork
        self._fork_at = fork_at
        self.lock = threading.RLock()
        self.listeners: list[Callable[[Block], None]] = []
        self._blocks: list[Block] = []
        self._headers: list[dict[str, Any]] = []
        self._hashes: list[str] = []
        # consumer_id: the heights at which it changed, and what it was from each of them on
        self._changes: dict[str, tuple[list[int], list[Consumer]]] = {}
        self._change_heights = [0]
        self._states: dict[tuple[int, str | None], list[Consumer]] = {}
        self._waiting: dict[str, datetime] = {}  # consumer_id: block time at which it launches or is deleted
        self._clients = 0
        first = NewBlock(self, genesis_time or datetime(2026, 11, 23, tzinfo=UTC))
        first.seal()

    @property
    def height(self) -> int:
        return len(self._blocks)

    def block(self, height: int) -> Block:
        return self._blocks[height - 1]

    def next_block(self, time: datetime | None = None) -> NewBlock:
        """Begin the next block; what is due at its time happens before anything else."""
        new = NewBlock(self, time or self._blocks[-1].time + self.block_time)
        new.begin()
        return new

    def blocks(self, number: int) -> int:
        """Add that many blocks without transactions; return the last height."""
        for _unused in range(number):
            self.next_block().seal()
        return self.height

    def hash(self, height: int) -> str:
        return self._hashes[height - 1]

    def header(self, height: int) -> dict[str, Any]:
        """The header of a block as the RPC writes it."""
        return self._headers[height - 1]

    def app_hash(self, height: int) -> str:
        fork = self._fork if height >= self._fork_at else ""
        return hashlib.sha256(f"{self.chain_id}/{fork}/{height}".encode()).hexdigest().upper()

    def block_id(self, height: int) -> dict[str, Any]:
        found = self.hash(height) if height else ""
        return {"hash": found, "parts": {"total": 1 if height else 0, "hash": found}}

    def _new_header(self, height: int, time: datetime) -> dict[str, Any]:
        return {
            "version": {"block": "11"},
            "chain_id": self.chain_id,
            "height": str(height),
            "time": rfc3339(time),
            "last_block_id": self.block_id(height - 1),
            "last_commit_hash": EMPTY_HASH,
            "data_hash": EMPTY_HASH,
            "validators_hash": EMPTY_HASH,
            "next_validators_hash": EMPTY_HASH,
            "consensus_hash": EMPTY_HASH,
            "app_hash": self.app_hash(height),
            "last_results_hash": EMPTY_HASH,
            "evidence_hash": EMPTY_HASH,
            "proposer_address": VALIDATOR,
        }

    def consumer(self, consumer_id: str, height: int | None = None) -> Consumer | None:
        """A consumer in the state after the block of that height; None when there was none."""
        with self.lock:
            heights, states = self._changes.get(consumer_id, ([], []))
            place = bisect.bisect_right(heights, self.height if height is None else height)
            return states[place - 1] if place else None

    def consumers(self, height: int, phase: str | None = None) -> list[Consumer]:
        """All consumers at a height, or those in a phase, by consumer_id. Not to be changed."""
        with self.lock:
            # A state lasts until the next block that changes something.
            last_change = self._change_heights[bisect.bisect_right(self._change_heights, height) - 1]
            key = (last_change, phase)
            if key not in self._states:
                while len(self._states) >= STATES_KEPT:
                    del self._states[next(iter(self._states))]
                found = (self.consumer(name, height) for name in sorted(self._changes, key=int))
                self._states[key] = [one for one in found if one is not None and phase in (None, one.phase)]
            return self._states[key]

    def transitions(self) -> list[Transition]:
        """Every change of a phase as (consumer_id, previous phase or none, phase, height), in order of height and id."""
        found: list[Transition] = []
        for name, (heights, states) in self._changes.items():
            previous = "none"
            for height, state in zip(heights, states, strict=True):
                phase = short(state.phase)
                if phase != previous:
                    found.append((name, previous, phase, height))
                previous = phase
        return sorted(found, key=lambda change: (change[3], int(change[0])))

    def seal(self, new: NewBlock) -> int:
        with self.lock:
            height = self.height + 1
            if new.changed:
                self._change_heights.append(height)
            for name, state in new.changed.items():
                heights, states = self._changes.setdefault(name, ([], []))
                heights.append(height)
                states.append(state)
            self._headers.append(self._new_header(height, new.time))
            self._hashes.append(header_hash(self._headers[-1]))
            self._blocks.append(Block(height, new.time, tuple(new.transactions), tuple(new.events)))
            block = self._blocks[-1]
            listeners = list(self.listeners)
        for listener in listeners:
            listener(block)
        return height


def rfc3339(moment: datetime) -> str:
    """A moment as CometBFT writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"


def short(phase: str) -> str:
    """CONSUMER_PHASE_LAUNCHED as the source's events have it: launched."""
    return phase.removeprefix("CONSUMER_PHASE_").lower()


class NewBlock:
    """A block in the making; the methods that add to it return it."""

    def __init__(self, chain: ProviderChain, time: datetime) -> None:
        self._chain = chain
        self.time = time
        self.changed: dict[str, Consumer] = {}
        self.transactions: list[dict[str, Any]] = []
        mint = {"mode": "BeginBlock"}
        self.events = [
            event("coin_spent", spender=OWNER, amount="33273stake", **mint),
            event("coin_received", receiver=OWNER, amount="33273stake", **mint),
        ]

    def begin(self) -> None:
        """What the provider module does in BeginBlock: launches, then deletions, each for 200 consumers at most."""
        due = sorted((moment, int(name)) for name, moment in self._chain._waiting.items() if moment <= self.time)
        for phase, act in ((INITIALIZED, self._launch), (STOPPED, self._delete)):
            names = [str(number) for _moment, number in due if self._now(str(number)).phase == phase]
            for name in names[:MOST_IN_ONE_BLOCK]:
                del self._chain._waiting[name]
                act(self._now(name))

    def _now(self, consumer_id: str) -> Consumer:
        found = self.changed.get(consumer_id) or self._chain.consumer(consumer_id)
        assert found is not None, f"there is no consumer {consumer_id}"
        return found

    def _launch(self, consumer: Consumer) -> None:
        if not consumer.opted_in:
            self._set(replace(consumer, phase=REGISTERED, spawn_time=None))
            return
        if consumer.connection_id:  # it brings a client of its own, and no event tells of the launch
            self._set(replace(consumer, phase=LAUNCHED))
            return
        client_id = f"07-tendermint-{self._chain._clients}"
        self._chain._clients += 1
        self._set(replace(consumer, phase=LAUNCHED, client_id=client_id))
        self.events += [
            event(
                "create_client",
                client_id=client_id,
                client_type="07-tendermint",
                consensus_height="1-1",
                mode="BeginBlock",
            ),
            event(
                "consumer_client_created",
                module="provider",
                consumer_id=consumer.consumer_id,
                consumer_chain_id=consumer.chain_id,
                client_id=client_id,
                initial_height="1-1",
                trusting_period="221h45m36s",
                unbonding_period="336h0m0s",
                valset_hash="\ufffd;\ufffd\x15",
                mode="BeginBlock",
            ),
        ]

    def _delete(self, consumer: Consumer) -> None:
        self._set(replace(consumer, phase=DELETED, spawn_time=None))

    def _set(self, consumer: Consumer) -> None:
        self.changed[consumer.consumer_id] = consumer

    def _message(self, action: str, kind: str, consumer: Consumer, **attributes: str) -> NewBlock:
        self.transactions.append(
            transaction(
                event("message", action=f"/{messages.PROVIDER}.{action}", sender=OWNER, msg_index="0"),
                event(
                    kind,
                    module="provider",
                    consumer_id=consumer.consumer_id,
                    consumer_chain_id=consumer.chain_id,
                    **attributes,
                    msg_index="0",
                ),
            )
        )
        return self

    def create(self, consumer_id: str, spawn_in: float | None = None, **fields: Any) -> NewBlock:
        """Create a consumer that is to launch spawn_in seconds after this block; without it it is only registered."""
        spawn_time = None if spawn_in is None else self.time + timedelta(seconds=spawn_in)
        phase = REGISTERED if spawn_time is None else INITIALIZED
        consumer = Consumer(consumer_id, phase, spawn_time, **fields)
        self._set(consumer)
        if spawn_time is not None:
            self._chain._waiting[consumer_id] = spawn_time
        text = f"{spawn_time:%Y-%m-%d %H:%M:%S} +0000 UTC" if spawn_time else "0001-01-01 00:00:00 +0000 UTC"
        return self._message(
            "MsgCreateConsumer",
            "create_consumer",
            consumer,
            consumer_name=consumer.name,
            submitter_address=OWNER,
            consumer_owner=OWNER,
            consumer_spawn_time=text,
            consumer_phase=phase,
        )

    def update(self, consumer_id: str, spawn_in: float | None = None, **fields: Any) -> NewBlock:
        """Change a consumer that is not launched; spawn_in seconds after this block it launches."""
        consumer = replace(self._now(consumer_id), **fields)
        if spawn_in is not None:
            moment = self.time + timedelta(seconds=spawn_in)
            consumer = replace(consumer, spawn_time=moment, phase=INITIALIZED)
            self._chain._waiting[consumer_id] = moment
        self._set(consumer)
        return self._message("MsgUpdateConsumer", "update_consumer", consumer, submitter_address=OWNER)

    def opt_in(self, consumer_id: str) -> NewBlock:
        consumer = replace(self._now(consumer_id), opted_in=True)
        self._set(consumer)
        return self._message(
            "MsgOptIn",
            "opt_in",
            consumer,
            provider_validator_address="cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz",
            consumer_consensus_pub_key="",
            submitter_address=OWNER,
        )

    def remove(self, consumer_id: str) -> NewBlock:
        """Stop a launched consumer as its owner does."""
        self._stop(consumer_id)
        return self._message("MsgRemoveConsumer", "remove_consumer", self._now(consumer_id), submitter_address=OWNER)

    def time_out(self, consumer_id: str) -> NewBlock:
        """Stop a launched consumer since a packet of its CCV channel timed out: only the channel is named."""
        self._stop(consumer_id)
        self.transactions.append(
            transaction(
                event("message", action="/ibc.core.channel.v1.MsgTimeout", sender=OWNER, msg_index="0"),
                event(
                    "timeout_packet",
                    packet_src_port="provider",
                    packet_src_channel="channel-0",
                    packet_dst_port="consumer",
                    msg_index="0",
                ),
            )
        )
        return self

    def _stop(self, consumer_id: str) -> None:
        removal = self.time + self._chain.unbonding
        self._set(replace(self._now(consumer_id), phase=STOPPED, removal_time=removal))
        self._chain._waiting[consumer_id] = removal

    def put(self, consumer: Consumer) -> NewBlock:
        """Place a consumer as it is, without an event: what a state holds from long before."""
        self._set(consumer)
        return self

    def sends(self, number: int, *, failed: bool = False) -> NewBlock:
        """Add that many transactions that have nothing to do with consumers."""
        sent = transaction(
            event("message", action="/cosmos.bank.v1beta1.MsgSend", sender=OWNER, msg_index="0"),
            event("transfer", recipient=OWNER, sender=OWNER, amount="1stake", msg_index="0"),
            code=11 if failed else 0,
        )
        self.transactions += [sent] * number
        return self

    def forge(self, kind: str, consumer_id: str, *, in_block: bool = True) -> NewBlock:
        """Add an event that no state change belongs to, as a malicious node can write it."""
        if in_block:
            self.events.append(event(kind, module="provider", consumer_id=consumer_id, mode="BeginBlock"))
        else:
            self.transactions.append(transaction(event(kind, module="provider", consumer_id=consumer_id)))
        return self

    def seal(self) -> int:
        """End the block; return its height."""
        return self._chain.seal(self)
