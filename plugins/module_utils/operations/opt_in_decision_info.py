# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell whether a validator takes part in a consumer by its policy, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.creation import first_height
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import paid_in_last_day
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import address, memory, policy
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    InfractionParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import rfc3339
from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import Coin, Policy
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import FOR_EVER
from ansible_collections.interchain.security.plugins.module_utils.ics.selection import select, top_n_members
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, state
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

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


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the decision about one consumer with what is to be done and to be written down."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    rules = Policy.parse(params["policy"])
    storage_size = policy.bytes_of("storage_size", params["storage_size"])
    client = connection.provider_client(params)
    status = client.status()
    newest = max(
        status.latest_height, params["height"]
    )  # the node that answers may be behind the one that told of the event
    consumer = client.consumer(consumer_id, newest)
    validators = client.validators(newest)
    own = next((entry for entry in validators if entry.operator_address == params["operator_address"]), None)
    if own is None:
        raise InvalidInput(
            f"operator_address: {params['operator_address'][:80]!r} is no validator of the provider chain at height {newest}"
        )
    documents = state.memories(params)
    known = tuple(memory.parse(name, data) for name, data in documents.items())
    before = memory.parse(consumer_id, documents.get(consumer_id, {}))
    candidate = _candidate(client, consumer, newest)
    ended = consumer.phase in (Phase.STOPPED, Phase.DELETED)
    own_address = consensus_address(own)
    facts = policy.Facts(
        consumer=candidate,
        height=newest,
        provider_infraction=_provider_infraction(client, newest),
        top_n=consumer.power_shaping.top_n,
        is_in_top_n=not ended and own.operator_address in _top_n(client, consumer, validators, newest),
        is_opted_in=not ended and own_address in client.opted_in(consumer_id, newest),
        has_own_key=not ended and own_address in client.consumer_keys(consumer_id, newest),
        memories=known,
        storage_size=storage_size,
    )
    if policy.is_open(facts):
        height, note = _selection_height(client, before, params["height"], params["previous_phase"] != "none", newest)
        selection = select(client.validators(height))
        facts = replace(
            facts,
            height=height,
            height_note=note,
            is_selected=selection.includes(own.operator_address),
            selection_reason=selection.reason(own.operator_address),
            fees_spent=_fees_spent(client, own.operator_address, rules.fee_budget),
        )
    decision = policy.decide(rules, facts)
    previous_phase = None if params["previous_phase"] == "none" else Phase(params["previous_phase"])
    failed = memory.launch_failed(before, consumer.phase, consumer.spawn_time, previous_phase, status.latest_block_time)
    to_remember = _to_remember(consumer, decision, facts, failed)
    remembered = documents.get(consumer_id, {})
    return {
        "changed": False,
        "consumer_id": consumer_id,
        "decision": decision.decision,
        "reasons": list(decision.reasons),
        "height": decision.height,
        "action": decision.action.value,
        "alarm_reasons": list(decision.alarm_reasons),
        "is_opted_in": facts.is_opted_in,
        "is_in_top_n": facts.is_in_top_n,
        "launch_failed": failed,
        "memory": to_remember,
        "is_remembered": all(remembered.get(key) == value for key, value in to_remember.items()),
    }


def _to_remember(consumer: Consumer, decision: policy.Decision, facts: policy.Facts, failed: bool) -> dict[str, str]:
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
        "launch_failed": "true" if failed else "false",
        "launch_failed_reason": LAUNCH_FAILED if failed else "",
        "alarm": "true" if decision.alarm_reasons else "false",
        "alarm_reason": "; ".join(decision.alarm_reasons),
    }
    if not (facts.is_opted_in and consumer.phase is Phase.LAUNCHED):
        return found
    # The launch writes these itself, with what belongs to them: whether the node may sign is decided there.
    kept = {"phase"}
    if facts.memory.decision and decision.action is not policy.Action.OPT_OUT:
        kept |= {"decision", "reason", "reasons", "height"}
    return {key: value for key, value in found.items() if key not in kept}


def _candidate(client: ProviderClient, consumer: Consumer, newest: int) -> policy.Candidate:
    # Before the launch an owner's change holds at once.
    launched = consumer.phase is Phase.LAUNCHED
    return policy.Candidate(
        consumer_id=consumer.consumer_id,
        chain_id=consumer.chain_id,
        owner_address=consumer.owner_address,
        phase=consumer.phase,
        p2p_port=ports_of(consumer.chain_id).p2p,
        infraction=consumer.infraction,
        queued_infraction=client.queued_infraction(consumer.consumer_id, newest) if launched else None,
    )


def _provider_infraction(client: ProviderClient, newest: int) -> InfractionParameters:
    """Return what an infraction on the provider itself costs; it jails for ever who signs twice."""
    own = client.slashing_parameters(newest)
    return InfractionParameters(
        SlashJailParameters(own.slash_fraction_double_sign, FOR_EVER, tombstone=True),
        SlashJailParameters(own.slash_fraction_downtime, own.downtime_jail_duration),
    )


def _top_n(client: ProviderClient, consumer: Consumer, validators: list[Validator], newest: int) -> frozenset[str]:
    top_n = consumer.power_shaping.top_n
    if top_n == 0:
        return frozenset()
    return top_n_members(validators, top_n, client.parameters(newest).max_provider_consensus_validators)


def _fees_spent(client: ProviderClient, operator_address: str, budget: Coin | None) -> int | None:
    if budget is None:
        return None
    try:
        return paid_in_last_day(client, address.account_of(operator_address), budget.denom)
    except QueryFailed:
        return None  # the decision says so


def _selection_height(
    client: ProviderClient, before: Memory, given: int, is_change: bool, newest: int
) -> tuple[int, str]:
    """Return the height at which to ask the selection rule, and a note when it is not the one that it should be.

    A phase change of a known consumer is decided at its own height. Otherwise an earlier decision's height holds, so that the answer does
    not depend on when one looks; for a consumer seen for the first time that of its creation, which is the same for every monitor.
    """
    wanted = given if is_change and given else before.height if before.decision else 0
    if wanted:
        try:
            client.consumer(before.consumer_id, wanted)
        except HeightNotAvailable:
            oldest = first_height(client, before.consumer_id, newest, wanted)
            lost = f"height {wanted}"
        else:
            return wanted, ""
    else:
        oldest = first_height(client, before.consumer_id, newest, given)
        if oldest.is_creation:
            return oldest.height, ""
        lost = "its creation"
    return (
        oldest.height,
        f"asked at height {oldest.height}, the oldest of which the node has the state: that of {lost} is gone",
    )
