# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at all relayers of a validator, keep what was found where it changed, start one anew whose packets are stuck, and say which are to be deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_account import mnemonic_of
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_look import newest_pod
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    DOCUMENT as CURSOR,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    busy_consumers,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import health, relaying
from ansible_collections.interchain.security.plugins.module_utils.ics.health import Condition
from ansible_collections.interchain.security.plugins.module_utils.ics.names import ID_LABEL, consumer_namespace
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import moment
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    ccv_channel_info,
    connection,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **ccv_channel_info.ARGUMENT_SPEC,
    "settings": {"type": "str", "default": ""},
    "restart_pause": {"type": "int", "default": 600},
}
RESTARTED = "relayer_restarted"


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, keep, restart."""
    if params["restart_pause"] < 0 or params["stuck_blocks"] < 0:
        raise InvalidInput("restart_pause must be seconds and stuck_blocks blocks, both at least 0")
    monitor = params["monitor_namespace"] or f"{params['validator']}-monitor"
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    result: dict[str, Any] = {"changed": False, "relayers": [], "deploy": [], "problems": []}
    if not mnemonic_of(cluster, monitor):  # this validator has no relayer
        return result
    busy = busy_consumers((cluster.get("ConfigMap", CURSOR, monitor) or {}).get("data") or {})
    client = connection.provider_client(params)
    changes: list[Change] = []
    for consumer, memory, seen in ccv_channel_info.look_at(params, client, cluster):
        name = consumer.consumer_id
        before = health.from_text(memory.get(relaying.CONDITIONS, ""))
        conditions = health.with_since(relaying.judge(seen, memory, params["stuck_blocks"]), before, seen.now)
        by_type = {entry.type: entry for entry in conditions}
        entry = {**ccv_channel_info.result(consumer, seen, conditions), "restarted": False}
        result["relayers"].append(entry)
        pause = timedelta(seconds=params["restart_pause"])
        restarts = relaying.should_restart(seen, by_type, pause, health.moment(memory.get(RESTARTED, "")))
        data = _memory(seen, memory, before, conditions, restarts)
        try:
            if data:
                changes.append(cluster.merge(_document(params["validator"], monitor, name, data)))
            if restarts:
                namespace = consumer_namespace(params["validator"], name)
                pod, pod_name = newest_pod(cluster, namespace)
                if pod is not None:
                    changes.append(cluster.delete("Pod", pod_name, namespace, uid=pod.uid))
                    entry["restarted"] = True
        except ClusterError as error:
            result["problems"].append(f"consumer {name}: {error}")
        if name not in busy and relaying.starts(seen, params["settings"]):
            result["deploy"].append(name)
    return {**result, **merge_changes(changes)}


def _memory(
    seen: relaying.Relaying,
    memory: Mapping[str, str],
    before: Sequence[Condition],
    conditions: Sequence[Condition],
    restarts: bool,
) -> dict[str, str]:
    """Return what a consumer's document has to say; empty when it says so already."""
    data = {relaying.PENDING: relaying.pending(seen, memory)}
    if seen.channel is not None:
        data[relaying.CHANNEL] = seen.channel.step.value
    data = {name: value for name, value in data.items() if memory.get(name, "") != value}
    if list(before) != list(conditions):
        data[relaying.CONDITIONS] = health.to_text(conditions)
    if restarts:
        data[RESTARTED] = moment(seen.now)
    return data


def _document(validator: str, monitor: str, consumer_id: str, data: Mapping[str, str]) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/part-of": "interchain-security-monitor",
        "app.kubernetes.io/managed-by": "interchain-security-monitor",
        "interchain-security/validator": validator,
        ID_LABEL: consumer_id,
    }
    metadata = {"name": CONSUMER_PREFIX + consumer_id, "namespace": monitor, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
