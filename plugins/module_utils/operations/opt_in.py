# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opt a validator in to a consumer with a key of its own, a given one or none, or out again."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer, Wanted
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import KeyStore
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    KeyStoreError,
    QueryFailed,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import POWER_REDUCTION
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_key
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

OWN, GIVEN, NONE = "own", "given", "none"
ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    **consumer_key.OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "key_source": {"type": "str", "choices": [OWN, GIVEN, NONE], "default": OWN, "no_log": False},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the opt-in of the signing validator into the wanted state."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    store, given = _wanted_key(params, consumer_id) if params["state"] == "present" else (None, None)
    signer = connection.signer(params)
    client = connection.current_provider_client(params)
    consumer = client.consumer(consumer_id)
    validator = connection.own_validator(client, signer)
    if params["state"] == "absent":
        return _opt_out(client, signer, consumer, validator, check_mode)
    return _opt_in(client, signer, consumer, validator, store, given, check_mode)


def _wanted_key(params: dict[str, Any], consumer_id: str) -> tuple[KeyStore | None, bytes | None]:
    """Return the store of the own key, the given public key, or neither."""
    given = consumer_key.given_key(params)
    source = params["key_source"]
    if source == GIVEN and given is None:
        raise InvalidInput("key_source given needs consumer_public_key")
    if source != GIVEN and given is not None:
        raise InvalidInput(f"consumer_public_key is used with key_source given only, not with {source}")
    if source == OWN:
        return consumer_key.key_store(params, consumer_id), None
    stores = [name for name in consumer_key.STORE_OPTIONS if params[name]]
    if source == NONE and stores:
        raise InvalidInput(f"key_source none sends no key: leave out {' and '.join(stores)}")
    return None, given


def _opt_in(
    client: ProviderClient,
    signer: Signer,
    consumer: Consumer,
    validator: Validator,
    store: KeyStore | None,
    given: bytes | None,
    check_mode: bool,
) -> dict[str, Any]:
    consumer_id, own_address = consumer.consumer_id, consensus_address(validator)
    opted_in = own_address in client.opted_in(consumer_id)
    assigned = client.consumer_keys(consumer_id).get(own_address)
    stored = None if store is None else consumer_key.kept_key(store, assigned)
    wanted = given if stored is None else stored.public_key
    with_key = store is not None or given is not None
    result: dict[str, Any] = {
        "changed": not opted_in,
        "consumer_id": consumer_id,
        "operator_address": validator.operator_address,
        "consumer_public_key": assigned,
        "tx_hash": None,
        "height": None,
        "diff": _diff(opted_in, True),
    }
    if with_key and (opted_in or assigned is not None):
        _check_same_key(consumer_id, assigned, wanted)
    if opted_in:
        return result
    if consumer.phase not in consumer_key.ACTIVE:
        raise WrongPhase(
            "cannot opt in to a consumer chain that is not in the registered, initialized, or launched phase: "
            f"{consumer_id} is {consumer.phase.value}"
        )
    send_key = with_key and assigned is None  # the provider refuses a key that it has assigned already
    if send_key and wanted is not None:
        consumer_key.check_assignable(client, consumer, validator, wanted)
    if check_mode:
        if send_key:
            result["consumer_public_key"] = None if wanted is None else public_key_base64(wanted)
        return result
    if store is not None and send_key:
        wanted = consumer_key.stored_key(store)

    def decide() -> Wanted | None:
        if own_address in client.opted_in(consumer_id):
            return None
        message = messages.provider_message("MsgOptIn")(
            provider_addr=validator.operator_address,
            signer=signer.key.account_address,
            consumer_id=consumer_id,
        )
        known = client.consumer_keys(consumer_id).get(own_address)
        if with_key and known is None:
            message.consumer_key = consensus_key.consumer_key_json(public_key_base64(wanted or b""))
        elif with_key:
            _check_same_key(consumer_id, known, wanted)
        return Wanted(message, f"{messages.PROVIDER}.MsgOptIn")

    sent = transaction.send_until(client, signer, decide)
    assigned = client.consumer_keys(consumer_id).get(own_address)
    if with_key:
        _check_same_key(consumer_id, assigned, wanted)
    if own_address not in client.opted_in(consumer_id):
        raise QueryFailed(
            f"consumer {consumer_id} was opted in to but the chain does not show it: "
            "another writer opted out or the consumer was stopped meanwhile; run again"
        )
    result.update(consumer_public_key=assigned, **_outcome(sent))
    return result


