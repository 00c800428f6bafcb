# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a block's events say about consumers, and the events that leave for a rulebook.

Events of a block are hints only: no hash in the header covers them, and strangers write
part of their text. So they name consumers to read back, and nothing of their text is
passed on. An outgoing event carries checked scalars only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

_CONSUMER_ID = re.compile(r"[0-9]{1,20}", re.ASCII)

# Events of the provider module that carry a consumer_id and may go with a change of the consumer.
CONSUMER_EVENTS = frozenset(
    {
        "create_consumer",
        "update_consumer",
        "remove_consumer",
        "opt_in",
        "opt_out",
        "assign_consumer_key",
        "set_consumer_commission_rate",
        "consumer_client_created",
    }
)

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


def dirty_consumers(events: Iterable[Event]) -> tuple[str, ...]:
    """The consumer_ids that the events name, each once, in order of first appearance."""
    found = dict.fromkeys(
        event.attributes["consumer_id"]
        for event in events
        if event.type in CONSUMER_EVENTS and is_consumer_id(event.attributes.get("consumer_id"))
    )
    return tuple(found)


def may_stop_a_consumer(events: Iterable[Event]) -> bool:
    """Tell whether a CCV channel of the provider failed or closed, so that all consumers are to be read."""
    return any(
        event.type in CHANNEL_EVENTS and any(event.attributes.get(name) == PROVIDER_PORT for name in _PORT_ATTRIBUTES)
        for event in events
    )


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 text in UTC. Raises ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def phase_changed(
    *,
    provider_chain_id: str,
    consumer_id: str,
    phase: Phase,
    previous_phase: Phase | None,
    height: int,
    block_time: datetime,
    spawn_time: datetime | None,
    produced_at: datetime,
) -> dict[str, Any]:
    """The outgoing event of one consumer in a new phase, seen in the state at height.

    Its meta.uuid depends on provider chain, height, consumer and phase alone: the same change seen twice has the same one.
    """
    if not is_consumer_id(consumer_id):
        raise ValueError(f"{consumer_id!r} is not a consumer_id")
    event: dict[str, Any] = {
        "type": "phase_changed",
        "consumer_id": consumer_id,
        "phase": phase.value,
        "previous_phase": previous_phase.value if previous_phase else "none",
        "height": height,
        "block_time": rfc3339(block_time),
    }
    if spawn_time is not None:
        event["spawn_time"] = rfc3339(spawn_time)
    name = f"{provider_chain_id}/{height}/{consumer_id}/{phase.value}"
    event["meta"] = _meta(name, f"{height}/{consumer_id}", produced_at)
    return event


def started(*, provider_chain_id: str, height: int, produced_at: datetime) -> dict[str, Any]:
    """The outgoing event that follows the first complete reading after a start."""
    # Each start is a new event, so the moment is part of the name.
    name = f"{provider_chain_id}/{height}/started/{rfc3339(produced_at)}"
    return {
        "type": "started",
        "height": height,
        "meta": _meta(name, f"{height}/started", produced_at),
    }


def _meta(name: str, offset: str, produced_at: datetime) -> dict[str, str]:
    return {
        "uuid": str(uuid.uuid5(_NAMESPACE, name)),
        "source_offset": offset,
        "produced_at": rfc3339(produced_at),
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
