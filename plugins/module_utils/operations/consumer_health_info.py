# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell whether the node of a consumer is well, and why not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Seen,
    as_results,
    judge,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    checked_consumer_id,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.node_access import NodeAccess

ARGUMENT_SPEC: dict[str, Any] = {
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "commits": {"type": "int", "default": 20},
    "kubeconfig": {"type": "path"},
}
HOME = "/home"
SIGNED = 2  # BlockIDFlagCommit: the validator signed this very block


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look at the node's pod, ask the node, and compare with what was kept of the last look."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    if not 1 <= params["commits"] <= 100:
        raise InvalidInput("commits must lie between 1 and 100")
    namespace = consumer_namespace(params["validator"], consumer_id)
    cluster = Cluster(params["kubeconfig"])
    stateful_set = cluster.get("StatefulSet", "node", namespace, "apps/v1")
    result: dict[str, Any] = {"changed": False, "consumer_id": consumer_id}
    if stateful_set is None:
        return {**result, "health": []}
    monitor = params["monitor_namespace"] or f"{params['validator']}-monitor"
    memory = (cluster.get("ConfigMap", f"consumer-{consumer_id}", monitor) or {}).get("data") or {}
    now = datetime.now(UTC)
    seen = _look(cluster, namespace, stateful_set, memory, params["commits"], now)
    conditions = with_since(judge(seen), _kept(memory), now)
    health = {
        "consumer_id": consumer_id,
        "healthy": all(condition.status == "True" for condition in conditions),
        "height": seen.height,
        "peers": seen.peers,
        "catching_up": seen.catching_up,
        "signed": seen.signed,
        "commits": seen.commits,
        "disk_used": None if seen.disk is None else round(seen.disk, 3),
        "restarts": seen.restarts,
        "conditions": as_results(conditions),
    }
    return {**result, "health": [health]}


def _kept(memory: dict[str, str]) -> list[dict[str, str]]:
    try:
        found = json.loads(memory.get("conditions", "[]"))
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _look(
    cluster: Cluster,
    namespace: str,
    stateful_set: dict[str, Any],
    memory: dict[str, str],
    commits: int,
    now: datetime,
) -> Seen:
    pod = cluster.get("Pod", "node-0", namespace) or {}
    states = ((pod.get("status") or {}).get("containerStatuses") or [{}])[0]
    ended = (states.get("lastState") or {}).get("terminated") or {}
    facts: dict[str, Any] = {
        "now": now,
        "wanted": stateful_set["spec"]["replicas"] > 0,
        "ready": bool(states.get("ready")),
        "restarts": int(states.get("restartCount") or 0),
        "last_end": " ".join(str(ended.get("message") or ended.get("reason") or "").split())[-300:],
        "mode": memory.get("node_mode", "sign"),
    }
    if not facts["wanted"]:
        return Seen(**facts)
    node = NodeAccess(cluster, namespace)
    try:
        facts.update(_ask(node, commits))
    except (ClusterError, QueryFailed, KeyError, TypeError, ValueError) as error:
        facts["problem"] = str(error)
    try:
        facts["disk"] = node.disk_usage(HOME)
    except ClusterError as error:
        facts["problem"] = facts.get("problem") or str(error)
    return Seen(**facts)


def _ask(node: NodeAccess, commits: int) -> dict[str, Any]:
    status = node.rpc("status")
    height = int(status["sync_info"]["latest_block_height"])
    own = str(status["validator_info"]["address"])
    found: dict[str, Any] = {
        "height": height,
        "block_time": parse_time(status["sync_info"]["latest_block_time"]),
        "catching_up": bool(status["sync_info"]["catching_up"]),
        "peers": int(node.rpc("net_info")["n_peers"]),
    }
    if height < 1:
        return found
    validators = node.rpc("validators?per_page=100")
    found["validators"] = int(validators["total"])
    found["in_validator_set"] = int(status["validator_info"]["voting_power"]) > 0 or any(
        entry["address"] == own for entry in validators["validators"]
    )
    # The newest commit may still gather signatures.
    lowest = max(1, int(status["sync_info"]["earliest_block_height"]), height - commits)
    signed = 0
    for number in range(lowest, height):
        signatures = node.rpc(f"commit?height={number}")["signed_header"]["commit"]["signatures"]
        signed += any(entry["validator_address"] == own and entry["block_id_flag"] == SIGNED for entry in signatures)
    return {**found, "signed": signed, "commits": height - lowest}
