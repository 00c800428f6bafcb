# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prepare the start of a launched consumer's node: its genesis, whether it signs, its keys, and what the monitor remembers of that.

The order is what makes a cut run harmless: the fence before the key, the key and the memory before the node.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster import (
    Change,
    Cluster,
    decoded,
    merge_changes,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    ConsumerNotFound,
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.fence import Fence
from ansible_collections.interchain.security.plugins.module_utils.genesis_store import (
    GenesisStore,
    parts_of,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import signing
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import (
    from_key_file,
    public_key_base64,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    checked_consumer_id,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import Peers, peers_of
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_genesis import (
    GENESIS_OPTIONS,
    GenesisSettings,
    build,
)
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import Launch, launch_of
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **GENESIS_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "fence_namespace": {"type": "str"},
    "double_sign_check_height": {"type": "int", "default": 10},
    "remote_signer_public_key": {"type": "str", "default": "", "no_log": False},
    "wait_timeout": {"type": "int", "default": 0},
    "kubeconfig": {"type": "path"},
}
KEY_FILE, NODE_KEY_FILE = "priv_validator_key.json", "node_key.json"
GENESIS, BASE_GENESIS = "genesis", "base-genesis"
HASH = "interchain-security/genesis-hash"
FAST_POLL_SECONDS, SLOW_POLL_SECONDS, FAST_BEFORE_SPAWN_SECONDS = 0.2, 1.0, 3.0
GENESIS_TRIES, GENESIS_RETRY_SECONDS = 5, 2.0


@dataclass(frozen=True)
class Place:
    """What the cluster holds of one consumer. ``held_key`` is the public half (base64), the Secrets' data is as the cluster has it."""

    namespace: str
    monitor_namespace: str
    labels: dict[str, str]
    held_key: str
    key_data: dict[str, str] = field(repr=False)
    node_key_data: dict[str, str] = field(repr=False)
    memory: dict[str, str] = field(repr=False)
    genesis: dict[str, Any] | None = field(repr=False)
    base_genesis: bool
    volume: str
    service: dict[str, Any] | None
    node: bool

    @property
    def missing(self) -> list[str]:
        """What staging has yet to make."""
        parts = {
            "base genesis": self.base_genesis or self.genesis is not None,
            "volume": bool(self.volume),
            "P2P Service": self.service is not None,
            "StatefulSet": self.node,
        }
        return [name for name, there in parts.items() if not there]

    @property
    def external_host(self) -> str:
        """The address of the P2P Service, empty when it has none."""
        status = (self.service or {}).get("status") or {}
        ingress = ((status.get("loadBalancer") or {}).get("ingress") or [{}])[0]
        return str(ingress.get("ip") or ingress.get("hostname") or "")


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Prepare the start; the caller makes the node from what is returned."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    if params["double_sign_check_height"] < 0:
        raise InvalidInput("double_sign_check_height must be a number of blocks, 0 for no look back")
    settings = GenesisSettings.of(params)
    client = connection.provider_client(params)
    consumer = _await_launch(client, consumer_id, params["wait_timeout"])
    result: dict[str, Any] = {"changed": False, "consumer_id": consumer_id, "phase": consumer.phase.value}
    if consumer.phase is not Phase.LAUNCHED:
        return {**result, "launched": False}
    result["launched"] = True
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    place = _look(cluster, params, consumer_id)
    result["missing"] = place.missing
    if place.missing:
        return {**result, "staged": False}
    result["staged"] = True

    own, validators = _own(client, params["operator_address"])
    launch = _launch(client, consumer_id, started_before=place.genesis is not None)
    held = params["remote_signer_public_key"] or place.held_key
    fence = Fence(cluster, params["fence_namespace"] or place.monitor_namespace, held, consumer.chain_id)
    facts = _facts(client, cluster, params, place, consumer, own, launch, held, fence.holder() if held else "")
    decision, changes = _decide(fence, facts, place, params["double_sign_check_height"])
    local_key = decision.mode is signing.Mode.SIGN and not facts.remote_signer
    if decision.mode is signing.Mode.STAY_OUT:
        changes.append(
            _remember(cluster, place, {"decision": "stay_out", "reason": decision.reasons[0], "phase": "launched"})
        )
        return {**result, **merge_changes(changes), "mode": decision.mode.value, "reasons": list(decision.reasons)}

    genesis_hash, genesis_parts, written = _genesis(cluster, place, launch, settings)
    changes += written
    changes.append(_write_keys(cluster, place, local_key))
    changes.append(_remember(cluster, place, _memory(place, facts, decision, genesis_hash, local_key)))
    found = _peers(client, launch, consumer, validators, params["operator_address"])
    return {
        **result,
        **merge_changes(changes),
        "mode": decision.mode.value,
        "reasons": list(decision.reasons),
        "assign_key": decision.assign_key,
        "consensus_public_key": held or None,
        "double_sign_check_height": decision.double_sign_check_height,
        "genesis_hash": genesis_hash,
        "genesis_parts": genesis_parts,
        "owner_mark": signing.owner_mark(consumer_id, consumer.chain_id),
        "external_host": place.external_host,
        "p2p_peers": list(found.addresses),
        "skipped_peers": [{"operator_address": name, "reason": reason} for name, reason in found.skipped.items()],
        "volume": place.volume,
    }


def _await_launch(client: ProviderClient, consumer_id: str, timeout: int) -> Consumer:
    """Return the consumer, launched or, when it cannot launch any more or in time, as it is."""
    deadline = time.monotonic() + timeout
    while True:
        consumer = client.consumer(consumer_id)
        waiting = consumer.phase is Phase.INITIALIZED and consumer.spawn_time is not None
        if not waiting or consumer.spawn_time is None or time.monotonic() >= deadline:
            return consumer
        # Block time decides, and follows the clock by a block or two: the clock only says when to look more often.
        near = consumer.spawn_time.timestamp() - time.time() < FAST_BEFORE_SPAWN_SECONDS
        time.sleep(FAST_POLL_SECONDS if near else SLOW_POLL_SECONDS)


def _look(cluster: Cluster, params: dict[str, Any], consumer_id: str) -> Place:
    namespace = consumer_namespace(params["validator"], consumer_id)
    monitor = params["monitor_namespace"] or f"{params['validator']}-monitor"
    key = (cluster.get("Secret", f"consumer-{consumer_id}-key", monitor) or {}).get("data") or {}
    node_key = (cluster.get("Secret", "node-key", monitor) or {}).get("data") or {}
    claim = cluster.get("PersistentVolumeClaim", "data", namespace)
    return Place(
        namespace=namespace,
        monitor_namespace=monitor,
        labels={
            "app.kubernetes.io/part-of": "interchain-security-monitor",
            "app.kubernetes.io/managed-by": "interchain-security-monitor",
            "interchain-security/validator": params["validator"],
            "interchain-security/consumer-id": consumer_id,
        },
        held_key=from_key_file(decoded(key, KEY_FILE)).public_key_base64 if KEY_FILE in key else "",
        key_data=key,
        node_key_data=node_key,
        memory=(cluster.get("ConfigMap", f"consumer-{consumer_id}", monitor) or {}).get("data") or {},
        genesis=cluster.get("ConfigMap", GENESIS, namespace),
        base_genesis=cluster.get("ConfigMap", BASE_GENESIS, namespace) is not None,
        volume=str(claim["metadata"]["uid"]) if claim else "",
        service=cluster.get("Service", "p2p", namespace),
        node=cluster.get("StatefulSet", "node", namespace, "apps/v1") is not None,
    )


def _own(client: ProviderClient, operator: str) -> tuple[Validator, list[Validator]]:
    validators = client.validators()
    for validator in validators:
        if validator.operator_address == operator:
            return validator, validators
    raise InvalidInput(f"operator_address: {operator[:80]} is no validator of the provider chain")


def _launch(client: ProviderClient, consumer_id: str, *, started_before: bool) -> Launch | None:
    """Read the launch. For a node that has its genesis it may be gone: the provider keeps the state of its heights for a time only."""
    tries = GENESIS_TRIES
    while True:
        tries -= 1
        try:
            return launch_of(client, consumer_id)
        except HeightNotAvailable:
            if started_before:
                return None
            raise
        except QueryFailed:
            if tries <= 0:
                raise
            time.sleep(GENESIS_RETRY_SECONDS)


def _facts(
    client: ProviderClient,
    cluster: Cluster,
    params: dict[str, Any],
    place: Place,
    consumer: Consumer,
    own: Validator,
    launch: Launch | None,
    held: str,
    holder: str,
) -> signing.Facts:
    members = launch.validators if launch else ()
    mine = next((member for member in members if member.operator_address == own.operator_address), None)
    memory = place.memory
    return signing.Facts(
        consumer_id=consumer.consumer_id,
        chain_id=consumer.chain_id,
        provider_chain_id=params["provider_chain_id"] or client.status().chain_id,
        provider_key=public_key_base64(own.consensus_public_key),
        initial_key=mine.consumer_public_key if mine else "",
        assigned_key=client.consumer_keys(consumer.consumer_id).get(consensus_address(own), ""),
        held_key=held,
        has_node_key=NODE_KEY_FILE in place.node_key_data,
        volume=place.volume,
        recorded_key=memory.get("signing_key", ""),
        recorded_volume=memory.get("volume", ""),
        fence_holder=holder,
        own_power=mine.power if mine else 0,
        total_power=sum(member.power for member in members),
        started_before=place.genesis is not None,
        recorded_check=_number(memory.get("double_sign_check_height", "")),
        remote_signer=bool(params["remote_signer_public_key"]),
        same_key_chains=_twins(client, cluster, params, place, consumer.consumer_id, held),
    )


def _twins(
    client: ProviderClient, cluster: Cluster, params: dict[str, Any], place: Place, consumer_id: str, held: str
) -> dict[str, str]:
    """Return the other consumers that were signed here with the same key, with the chain_ids that they have on the provider."""
    if not held:
        return {}
    selector = f"interchain-security/validator={params['validator']},interchain-security/consumer-id"
    twins = {}
    for memory in cluster.select("ConfigMap", place.monitor_namespace, selector):
        other = memory["metadata"]["labels"]["interchain-security/consumer-id"]
        if other != consumer_id and (memory.get("data") or {}).get("signing_key") == held:
            with suppress(ConsumerNotFound):  # of another provider chain: no vote of it counts here
                twins[other] = client.consumer(other).chain_id
    return twins


def _decide(
    fence: Fence, facts: signing.Facts, place: Place, check_height: int
) -> tuple[signing.Decision, list[Change]]:
    """Decide, and take the fence for a node that is to sign with a key of the cluster. Who is too late for it does not sign."""
    decision = signing.decide(facts, check_height)
    if decision.mode is not signing.Mode.SIGN or facts.remote_signer:
        return decision, []
    holder, changes = fence.take(place.volume, place.labels)
    if holder != place.volume:
        decision = signing.decide(replace(facts, fence_holder=holder or "of nobody we know"), check_height)
    return decision, changes


def _genesis(
    cluster: Cluster, place: Place, launch: Launch | None, settings: GenesisSettings
) -> tuple[str, int, list[Change]]:
    """Return hash and parts of the genesis. One that was made before is kept: the chain runs on it."""
    if place.genesis is not None:
        return (place.genesis["metadata"].get("annotations") or {}).get(HASH, ""), parts_of(place.genesis), []
    base = GenesisStore(cluster, place.namespace, BASE_GENESIS).read()
    if base is None or launch is None:
        raise ClusterError(
            f"the base genesis went away while the genesis was made: look into namespace {place.namespace}"
        )
    built = build(launch, base, f"ConfigMap {place.namespace}/{BASE_GENESIS}", settings)
    store = GenesisStore(cluster, place.namespace, GENESIS)
    changes = store.create(built.text, place.labels, {HASH: built.content_hash})
    first = changes[-1].after or {"metadata": {}}
    return built.content_hash, parts_of(first), changes


def _write_keys(cluster: Cluster, place: Place, with_consensus_key: bool) -> Change:
    """Give the node its keys. Without the right to sign, the consensus key is not in its namespace at all."""
    data = {NODE_KEY_FILE: place.node_key_data[NODE_KEY_FILE]}
    if with_consensus_key:
        data[KEY_FILE] = place.key_data[KEY_FILE]
    return cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys", "namespace": place.namespace, "labels": place.labels},
            "data": data,
        }
    )


