# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a block's events say about consumers, and the events that leave for a rulebook.

Events of a block are hints only: no hash in the header covers them, and strangers write
part of their text. So they name consumers to read back, and nothing of their text is
passed on. An outgoing event carries checked scalars only.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.follower import Change, Kind

_CONSUMER_ID = re.compile(r"[0-9]{1,20}", re.ASCII)

# Events of the provider module after which a consumer's phase or record may be another.
RECORD_EVENTS = frozenset({"create_consumer", "update_consumer"})
CONSUMER_EVENTS = RECORD_EVENTS | {"remove_consumer", "consumer_client_created"}

# Those after which other validators, or others with other keys, take part in a consumer. They change neither phase nor record.
MEMBER_EVENTS = frozenset({"opt_in", "opt_out", "assign_consumer_key"})

# The one after which a validator may announce another endpoint. It names no validator.
ENDPOINT_EVENT = "edit_validator"

# A CCV channel that fails or closes stops its consumer, and its events name the channel, not the consumer.
CHANNEL_EVENTS = frozenset(
    {
        "channel_close",
        "channel_close_init",
        "channel_close_confirm",
        "timeout_packet",
    }
)
PROVIDER_PORT = "provider"
_PORT_ATTRIBUTES = ("port_id", "packet_src_port")

# Namespace of the deterministic identifiers of outgoing events. Changing it makes every event new to a persistent rulebook.
_NAMESPACE = uuid.UUID("6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c10")


@dataclass(frozen=True)
class Event:
    """One event of a block.

    position is ``begin/<index>``, ``tx<transaction>/<index>`` or ``end/<index>``, the indexes counted from 0.
    """

    type: str
    attributes: Mapping[str, str]
    position: str


def is_consumer_id(text: object) -> bool:
    """Tell whether text is a consumer_id: 1 to 20 decimal digits (a uint64 as text)."""
    return isinstance(text, str) and _CONSUMER_ID.fullmatch(text) is not None


def parse_block_results(answer: Mapping[str, Any]) -> list[Event]:
    """Read the JSON answer of CometBFT's ``/block_results`` (or its ``result``) into events in order of execution.

    Events of failed transactions are left out: their state changes were rolled back.
    An event or attribute of the wrong shape is left out too. Raises ValueError when the answer as a whole is no such answer.
    """
    result = answer.get("result", answer)
    if not isinstance(result, Mapping) or "height" not in result:
        raise ValueError("not an answer of /block_results: it has no height")
    begin: list[Event] = []
    end: list[Event] = []
    for index, (kind, attributes) in _read_events(result.get("finalize_block_events")):
        if attributes.get("mode") == "BeginBlock":
            begin.append(Event(kind, attributes, f"begin/{index}"))
        else:
            end.append(Event(kind, attributes, f"end/{index}"))
    transactions = [
        Event(kind, attributes, f"tx{number}/{index}")
        for number, transaction in enumerate(_as_list(result.get("txs_results")))
        if isinstance(transaction, Mapping) and transaction.get("code", 0) == 0
        for index, (kind, attributes) in _read_events(transaction.get("events"))
    ]
    return begin + transactions + end


@dataclass(frozen=True)
class Hints:
    """What the events of a block ask to read back.

    ``consumer_ids`` are the named consumers, each once, in order of first appearance; ``written`` those of them whose
    record was written. ``everything`` asks for all consumers: a CCV channel failed or closed, and it names none.
    ``members`` are the consumers whose validators or their keys have changed, which need no reading; ``endpoints`` tells
    that a validator changed its description.
    """

    consumer_ids: tuple[str, ...] = ()
    written: frozenset[str] = frozenset()
    everything: bool = False
    members: frozenset[str] = frozenset()
    endpoints: bool = False


def hints(events: Iterable[Event]) -> Hints:
    """Return what the events ask to read back."""
    found: dict[str, None] = {}
    written: set[str] = set()
    members: set[str] = set()
    everything = endpoints = False
    for event in events:
        if event.type in CONSUMER_EVENTS:
            consumer_id = event.attributes.get("consumer_id", "")
            if is_consumer_id(consumer_id):
                found[consumer_id] = None
                if event.type in RECORD_EVENTS:
                    written.add(consumer_id)
        elif event.type in MEMBER_EVENTS:
            consumer_id = event.attributes.get("consumer_id", "")
            if is_consumer_id(consumer_id):
                members.add(consumer_id)
        elif event.type in CHANNEL_EVENTS:
            everything |= any(event.attributes.get(name) == PROVIDER_PORT for name in _PORT_ATTRIBUTES)
        elif event.type == ENDPOINT_EVENT:
            endpoints = True
    return Hints(tuple(found), frozenset(written), everything, frozenset(members), endpoints)