def _opt_out(
    client: ProviderClient, signer: Signer, consumer: Consumer, validator: Validator, check_mode: bool
) -> dict[str, Any]:
    consumer_id, own_address = consumer.consumer_id, consensus_address(validator)
    opted_in = own_address in client.opted_in(consumer_id)
    result: dict[str, Any] = {
        "changed": opted_in,
        "consumer_id": consumer_id,
        "operator_address": validator.operator_address,
        "consumer_public_key": None,
        "has_to_validate": consumer_id in client.has_to_validate(own_address),
        "tx_hash": None,
        "height": None,
        "diff": _diff(opted_in, False),
    }
    if not opted_in:
        return result
    if consumer.phase is not Phase.LAUNCHED:
        raise WrongPhase(
            f"opting out of a consumer chain not yet launched, consumerId({consumer_id}): it is {consumer.phase.value}, "
            "and the provider lets a validator out only while it is launched"
        )
    _check_not_in_top_n(client, consumer, validator)
    if check_mode:
        return result
    message = messages.provider_message("MsgOptOut")(
        provider_addr=validator.operator_address,
        signer=signer.key.account_address,
        consumer_id=consumer_id,
    )

    def decide() -> Wanted | None:
        if own_address not in client.opted_in(consumer_id):
            return None
        return Wanted(message, f"{messages.PROVIDER}.MsgOptOut")

    sent = transaction.send_until(client, signer, decide)
    if own_address in client.opted_in(consumer_id):
        raise QueryFailed(
            f"consumer {consumer_id} was opted out of but the chain does not show it: "
            "another writer opted in meanwhile; run again"
        )
    result.update(has_to_validate=consumer_id in client.has_to_validate(own_address), **_outcome(sent))
    return result


def _outcome(sent: TransactionResult | None) -> dict[str, Any]:
    """Return what a transaction adds to the result; without one another writer did it meanwhile."""
    if sent is None:
        return {"changed": False}
    return {"changed": True, "tx_hash": sent.hash, "height": sent.height}


def _check_not_in_top_n(client: ProviderClient, consumer: Consumer, validator: Validator) -> None:
    if not consumer.power_shaping.top_n:
        return
    power = validator.tokens // POWER_REDUCTION if validator.status is BondStatus.BONDED else 0
    least = client.minimum_power_in_top_n(consumer.consumer_id)
    if least is not None and power >= least:
        raise InvalidInput(
            f"validator with power ({power}) cannot opt out from Top N chain with consumer id ({consumer.consumer_id}) "
            f"because all validators with at least {least} power have to validate"
        )


def _check_same_key(consumer_id: str, assigned: str | None, wanted: bytes | None) -> None:
    """Refuse to go on when the chain knows a key of this validator other than the one that it is to sign with."""
    if assigned is None:
        raise KeyStoreError(
            f"this validator is opted in to consumer {consumer_id} with its provider key; assign a key of its own "
            "with consumer_key_assignment before running a node"
        )
    if wanted is None or public_key_base64(wanted) != assigned:
        held = (
            "the key store holds none" if wanted is None else f"{public_key_base64(wanted)} is the one to be used here"
        )
        raise KeyStoreError(
            f"consumer {consumer_id} knows key {assigned} of this validator but {held}: "
            "another monitor or a person assigned it; put that key into the store, or replace it with "
            "consumer_key_assignment and rotate"
        )


def _diff(before: bool, after: bool) -> dict[str, Any]:
    return {"before": {"opted_in": before}, "after": {"opted_in": after}}
