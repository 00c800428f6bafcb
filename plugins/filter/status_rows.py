# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

VALIDATOR = "interchain-security/validator"
CONSUMER = "interchain-security/consumer-id"
HEIGHT = re.compile(r'"latest_block_height":"([0-9]+)"')


def _labels(resource: Mapping[str, Any]) -> Mapping[str, str]:
    return resource["metadata"].get("labels") or {}


def _ready(stateful_set: Mapping[str, Any] | None) -> str:
    if stateful_set is None:
        return "none"
    wanted = stateful_set["spec"].get("replicas", 0)
    ready = (stateful_set.get("status") or {}).get("readyReplicas") or 0
    return "stopped" if wanted == 0 else "ready" if ready >= wanted else "not ready"


def status_rows(
    memories: Sequence[Mapping[str, Any]],
    consumers: Sequence[Mapping[str, Any]],
    monitors: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    heights: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """One row per validator and consumer, from what the monitors remember, the provider's records and the cluster's StatefulSets."""
    records = {str(consumer["consumer_id"]): consumer for consumer in consumers}
    monitor_of = {_labels(monitor).get(VALIDATOR): monitor for monitor in monitors}
    node_of = {(_labels(node).get(VALIDATOR), _labels(node).get(CONSUMER)): node for node in nodes}
    height_of: dict[str, str] = {}
    for answer in heights:
        found = HEIGHT.search(answer.get("stdout") or "")
        if found:
            height_of[answer["item"]["metadata"]["namespace"]] = found.group(1)

    rows: list[dict[str, Any]] = []
    for memory in memories:
        validator, consumer_id = _labels(memory).get(VALIDATOR), _labels(memory).get(CONSUMER)
        data = memory.get("data") or {}
        record = records.get(str(consumer_id), {})
        node = node_of.get((validator, consumer_id))
        reason = data.get("reason", "")
        if data.get("launch_failed") == "true":
            reason = f"launch failed: {data.get('launch_failed_reason', '')}; {reason}"
        rows.append(
            {
                "validator": validator,
                "monitor": _ready(monitor_of.get(validator)),
                "consumer_id": consumer_id,
                "chain_id": record.get("chain_id"),
                "phase": record.get("phase", "unknown"),
                "decision": data.get("decision"),
                "reason": reason,
                "node": _ready(node),
                "height": height_of.get(node["metadata"]["namespace"]) if node else None,
                "genesis_hash": data.get("genesis_hash"),
                "genesis": (data.get("genesis_hash") or "")[:12] or None,
            }
        )
    seen = {row["validator"] for row in rows}
    rows += [
        {"validator": name, "monitor": _ready(monitor)} for name, monitor in monitor_of.items() if name not in seen
    ]
    return sorted(rows, key=lambda row: (int(row.get("consumer_id") or -1), str(row["validator"])))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"status_rows": status_rows}
