# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at a validator's consumer nodes: what the cluster tells of their pods, and what the nodes themselves say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ask_all import ask_all
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess, Rpc
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, NodeSilent, QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics import routes
from ansible_collections.interchain.security.plugins.module_utils.ics.duty import PROMOTED
from ansible_collections.interchain.security.plugins.module_utils.ics.health import Pod, Seen
from ansible_collections.interchain.security.plugins.module_utils.ics.names import consumer_namespace

HOME = "/home"
SIGNED = 2  # BlockIDFlagCommit: the validator signed this very block
AT_ONCE = 8  # nodes
NODE_SECONDS = 20.0  # for one node
ASK_SECONDS = 12.0  # of them for its RPC

PAGE = 100  # validators that a node tells at once
OWN_SIGNATURE = "found signature from the same key"  # CometBFT ends with that when double_sign_check_height finds it

VOLUME = "data"
# What a node needs besides its volume and its StatefulSet, by kind.
NEEDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("ConfigMap", "v1"): ("config", "genesis"),
    ("Secret", "v1"): ("keys",),
    ("Service", "v1"): ("node",),
    ("ServiceAccount", "v1"): ("node",),
    ("NetworkPolicy", "networking.k8s.io/v1"): ("node",),
}


def look(
    cluster: Cluster,
    validator: str,
    monitor_namespace: str,
    memories: Mapping[str, Mapping[str, str]],
    commits: int,
) -> tuple[dict[str, Seen], dict[str, str]]:
    """Return what is seen of the consumers' nodes, and why some cannot be looked at, by consumer_id.

    ``memories`` holds what the monitor remembers of each consumer that is to be looked at; ``commits`` of the newest commits are looked at.
    """
    seen: dict[str, Seen] = {}
    problems: dict[str, str] = {}
    routed = _names(cluster, routes.SLICE, monitor_namespace, routes.SLICE_VERSION)
    for consumer_id, memory in memories.items():
        try:
            found = _of_cluster(cluster, consumer_namespace(validator, consumer_id), memory)
        except ClusterError as error:
            problems[consumer_id] = str(error)
            continue
        if found.wanted and routes.slice_name(consumer_id) not in routed:
            found = replace(found, missing=(*found.missing, "its port of the load balancer"))
        seen[consumer_id] = found

    def question(consumer_id: str) -> Seen:
        node = NodeAccess(cluster, consumer_namespace(validator, consumer_id))
        return _ask(node, seen[consumer_id], commits, memories[consumer_id].get(PROMOTED, ""))

    running = [consumer_id for consumer_id, found in seen.items() if found.may_be_asked]
    # The consumer_id is bound now, each question to its own.
    questions = {consumer_id: (lambda consumer_id=consumer_id: question(consumer_id)) for consumer_id in running}
    for consumer_id, answer in ask_all(questions, AT_ONCE, NODE_SECONDS).items():
        hung = replace(seen[consumer_id], problem=f"it could not be asked within {NODE_SECONDS:.0f} s")
        seen[consumer_id] = hung if answer is None else answer
    return seen, problems


def _of_cluster(cluster: Cluster, namespace: str, memory: Mapping[str, str]) -> Seen:
    stateful_set = cluster.get("StatefulSet", "node", namespace, "apps/v1")
    now, mode = datetime.now(UTC), memory.get("node_mode", "sign")
    wanted = stateful_set is not None and stateful_set["spec"]["replicas"] > 0
    if stateful_set is not None and not wanted:
        return Seen(now, wanted=False, mode=mode)
    if stateful_set is None:
        volume = cluster.get("PersistentVolumeClaim", VOLUME, namespace) is not None
        return Seen(now, exists=False, wanted=False, volume=volume, mode=mode)
    missing = []
    for (kind, api_version), names in NEEDED.items():
        missing += [f"{kind} {name}" for name in sorted({*names} - _names(cluster, kind, namespace, api_version))]
    pod = cluster.get("Pod", "node-0", namespace)
    return Seen(now, pod=None if pod is None else pod_of(pod), missing=tuple(missing), mode=mode)


def _names(cluster: Cluster, kind: str, namespace: str, api_version: str) -> set[str]:
    return {
        str(entry["metadata"]["name"])
        for entry in cluster.select(kind, namespace, api_version=api_version, metadata_only=True)
    }


def pod_of(pod: Mapping[str, Any]) -> Pod:
    """Return what the cluster tells of a pod of one container."""
    status = pod.get("status") or {}
    container = (status.get("containerStatuses") or [{}])[0]
    state = container.get("state") or {}
    ended = (container.get("lastState") or {}).get("terminated") or {}
    said = _line(ended.get("message") or ended.get("reason"))
    return Pod(
        uid=str(pod["metadata"]["uid"]),
        ending=bool(pod["metadata"].get("deletionTimestamp")),
        running="running" in state,
        started=bool(container.get("started")),
        ready=bool(container.get("ready")),
        waits=_waits(status, state),
        restarts=int(container.get("restartCount") or 0),
        last_end=said[-300:],
        own_signature=OWN_SIGNATURE in said.lower(),
    )


