# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find what the cluster holds of consumers that the chain has deleted, stopped or never known."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ConsumerNotFound
from ansible_collections.interchain.security.plugins.module_utils.ics import leftovers
from ansible_collections.interchain.security.plugins.module_utils.ics.health import moment
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    CONSUMER_ID,
    ID_LABEL,
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


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare what the cluster holds with what the provider says of each consumer."""
    validator = checked_validator_name(params["validator"])
    monitor = params["monitor_namespace"] or f"{validator}-monitor"
    cluster = Cluster(params["kubeconfig"])
    holdings = held(cluster, validator, monitor, params["fence_namespace"] or monitor)
    client = connection.provider_client(params)
    return {"changed": False, "leftovers": find(holdings, lambda consumer_id: phase_of(client, consumer_id))}


def find(
    holdings: list[leftovers.Holding], phase: Callable[[str], Phase | None], leave_out: Container[str] = ()
) -> list[dict[str, str]]:
    """Return what is wrong with the holdings as a module returns it. ``phase`` is asked for those only that are not left out."""
    now = datetime.now(UTC)
    return [
        {
            "consumer_id": finding.consumer_id,
            "kind": finding.kind.value,
            "remedy": finding.remedy.value,
            "reason": finding.reason,
        }
        for holding in holdings
        if holding.consumer_id not in leave_out
        for finding in leftovers.find(holding, phase(holding.consumer_id), now)
    ]


def phase_of(client: ProviderClient, consumer_id: str) -> Phase | None:
    """Return a consumer's phase, None when the provider knows no such consumer."""
    try:
        return client.consumer(consumer_id).phase
    except ConsumerNotFound:
        return None


def held(cluster: Cluster, validator: str, monitor: str, fence_namespace: str) -> list[leftovers.Holding]:
    """Return what the cluster holds of a validator's consumers. What is remembered of one alone is nothing that is held."""
    mine = f"interchain-security/validator={validator},{ID_LABEL}"
    namespaces = by_id(cluster.select("Namespace", selector=mine))
    # The key store's Secrets are in the validator's own namespace and do not name it, and a receipt may be older than any decision.
    keys = by_id(cluster.select("Secret", monitor, ID_LABEL, metadata_only=True))
    memories = by_id(cluster.select("ConfigMap", monitor, ID_LABEL))
    fences = by_id(cluster.select("Lease", fence_namespace, mine, "coordination.k8s.io/v1"))
    holdings = []
    for consumer_id in sorted({*namespaces, *keys, *fences}, key=int):
        node = None
        if consumer_id in namespaces:
            node = cluster.get("StatefulSet", "node", consumer_namespace(validator, consumer_id), "apps/v1")
        memory = (memories.get(consumer_id) or [{}])[0].get("data") or {}
        holdings.append(
            leftovers.Holding(
                consumer_id=consumer_id,
                namespace=consumer_id in namespaces,
                node_wanted=node is not None and node["spec"]["replicas"] > 0,
                fences=len(fences.get(consumer_id, [])),
                key=consumer_id in keys,
                key_kept_until=moment(memory.get("key_kept_until", "")),
                decision=memory.get("decision", ""),
            )
        )
    return holdings


def by_id(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return objects by the consumer_id of their label; those without a usable one are left out."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for entry in found:
        consumer_id = str((entry["metadata"].get("labels") or {}).get(ID_LABEL))
        if CONSUMER_ID.fullmatch(consumer_id):
            grouped.setdefault(consumer_id, []).append(entry)
    return grouped
