# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""See to it that a consumer's node runs as is written, by a restart where its StatefulSet has not begun one, and wait until it is back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster import node_restart
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_restart import Answer
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import rolling
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
from ansible_collections.interchain.security.plugins.module_utils.ics.rolling import SeenPod, Step
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_local_nodes_info import (
    local_nodes,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "former_pod": {"type": "str", "default": ""},
    "former_height": {"type": "int"},
    "timeout": {"type": "int", "default": 300},
    "kubeconfig": {"type": "path"},
}
HOME = "/home/node/config"  # where the start script puts the files
REVISION = "controller-revision-hash"
OTHER_SETTINGS = "it runs with other settings than are written"
SEEN_SECONDS = 20.0  # for the controller to see a StatefulSet that was changed


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare what runs with what is written, restart, wait."""
    if params["timeout"] <= 0:
        raise InvalidInput("timeout must be seconds")
    consumer_id = checked_consumer_id(params["consumer_id"])
    validator = checked_validator_name(params["validator"])
    namespace = consumer_namespace(validator, consumer_id)
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    stateful_set = _stateful_set(cluster, namespace)
    if stateful_set is None or not stateful_set["spec"]["replicas"]:
        reason = "the node is not wanted to run"
        return {"changed": False, "restarted": False, "reason": reason, "height": None}
    before = _before(cluster, namespace, params["former_height"])
    deadline = time.monotonic() + params["timeout"]

    def back(gone: str, former: Answer | None = before) -> Answer:
        return node_restart.await_back(cluster, namespace, gone, former, max(deadline - time.monotonic(), 1.0))

    pod = cluster.get("Pod", node_restart.POD, namespace)
    seen = _seen(pod)
    step, reason = rolling.next_step(
        params["former_pod"], seen, str((stateful_set.get("status") or {}).get("updateRevision") or "")
    )
    changes: list[Change] = []
    answer: Answer | None = None
    if step is Step.DELETE and seen is not None:
        changes.append(node_restart.restart(cluster, namespace, seen.uid))
    if step is not Step.KEEP and not check_mode:
        answer = back(seen.uid if seen is not None and (seen.leaving or step is Step.DELETE) else "")
        pod = cluster.get("Pod", node_restart.POD, namespace)
    # One that its StatefulSet made anew before all was written has the other settings too.
    if not (check_mode and reason) and _has_other_settings(cluster, namespace, pod):
        if not check_mode:
            _check_power(cluster, consumer_id, validator)
        reason, uid = reason or OTHER_SETTINGS, str((pod or {})["metadata"]["uid"])
        changes.append(node_restart.restart(cluster, namespace, uid))
        answer = None if check_mode else back(uid, answer or before)
    elif answer is None and not check_mode:
        answer = back("")
    height = answer.height if answer else None
    return {**merge_changes(changes), "restarted": bool(reason), "reason": reason, "height": height}


def _check_power(cluster: Cluster, consumer_id: str, validator: str) -> None:
    """Raise ClusterError when too little power would stay up: another node may have gone down since all was written."""
    refusal = rolling.refusal(local_nodes(cluster, consumer_id)[0], validator)
    if refusal:
        raise ClusterError(
            f"the node of consumer {consumer_id} was not restarted, and takes what is written at its next start: {refusal}"
        )


def _before(cluster: Cluster, namespace: str, height: int | None) -> Answer | None:
    """Return what a new block is measured by: what was known before the update, else what the node says now."""
    if height is not None:
        return Answer(height, True, frozenset())
    with suppress(ClusterError):
        return node_restart.ask(cluster, namespace)
    return None


def _stateful_set(cluster: Cluster, namespace: str) -> dict[str, Any] | None:
    """Return the node's StatefulSet, once its controller has seen how it is now."""

    def look() -> list[dict[str, Any] | None] | None:
        found = cluster.get("StatefulSet", "node", namespace, "apps/v1")
        seen = found is None or (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
        return [found] if seen else None

    return cluster.await_value(f"StatefulSet {namespace}/node to be seen by its controller", look, SEEN_SECONDS)[0]


def _seen(pod: Mapping[str, Any] | None) -> SeenPod | None:
    if pod is None:
        return None
    metadata = pod["metadata"]
    revision = str((metadata.get("labels") or {}).get(REVISION, ""))
    return SeenPod(str(metadata["uid"]), revision, bool(metadata.get("deletionTimestamp")))


def _has_other_settings(cluster: Cluster, namespace: str, pod: Mapping[str, Any] | None) -> bool:
    """Tell whether a pod that is ready runs with other settings than are written."""
    config = cluster.get("ConfigMap", "config", namespace)
    if config is None or not node_restart.is_ready(pod):
        return False
    node = NodeAccess(cluster, namespace)
    running = {name: node.read_file(f"{HOME}/{name}") for name in (CONFIG_FILE, APP_FILE)}
    return not starts_alike(running, config.get("data") or {})