def _waits(status: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return why a container does not run: its own reason, or that of a pod that has no machine."""
    unscheduled = [
        entry
        for entry in status.get("conditions") or []
        if entry["type"] == "PodScheduled" and entry["status"] == "False"
    ]
    found = state.get("waiting") or state.get("terminated") or (unscheduled or [{}])[0]
    return ": ".join(_line(found[key])[:300] for key in ("reason", "message") if found.get(key))


def _line(text: object) -> str:
    return " ".join(str(text or "").split())


def _ask(node: NodeAccess, seen: Seen, commits: int, promoted_height: str) -> Seen:
    """Ask a node and look at its volume. Never raises: what cannot be asked stays None, and the problem says why."""
    try:
        with node.conversation(ASK_SECONDS) as rpc:
            seen = _answers(rpc, seen, commits)
    except NodeSilent as error:
        seen = replace(seen, problem=str(error), silent=True)
    except (ClusterError, QueryFailed, KeyError, TypeError, ValueError) as error:
        seen = replace(seen, problem=f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error))
    seen = replace(seen, promoted_height=_promoted_height(node, seen, promoted_height))
    try:
        return replace(seen, disk=node.disk_usage(HOME))
    except ClusterError:
        return seen


def _promoted_height(node: NodeAccess, seen: Seen, known: str) -> int | None:
    """Return since which height the chain's set holds the node's key. What is known is not looked for again while it does."""
    if not seen.in_validator_set:
        return None if seen.in_validator_set is None else 0
    if known.isascii() and known.isdigit() and int(known) > 0:
        return int(known)
    try:
        with node.conversation(ASK_SECONDS) as rpc:
            return _find_promotion(rpc)
    except (ClusterError, NodeSilent, QueryFailed, KeyError, TypeError, ValueError):
        return None  # found at another look


def _find_promotion(rpc: Rpc) -> int:
    """Halve the blocks that the node has between one whose set does not hold its key and the newest, whose set does."""
    status = rpc("status")
    own = str(status["validator_info"]["address"])
    low, high = int(status["sync_info"]["earliest_block_height"]), int(status["sync_info"]["latest_block_height"])
    if _is_in_set(rpc, own, low):
        return low
    while high - low > 1:
        middle = (low + high) // 2
        if _is_in_set(rpc, own, middle):
            high = middle
        else:
            low = middle
    return high


def newest_set(rpc: Rpc) -> list[dict[str, Any]]:
    """Return the validators of the height that the chain works on."""
    found = rpc(f"validators?per_page={PAGE}")
    listed, page = list(found["validators"]), 1
    while len(listed) < int(found["total"]):
        page += 1
        listed += rpc(f"validators?height={found['block_height']}&page={page}&per_page={PAGE}")["validators"]
    return listed


def _is_in_set(rpc: Rpc, address: str, height: int) -> bool:
    page = total = 0
    while page * PAGE < total or page == 0:
        page += 1
        found = rpc(f"validators?height={height}&page={page}&per_page={PAGE}")
        if any(entry["address"] == address for entry in found["validators"]):
            return True
        total = int(found["total"])
    return False


def _answers(rpc: Rpc, seen: Seen, commits: int) -> Seen:
    status = rpc("status")
    height = int(status["sync_info"]["latest_block_height"])
    own = str(status["validator_info"]["address"])
    seen = replace(
        seen,
        height=height,
        block_time=parse_time(status["sync_info"]["latest_block_time"]),
        catching_up=bool(status["sync_info"]["catching_up"]),
        peers=int(rpc("net_info")["n_peers"]),
    )
    if height < 1:
        return seen
    validators = newest_set(rpc)
    seen = replace(
        seen,
        validators=len(validators),
        in_validator_set=any(entry["address"] == own for entry in validators),
        validator_keys=frozenset(str(entry["pub_key"]["value"]) for entry in validators),
        peers_height=_peers_height(rpc) if seen.block_is_old else None,
    )
    # The newest commit may still gather signatures.
    lowest = max(1, int(status["sync_info"]["earliest_block_height"]), height - commits)
    signed = 0
    for number in range(lowest, height):
        signatures = rpc(f"commit?height={number}")["signed_header"]["commit"]["signatures"]
        signed += any(entry["validator_address"] == own and entry["block_id_flag"] == SIGNED for entry in signatures)
    return replace(seen, signed=signed, commits=height - lowest)


def _peers_height(rpc: Rpc) -> int | None:
    """Return the highest block that a peer has by what it tells of its consensus: it works on the one after it."""
    peers = rpc("dump_consensus_state")["peers"] or []
    heights = [int(peer["peer_state"]["round_state"]["height"]) - 1 for peer in peers]
    return max(heights, default=None)
