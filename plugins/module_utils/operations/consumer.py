# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create, update and remove consumers as their owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import consumer_parameters, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer, Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    InvalidInput,
    QueryFailed,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    address,
    consumer_record,
    consumer_rules,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    InitializationParameters,
    PowerShapingParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import ConsumerRecord, Difference
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_rules import Problem
from ansible_collections.interchain.security.plugins.module_utils.ics.events import is_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_options
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consumer_result
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **connection.SIGNER_OPTIONS,
    **consumer_options.OPTIONS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "consumer_id": {"type": "str"},
    "allow_duplicate": {"type": "bool", "default": False},
}
ACTIVE = (Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED)
BEFORE_LAUNCH = (Phase.REGISTERED, Phase.INITIALIZED)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a consumer into the wanted state."""
    consumer_id = None if params["consumer_id"] is None else checked_consumer_id(params["consumer_id"])
    given = consumer_options.parse(params)
    signer = connection.signer(params)
    client = connection.provider_client(params)
    if params["state"] == "absent":
        if consumer_id is None:
            raise InvalidInput("state absent needs the consumer_id: a chain_id may belong to several consumers")
        return _remove(client, signer, consumer_id, check_mode)
    if consumer_id is None and given.chain_id is None:
        raise InvalidInput("a new consumer needs a chain_id; to change an existing one give its consumer_id")
    if consumer_id is None and not params["allow_duplicate"]:
        consumer_id = _own_consumer(client, signer, given)
    if consumer_id is None:
        return _create(client, signer, given, params["allow_duplicate"], check_mode)
    return _update(client, signer, consumer_id, given, check_mode)


def _own_consumer(client: ProviderClient, signer: Signer, given: consumer_options.Given) -> str | None:
    """Return the consumer of that chain_id that an earlier run made, so that creating can be repeated."""
    owners = {signer.key.account_address, given.new_owner_address}
    found = [
        entry.consumer_id
        for entry in client.consumers()
        if entry.chain_id == given.chain_id
        and entry.phase in ACTIVE
        and client.consumer(entry.consumer_id).owner_address in owners
    ]
    if len(found) > 1:
        raise InvalidInput(
            f"the consumers {', '.join(found)} of this account all have that chain_id: "
            "say which one by consumer_id, or create another one with allow_duplicate"
        )
    return found[0] if found else None


def _create(
    client: ProviderClient,
    signer: Signer,
    given: consumer_options.Given,
    allow_duplicate: bool,
    check_mode: bool,
) -> dict[str, Any]:
    owner = signer.key.account_address
    chain_id = str(given.chain_id)
    plain = ConsumerRecord(
        chain_id=chain_id,
        owner_address=owner,
        name=chain_id,
        description="-",
        metadata="-",
        initialization=InitializationParameters(initial_height=(consumer_rules.revision_of(chain_id), 1)),
        power_shaping=PowerShapingParameters(),
        infraction=client.slashing_parameters().consumer_default(),
    )
    wanted = given.applied_to(plain, client.status().latest_block_time)
    prefix = address.decode(owner)[0]
    problems = _problems(wanted, consumer_record.CHANGEABLE, prefix)
    problems += consumer_rules.new_top_n_problems(wanted.power_shaping)
    if wanted.owner_address != owner:
        problems += consumer_rules.new_owner_problems(wanted.owner_address, prefix)
    consumer_rules.refuse(problems, "the new consumer")
    after = {name: value for name, (_group, value) in consumer_record.as_options(wanted).items()}
    diff = {"before": {}, "after": after}
    if check_mode:
        return {
            "changed": True,
            "consumer_id": None,
            "consumer": None,
            "missing_initialization_parameters": consumer_rules.missing_initialization(wanted.initialization),
            "tx_hash": None,
            "diff": diff,
        }
    message = messages.provider_message("MsgCreateConsumer")(submitter=owner, chain_id=chain_id)
    _fill_metadata(message.metadata, wanted)
    consumer_parameters.write_initialization(message.initialization_parameters, wanted.initialization)
    consumer_parameters.write_power_shaping(message.power_shaping_parameters, wanted.power_shaping)
    if wanted.infraction != plain.infraction:
        consumer_parameters.write_infraction(message.infraction_parameters, wanted.infraction)
    if wanted.reward_denoms:
        message.allowlisted_reward_denoms.denoms.extend(wanted.reward_denoms)

    def decide() -> Wanted | None:
        if not allow_duplicate and _own_consumer(client, signer, given) is not None:
            return None
        return Wanted(message, f"{messages.PROVIDER}.MsgCreateConsumer")

    sent = transaction.send_until(client, signer, decide)
    if sent is None:  # another writer of this account created it meanwhile
        return _update(client, signer, str(_own_consumer(client, signer, given)), given, check_mode)
    found = [event.attributes.get("consumer_id", "") for event in sent.events if event.type == "create_consumer"]
    if len(found) != 1 or not is_consumer_id(found[0]):
        raise QueryFailed(
            f"the consumer was created in block {sent.height} but its consumer_id is not in the answer: list the consumers"
        )
    result: dict[str, Any] = {"changed": True, "consumer_id": found[0], "tx_hash": sent.hash, "diff": diff}
    if wanted.owner_address != owner:  # a consumer is always created for its submitter
        result["tx_hash"] = _update(client, signer, found[0], given, check_mode)["tx_hash"]
    return {**result, **_shown(client.consumer(found[0]))}


def _update(
    client: ProviderClient,
    signer: Signer,
    consumer_id: str,
    given: consumer_options.Given,
    check_mode: bool,
) -> dict[str, Any]:
    account = signer.key.account_address
    plan = _plan(client, account, consumer_id, given)
    result: dict[str, Any] = {
        "changed": bool(plan.change.groups),
        "consumer_id": consumer_id,
        "tx_hash": None,
        "diff": {"before": plan.change.before, "after": plan.change.after},
    }
    if not result["changed"] or check_mode:
        return {**result, **_shown(plan.consumer)}

    def decide() -> Wanted | None:
        nonlocal plan
        plan = _plan(client, account, consumer_id, given)
        if not plan.change.groups:
            return None
        return Wanted(_update_message(account, plan), f"{messages.PROVIDER}.MsgUpdateConsumer")

    sent = transaction.send_until(client, signer, decide)
    result.update(changed=sent is not None, tx_hash=None if sent is None else sent.hash)
    consumer = client.consumer(consumer_id)
    left = consumer_record.difference(_record(client, consumer, given), plan.wanted)
    if left.groups:
        raise QueryFailed(
            f"consumer {consumer_id} was updated in transaction {result['tx_hash']} but the chain shows other values of "
            f"{', '.join(left.after)}: it launched or another writer changed it meanwhile; run again"
        )
    return {**result, **_shown(consumer)}


@dataclass(frozen=True)
class _Plan:
    """A consumer as it is, what it is to be, and the difference."""

    consumer: Consumer
    wanted: ConsumerRecord
    change: Difference


def _plan(client: ProviderClient, account: str, consumer_id: str, given: consumer_options.Given) -> _Plan:
    """Read a consumer and say what is to change; refuse what the provider would refuse."""
    consumer = client.consumer(consumer_id)
    before = _record(client, consumer, given)
    wanted = given.applied_to(before, client.status().latest_block_time)
    change = consumer_record.difference(before, wanted)
    if change.groups:
        _check_update(consumer, wanted, change, account)
    return _Plan(consumer, wanted, change)


def _record(client: ProviderClient, consumer: Consumer, given: consumer_options.Given) -> ConsumerRecord:
    """Return what the chain has of all that may be changed; what needs a further query is asked only when it is given."""
    infraction = consumer.infraction
    if given.infraction is not None and consumer.phase is Phase.LAUNCHED:
        # The provider keeps a change of a launched consumer back for the unbonding time.
        infraction = client.queued_infraction(consumer.consumer_id) or infraction
    return ConsumerRecord(
        chain_id=consumer.chain_id,
        owner_address=consumer.owner_address,
        name=consumer.name,
        description=consumer.description,
        metadata=consumer.metadata,
        initialization=consumer.initialization,
        power_shaping=consumer.power_shaping,
        infraction=infraction,
        reward_denoms=() if given.reward_denoms is None else client.reward_denoms(consumer.consumer_id),
    )


def _check_update(consumer: Consumer, wanted: ConsumerRecord, change: Difference, account: str) -> None:
    """Refuse what the provider would refuse, in the order in which it looks."""
    if consumer.phase not in ACTIVE:
        raise WrongPhase(
            "cannot update consumer chain that is not in the registered, initialized, or launched phase: "
            f"{consumer.consumer_id} is {consumer.phase.value}"
        )
    _check_owner(consumer, account)
    if consumer.phase not in BEFORE_LAUNCH:
        if consumer_record.CHAIN_ID in change.groups:
            raise WrongPhase(
                f"cannot update chain id of a non-prelaunched chain: {consumer.phase.chain_name} "
                f"(consumer {consumer.consumer_id})"
            )
        if consumer_record.INITIALIZATION in change.groups:
            names = [name for name in change.after if name in consumer_options.INITIALIZATION_OPTIONS]
            raise WrongPhase(
                "cannot update the initialization parameters of an an already launched chain: "
                f"consumer {consumer.consumer_id} is launched, leave out {', '.join(names)}"
            )
    prefix, _account = address.decode(account)
    problems = _problems(wanted, change.groups, prefix)
    if consumer_record.OWNER in change.groups:
        problems += consumer_rules.new_owner_problems(wanted.owner_address, prefix)
    authority = address.module_account("gov", prefix)
    if change.groups & {consumer_record.POWER_SHAPING, consumer_record.OWNER}:
        problems += consumer_rules.owner_problems(
            wanted.power_shaping, consumer.owner_address, wanted.owner_address, authority
        )
    consumer_rules.refuse(problems, f"this change of consumer {consumer.consumer_id}")


def _problems(wanted: ConsumerRecord, groups: frozenset[str], prefix: str) -> list[Problem]:
    """Return what the provider has against the values of those groups; ``prefix`` is that of its accounts."""
    problems: list[Problem] = []
    if consumer_record.CHAIN_ID in groups:
        problems += consumer_rules.chain_id_problems(wanted.chain_id)
    if consumer_record.METADATA in groups:
        problems += consumer_rules.metadata_problems(wanted.name, wanted.description, wanted.metadata)
    if consumer_record.INITIALIZATION in groups:
        problems += consumer_rules.initialization_problems(wanted.initialization, wanted.chain_id)
    if consumer_record.POWER_SHAPING in groups:
        problems += consumer_rules.power_shaping_problems(wanted.power_shaping, f"{prefix}valcons")
    if consumer_record.INFRACTION in groups:
        problems += consumer_rules.infraction_problems(wanted.infraction)
    if consumer_record.REWARD_DENOMS in groups:
        problems += consumer_rules.reward_denom_problems(wanted.reward_denoms)
    return problems


def _update_message(account: str, plan: _Plan) -> Any:
    """Return the message that changes the groups that differ and leaves the others alone."""
    wanted, change = plan.wanted, plan.change
    message = messages.provider_message("MsgUpdateConsumer")(owner=account, consumer_id=plan.consumer.consumer_id)
    if consumer_record.CHAIN_ID in change.groups:
        message.new_chain_id = wanted.chain_id
    if consumer_record.OWNER in change.groups:
        message.new_owner_address = wanted.owner_address
    if consumer_record.METADATA in change.groups:
        _fill_metadata(message.metadata, wanted)
    if consumer_record.INITIALIZATION in change.groups:
        consumer_parameters.write_initialization(message.initialization_parameters, wanted.initialization)
    if consumer_record.POWER_SHAPING in change.groups:
        consumer_parameters.write_power_shaping(message.power_shaping_parameters, wanted.power_shaping)
    if consumer_record.INFRACTION in change.groups:
        consumer_parameters.write_infraction(message.infraction_parameters, wanted.infraction)
    if consumer_record.REWARD_DENOMS in change.groups:
        message.allowlisted_reward_denoms.SetInParent()
        message.allowlisted_reward_denoms.denoms.extend(wanted.reward_denoms)
    return message


def _fill_metadata(message: Any, wanted: ConsumerRecord) -> None:
    for name in ("name", "description", "metadata"):
        setattr(message, name, getattr(wanted, name))


def _shown(consumer: Consumer) -> dict[str, Any]:
    return {
        "consumer": consumer_result(consumer),
        "missing_initialization_parameters": consumer_rules.missing_initialization(consumer.initialization),
    }


def _remove(client: ProviderClient, signer: Signer, consumer_id: str, check_mode: bool) -> dict[str, Any]:
    try:
        consumer = client.consumer(consumer_id)
    except ConsumerNotFound as error:
        raise ConsumerNotFound(f"the provider knows no consumer {consumer_id}: nothing to remove") from error
    remove = _removal(consumer, signer.key.account_address)
    after = Phase.STOPPED if remove else consumer.phase
    result: dict[str, Any] = {
        "changed": remove,
        "consumer_id": consumer_id,
        "tx_hash": None,
        "diff": {"before": {"phase": consumer.phase.value}, "after": {"phase": after.value}},
    }
    if not remove or check_mode:
        return {**result, **_shown(consumer)}
    message = messages.provider_message("MsgRemoveConsumer")(consumer_id=consumer_id, owner=signer.key.account_address)

    def decide() -> Wanted | None:
        if not _removal(client.consumer(consumer_id), signer.key.account_address):
            return None
        return Wanted(message, f"{messages.PROVIDER}.MsgRemoveConsumer")

    sent = transaction.send_until(client, signer, decide)
    result.update(changed=sent is not None, tx_hash=None if sent is None else sent.hash)
    return {**result, **_shown(client.consumer(consumer_id))}


def _removal(consumer: Consumer, account: str) -> bool:
    """Say whether a consumer is to be removed still; refuse what the provider would refuse."""
    if consumer.phase in (Phase.STOPPED, Phase.DELETED):
        return False
    _check_owner(consumer, account)
    if consumer.phase is not Phase.LAUNCHED:
        raise WrongPhase(
            f"chain with consumer id: {consumer.consumer_id} has to be in its launched phase before the provider removes it: "
            f"it is {consumer.phase.value}"
        )
    return True


def _check_owner(consumer: Consumer, account: str) -> None:
    if consumer.owner_address != account:
        raise InvalidInput(
            f"unauthorized for consumer {consumer.consumer_id}: expected owner address {consumer.owner_address}, got {account}"
        )
