# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create, update and remove consumers as their owner."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.consumer_parameters import ZERO_TIME_SECONDS
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    InvalidInput,
    QueryFailed,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.events import is_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consumer_result
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "consumer_id": {"type": "str"},
    "chain_id": {"type": "str"},
    "name": {"type": "str"},
    "description": {"type": "str"},
    "metadata": {"type": "str"},
    "spawn_time": {"type": "str"},
    "unbonding_period": {"type": "int", "default": 1209600},
    "ccv_timeout_period": {"type": "int", "default": 2419200},
    "transfer_timeout_period": {"type": "int", "default": 1800},
    "historical_entries": {"type": "int", "default": 10000},
    "blocks_per_distribution_transmission": {"type": "int", "default": 1000},
    "consumer_redistribution_fraction": {"type": "str", "default": "0.75"},
}
LIMITS = {
    "chain_id": 50,
    "name": 50,
    "description": 10_000,
    "metadata": 255,
}  # bytes, the chain's own
METADATA_DEFAULTS = {"name": "", "description": "-", "metadata": "-"}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a consumer into the wanted state."""
    for name, limit in LIMITS.items():
        if params[name] is not None and not 0 < len(params[name].encode()) <= limit:
            raise InvalidInput(f"{name} must have between 1 and {limit} bytes")
    consumer_id = None if params["consumer_id"] is None else checked_consumer_id(params["consumer_id"])
    signer = connection.signer(params)
    client = connection.provider_client(params)
    if params["state"] == "absent":
        if consumer_id is None:
            raise InvalidInput("state absent needs the consumer_id: a chain_id may belong to several consumers")
        return _remove(client, signer, consumer_id, check_mode)
    if consumer_id is None:
        return _create(client, signer, params, check_mode)
    return _update(client, signer, consumer_id, params, check_mode)


def _create(client: ProviderClient, signer: Signer, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    chain_id = params["chain_id"]
    if chain_id is None:
        raise InvalidInput("a new consumer needs a chain_id; to change an existing one give its consumer_id")
    spawn_time = _spawn_time(client, params["spawn_time"])
    wanted = {"chain_id": chain_id, "spawn_time": params["spawn_time"]}
    if check_mode:
        return {
            "changed": True,
            "consumer_id": None,
            "consumer": None,
            "tx_hash": None,
            "diff": {"before": {}, "after": wanted},
        }
    message = messages.provider_message("MsgCreateConsumer")(submitter=signer.key.account_address, chain_id=chain_id)
    for field, default in METADATA_DEFAULTS.items():
        setattr(message.metadata, field, params[field] or default or chain_id)
    _set_initialization(message.initialization_parameters, chain_id, spawn_time, params)
    message.power_shaping_parameters.SetInParent()
    sent = transaction.send(client, signer, message, f"{messages.PROVIDER}.MsgCreateConsumer")
    found = [event.attributes.get("consumer_id", "") for event in sent.events if event.type == "create_consumer"]
    if len(found) != 1 or not is_consumer_id(found[0]):
        raise QueryFailed(
            f"the consumer was created in block {sent.height} but its consumer_id is not in the answer: list the consumers"
        )
    consumer = client.consumer(found[0])
    return {
        "changed": True,
        "consumer_id": consumer.consumer_id,
        "consumer": consumer_result(consumer),
        "tx_hash": sent.hash,
        "diff": {"before": {}, "after": wanted},
    }


def _update(
    client: ProviderClient,
    signer: Signer,
    consumer_id: str,
    params: dict[str, Any],
    check_mode: bool,
) -> dict[str, Any]:
    consumer = client.consumer(consumer_id)
    _check_owner(consumer, signer)
    spawn_time = _spawn_time(client, params["spawn_time"])
    before: dict[str, Any] = {name: getattr(consumer, name) for name in LIMITS if params[name] is not None}
    after: dict[str, Any] = {name: params[name] for name in before}
    if spawn_time is not None:
        before["spawn_time"], after["spawn_time"] = (
            str(consumer.spawn_time),
            str(spawn_time),
        )
    changed = before != after
    result = {
        "changed": changed,
        "consumer_id": consumer_id,
        "consumer": consumer_result(consumer),
        "tx_hash": None,
        "diff": {"before": before, "after": after},
    }
    if changed and consumer.phase in (Phase.STOPPED, Phase.DELETED):
        raise WrongPhase(f"consumer {consumer_id} is {consumer.phase.value}: it cannot be updated any more")
    if (
        changed
        and consumer.phase is Phase.LAUNCHED
        and {"chain_id", "spawn_time"} & {name for name in after if before[name] != after[name]}
    ):
        raise WrongPhase(f"consumer {consumer_id} is launched: its chain_id and spawn_time cannot change any more")
    if not changed or check_mode:
        return result
    message = messages.provider_message("MsgUpdateConsumer")(owner=signer.key.account_address, consumer_id=consumer_id)
    if any(name in after for name in METADATA_DEFAULTS):
        for field in METADATA_DEFAULTS:
            setattr(message.metadata, field, after.get(field, getattr(consumer, field)))
    chain_id = str(after.get("chain_id", consumer.chain_id))
    if chain_id != consumer.chain_id:
        message.new_chain_id = chain_id
    if spawn_time is not None or chain_id != consumer.chain_id:
        _set_initialization(
            message.initialization_parameters,
            chain_id,
            spawn_time or consumer.spawn_time,
            params,
        )
    result["tx_hash"] = transaction.send(client, signer, message, f"{messages.PROVIDER}.MsgUpdateConsumer").hash
    result["consumer"] = consumer_result(client.consumer(consumer_id))
    return result


def _remove(client: ProviderClient, signer: Signer, consumer_id: str, check_mode: bool) -> dict[str, Any]:
    try:
        consumer = client.consumer(consumer_id)
    except ConsumerNotFound as error:
        raise ConsumerNotFound(f"the provider knows no consumer {consumer_id}: nothing to remove") from error
    result: dict[str, Any] = {
        "changed": False,
        "consumer_id": consumer_id,
        "consumer": consumer_result(consumer),
        "tx_hash": None,
        "diff": {
            "before": {"phase": consumer.phase.value},
            "after": {"phase": consumer.phase.value},
        },
    }
    if consumer.phase in (Phase.STOPPED, Phase.DELETED):
        return result
    _check_owner(consumer, signer)
    if consumer.phase is not Phase.LAUNCHED:
        raise WrongPhase(
            f"consumer {consumer_id} is {consumer.phase.value}: the provider removes a consumer only when it is launched"
        )
    result.update(changed=True)
    result["diff"]["after"] = {"phase": Phase.STOPPED.value}
    if not check_mode:
        message = messages.provider_message("MsgRemoveConsumer")(
            consumer_id=consumer_id, owner=signer.key.account_address
        )
        result["tx_hash"] = transaction.send(client, signer, message, f"{messages.PROVIDER}.MsgRemoveConsumer").hash
        result["consumer"] = consumer_result(client.consumer(consumer_id))
    return result


def _check_owner(consumer: Consumer, signer: Signer) -> None:
    if consumer.owner_address != signer.key.account_address:
        raise InvalidInput(
            f"consumer {consumer.consumer_id} belongs to {consumer.owner_address}, the given key is that of {signer.key.account_address}"
        )


def _spawn_time(client: ProviderClient, text: str | None) -> datetime | None:
    """Read a spawn time: RFC 3339 in UTC, or ``+<seconds>s`` from the chain's newest block."""
    if text is None:
        return None
    relative = re.fullmatch(r"\+([0-9]{1,9})s", text)
    if relative:
        newest = client.status().latest_block_time.replace(microsecond=0)
        return newest + timedelta(seconds=int(relative[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(f"spawn_time must be RFC 3339 such as 2026-12-01T12:00:00Z, or +60s, not {text[:40]!r}")
    return moment.astimezone(UTC)


def _set_initialization(target: Any, chain_id: str, spawn_time: datetime | None, params: dict[str, Any]) -> None:
    revision = re.fullmatch(r".*[^\n-]-([1-9][0-9]{0,18})", chain_id, re.DOTALL)
    target.initial_height.revision_number = int(revision[1]) if revision else 0
    target.initial_height.revision_height = 1
    if spawn_time is not None:
        target.spawn_time.FromDatetime(spawn_time)
    else:
        target.spawn_time.seconds = ZERO_TIME_SECONDS
    for field in ("unbonding_period", "ccv_timeout_period", "transfer_timeout_period"):
        getattr(target, field).seconds = params[field]
    target.consumer_redistribution_fraction = params["consumer_redistribution_fraction"]
    target.blocks_per_distribution_transmission = params["blocks_per_distribution_transmission"]
    target.historical_entries = params["historical_entries"]
