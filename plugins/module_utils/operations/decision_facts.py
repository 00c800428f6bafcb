# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts that a decision about a consumer rests on, read from the provider chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.creation import first_height
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import paid_in_last_day
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import address, policy
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    InfractionParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import Coin, Facts
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import FOR_EVER
from ansible_collections.interchain.security.plugins.module_utils.ics.selection import select, top_n_members
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address


def gather(
    client: ProviderClient,
    consumer: Consumer,
    operator_address: str,
    memories: Sequence[Memory],
    newest: int,
    *,
    height: int = 0,
    is_change: bool = False,
    storage_size: int = 0,
    fee_budget: Coin | None = None,
) -> Facts:
    """Read what is to be known of a consumer as it is at height ``newest``.

    ``height`` is that of the event that made one look, 0 when there was none; ``is_change`` tells that the consumer was known before. The
    selection rule is asked only where it counts. InvalidInput when there is no such validator.
    """
    validators = client.validators(newest)
    own = next((entry for entry in validators if entry.operator_address == operator_address), None)
    if own is None:
        raise InvalidInput(
            f"operator_address: {operator_address[:80]!r} is no validator of the provider chain at height {newest}"
        )
    own_address, consumer_id = consensus_address(own), consumer.consumer_id
    lives = consumer.phase not in (Phase.STOPPED, Phase.DELETED)
    facts = Facts(
        consumer=_candidate(client, consumer, newest),
        height=newest,
        provider_infraction=_provider_infraction(client, newest),
        top_n=consumer.power_shaping.top_n,
        is_in_top_n=lives and operator_address in _top_n(client, consumer, validators, newest),
        is_opted_in=lives and own_address in client.opted_in(consumer_id, newest),
        has_own_key=lives and own_address in client.consumer_keys(consumer_id, newest),
        memories=tuple(memories),
        storage_size=storage_size,
    )
    if not policy.is_open(facts):
        return facts
    asked_at, note = _selection_height(client, facts.memory, height, is_change, newest)
    selection = select(client.validators(asked_at))
    return replace(
        facts,
        height=asked_at,
        height_note=note,
        is_selected=selection.includes(operator_address),
        selection_reason=selection.reason(operator_address),
        fees_spent=_fees_spent(client, operator_address, fee_budget),
    )


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