def _memory(
    place: Place, facts: signing.Facts, decision: signing.Decision, genesis_hash: str, local_key: bool
) -> dict[str, str]:
    data = {
        "decision": "opt_in",
        "phase": "launched",
        "launch_failed": "false",
        "genesis_hash": genesis_hash,
        "node_mode": decision.mode.value,
        "node_reasons": json.dumps(list(decision.reasons)),
        "double_sign_check_height": str(decision.double_sign_check_height),
    }
    if place.memory.get("decision") != "opt_in" or not place.memory.get("reason"):
        data["reason"] = decision.reasons[0]
    if local_key:
        data.update(volume=place.volume, signing_key=facts.held_key)
    return data


def _remember(cluster: Cluster, place: Place, data: dict[str, str]) -> Change:
    consumer_id = place.labels["interchain-security/consumer-id"]
    return cluster.merge(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"consumer-{consumer_id}",
                "namespace": place.monitor_namespace,
                "labels": place.labels,
            },
            "data": data,
        }
    )


def _peers(
    client: ProviderClient, launch: Launch | None, consumer: Consumer, newest: list[Validator], own_operator: str
) -> Peers:
    """Members are those of the launch; when that is gone, those opted in by now. What they announce is read now."""
    details = {validator.operator_address: validator.details for validator in newest}
    if launch is not None:
        members = {
            member.operator_address: details.get(member.operator_address, member.details)
            for member in launch.validators
        }
    else:
        opted_in = set(client.opted_in(consumer.consumer_id))
        members = {
            validator.operator_address: validator.details
            for validator in newest
            if consensus_address(validator) in opted_in
        }
    return peers_of(members, consumer.chain_id, own_operator)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
