# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opt a validator in to a consumer with a key of its own, or out again."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    KeyStoreError,
    QueryFailed,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    consensus_key,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.key_store import (
    FileKeyStore,
    KeyStore,
    SecretKeyStore,
)
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "key_namespace": {"type": "str", "no_log": False},
    "key_secret": {"type": "str", "no_log": False},
    "key_file": {"type": "path"},
    "kubeconfig": {"type": "path"},
}
OPT_IN_PHASES = (Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED)
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the opt-in of the signing validator into the wanted state."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    store = _key_store(params, consumer_id) if params["state"] == "present" else None
    signer = connection.signer(params)
    client = connection.provider_client(params)
    consumer = client.consumer(consumer_id)
    validator = connection.own_validator(client, signer)
    operator = validator.operator_address
    opted_in = consensus_address(validator) in client.opted_in(consumer_id)
    result: dict[str, Any] = {
        "consumer_id": consumer_id,
        "operator_address": operator,
        "consumer_public_key": None,
        "tx_hash": None,
        "height": None,
    }

    def wanted(message: Any, name: str, while_opted_in: bool) -> transaction.Wanted | None:
        """Ask state again before each signature: nothing is sent that another writer has brought about."""
        if (consensus_address(validator) in client.opted_in(consumer_id)) is not while_opted_in:
            return None
        return transaction.Wanted(message, f"{messages.PROVIDER}.{name}")

    if store is None:
        if not opted_in:
            return {**result, "changed": False, "diff": _diff(False, False)}
        if consumer.phase is not Phase.LAUNCHED:
            raise WrongPhase(
                f"consumer {consumer_id} is {consumer.phase.value}: opting out is possible only while it is launched"
            )
        if not check_mode:
            message = messages.provider_message("MsgOptOut")(
                provider_addr=operator,
                signer=signer.key.account_address,
                consumer_id=consumer_id,
            )
            sent = transaction.send_until(client, signer, lambda: wanted(message, "MsgOptOut", True))
            if sent is None:  # another writer of this account opted out meanwhile
                return {**result, "changed": False, "diff": _diff(False, False)}
            result.update(tx_hash=sent.hash, height=sent.height)
        return {**result, "changed": True, "diff": _diff(True, False)}

    stored = store.read()
    assigned = client.consumer_keys(consumer_id).get(consensus_address(validator)) if opted_in else None
    if opted_in:
        _check_same_key(consumer_id, assigned, stored)
        result["consumer_public_key"] = assigned
        return {**result, "changed": False, "diff": _diff(True, True)}
    if consumer.phase not in OPT_IN_PHASES:
        raise WrongPhase(f"consumer {consumer_id} is {consumer.phase.value}: opting in is not possible any more")
    _check_unused(client, consumer_id, validator, stored)
    if check_mode:
        result["consumer_public_key"] = None if stored is None else stored.public_key_base64
        return {**result, "changed": True, "diff": _diff(False, True)}
    if stored is None:
        store.create(consensus_key.generate())
        stored = store.read()  # what is signed with later is what the store gives back
        if stored is None:
            raise KeyStoreError("the consumer key was stored but cannot be read back; nothing was sent")
    message = messages.provider_message("MsgOptIn")(
        provider_addr=operator,
        signer=signer.key.account_address,
        consumer_id=consumer_id,
        consumer_key=consensus_key.consumer_key_json(stored.public_key_base64),
    )
    sent = transaction.send_until(client, signer, lambda: wanted(message, "MsgOptIn", False))
    _check_same_key(
        consumer_id,
        client.consumer_keys(consumer_id).get(consensus_address(validator)),
        stored,
    )
    result["consumer_public_key"] = stored.public_key_base64
    if sent is None:  # another monitor of this validator, with the same key, opted in meanwhile
        return {**result, "changed": False, "diff": _diff(True, True)}
    result.update(tx_hash=sent.hash, height=sent.height)
    return {**result, "changed": True, "diff": _diff(False, True)}


def _key_store(params: dict[str, Any], consumer_id: str) -> KeyStore:
    if params["key_file"]:
        if params["key_secret"] or params["key_namespace"]:
            raise InvalidInput("give either key_file or key_namespace and key_secret, not both")
        return FileKeyStore(params["key_file"])
    for name in ("key_namespace", "key_secret"):
        if not _OBJECT_NAME.fullmatch(params[name] or ""):
            raise InvalidInput(
                f"{name} must name a Kubernetes object: the consumer key is stored there before opting in (or give key_file)"
            )
    return SecretKeyStore(params["key_namespace"], params["key_secret"], consumer_id, params["kubeconfig"])


def _check_same_key(consumer_id: str, assigned: str | None, stored: consensus_key.ConsensusKey | None) -> None:
    """Refuse to go on when the chain knows a key of this validator whose private half is not in the store."""
    if assigned is None:
        raise KeyStoreError(
            f"this validator is opted in to consumer {consumer_id} with its provider key; assign a key of its own before running a node"
        )
    if stored is None or stored.public_key_base64 != assigned:
        held = "none" if stored is None else stored.public_key_base64
        raise KeyStoreError(
            f"consumer {consumer_id} knows key {assigned} of this validator but the key store holds {held}: "
            "another monitor or a person opted in; put that key into the store or opt out"
        )


def _check_unused(
    client: ProviderClient,
    consumer_id: str,
    validator: Validator,
    stored: consensus_key.ConsensusKey | None,
) -> None:
    if stored is None:
        return
    if stored.public_key == validator.consensus_public_key:
        raise KeyStoreError(
            "the key store holds the provider's own consensus key: signing two chains with it risks a double sign"
        )
    owner = {key: holder for holder, key in client.consumer_keys(consumer_id).items()}.get(stored.public_key_base64)
    if owner not in (None, consensus_address(validator)):
        raise QueryFailed(f"the stored key is already assigned to {owner} on consumer {consumer_id}")
    # A key assigned to this validator while it is not opted in: the earlier opt-out kept the assignment, and it is used again.


def _diff(before: bool, after: bool) -> dict[str, Any]:
    return {"before": {"opted_in": before}, "after": {"opted_in": after}}
