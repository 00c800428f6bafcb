# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell whether the nodes of consumers are well, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_look import look
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Condition,
    Seen,
    as_results,
    from_text,
    is_well,
    judge,
    standing_in,
    summary,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    ID_LABEL,
    checked_consumer_id,
    checked_validator_name,
)
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_leftovers_info import (
    by_id,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "consumer_id": {"type": "str"},
    "validator": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "commits": {"type": "int", "default": 20},
    "kubeconfig": {"type": "path"},
}
MOST_COMMITS = 100


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look at the nodes' pods, ask the nodes, and compare with what was kept of the last look."""
    validator = checked_validator_name(params["validator"])
    cluster = Cluster(params["kubeconfig"])
    monitor = params["monitor_namespace"] or f"{validator}-monitor"
    documents = memories(cluster, monitor)
    wanted = with_nodes(cluster, validator, documents, params["consumer_id"])
    seen, problems = look(cluster, validator, monitor, wanted, checked_commits(params["commits"]))
    if problems and params["consumer_id"] is not None:
        raise ClusterError(next(iter(problems.values())))
    health = []
    for consumer_id, found in seen.items():
        if is_node(found, wanted[consumer_id]):
            before = from_text(wanted[consumer_id].get("conditions", ""))
            # The provider is not asked here: the last check was told how the validator stands there.
            conditions = with_since(judge(replace(found, standing=standing_in(before))), before, found.now)
            health.append(result(consumer_id, found, conditions))
    return {"changed": False, "health": health, "problems": told(problems)}


def checked_commits(commits: int) -> int:
    """Return a number of commits that may be asked for; InvalidInput for another."""
    if not 1 <= commits <= MOST_COMMITS:
        raise InvalidInput(f"commits must lie between 1 and {MOST_COMMITS}")
    return commits


def memories(cluster: Cluster, monitor_namespace: str) -> dict[str, dict[str, str]]:
    """Return what the monitor remembers of its consumers, by consumer_id."""
    found = by_id(cluster.select("ConfigMap", monitor_namespace, ID_LABEL))
    return {consumer_id: entries[0].get("data") or {} for consumer_id, entries in found.items()}


def with_nodes(
    cluster: Cluster, validator: str, documents: Mapping[str, Mapping[str, str]], consumer_id: str | None
) -> dict[str, Mapping[str, str]]:
    """Return what is remembered of the one consumer, or of all that have a namespace which is not about to go, or should have one."""
    if consumer_id is not None:
        return {checked_consumer_id(consumer_id): documents.get(consumer_id, {})}
    mine = by_id(cluster.select("Namespace", selector=f"interchain-security/validator={validator},{ID_LABEL}"))
    there = [name for name, (entry, *_more) in mine.items() if not entry["metadata"].get("deletionTimestamp")]
    lost = [name for name, data in documents.items() if name not in mine and _should_run(data)]
    return {name: documents.get(name, {}) for name in sorted([*there, *lost], key=int)}


def _should_run(memory: Mapping[str, str]) -> bool:
    return bool(memory.get("node_mode")) and (memory.get("phase"), memory.get("decision")) == ("launched", "opt_in")


def is_node(seen: Seen, memory: Mapping[str, str]) -> bool:
    """Tell whether there is a node to speak of: one that runs, or did."""
    return seen.wanted or bool(memory.get("node_mode"))


def result(consumer_id: str, seen: Seen, conditions: Sequence[Condition]) -> dict[str, Any]:
    """Return one entry of the module's result."""
    return {
        "consumer_id": consumer_id,
        "healthy": is_well(conditions),
        "summary": summary(conditions),
        "height": seen.height,
        "peers": seen.peers,
        "catching_up": seen.catching_up,
        "signed": seen.signed,
        "commits": seen.commits,
        "disk_used": None if seen.disk is None else round(seen.disk, 3),
        "restarts": seen.pod.restarts if seen.pod else 0,
        "conditions": as_results(conditions),
    }


def told(problems: Mapping[str, str]) -> list[str]:
    """Return in sentences which consumers could not be looked at, and why."""
    return [f"consumer {consumer_id}: {reason}" for consumer_id, reason in problems.items()]
