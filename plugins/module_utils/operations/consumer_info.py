# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read consumers from the provider chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import ConsumerNotFound
from ansible_collections.interchain.security.plugins.module_utils.ics import memory, receipt, relaying
from ansible_collections.interchain.security.plugins.module_utils.ics.duty import PROMOTED
from ansible_collections.interchain.security.plugins.module_utils.ics.health import as_results, from_text
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.repair import Past
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    results,
    state,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **state.STATE_OPTIONS,
    "consumer_id": {"type": "str"},
    "phase": {
        "type": "list",
        "elements": "str",
        "choices": [phase.value for phase in Phase],
    },
    "height": {"type": "int", "default": 0},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the consumers that match, all read at one height, with what the monitor decided where its state store is given."""
    documents = state.memories(params)
    client = connection.provider_client(params)
    wanted = None if params["consumer_id"] is None else checked_consumer_id(params["consumer_id"])
    if params["height"]:
        height, block_time = params["height"], client.block_header(params["height"]).time
    else:
        status = client.status()
        height, block_time = status.latest_height, status.latest_block_time
    operators = {
        results.consensus_address(validator): validator.operator_address for validator in client.validators(height)
    }
    phases = params["phase"] or [phase.value for phase in Phase]
    # One query per page, against several for each consumer: those of no interest, deleted ones above all, are not read.
    listed = [] if wanted is not None else client.consumers(height=height)
    consumer_ids = (
        [entry.consumer_id for entry in listed if entry.phase.value in phases] if wanted is None else [wanted]
    )
    found = []
    for consumer_id in consumer_ids:
        try:
            consumer = client.consumer(consumer_id, height)
        except ConsumerNotFound:
            continue
        if consumer.phase.value in phases:
            opted_in = sorted(operators.get(entry, entry) for entry in client.opted_in(consumer_id, height))
            entry = {**results.consumer_result(consumer), "opted_in": opted_in}
            if consumer_id in documents:
                entry["opt_in"] = _decision(memory.parse(consumer_id, documents[consumer_id]))
                entry["node"] = _node(documents[consumer_id])
                entry["relayer"] = _relayer(documents[consumer_id])
            found.append(entry)
    return {"changed": False, "consumers": found, "height": height, "block_time": receipt.moment(block_time)}


def _decision(remembered: memory.Memory) -> dict[str, Any] | None:
    if not remembered.decision:
        return None
    return {
        "decision": remembered.decision,
        "reasons": list(remembered.reasons),
        "height": remembered.height,
        "alarm": remembered.alarm_reasons,
    }


def _node(document: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what was decided of the node and how it was at the last look; None when there never was one."""
    if not document.get("node_mode"):
        return None
    return {
        "mode": document["node_mode"],
        "reasons": _list(document.get("node_reasons", "")),
        "conditions": as_results(from_text(document.get("conditions", ""))),
        "promoted_height": _height(document.get(PROMOTED, "")),
        "repair": _repair(Past.parse(document)),
    }


def _relayer(document: Mapping[str, str]) -> dict[str, Any] | None:
    """Return how far the CCV channel and how its relayer was at the last look; None when nobody has looked."""
    if not document.get(relaying.CONDITIONS):
        return None
    conditions = from_text(document[relaying.CONDITIONS])
    return {"channel": document.get(relaying.CHANNEL, ""), "conditions": as_results(conditions)}


def _repair(past: Past) -> dict[str, Any] | None:
    """Return the last repair of the node; None when there was none."""
    if past.at is None:
        return None
    return {"at": receipt.moment(past.at), "action": past.action, "reason": past.reason, "count": past.count}


def _height(text: str) -> int | None:
    return int(text) or None if text.isascii() and text.isdigit() else None


def _list(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return found if isinstance(found, list) else []
