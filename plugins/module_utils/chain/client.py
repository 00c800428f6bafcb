# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries of a provider chain, pinned to a height where that is asked for."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import consumer_parameters
from ansible_collections.interchain.security.plugins.module_utils.chain.paging import PageLimit
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.address import consensus_bytes
from ansible_collections.interchain.security.plugins.module_utils.ics.address import encode as encode_address
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    ConsumerSummary,
    InfractionParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import (
    ProviderParameters,
    SlashingParameters,
    ThrottleState,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import (
    BondStatus,
    Validator,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

with contextlib.suppress(ImportError):  # a module reports it through missing_required_lib
    from google.protobuf.json_format import MessageToDict

QUEUED_INFRACTION_PREFIX = bytes([58])  # ConsumerIdToQueuedInfractionParametersKeyName of the provider module


class ProviderClient(NodeRpc):
    """A provider chain."""

    def __init__(self, urls: Sequence[str], chain_id: str | None = None, timeout: float = 10.0) -> None:
        super().__init__(urls, chain_id, timeout)
        self._validators_at: dict[int, list[Validator]] = {}

    def provider_query(self, name: str, height: int = 0, **fields: Any) -> Any:
        """Run a query of the provider module by the name of its messages, e.g. ``QueryConsumerChain``."""
        request = messages.provider_message(f"{name}Request")(**fields)
        return self.query(
            f"/{messages.PROVIDER}.Query/{name}",
            request,
            messages.provider_message(f"{name}Response"),
            height,
        )

    def consumers(self, phase: Phase | None = None, height: int = 0) -> list[ConsumerSummary]:
        """Return all consumers, in order of consumer_id, read in pages."""
        found: list[ConsumerSummary] = []
        page_limit = PageLimit()
        number = 0 if phase is None else list(Phase).index(phase) + 1
        key = b""
        while True:
            page = {"limit": page_limit.limit, "key": key}
            answer = self.provider_query("QueryConsumerChains", height, phase=number, pagination=page)
            found += [
                ConsumerSummary(chain.consumer_id, chain.chain_id, Phase.from_chain(chain.phase))
                for chain in answer.chains
            ]
            key = answer.pagination.next_key
            if not key:
                return sorted(found, key=lambda consumer: int(consumer.consumer_id))
            page_limit.answered(len(answer.chains), answer.ByteSize())

    def consumer(self, consumer_id: str, height: int = 0) -> Consumer:
        """Return a consumer; ConsumerNotFound when the provider knows none of that id."""
        try:
            answer = self.provider_query("QueryConsumerChain", height, consumer_id=consumer_id)
        except ConsumerNotFound as error:
            raise ConsumerNotFound(
                f"the provider knows no consumer {consumer_id} at height {height or 'latest'}"
            ) from error
        return Consumer(
            consumer_id=answer.consumer_id,
            chain_id=answer.chain_id,
            phase=Phase.from_chain(answer.phase),
            owner_address=answer.owner_address,
            client_id=answer.client_id,
            name=answer.metadata.name,
            description=answer.metadata.description,
            metadata=answer.metadata.metadata,
            initialization=consumer_parameters.read_initialization(answer.init_params),
            power_shaping=consumer_parameters.read_power_shaping(answer.power_shaping_params),
            infraction=consumer_parameters.read_infraction(answer.infraction_parameters),
        )

    def opted_in(self, consumer_id: str, height: int = 0) -> list[str]:
        """Return the provider consensus addresses of the validators that are opted in; empty once the consumer has stopped."""
        try:
            answer = self.provider_query("QueryConsumerChainOptedInValidators", height, consumer_id=consumer_id)
        except ConsumerNotFound:
            return []
        return list(answer.validators_provider_addresses)

    def consumer_keys(self, consumer_id: str, height: int = 0) -> dict[str, str]:
        """Return the keys assigned for a consumer: provider consensus address to consumer public key (base64)."""
        answer = self.provider_query("QueryAllPairsValConsAddrByConsumer", height, consumer_id=consumer_id)
        return {
            pair.provider_address: public_key_base64(pair.consumer_key.ed25519) for pair in answer.pair_val_con_addr
        }

    def consumer_powers(self, consumer_id: str, height: int = 0) -> dict[str, int]:
        """Return the votes that validators have on a launched consumer by the provider's last epoch, by provider consensus address."""
        answer = self.provider_query("QueryConsumerValidators", height, consumer_id=consumer_id)
        return {entry.provider_address: int(entry.consumer_power) for entry in answer.validators}

    def holder_of_key(self, consumer_id: str, public_key: bytes, prefix: str) -> str | None:
        """Return the provider consensus address of the validator that has, or lately had, a key on a consumer.

        ``prefix`` is that of the chain's consensus addresses. None when nobody has it by assignment.
        """
        answer = self.provider_query(
            "QueryValidatorProviderAddr",
            consumer_id=consumer_id,
            consumer_address=encode_address(prefix, consensus_bytes(public_key)),
        )
        return answer.provider_address or None

    def commission_rate(self, consumer_id: str, consensus_address: str, height: int = 0) -> Decimal:
        """Return what a validator charges on a consumer: its rate there, or its rate on the provider when it set none."""
        answer = self.provider_query(
            "QueryValidatorConsumerCommissionRate",
            height,
            consumer_id=consumer_id,
            provider_address=consensus_address,
        )
        return consumer_parameters.read_dec(answer.rate)

    def reward_denoms(self, consumer_id: str, height: int = 0) -> tuple[str, ...]:
        """Return the reward denoms that a consumer allows for itself."""
        return tuple(self._listed(consumer_id, height).allowlisted_reward_denoms.denoms)

    def minimum_power_in_top_n(self, consumer_id: str, height: int = 0) -> int | None:
        """Return the power from which on a validator has to validate a Top N consumer; None when it is not Top N."""
        power = int(self._listed(consumer_id, height).min_power_in_top_N)
        return None if power < 0 else power

    def _listed(self, consumer_id: str, height: int) -> Any:
        """Return a consumer as the listing shows it: a page of one that begins with its key."""
        text = consumer_id.encode()
        page = {"key": len(text).to_bytes(8, "big") + text, "limit": 1}
        answer = self.provider_query("QueryConsumerChains", height, pagination=page)
        if [chain.consumer_id for chain in answer.chains] != [consumer_id]:
            raise ConsumerNotFound(f"the provider lists no consumer {consumer_id} at height {height or 'latest'}")
        return answer.chains[0]

    def queued_infraction(self, consumer_id: str, height: int = 0) -> InfractionParameters | None:
        """Return the infraction parameters that a launched consumer gets once the unbonding time is over; None without any.

        No query of the module shows them, so the store is read: prefix 58, length of the id, id.
        """
        text = consumer_id.encode()
        key = QUEUED_INFRACTION_PREFIX + len(text).to_bytes(8, "big") + text
        value = self.stored("provider", key, height)
        if not value:
            return None
        return consumer_parameters.read_infraction(messages.provider_message("InfractionParameters").FromString(value))

    def has_to_validate(self, consensus_address: str, height: int = 0) -> list[str]:
        """Return the consumers that a validator has to validate now or in the next epoch."""
        name = "QueryConsumerChainsValidatorHasToValidate"
        return list(self.provider_query(name, height, provider_address=consensus_address).consumer_ids)

    def parameters(self, height: int = 0) -> ProviderParameters:
        """Return the parameters of the provider module and of the staking module as far as they matter to consumers."""
        provider = self.provider_query("QueryParams", height).params
        staking = self.query(
            "/cosmos.staking.v1beta1.Query/Params",
            messages.staking_query_pb2.QueryParamsRequest(),
            messages.staking_query_pb2.QueryParamsResponse,
            height,
        ).params
        fee = provider.consumer_reward_denom_registration_fee
        return ProviderParameters(
            blocks_per_epoch=provider.blocks_per_epoch,
            ccv_timeout_period=consumer_parameters.read_duration(provider.ccv_timeout_period),
            trusting_period_fraction=provider.trusting_period_fraction,
            slash_meter_replenish_period=consumer_parameters.read_duration(provider.slash_meter_replenish_period),
            slash_meter_replenish_fraction=provider.slash_meter_replenish_fraction,
            consumer_reward_denom_registration_fee=f"{fee.amount}{fee.denom}",
            number_of_epochs_to_start_receiving_rewards=provider.number_of_epochs_to_start_receiving_rewards,
            max_provider_consensus_validators=provider.max_provider_consensus_validators,
            unbonding_time=consumer_parameters.read_duration(staking.unbonding_time),
            max_validators=staking.max_validators,
            bond_denom=staking.bond_denom,
            min_commission_rate=consumer_parameters.read_dec(staking.min_commission_rate),
        )

    def slashing_parameters(self, height: int = 0) -> SlashingParameters:
        """Return what an infraction on the provider itself costs."""
        answer = self.query(
            "/cosmos.slashing.v1beta1.Query/Params",
            messages.slashing_query_pb2.QueryParamsRequest(),
            messages.slashing_query_pb2.QueryParamsResponse,
            height,
        ).params
        return SlashingParameters(
            slash_fraction_double_sign=consumer_parameters.read_dec(answer.slash_fraction_double_sign),
            slash_fraction_downtime=consumer_parameters.read_dec(answer.slash_fraction_downtime),
            downtime_jail_duration=consumer_parameters.read_duration(answer.downtime_jail_duration),
            signed_blocks_window=answer.signed_blocks_window,
            min_signed_per_window=consumer_parameters.read_dec(answer.min_signed_per_window),
        )

    def tombstoned(self, consensus_address: str, height: int = 0) -> bool:
        """Tell whether a validator that was bonded once is jailed for ever."""
        answer = self.query(
            "/cosmos.slashing.v1beta1.Query/SigningInfo",
            messages.slashing_query_pb2.QuerySigningInfoRequest(cons_address=consensus_address),
            messages.slashing_query_pb2.QuerySigningInfoResponse,
            height,
        )
        return bool(answer.val_signing_info.tombstoned)

    def throttle_state(self, height: int = 0) -> ThrottleState:
        """Return how much power may still be jailed by consumers' slash packets."""
        answer = self.provider_query("QueryThrottleState", height)
        return ThrottleState(
            slash_meter=answer.slash_meter,
            slash_meter_allowance=answer.slash_meter_allowance,
            next_replenish_candidate=consumer_parameters.read_moment(answer.next_replenish_candidate),
        )

    def registered_reward_denoms(self, height: int = 0) -> list[str]:
        """Return the reward denoms that every consumer may use."""
        return list(self.provider_query("QueryRegisteredConsumerRewardDenoms", height).denoms)

    def blocks_until_next_epoch(self, height: int = 0) -> int:
        """Return the number of blocks until changes of validator sets are sent to the consumers."""
        return int(self.provider_query("QueryBlocksUntilNextEpoch", height).blocks_until_next_epoch)

    def ccv_genesis(self, consumer_id: str) -> dict[str, Any]:
        """Return the CCV genesis of a launched consumer in the JSON form of the consumer's genesis file."""
        answer = self.provider_query("QueryConsumerGenesis", consumer_id=consumer_id)
        state: dict[str, Any] = MessageToDict(
            answer.genesis_state,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        try:
            consensus = state["provider"]["consensus_state"]
            # CometBFT's own type: written in hex where protobuf's JSON would have base64.
            consensus["next_validators_hash"] = base64.b64decode(consensus["next_validators_hash"]).hex().upper()
        except KeyError as missing:
            raise QueryFailed(
                f"the provider has no complete CCV genesis for consumer {consumer_id}: {missing} is missing"
            ) from missing
        return state

    def validators_at(self, height: int) -> list[Validator]:
        """Return all validators at a height above 0; asked for once, since that never changes: many consumers may launch in one block."""
        if height not in self._validators_at:
            self._validators_at[height] = self.validators(height)
        return self._validators_at[height]

    def validators(self, height: int = 0) -> list[Validator]:
        """Return all validators of the staking module at a height."""
        found: list[Validator] = []
        page: dict[str, Any] = {"limit": 100}
        while True:
            answer = self.query(
                "/cosmos.staking.v1beta1.Query/Validators",
                messages.staking_query_pb2.QueryValidatorsRequest(pagination=page),
                messages.staking_query_pb2.QueryValidatorsResponse,
                height,
            )
            found += [_validator(entry) for entry in answer.validators]
            if not answer.pagination.next_key:
                return found
            page = {"limit": 100, "key": answer.pagination.next_key}


def _validator(entry: Any) -> Validator:
    key = entry.consensus_pubkey
    return Validator(
        operator_address=entry.operator_address,
        moniker=entry.description.moniker,
        tokens=int(entry.tokens),
        jailed=entry.jailed,
        status={1: BondStatus.UNBONDED, 2: BondStatus.UNBONDING, 3: BondStatus.BONDED}[entry.status],
        details=entry.description.details,
        # cosmos.crypto.ed25519.PubKey { bytes key = 1 }: tag and length take two bytes.
        consensus_public_key=key.value[2:] if key.type_url == "/cosmos.crypto.ed25519.PubKey" else b"",
    )
