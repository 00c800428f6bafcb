# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Assign a validator's key for a consumer, or replace the assigned one."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import KeyStoreError, QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_key
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    **consumer_key.OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "rotate": {"type": "bool", "default": False},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the wanted key the one that the provider knows for the signing validator on a consumer."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    given = consumer_key.given_key(params)
    store = consumer_key.key_store(params, consumer_id) if given is None else None
    signer = connection.signer(params)
    client = connection.current_provider_client(params)
    consumer = client.consumer(consumer_id)
    validator = connection.own_validator(client, signer)
    own_address = consensus_address(validator)
    assigned = client.consumer_keys(consumer_id).get(own_address)
    stored = None if store is None else store.read()
    wanted = given if stored is None else stored.public_key
    shown = None if wanted is None else public_key_base64(wanted)
    result: dict[str, Any] = {
        "changed": assigned is None or assigned != shown,
        "consumer_id": consumer_id,
        "operator_address": validator.operator_address,
        "consumer_public_key": shown,
        "previous_consumer_public_key": assigned,
        "opted_in": own_address in client.opted_in(consumer_id),
        "blocks_until_next_epoch": None,
        "tx_hash": None,
        "height": None,
        "diff": {"before": {"consumer_public_key": assigned}, "after": {"consumer_public_key": shown}},
    }
    if not result["changed"]:
        return result
    consumer_key.check_phase(consumer)
    if assigned is not None and not params["rotate"]:
        held = "the key store holds none" if wanted is None else f"{shown} is wanted"
        raise KeyStoreError(
            f"consumer {consumer_id} knows key {assigned} of this validator and {held}: "
            "put the assigned key into the store, or replace it with rotate"
        )
    if wanted is not None:
        consumer_key.check_assignable(client, consumer, validator, wanted)
    if check_mode:
        return result
    if store is not None:
        wanted = consumer_key.stored_key(store)
    shown = public_key_base64(wanted or b"")
    message = messages.provider_message("MsgAssignConsumerKey")(
        provider_addr=validator.operator_address,
        signer=signer.key.account_address,
        consumer_id=consumer_id,
        consumer_key=consensus_key.consumer_key_json(shown),
    )

    def decide() -> Wanted | None:
        if client.consumer_keys(consumer_id).get(own_address) == shown:
            return None
        return Wanted(message, f"{messages.PROVIDER}.MsgAssignConsumerKey")

    sent = transaction.send_until(client, signer, decide)
    if client.consumer_keys(consumer_id).get(own_address) != shown:
        raise QueryFailed(
            f"the key {shown} was assigned on consumer {consumer_id} but the chain shows another: "
            "another writer assigned one meanwhile; run again"
        )
    result.update(changed=sent is not None, consumer_public_key=shown)
    if sent is not None:
        result.update(tx_hash=sent.hash, height=sent.height)
    result["diff"]["after"] = {"consumer_public_key": shown}
    if consumer.phase is Phase.LAUNCHED:
        result["blocks_until_next_epoch"] = client.blocks_until_next_epoch()
    return result
