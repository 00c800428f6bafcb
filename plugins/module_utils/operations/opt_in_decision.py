# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide by the validator's policy whether it takes part in a consumer, and write that down.

Nothing is done on the chain. Several of these may run at once for several consumers; each new decision to opt in takes its place in the document
``places`` first, and whoever finds that document changed looks again. So two consumers never share the last place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import (
    CONSUMER_PREFIX,
    Document,
    StateStore,
    open_state_store,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import StateConflict
from ansible_collections.interchain.security.plugins.module_utils.ics import memory, policy
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.events import rfc3339
from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import Action, Decision, Facts, Policy
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, decision_facts, state

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **state.STATE_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "policy": {"type": "dict", "default": {}},
    "height": {"type": "int", "default": 0},
    "previous_phase": {"type": "str", "choices": ["none", *(phase.value for phase in Phase)], "default": "none"},
    "storage_size": {"type": "str", "default": "10Gi"},
}
LAUNCH_FAILED = "no active validator had opted in at its spawn time; it is registered again without one"
PLACES = "places"
TRIES = 20  # to write documents that others write too


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the decision about one consumer with what is to be done on the chain."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    rules = Policy.parse(params["policy"])
    policy.bytes_of("storage_size", params["storage_size"])
    store = open_state_store(params["state_directory"], params["state_namespace"], params["kubeconfig"])
    if store is None:
        return {**_look(params, consumer_id, rules, {}, None)[0], "changed": False}  # there is nowhere to write it
    try:
        tries_left = TRIES
        while True:
            places = store.read(PLACES)
            result, takes_place = _look(params, consumer_id, rules, state.documents(store), places)
            if check_mode or not result["changed"]:
                return result
            try:
                if takes_place:
                    _write(store, PLACES, places, {consumer_id: result["memory"]["p2p_port"]})
                _merge(store, CONSUMER_PREFIX + consumer_id, result["memory"])
            except StateConflict:
                tries_left -= 1
                if not tries_left:
                    raise
                continue
            _leave(store, consumer_id)
            return result
    finally:
        store.close()


def _look(
    params: dict[str, Any],
    consumer_id: str,
    rules: Policy,
    documents: Mapping[str, Mapping[str, str]],
    places: Document | None,
) -> tuple[dict[str, Any], bool]:
    """Decide; return the module's result, and whether the consumer takes a place that it did not have."""
    client = connection.provider_client(params)
    status = client.use_current()
    # The node that answers may be behind the one that told of the event.
    newest = max(status.latest_height, params["height"])
    consumer = client.consumer(consumer_id, newest)
    previous_phase = None if params["previous_phase"] == "none" else Phase(params["previous_phase"])
    facts = decision_facts.gather(
        client,
        consumer,
        params["operator_address"],
        _memories(documents, {} if places is None else places.data, consumer_id),
        newest,
        height=params["height"],
        is_change=previous_phase is not None,
        storage_size=policy.bytes_of("storage_size", params["storage_size"]),
        fee_budget=rules.fee_budget,
    )
    decision = policy.decide(rules, facts)
    failed = memory.launch_failed(
        facts.memory, consumer.phase, consumer.spawn_time, previous_phase, status.latest_block_time
    )
    wanted = _to_remember(consumer, decision, facts, failed)
    before = {key: value for key, value in documents.get(consumer_id, {}).items() if key in wanted}
    result = {
        "changed": before != wanted,
        "consumer_id": consumer_id,
        "decision": decision.decision,
        "reasons": list(decision.reasons),
        "height": decision.height,
        "action": decision.action.value,
        "alarm_reasons": list(decision.alarm_reasons),
        "is_opted_in": facts.is_opted_in,
        "is_in_top_n": facts.is_in_top_n,
        "launch_failed": failed,
        "memory": wanted,
        "diff": {"before": before, "after": wanted},
    }
    return result, decision.action is Action.OPT_IN and facts.memory.decision != "opt_in"


def _memories(
    documents: Mapping[str, Mapping[str, str]], places: Mapping[str, str], own_consumer_id: str
) -> list[Memory]:
    """Return what is remembered, with the places that are taken but not written down yet."""
    known = {consumer_id: memory.parse(consumer_id, data) for consumer_id, data in documents.items()}
    for consumer_id, port in places.items():
        found = known.get(consumer_id, Memory(consumer_id))
        if consumer_id != own_consumer_id and found.decision != "opt_in":
            taken = memory.parse(consumer_id, {"decision": "opt_in", "p2p_port": port})
            known[consumer_id] = taken if found.phase not in (Phase.STOPPED, Phase.DELETED) else found
    return list(known.values())


def _write(store: StateStore, name: str, found: Document | None, changes: Mapping[str, str]) -> None:
    store.write(name, {**(found.data if found else {}), **changes}, found.version if found else None)


def _merge(store: StateStore, name: str, changes: Mapping[str, str]) -> None:
    """Write entries into a document, whatever others write into it at the same time."""
    for tries_left in reversed(range(TRIES)):
        try:
            _write(store, name, store.read(name), changes)
            return
        except StateConflict:
            if not tries_left:
                raise


def _leave(store: StateStore, consumer_id: str) -> None:
    """Take a consumer out of the places, now that its own document tells of it. What is left of a cut run does not last: it is tried again."""
    for tries_left in reversed(range(TRIES)):
        places = store.read(PLACES)
        if places is None or consumer_id not in places.data:
            return
        try:
            store.write(PLACES, {key: port for key, port in places.data.items() if key != consumer_id}, places.version)
        except StateConflict:
            if not tries_left:
                raise


def _to_remember(consumer: Consumer, decision: Decision, facts: Facts, failed: bool) -> dict[str, str]:
    """Return the keys of the consumer's document that follow from the decision. Strangers' text is not among them."""
    found = {
        "consumer_id": consumer.consumer_id,
        "decision": decision.decision,
        "reason": "; ".join(decision.reasons),
        "reasons": json.dumps(decision.reasons),
        "height": str(decision.height),
        "phase": consumer.phase.value,
        "p2p_port": str(facts.consumer.p2p_port),
        "spawn_time": "" if consumer.spawn_time is None else rfc3339(consumer.spawn_time),
        "unbonding_period": str(int(consumer.initialization.unbonding_period)),
        "launch_failed": "true" if failed else "false",
        "launch_failed_reason": LAUNCH_FAILED if failed else "",
        "alarm": "true" if decision.alarm_reasons else "false",
        "alarm_reason": "; ".join(decision.alarm_reasons),
    }
    if not (facts.is_opted_in and consumer.phase is Phase.LAUNCHED):
        return found
    # The launch writes these itself, with what belongs to them: whether the node may sign is decided there.
    kept = {"phase"}
    if facts.memory.decision and decision.action is not Action.OPT_OUT:
        kept |= {"decision", "reason", "reasons", "height"}
    return {key: value for key, value in found.items() if key not in kept}
