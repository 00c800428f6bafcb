# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics import receipt
from ansible_collections.interchain.security.plugins.module_utils.ics.duty import PROMOTED
from ansible_collections.interchain.security.plugins.module_utils.ics.health import TRUE, from_text, summary
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import CHANNEL, CONDITIONS
from ansible_collections.interchain.security.plugins.module_utils.ics.repair import Past

VALIDATOR = "interchain-security/validator"
CONSUMER = "interchain-security/consumer-id"


def _labels(resource: Mapping[str, Any]) -> Mapping[str, str]:
    return resource["metadata"].get("labels") or {}


def _ready(stateful_set: Mapping[str, Any] | None) -> str:
    if stateful_set is None:
        return "none"
    wanted = stateful_set["spec"].get("replicas", 0)
    ready = (stateful_set.get("status") or {}).get("readyReplicas") or 0
    return "stopped" if wanted == 0 else "ready" if ready >= wanted else "not ready"


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _seconds(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _until(moment: datetime | None, now: datetime | None) -> str | None:
    """Time from now to a moment, by the same clock."""
    if moment is None or now is None:
        return None
    left = (moment - now).total_seconds()
    return f"in {_seconds(left)}" if left > 0 else f"{_seconds(-left)} ago" if left < 0 else "now"


class _Documents:
    """The state documents of all monitors, by namespace and name; other ConfigMaps are never asked for."""

    def __init__(self, config_maps: Iterable[Mapping[str, Any]], monitors: Iterable[Mapping[str, Any]]) -> None:
        self.validator_of = {entry["metadata"]["namespace"]: _labels(entry).get(VALIDATOR) for entry in monitors}
        self._of: dict[tuple[str, str], Mapping[str, Any]] = {
            (entry["metadata"]["namespace"], entry["metadata"]["name"]): entry for entry in config_maps
        }

    def data(self, namespace: str, name: str) -> Mapping[str, str]:
        return (self._of.get((namespace, name)) or {}).get("data") or {}

    def consumers(self) -> list[tuple[str, str, str, Mapping[str, str]]]:
        """Validator, namespace, consumer_id and data of each document of a consumer."""
        found = []
        for (namespace, name), entry in self._of.items():
            consumer_id = _labels(entry).get(CONSUMER)
            data = entry.get("data") or {}
            if not consumer_id or name != f"consumer-{consumer_id}" or not {"decision", "event_outcome"} & set(data):
                continue
            # A receipt may be there before anything was decided, without the label.
            validator = _labels(entry).get(VALIDATOR) or self.validator_of.get(namespace) or namespace
            found.append((validator, namespace, consumer_id, data))
        return found

    def outstanding(self, namespace: str) -> list[Mapping[str, Any]]:
        """The events that the monitor has sent and that are not dealt with."""
        try:
            found = json.loads(self.data(namespace, "cursor").get("outstanding", "[]"))
        except ValueError:
            return []
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _event(
    data: Mapping[str, str], outstanding: Sequence[Mapping[str, Any]], now: datetime | None
) -> tuple[str | None, str | None]:
    """How the last playbook of a consumer ended, in a word or two and as a line; the line is for failures only."""
    told = receipt.parse(data)
    waiting = next(iter(outstanding), None)
    now_doing = None if waiting is None else "running" if waiting.get("put") else "waiting"
    if told is None:
        return now_doing, None
    if told.outcome is receipt.Outcome.DONE:
        return (now_doing if waiting and waiting.get("uuid") != told.event_uuid else "done"), None
    next_try = _until(_moment(waiting.get("next_try")), now) if waiting else None
    when = f"; next try {next_try}" if next_try else "; it runs again" if waiting else ""
    return (
        f"failed {told.attempt}x",
        f"attempt {told.attempt} failed at {receipt.moment(told.at)}{when}: {told.reason}",
    )


def status_rows(
    config_maps: Sequence[Mapping[str, Any]],
    consumers: Sequence[Mapping[str, Any]],
    monitors: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    heights: Sequence[Mapping[str, Any]],
    block_time: str = "",
    now: str = "",
) -> list[dict[str, Any]]:
    """One row per validator and consumer, from what the monitors wrote down, the provider's records and the cluster's StatefulSets."""
    documents = _Documents(config_maps, monitors)
    records = {str(consumer["consumer_id"]): consumer for consumer in consumers}
    node_of = {(_labels(node).get(VALIDATOR), _labels(node).get(CONSUMER)): node for node in nodes}
    height_of = {
        answer["item"]["metadata"]["namespace"]: answer["height"] for answer in heights if answer.get("height", -1) >= 0
    }

    rows: list[dict[str, Any]] = []
    for validator, namespace, consumer_id, data in documents.consumers():
        record = records.get(consumer_id, {})
        node = node_of.get((validator, consumer_id))
        outstanding = [
            entry for entry in documents.outstanding(namespace) if str(entry.get("consumer_id")) == consumer_id
        ]
        event, failure = _event(data, outstanding, _moment(now))
        phase = record.get("phase", "unknown")
        spawn_time = _moment(record.get("spawn_time")) if phase in ("registered", "initialized") else None
        rows.append(
            {
                "validator": validator,
                "consumer_id": consumer_id,
                "chain_id": record.get("chain_id"),
                "phase": phase,
                "spawn": _until(spawn_time, _moment(block_time)),
                "decision": data.get("decision"),
                "node": _ready(node),
                "height": height_of.get(node["metadata"]["namespace"]) if node else None,
                "health": _health(data, _moment(now)),
                "channel": _channel(data),
                "in_set_since": data.get(PROMOTED) if data.get(PROMOTED) != "0" else None,
                "genesis_hash": data.get("genesis_hash"),
                "genesis": (data.get("genesis_hash") or "")[:12] or None,
                "event": event,
                "reason": _reason(data, failure, _moment(now)),
            }
        )
    return sorted(rows, key=lambda row: (int(row["consumer_id"]), str(row["validator"])))


def _health(data: Mapping[str, str], now: datetime | None) -> str | None:
    """How the node was at the last check: ``well``, or the first thing that is wrong with its reason and since when."""
    conditions = from_text(data.get("conditions", ""))
    if not conditions:
        return None
    wrong = next((entry for entry in conditions if entry.status != TRUE), None)
    if wrong is None:
        return "well"
    return " ".join(filter(None, (wrong.type, wrong.reason, _until(_moment(wrong.since), now) or wrong.since)))


def _channel(data: Mapping[str, str]) -> str | None:
    """How far the CCV channel is, and once it is open the first thing that is wrong with the relayer."""
    wrong = next((entry for entry in from_text(data.get(CONDITIONS, "")) if entry.status != TRUE), None)
    state = data.get(CHANNEL, "").replace("_", " ")
    return (
        " ".join(filter(None, (state, f"({wrong.type} {wrong.reason})" if wrong and state == "open" else ""))) or None
    )


def _reason(data: Mapping[str, str], failure: str | None, now: datetime | None) -> str:
    """Everything there is to say, the most urgent first."""
    alarm = f"ALARM: {data.get('alarm_reason', '')}" if data.get("alarm") == "true" else ""
    failed = f"launch failed: {data.get('launch_failed_reason', '')}" if data.get("launch_failed") == "true" else ""
    past = Past.parse(data)
    repaired = (
        f"repaired ({past.action}) {_until(past.at, now) or receipt.moment(past.at)}: {past.reason}" if past.at else ""
    )
    health = summary(from_text(data.get("conditions", "")))
    relayer = summary(from_text(data.get(CONDITIONS, "")))
    texts = (alarm, failure, failed, _unsigned(data), health, relayer, repaired, data.get("reason", ""))
    return "; ".join(text for text in texts if text)


def _unsigned(data: Mapping[str, str]) -> str:
    """Why the node of a member of the chain does not sign."""
    if data.get("node_mode") != "follow" or data.get("phase") != "launched":
        return ""
    return f"does not sign: {'; '.join(json.loads(data.get('node_reasons', '[]')))}"


def monitor_rows(
    config_maps: Sequence[Mapping[str, Any]],
    monitors: Sequence[Mapping[str, Any]],
    height: int | str = 0,
    now: str = "",
) -> list[dict[str, Any]]:
    """One row per monitor: does it run, how far has it come, what is outstanding, how often was it started again and why."""
    documents = _Documents(config_maps, monitors)
    rows = []
    for monitor in monitors:
        namespace = monitor["metadata"]["namespace"]
        supervised, cursor = documents.data(namespace, "monitor"), documents.data(namespace, "cursor")
        reached = cursor.get("height", "")
        end = " ".join(text for text in (supervised.get("last_end"), supervised.get("last_reason")) if text)
        rows.append(
            {
                "validator": _labels(monitor).get(VALIDATOR),
                "monitor": _ready(monitor),
                "height": reached or None,
                "behind": max(int(height) - int(reached), 0) if reached.isdigit() else None,
                "outstanding": len(documents.outstanding(namespace)),
                "checked": _checked(documents.data(namespace, receipt.CHECK), _moment(now)),
                "endpoint": documents.data(namespace, receipt.CHECK).get("endpoint"),
                "restarts": supervised.get("restarts", "0"),
                "last_end": end or None,
            }
        )
    return sorted(rows, key=lambda row: str(row["validator"]))


def _checked(data: Mapping[str, str], now: datetime | None) -> str | None:
    """When the nodes were last looked at, and why that failed."""
    told = receipt.parse(data)
    if told is None:
        return None
    when = _until(told.at, now) or receipt.moment(told.at)
    return when if told.outcome is receipt.Outcome.DONE else f"failed {when}: {told.reason}"


def leftover_rows(
    config_maps: Sequence[Mapping[str, Any]], monitors: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row per thing that the monitors' last checks have found left over of consumers."""
    documents = _Documents(config_maps, monitors)
    rows: list[dict[str, Any]] = []
    for monitor in monitors:
        try:
            found = json.loads(documents.data(monitor["metadata"]["namespace"], receipt.CHECK).get("leftovers", "[]"))
        except ValueError:
            continue
        validator = _labels(monitor).get(VALIDATOR)
        rows += [{"validator": validator, **entry} for entry in found if isinstance(entry, dict)]
    return rows


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"status_rows": status_rows, "monitor_rows": monitor_rows, "leftover_rows": leftover_rows}
