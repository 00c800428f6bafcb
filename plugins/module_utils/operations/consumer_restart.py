# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restart a consumer's node when it runs with other settings than are written, and wait until it is back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils import node_restart
from ansible_collections.interchain.security.plugins.module_utils.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    checked_consumer_id,
    checked_validator_name,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import (
    APP_FILE,
    CONFIG_FILE,
    starts_alike,
)
from ansible_collections.interchain.security.plugins.module_utils.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.node_restart import Answer

ARGUMENT_SPEC: dict[str, Any] = {
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 300},
    "kubeconfig": {"type": "path"},
}
HOME = "/home/node/config"  # where the start script puts the files
REVISION = "controller-revision-hash"
SEEN_SECONDS = 20.0  # for the controller to see a StatefulSet that was changed


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare what runs with what is written, restart, wait."""
    if params["timeout"] <= 0:
        raise InvalidInput("timeout must be seconds")
    consumer_id = checked_consumer_id(params["consumer_id"])
    namespace = consumer_namespace(checked_validator_name(params["validator"]), consumer_id)
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    stateful_set = _stateful_set(cluster, namespace)
    result: dict[str, Any] = {"changed": False, "restarted": False, "reason": "", "height": None}
    if stateful_set is None or not stateful_set["spec"]["replicas"]:
        return {**result, "reason": "the node is not wanted to run"}
    pod = cluster.get("Pod", node_restart.POD, namespace)
    reason = "" if pod is None else _reason(cluster, namespace, pod, stateful_set)
    before: Answer | None = None
    with suppress(ClusterError):
        before = node_restart.ask(cluster, namespace)
    changes: list[Change] = []
    former = ""
    if reason and pod is not None:
        former = str(pod["metadata"]["uid"])
        changes.append(node_restart.restart(cluster, namespace, former))
    result = {**result, **merge_changes(changes), "restarted": bool(reason), "reason": reason}
    if check_mode:
        return result
    after = node_restart.await_back(cluster, namespace, former, before, params["timeout"])
    return {**result, "height": after.height}


def _stateful_set(cluster: Cluster, namespace: str) -> dict[str, Any] | None:
    """Return the node's StatefulSet, once its controller has seen how it is now."""

    def look() -> list[dict[str, Any] | None] | None:
        found = cluster.get("StatefulSet", "node", namespace, "apps/v1")
        seen = found is None or (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
        return [found] if seen else None

    return cluster.await_value(f"StatefulSet {namespace}/node to be seen by its controller", look, SEEN_SECONDS)[0]


def _reason(cluster: Cluster, namespace: str, pod: Mapping[str, Any], stateful_set: Mapping[str, Any]) -> str:
    """Return why a pod is to be replaced, empty when it runs as is written."""
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    revision = (stateful_set.get("status") or {}).get("updateRevision")
    # The controller would do so itself, but not with a pod that never became ready.
    if revision and (pod["metadata"].get("labels") or {}).get(REVISION) != revision:
        return "its pod is another one than its StatefulSet describes"
    config = cluster.get("ConfigMap", "config", namespace)
    if config is None or not node_restart.is_ready(pod):
        return ""
    node = NodeAccess(cluster, namespace)
    running = {name: node.read_file(f"{HOME}/{name}") for name in (CONFIG_FILE, APP_FILE)}
    return "" if starts_alike(running, config.get("data") or {}) else "it runs with other settings than are written"