# A quote inside a JSON string is written with a backslash, so this text is never part of one.
_TYPES = CONSUMER_EVENTS | MEMBER_EVENTS | CHANNEL_EVENTS | {ENDPOINT_EVENT}
_TYPE_OF_INTEREST = rb'"type"\s*:\s*"(?:' + "|".join(sorted(_TYPES)).encode() + rb')"'
_EVENT_OF_INTEREST = re.compile(rb"(\{\s*)?" + _TYPE_OF_INTEREST)
_SOMETHING_OF_INTEREST = re.compile(_TYPE_OF_INTEREST)  # found faster, since it begins with a fixed text
_BEGINNING = re.compile(rb'\{"jsonrpc":"2\.0","id":-?[0-9]+,"result":\{"height":"([0-9]{1,20})",')
_LARGEST_EVENT = 64 * 1024  # bytes


def is_quiet(body: bytes | bytearray, height: int) -> bool:
    """Tell whether an answer of ``/block_results`` is of that height and holds no event of interest.

    Most blocks are like that, so it does not read the JSON: False only says that one has to, as for an answer that is not in
    the very form in which CometBFT writes it.
    """
    begins = _BEGINNING.match(body)
    return (
        begins is not None
        and int(begins[1]) == height
        and body[-3:].rstrip().endswith(b"}}")
        and _SOMETHING_OF_INTEREST.search(body) is None
    )


def scan_block_results(body: bytes | bytearray) -> Hints:
    """Read the hints out of a large answer of ``/block_results`` without making an object of each of its events.

    Events of failed transactions count too: they cost a reading that finds nothing. An event of interest that cannot be
    read, or does not begin with its type as CometBFT writes it, asks for all consumers.
    """
    found: list[Event] = []
    decoder = json.JSONDecoder()
    for match in _EVENT_OF_INTEREST.finditer(body):
        if not match[1]:
            return Hints(everything=True)
        text = bytes(body[match.start() : match.start() + _LARGEST_EVENT]).decode("utf-8", "replace")
        try:
            entry, _end = decoder.raw_decode(text)
        except ValueError:
            return Hints(everything=True)
        found += [Event(kind, attributes, "") for _unused, (kind, attributes) in _read_events([entry])]
    return hints(found)


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 text in UTC. Raises ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def identifier(chain_id: str, change: Change, attempt: int) -> str:
    """The meta.uuid of a change's event: the same change seen twice has the same one, each further attempt another."""
    what = change.phase.value if change.kind is Kind.PHASE else change.kind.value
    name = f"{chain_id}/{change.block.height}/{change.consumer_id}/{what}"
    return str(uuid.uuid5(_NAMESPACE, name if attempt == 1 else f"{name}/{attempt}"))


def outgoing(chain_id: str, change: Change, attempt: int, produced_at: datetime) -> dict[str, Any]:
    """The outgoing event of a change. ValueError when its consumer_id is none."""
    if not is_consumer_id(change.consumer_id):
        raise ValueError(f"{change.consumer_id!r} is not a consumer_id")
    event: dict[str, Any] = {"type": change.kind.value, "consumer_id": change.consumer_id}
    if change.kind in (Kind.PHASE, Kind.UPDATED):
        event["phase"] = change.phase.value
    if change.kind is Kind.PHASE:
        event["previous_phase"] = change.previous_phase.value if change.previous_phase else "none"
    event |= {"height": change.block.height, "block_time": rfc3339(change.block.time), "attempt": attempt}
    if change.spawn_time is not None:
        event["spawn_time"] = rfc3339(change.spawn_time)
    if change.kind is Kind.IMMINENT:
        event["seconds"] = change.seconds
    event["meta"] = {
        "uuid": identifier(chain_id, change, attempt),
        "source_offset": f"{change.block.height}/{change.consumer_id}",
        "produced_at": rfc3339(produced_at),
    }
    return event


# Events that belong to no consumer.
STARTED = "started"  # follows the first complete reading after a start
CHECK_DUE = "check_due"  # asks for a look at the consumer nodes
ENDPOINT_CHANGED = "endpoint_changed"  # asks for a look at what the validators announce


def of_no_consumer(
    kind: str, *, provider_chain_id: str, height: int, block_time: datetime, produced_at: datetime
) -> dict[str, Any]:
    """An outgoing event that belongs to no consumer."""
    # Each is a new event, so the moment is part of the name.
    name = f"{provider_chain_id}/{height}/{kind}/{rfc3339(produced_at)}"
    return {
        "type": kind,
        "height": height,
        "block_time": rfc3339(block_time),
        "meta": {
            "uuid": str(uuid.uuid5(_NAMESPACE, name)),
            "source_offset": f"{height}/{kind}",
            "produced_at": rfc3339(produced_at),
        },
    }


def _as_list(value: object) -> list[Any]:
    # CometBFT writes an empty list as null.
    return value if isinstance(value, list) else []


def _read_events(value: object) -> Iterator[tuple[int, tuple[str, dict[str, str]]]]:
    for index, event in enumerate(_as_list(value)):
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            continue
        attributes: dict[str, str] = {}
        for attribute in _as_list(event.get("attributes")):
            if isinstance(attribute, Mapping) and isinstance(attribute.get("key"), str):
                text = attribute.get("value")
                attributes.setdefault(attribute["key"], text if isinstance(text, str) else "")
        yield index, (event["type"], attributes)
