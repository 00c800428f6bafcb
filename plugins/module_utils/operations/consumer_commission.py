# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set the commission that a validator charges on a consumer."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import consumer_parameters, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed, WrongPhase
from ansible_collections.interchain.security.plugins.module_utils.ics import consumer_rules
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import decimal_text
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_key
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "rate": {"type": "str", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the commission rate of the signing validator on a consumer to the wanted one."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    rate = consumer_rules.checked_decimal("rate", params["rate"])
    signer = connection.signer(params)
    client = connection.provider_client(params)
    consumer = client.consumer(consumer_id)
    if consumer.phase not in consumer_key.ACTIVE:
        raise WrongPhase(
            f"unknown consumer chain, with id: {consumer_id}: it is {consumer.phase.value}, and a rate can be set only "
            "while it is registered, initialized or launched"
        )
    validator = connection.own_validator(client, signer)
    before = client.commission_rate(consumer_id, consensus_address(validator))
    result: dict[str, Any] = {
        "changed": before != rate,
        "consumer_id": consumer_id,
        "operator_address": validator.operator_address,
        "rate": decimal_text(rate),
        "tx_hash": None,
        "height": None,
        "diff": {"before": {"rate": decimal_text(before)}, "after": {"rate": decimal_text(rate)}},
    }
    if not result["changed"]:
        return result
    problems = list(consumer_rules.commission_problems(rate, client.parameters().min_commission_rate))
    consumer_rules.refuse(problems, f"this rate on consumer {consumer_id}")
    if check_mode:
        return result
    message = messages.provider_message("MsgSetConsumerCommissionRate")(
        provider_addr=validator.operator_address,
        signer=signer.key.account_address,
        consumer_id=consumer_id,
        rate=consumer_parameters.write_dec(rate),
    )

    def decide() -> Wanted | None:
        if client.commission_rate(consumer_id, consensus_address(validator)) == rate:
            return None
        return Wanted(message, f"{messages.PROVIDER}.MsgSetConsumerCommissionRate")

    sent = transaction.send_until(client, signer, decide)
    after = client.commission_rate(consumer_id, consensus_address(validator))
    if after != rate:
        raise QueryFailed(
            f"the rate on consumer {consumer_id} was set but the chain shows {decimal_text(after)}: "
            "another writer changed it meanwhile; run again"
        )
    result["changed"] = sent is not None
    if sent is not None:
        result.update(tx_hash=sent.hash, height=sent.height)
    return result
