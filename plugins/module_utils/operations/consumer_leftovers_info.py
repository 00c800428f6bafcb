# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find what the cluster holds of consumers that the chain has deleted, stopped or never known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ConsumerNotFound
from ansible_collections.interchain.security.plugins.module_utils.ics import leftovers
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    CONSUMER_ID,
    checked_validator_name,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "validator": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "fence_namespace": {"type": "str"},
    "kubeconfig": {"type": "path"},
}
ID_LABEL = "interchain-security/consumer-id"


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare what the cluster holds with what the provider says of each consumer."""
    validator = checked_validator_name(params["validator"])
    client = connection.provider_client(params)
    cluster = Cluster(params["kubeconfig"])
    now = datetime.now(UTC)
    found = []
    for holding in _holdings(cluster, validator, params):
        for finding in leftovers.find(holding, _phase(client, holding.consumer_id), now):
            found.append({"consumer_id": finding.consumer_id, "kind": finding.kind.value, "reason": finding.reason})
    return {"changed": False, "leftovers": found}


def _phase(client: ProviderClient, consumer_id: str) -> Phase | None:
    try:
        return client.consumer(consumer_id).phase
    except ConsumerNotFound:
        return None


def _holdings(cluster: Cluster, validator: str, params: dict[str, Any]) -> list[leftovers.Holding]:
    monitor = params["monitor_namespace"] or f"{validator}-monitor"
    mine = f"interchain-security/validator={validator},{ID_LABEL}"
    namespaces = _by_id(cluster.select("Namespace", selector=mine))
    # The key store's Secrets are in the validator's own namespace and do not name it.
    keys = _by_id(cluster.select("Secret", monitor, ID_LABEL))
    memories = _by_id(cluster.select("ConfigMap", monitor, mine))
    fences = _by_id(cluster.select("Lease", params["fence_namespace"] or monitor, mine, "coordination.k8s.io/v1"))
    holdings = []
    for consumer_id in sorted({*namespaces, *keys, *memories, *fences}, key=int):
        node = None
        if consumer_id in namespaces:
            node = cluster.get("StatefulSet", "node", consumer_namespace(validator, consumer_id), "apps/v1")
        memory = (memories.get(consumer_id) or [{}])[0].get("data") or {}
        holdings.append(
            leftovers.Holding(
                consumer_id=consumer_id,
                namespace=consumer_id in namespaces,
                node=node is not None,
                node_wanted=node is not None and node["spec"]["replicas"] > 0,
                fences=len(fences.get(consumer_id, [])),
                key=consumer_id in keys,
                key_kept_until=_moment(memory.get("key_kept_until", "")),
                decision=memory.get("decision", ""),
            )
        )
    return holdings


def _by_id(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for entry in found:
        consumer_id = str(entry["metadata"]["labels"][ID_LABEL])
        if CONSUMER_ID.fullmatch(consumer_id):
            grouped.setdefault(consumer_id, []).append(entry)
    return grouped


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
