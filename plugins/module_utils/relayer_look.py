# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at a consumer's relayer: its pod, its account on both chains, and what the chains hold of clients, channel and packets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key, ibc
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.cluster import Cluster, decoded
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    ClusterError,
    InvalidInput,
    QueryFailed,
    WrongChain,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel, selection
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import (
    CONSUMER_CLIENT,
    CONSUMER_PORT,
    PROVIDER_PORT,
    Decision,
    Sight,
    Step,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import funding_of
from ansible_collections.interchain.security.plugins.module_utils.ics.hermes_config import refusal
from ansible_collections.interchain.security.plugins.module_utils.ics.names import consumer_namespace
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import StagedSettings
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import (
    LightClient,
    Packets,
    Relaying,
    Wallet,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.node_look import pod_of
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import members_of
from ansible_collections.interchain.security.plugins.module_utils.place import SETTINGS
from ansible_collections.interchain.security.plugins.module_utils.pod_chain import chain_of

SECRET, MNEMONIC = "relayer", "mnemonic"  # in the monitor's namespace
DEPLOYMENT = "hermes"
SETTINGS_MARK = "interchain-security/relayer-settings"
CHAIN_SECONDS = 15.0


@dataclass(frozen=True)
class Account:
    """The relayer's account on the two chains of a consumer, with the denom of its fees and the least that it should hold there."""

    provider: AccountKey
    consumer: AccountKey
    provider_denom: str
    consumer_denom: str
    least: int


@dataclass(frozen=True)
class Question:
    """Whose relayer of which consumer is looked at."""

    consumer: Consumer
    validator: str
    operator_address: str
    monitor_namespace: str
    provider_denom: str
    least: int

    @property
    def namespace(self) -> str:
        """The namespace of the consumer's node and relayer."""
        return consumer_namespace(self.validator, self.consumer.consumer_id)


def mnemonic_of(cluster: Cluster, monitor_namespace: str) -> str:
    """Return the mnemonic of the validator's relayer account; empty when it has none."""
    secret = cluster.get("Secret", SECRET, monitor_namespace)
    return decoded((secret or {}).get("data"), MNEMONIC).strip()


def account_of(cluster: Cluster, question: Question) -> Account:
    """Return the relayer's account; InvalidInput when there is no key or the node was never staged."""
    mnemonic = mnemonic_of(cluster, question.monitor_namespace)
    if not mnemonic:
        raise InvalidInput(f"there is no Secret {question.monitor_namespace}/{SECRET} with the relayer's mnemonic")
    staged = cluster.get("ConfigMap", SETTINGS, question.namespace)
    if staged is None:
        raise InvalidInput(
            f"the node of consumer {question.consumer.consumer_id} was never staged in {question.namespace}"
        )
    genesis = StagedSettings.parse(staged.get("data") or {}).genesis
    return Account(
        account_key.from_mnemonic(mnemonic),
        account_key.from_mnemonic(mnemonic, genesis.address_prefix),
        question.provider_denom,
        funding_of(question.consumer.metadata, genesis.funding).denom,
        question.least,
    )


def sight(provider: NodeRpc, chain: NodeRpc, consumer: Consumer) -> Sight:
    """Read what both chains hold between the two clients of a consumer."""
    own_connection = consumer.initialization.connection_id
    consumer_client = (
        ibc.connection(provider, own_connection).counterparty_client if own_connection else CONSUMER_CLIENT
    )
    on_consumer = ibc.connections(chain, consumer_client)
    on_provider = ibc.connections(provider, consumer.client_id)
    known = {entry.counterparty_id for entry in on_consumer}
    return Sight(
        consumer_client=consumer_client,
        provider_client=consumer.client_id,
        consumer_connections=on_consumer,
        provider_connections=on_provider,
        consumer_channels=[entry for found in on_consumer for entry in ibc.channels(chain, found.connection_id)],
        # Anybody may make connections on the provider: only those that the consumer knows too are looked into.
        provider_channels=[
            entry
            for found in on_provider
            if found.connection_id in known
            for entry in ibc.channels(provider, found.connection_id)
        ],
    )


def rank_of(
    provider: ProviderClient, consumer: Consumer, operator_address: str, validators: Sequence[Validator]
) -> int:
    """Return the validator's place among the members, from 0; the largest first. One that is no member comes after all of them."""
    members = {entry.operator_address for entry in members_of(provider, consumer.consumer_id, validators)}
    order = [
        entry.operator_address for entry in selection.select(validators).bonded if entry.operator_address in members
    ]
    return order.index(operator_address) if operator_address in order else len(order)


def may_begin(provider: ProviderClient, consumer: Consumer, rank: int) -> bool:
    """Tell whether a validator of that rank may begin a step of the handshake now, by the provider's block time."""
    if consumer.spawn_time is None:
        return True
    launched = (provider.status().latest_block_time - consumer.spawn_time).total_seconds()
    return launched >= ccv_channel.turn_begins(rank)


def packets(provider: NodeRpc, chain: NodeRpc, channel: Decision) -> Packets:
    """Return how far VSC packets have come on the open channel."""
    # The consumer first: what the provider sends meanwhile then counts as under way, and nothing is received that was not sent.
    received = ibc.next_sequence(chain, ibc.SEQUENCE_RECEIVE, CONSUMER_PORT, channel.consumer_channel) - 1
    height = provider.status().latest_height
    sent = ibc.next_sequence(provider, ibc.SEQUENCE_SEND, PROVIDER_PORT, channel.provider_channel) - 1
    return Packets(sent, received, height)


def wallets(provider: NodeRpc, chain: NodeRpc, account: Account) -> tuple[Wallet, ...]:
    """Return what the relayer's account holds on both chains."""
    return tuple(
        Wallet(name, key.account_address, denom, ibc.balance(where, key.account_address, denom), account.least)
        for name, where, key, denom in (
            ("provider", provider, account.provider, account.provider_denom),
            ("consumer", chain, account.consumer, account.consumer_denom),
        )
    )


def look(provider: ProviderClient, cluster: Cluster, question: Question, validators: Sequence[Validator]) -> Relaying:
    """Look at a relayer. Never raises for what cannot be asked: that stays None, and the problem says why."""
    seen = Relaying(datetime.now(UTC))
    try:
        seen = _of_cluster(cluster, question.namespace)
        seen = replace(seen, refusal=refusal(question.consumer.chain_id, provider.status().chain_id))
        account = account_of(cluster, question)
        with chain_of(cluster, question.namespace, CHAIN_SECONDS) as chain:
            found = sight(provider, chain, question.consumer)
            channel = ccv_channel.decide(found)
            rank = rank_of(provider, question.consumer, question.operator_address, validators)
            seen = replace(seen, channel=channel, may_begin=may_begin(provider, question.consumer, rank))
            seen = replace(seen, wallets=wallets(provider, chain, account))
            clients: Mapping[str, LightClient] = {
                "consumer": ibc.light_client(chain, found.consumer_client),
                "provider": ibc.light_client(provider, found.provider_client),
            }
            seen = replace(seen, clients=clients)
            if channel.step is Step.OPEN:
                seen = replace(seen, packets=packets(provider, chain, channel))
    except (ChainUnreachable, ClusterError, InvalidInput, QueryFailed, WrongChain) as error:
        seen = replace(seen, problem=str(error))
    return seen


def _of_cluster(cluster: Cluster, namespace: str) -> Relaying:
    deployment = cluster.get("Deployment", DEPLOYMENT, namespace, "apps/v1")
    now = datetime.now(UTC)
    if deployment is None:
        return Relaying(now, exists=False, wanted=False)
    settings = (deployment["metadata"].get("annotations") or {}).get(SETTINGS_MARK, "")
    if not deployment["spec"].get("replicas"):
        return Relaying(now, wanted=False, settings=settings)
    return Relaying(now, pod=newest_pod(cluster, namespace)[0], settings=settings)


def newest_pod(cluster: Cluster, namespace: str) -> tuple[Any, str]:
    """Return the relayer's pod, not one that is about to go, with its name; (None, "") without one."""
    there = [
        entry
        for entry in cluster.select("Pod", namespace, f"app.kubernetes.io/name={DEPLOYMENT}")
        if not entry["metadata"].get("deletionTimestamp")
    ]
    if not there:
        return None, ""
    newest = max(there, key=lambda entry: str(entry["metadata"]["creationTimestamp"]))
    return pod_of(newest), str(newest["metadata"]["name"])


def await_step(
    read: Callable[[], Decision], until: Callable[[Decision], bool], timeout: float, poll: float
) -> Decision:
    """Read the next step until it is one that was waited for, or for so many seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = read()
        if until(found) or time.monotonic() >= deadline:
            return found
        time.sleep(poll)
