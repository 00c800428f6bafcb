# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which nodes of a consumer run in this cluster, whosever they are, and whether one may be taken down for an update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ask_all import ask_all
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.cluster import node_restart
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics import rolling
from ansible_collections.interchain.security.plugins.module_utils.ics.health import OLDEST_BLOCK
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    ID_LABEL,
    checked_consumer_id,
    checked_validator_name,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import SIGNER_MARK, key_mark

ARGUMENT_SPEC: dict[str, Any] = {
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "kubeconfig": {"type": "path"},
}
VALIDATOR_LABEL = "interchain-security/validator"
PAGE = 100  # validators that a node tells at once
AT_ONCE = 8  # nodes asked
ASK_SECONDS = 15.0  # for one of them

Powers = dict[str, int]  # by the mark of the key


@dataclass(frozen=True)
class Seen:
    """One node: its pod's uid, its height, whether its newest block is a new one, and the powers of the validators in its newest set.

    ``height`` is 0 when it is not up.
    """

    pod_uid: str = ""
    height: int = 0
    rises: bool = False
    powers: Powers = field(default_factory=dict)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look at all, and tell whether one may be taken down."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    validator = checked_validator_name(params["validator"])
    nodes, seen = local_nodes(Cluster(params["kubeconfig"]), consumer_id)
    shown = [
        {
            "validator": name,
            "power": node.power,
            "up": node.up,
            "pod_uid": seen[name].pod_uid,
            "rising_height": seen[name].height if seen[name].rises else None,
        }
        for name, node in sorted(nodes.items())
    ]
    return {"changed": False, "nodes": shown, "refusal": rolling.refusal(nodes, validator)}


def local_nodes(cluster: Cluster, consumer_id: str) -> tuple[dict[str, rolling.LocalNode], dict[str, Seen]]:
    """Return the nodes that are to run by validator, whose power is that in the newest set that one of them knows, and what was seen of each."""
    wanted = _wanted(cluster, consumer_id)
    # The namespace is bound now, each question to its own.
    questions = {name: (lambda namespace=found[0]: _ask(cluster, namespace)) for name, found in wanted.items()}
    answers = ask_all(questions, AT_ONCE, ASK_SECONDS)
    seen = {name: answer or Seen() for name, answer in answers.items()}
    powers = max(seen.values(), key=lambda one: one.height).powers if seen else {}
    nodes = {
        name: rolling.LocalNode(power=powers.get(mark, 0), up=seen[name].height > 0)
        for name, (_namespace, mark) in wanted.items()
    }
    return nodes, seen


def _wanted(cluster: Cluster, consumer_id: str) -> dict[str, tuple[str, str]]:
    """Return namespace and key's mark of each node that is to run, by validator. What may not be read is another operator's."""
    found: dict[str, tuple[str, str]] = {}
    for namespace in cluster.select("Namespace", selector=f"{ID_LABEL}={consumer_id}", metadata_only=True):
        name = str(namespace["metadata"]["name"])
        try:
            stateful_set = cluster.get("StatefulSet", "node", name, "apps/v1")
        except ClusterError as error:
            if error.status != 403:
                raise
            continue
        if stateful_set is not None and stateful_set["spec"]["replicas"]:
            annotations: Mapping[str, str] = stateful_set["spec"]["template"]["metadata"].get("annotations") or {}
            mark = annotations.get(SIGNER_MARK, "").rpartition("-")[2]
            found[namespace["metadata"]["labels"][VALIDATOR_LABEL]] = (name, mark)
    return found


def _ask(cluster: Cluster, namespace: str) -> Seen:
    """Return what a node's pod is, and what the node says when it is up."""
    pod_uid = ""
    try:
        pod = cluster.get("Pod", node_restart.POD, namespace)
        pod_uid = "" if pod is None else str(pod["metadata"]["uid"])
        if not node_restart.is_ready(pod):
            return Seen(pod_uid)
        with NodeAccess(cluster, namespace).conversation(ASK_SECONDS) as rpc:
            sync = rpc("status")["sync_info"]
            height, newest = int(sync["latest_block_height"]), parse_time(sync["latest_block_time"])
            powers: Powers = {}
            page = total = 0
            while page * PAGE < total or page == 0:
                page += 1
                answer = rpc(f"validators?page={page}&per_page={PAGE}")
                powers |= {key_mark(one["pub_key"]["value"]): int(one["voting_power"]) for one in answer["validators"]}
                total = int(answer["total"])
            return Seen(pod_uid, height, datetime.now(UTC) - newest < OLDEST_BLOCK, powers)
    except (ClusterError, KeyError, TypeError, ValueError):
        return Seen(pod_uid)
