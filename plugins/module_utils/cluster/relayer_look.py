# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at a consumer's relayer: its pod, its account on both chains, and what the chains hold of clients, channel and packets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import ibc
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_look import pod_of
from ansible_collections.interchain.security.plugins.module_utils.cluster.pod_chain import chain_of
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_account import (
    Question,
    account_of,
    consumer_wallets,
    provider_wallet,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    ClusterError,
    InvalidInput,
    QueryFailed,
    WrongChain,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel, relaying, selection
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import (
    CONSUMER_CLIENT,
    CONSUMER_PORT,
    PROVIDER_PORT,
    Decision,
    Sight,
    Step,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.hermes_config import refusal
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import (
    LightClient,
    Packets,
    Relaying,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import members_of

DEPLOYMENT = "hermes"
SETTINGS_MARK = "interchain-security/relayer-settings"
ACCOUNT_MARK = "interchain-security/relayer-account"  # the address on the consumer that it signs with
CHAIN_SECONDS = 15.0


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


def members_in_order(provider: ProviderClient, consumer: Consumer, validators: Sequence[Validator]) -> list[str]:
    """Return the operator addresses of a consumer's members, the largest first."""
    members = {entry.operator_address for entry in members_of(provider, consumer.consumer_id, validators)}
    return [
        entry.operator_address for entry in selection.select(validators).bonded if entry.operator_address in members
    ]


def rank_of(operator_address: str, members: Sequence[str]) -> int:
    """Return a validator's place among the members in their order, from 0. One that is no member comes after all of them."""
    return members.index(operator_address) if operator_address in members else len(members)


def may_begin(provider: ProviderClient, consumer: Consumer, rank: int) -> bool:
    """Tell whether a validator of that rank may begin a step of the handshake now, by the provider's block time."""
    if consumer.spawn_time is None:
        return True
    launched = (provider.status().latest_block_time - consumer.spawn_time).total_seconds()
    return launched >= ccv_channel.turn_begins(rank)


def takes_payments(chain: NodeRpc, channel: Decision) -> bool:
    """Tell whether a consumer takes other transactions than those of IBC: since the first VSC packet on its channel."""
    return ibc.next_sequence(chain, ibc.SEQUENCE_RECEIVE, CONSUMER_PORT, channel.consumer_channel) > 1


def packets(provider: NodeRpc, chain: NodeRpc, channel: Decision) -> Packets:
    """Return how far VSC packets have come on the open channel."""
    # The consumer first: what the provider sends meanwhile then counts as under way, and nothing is received that was not sent.
    received = ibc.next_sequence(chain, ibc.SEQUENCE_RECEIVE, CONSUMER_PORT, channel.consumer_channel) - 1
    height = provider.status().latest_height
    sent = ibc.next_sequence(provider, ibc.SEQUENCE_SEND, PROVIDER_PORT, channel.provider_channel) - 1
    return Packets(sent, received, height)


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
            members = members_in_order(provider, question.consumer, validators)
            rank = rank_of(question.operator_address, members)
            seen = replace(seen, channel=channel, may_begin=may_begin(provider, question.consumer, rank))
            own, public = consumer_wallets(chain, account)
            seen = replace(seen, wallets=(provider_wallet(provider, account), own), public=public)
            clients: Mapping[str, LightClient] = {
                "consumer": ibc.light_client(chain, found.consumer_client),
                "provider": ibc.light_client(provider, found.provider_client),
            }
            seen = replace(seen, clients=clients)
            if channel.step is Step.OPEN:
                seen = replace(seen, packets=packets(provider, chain, channel))
                if takes_payments(chain, channel):
                    share = relaying.share_of(own, public, account.funding.amount, len(members))
                    seen = replace(seen, share=share)
    except (ChainUnreachable, ClusterError, InvalidInput, QueryFailed, WrongChain) as error:
        seen = replace(seen, problem=str(error))
    return seen


def _of_cluster(cluster: Cluster, namespace: str) -> Relaying:
    deployment = cluster.get("Deployment", DEPLOYMENT, namespace, "apps/v1")
    now = datetime.now(UTC)
    if deployment is None:
        return Relaying(now, exists=False, wanted=False)
    marks = deployment["metadata"].get("annotations") or {}
    settings, signs_as = marks.get(SETTINGS_MARK, ""), marks.get(ACCOUNT_MARK, "")
    if not deployment["spec"].get("replicas"):
        return Relaying(now, wanted=False, settings=settings, signs_as=signs_as)
    return Relaying(now, pod=newest_pod(cluster, namespace)[0], settings=settings, signs_as=signs_as)


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
