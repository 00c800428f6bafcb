# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries of a provider chain, pinned to a height where that is asked for."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import consumer_parameters
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    ConsumerSummary,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import (
    BondStatus,
    Validator,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

with contextlib.suppress(ImportError):  # a module reports it through missing_required_lib
    from google.protobuf.json_format import MessageToDict

PAGE_SIZE = 20


class ProviderClient(NodeRpc):
    """A provider chain."""

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
        page: dict[str, Any] = {"limit": PAGE_SIZE}
        while True:
            number = 0 if phase is None else list(Phase).index(phase) + 1
            answer = self.provider_query("QueryConsumerChains", height, phase=number, pagination=page)
            found += [
                ConsumerSummary(chain.consumer_id, chain.chain_id, Phase.from_chain(chain.phase))
                for chain in answer.chains
            ]
            if not answer.pagination.next_key:
                return sorted(found, key=lambda consumer: int(consumer.consumer_id))
            page = {"limit": PAGE_SIZE, "key": answer.pagination.next_key}

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

    def account(self, address: str, height: int = 0) -> tuple[int, int]:
        """Return (account number, sequence) of an account; QueryFailed when the chain knows none of that address."""
        answer = self.query(
            "/cosmos.auth.v1beta1.Query/Account",
            messages.auth_query_pb2.QueryAccountRequest(address=address),
            messages.auth_query_pb2.QueryAccountResponse,
            height,
        )
        account = messages.auth_pb2.BaseAccount()
        if not answer.account.Unpack(account):
            raise QueryFailed(f"{address} is an account of a type that cannot sign here: {answer.account.type_url}")
        return account.account_number, account.sequence


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
