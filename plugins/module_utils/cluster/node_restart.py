# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restarting a consumer's node, and telling when it is back.

A restart deletes that very pod with its grace period: its StatefulSet makes the next one when the kubelet has said that the old one is gone, on
the same volume with the same sign state. So it can make no key sign twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import ANSWER_SECONDS, NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_look import SIGNED, newest_set
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.health import OLDEST_BLOCK
from ansible_collections.interchain.security.plugins.module_utils.ics.rolling import Votes

POD = "node-0"
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """What a node says of itself: its height, whether the chain makes blocks, and the node ids of the peers that it is connected to."""

    height: int
    rises: bool
    peers: frozenset[str]


def ask(cluster: Cluster, namespace: str, pod: str = POD) -> Answer:
    """Ask a node; ClusterError or NodeSilent when it gives no answer that can be used."""
    try:
        with NodeAccess(cluster, namespace, pod).conversation(ANSWER_SECONDS) as rpc:
            sync = rpc("status")["sync_info"]
            peers = rpc("net_info")["peers"]
        height, newest = int(sync["latest_block_height"]), parse_time(sync["latest_block_time"])
        # Nobody is among them under another one's id: CometBFT compares it with the key of the connection.
        found = frozenset(str(peer["node_info"]["id"]) for peer in peers)
    except (KeyError, TypeError, ValueError, QueryFailed) as error:
        raise ClusterError(f"the node in {namespace} gives no answer that can be understood: {error!r}") from error
    return Answer(height, height > 0 and datetime.now(UTC) - newest < OLDEST_BLOCK, found)


def votes(cluster: Cluster, namespace: str, pod: str = POD) -> Votes:
    """Ask a node who of the chain's newest set signs; ClusterError or NodeSilent when it gives no answer that can be used."""
    try:
        with NodeAccess(cluster, namespace, pod).conversation(ANSWER_SECONDS) as rpc:
            status = rpc("status")
            own, sync = str(status["validator_info"]["address"]), status["sync_info"]
            # The newest commit may still gather signatures.
            height = max(int(sync["latest_block_height"]) - 1, int(sync["earliest_block_height"]))
            signatures = rpc(f"commit?height={height}")["signed_header"]["commit"]["signatures"]
            powers = {str(one["address"]): int(one["voting_power"]) for one in newest_set(rpc)}
            signers = {str(one["validator_address"]) for one in signatures if one["block_id_flag"] == SIGNED}
    except (KeyError, TypeError, ValueError, QueryFailed) as error:
        raise ClusterError(f"the node in {namespace} gives no answer that can be understood: {error!r}") from error
    others = sum(power for address, power in powers.items() if address in signers and address != own)
    return Votes(powers.get(own, 0), others, sum(powers.values()))


def restart(cluster: Cluster, namespace: str, uid: str) -> Change:
    """Restart a node whose pod has that uid; another pod is left alone."""
    return cluster.delete("Pod", POD, namespace, uid=uid)


def is_ready(pod: Mapping[str, Any] | None) -> bool:
    """Tell whether a pod is ready and stays."""
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return False
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(containers) and all(container.get("ready") for container in containers)


def made_at(pod: Mapping[str, Any]) -> datetime:
    """Return when a pod was made."""
    return parse_time(str(pod["metadata"]["creationTimestamp"]))


def await_back(cluster: Cluster, namespace: str, former: str, before: Answer | None, seconds: float) -> Answer:
    """Wait for a node's next pod, ready, and for a block above the one before, unless the chain stood still; ClusterError when it does not come.

    ``former`` is the uid of the pod before, empty when any will do. Returns the node's answer.
    """
    where = f"look at `kubectl --namespace {namespace} describe pod {POD}` and `logs {POD}`"
    begun, seen = datetime.now(UTC), "it has no pod"

    def look() -> Answer | None:
        nonlocal seen
        pod = cluster.get("Pod", POD, namespace)
        if pod is None or pod["metadata"]["uid"] == former or not is_ready(pod):
            seen = "its pod is not ready"
            return None
        try:
            answer = ask(cluster, namespace)
        except ClusterError as error:
            seen = str(error)
            return None
        seen = f"it is at block {answer.height}"
        return answer if before is None or not before.rises or answer.height > before.height else None

    what = f"the node in {namespace} did not come back with a new block after {begun:%H:%M:%S} UTC"
    try:
        return cluster.await_value(what, look, seconds, where, POLL_SECONDS)
    except ClusterError as error:
        raise ClusterError(f"{error}; {seen}") from error
