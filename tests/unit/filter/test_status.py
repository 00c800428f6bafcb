# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make status` shows, out of objects as the cluster gives them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.filter.status_rows import leftover_rows, monitor_rows, status_rows
from ansible_collections.interchain.security.plugins.filter.table import table

UUID = "6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c10"
OTHER = "6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c11"
NOW = "2026-11-23T12:00:00Z"


def stateful_set(namespace: str, ready: int = 1, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": namespace,
            "labels": {f"interchain-security/{name}": labels[name] for name in labels},
        },
        "spec": {"replicas": 1},
        "status": {"readyReplicas": ready},
    }


MONITOR = stateful_set("alice-monitor", validator="alice", role="monitor")


def config_map(name: str, data: dict[str, str], namespace: str = "alice-monitor", **labels: str) -> dict[str, Any]:
    found = {f"interchain-security/{key.replace('_', '-')}": value for key, value in labels.items()}
    return {"metadata": {"namespace": namespace, "name": name, "labels": found}, "data": data}


def memory(data: dict[str, str]) -> dict[str, Any]:
    return config_map("consumer-7", data, consumer_id="7", validator="alice")


def cursor(*outstanding: dict[str, Any], height: str = "90") -> dict[str, Any]:
    return config_map("cursor", {"height": height, "outstanding": json.dumps(outstanding)})


def receipt(outcome: str, attempt: str = "1", reason: str = "") -> dict[str, str]:
    return {
        "event_uuid": UUID,
        "event_outcome": outcome,
        "event_attempt": attempt,
        "event_at": "2026-11-23T11:59:50Z",
        "event_reason": reason,
    }


def row(*config_maps: dict[str, Any], **record: Any) -> dict[str, Any]:
    (found,) = status_rows(
        config_maps,
        consumers=[{"consumer_id": "7", "chain_id": "a-1", "phase": "initialized", **record}],
        monitors=[MONITOR],
        nodes=[],
        heights=[],
        block_time=NOW,
        now=NOW,
    )
    return found


@pytest.mark.parametrize(
    ("data", "outstanding", "event", "reason"),
    [
        pytest.param({}, [], None, "rank 1", id="no event yet"),
        pytest.param(
            {}, [{"consumer_id": "7", "uuid": UUID, "put": True}], "running", "rank 1", id="the first one runs"
        ),
        pytest.param({}, [{"consumer_id": "7", "uuid": UUID, "put": False}], "waiting", "rank 1", id="too many run"),
        pytest.param(receipt("done"), [], "done", "rank 1", id="done"),
        pytest.param(receipt("done"), [{"consumer_id": "7", "uuid": UUID}], "done", "rank 1", id="done, not yet read"),
        pytest.param(
            receipt("done"),
            [{"consumer_id": "7", "uuid": OTHER, "put": True}],
            "running",
            "rank 1",
            id="the next one runs",
        ),
        pytest.param(receipt("done"), [{"consumer_id": "8", "uuid": OTHER}], "done", "rank 1", id="another consumer's"),
        pytest.param(
            receipt("failed", "3", "no quota"),
            [{"consumer_id": "7", "uuid": OTHER, "attempt": 4, "next_try": "2026-11-23T12:00:12Z"}],
            "failed 3x",
            "attempt 3 failed at 2026-11-23T11:59:50Z; next try in 12 s: no quota; rank 1",
            id="failed, waits",
        ),
        pytest.param(
            receipt("failed", "3", "no quota"),
            [{"consumer_id": "7", "uuid": OTHER, "attempt": 4}],
            "failed 3x",
            "attempt 3 failed at 2026-11-23T11:59:50Z; it runs again: no quota; rank 1",
            id="failed, runs again",
        ),
        pytest.param(
            {"alarm": "true", "alarm_reason": "slash 100 %", "launch_failed": "true", "launch_failed_reason": "nobody"},
            [],
            None,
            "ALARM: slash 100 %; launch failed: nobody; rank 1",
            id="alarm first",
        ),
        pytest.param(
            {"phase": "launched", "node_mode": "follow", "node_reasons": '["the volume is gone", "another signs"]'},
            [],
            None,
            "does not sign: the volume is gone; another signs; rank 1",
            id="follows",
        ),
        pytest.param(
            {"phase": "stopped", "node_mode": "follow", "node_reasons": '["the volume is gone"]'},
            [],
            None,
            "rank 1",
            id="followed",
        ),
    ],
)
def test_event_and_reason(
    data: dict[str, str], outstanding: list[dict[str, Any]], event: str | None, reason: str
) -> None:
    found = row(memory({"decision": "opt_in", "reason": "rank 1", **data}), cursor(*outstanding))
    assert (found["event"], found["reason"]) == (event, reason)


def test_a_failure_before_any_decision_is_shown() -> None:
    """Its document was made by the receipt, which does not know the validator's name."""
    found = row(config_map("consumer-7", receipt("failed", reason="no permission"), consumer_id="7"))
    assert found["validator"] == "alice"
    assert "no permission" in found["reason"]
    assert found["decision"] is None


def test_what_is_no_document_of_a_consumer_is_left_out() -> None:
    others = [config_map("genesis", {"decision": "x"}, consumer_id="7"), config_map("configuration", {}), cursor()]
    assert status_rows(others, consumers=[], monitors=[MONITOR], nodes=[], heights=[]) == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no json"])
def test_a_cursor_that_cannot_be_understood_shows_nothing_outstanding(text: str) -> None:
    broken = config_map("cursor", {"outstanding": text})
    assert row(memory({"decision": "opt_in"}), broken)["event"] is None


@pytest.mark.parametrize(
    ("record", "spawn"),
    [
        ({"spawn_time": "2026-11-23T12:00:25Z"}, "in 25 s"),
        ({"spawn_time": "2026-11-23T12:05:00Z"}, "in 5 min"),
        ({"spawn_time": "2026-11-25T13:00:00Z"}, "in 2 d"),
        ({"spawn_time": NOW}, "now"),
        ({"spawn_time": "2026-11-23T11:59:57Z"}, "3 s ago"),
        ({"spawn_time": "2026-11-23T12:00:25Z", "phase": "launched"}, None),
        ({"spawn_time": None}, None),
    ],
)
def test_the_spawn_time_is_counted_down_by_block_time(record: dict[str, Any], spawn: str | None) -> None:
    assert row(memory({"decision": "opt_in"}), **record)["spawn"] == spawn


def test_a_monitor_with_what_its_supervisor_wrote() -> None:
    supervised = config_map(
        "monitor", {"restarts": "2", "last_end": "2026-11-23T11:00:00Z", "last_reason": "ended by SIGKILL"}
    )
    quiet = stateful_set("bob-monitor", ready=0, validator="bob", role="monitor")
    assert monitor_rows([supervised, cursor({"consumer_id": "7"})], [quiet, MONITOR], height=100) == [
        {
            "validator": "alice",
            "monitor": "ready",
            "height": "90",
            "behind": 10,
            "outstanding": 1,
            "checked": None,
            "endpoint": None,
            "restarts": "2",
            "last_end": "2026-11-23T11:00:00Z ended by SIGKILL",
        },
        {
            "validator": "bob",
            "monitor": "not ready",
            "height": None,
            "behind": None,
            "outstanding": 0,
            "checked": None,
            "endpoint": None,
            "restarts": "0",
            "last_end": None,
        },
    ]


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{reason} it is",
        "since": "2026-11-23T11:50:00Z",
    }


RUNNING, RISING = condition("Running", "True", "Ready"), condition("Rising", "False", "Halted")


@pytest.mark.parametrize(
    ("conditions", "health", "reason"),
    [
        ([RUNNING], "well", "rank 1"),
        (
            [RUNNING, RISING],
            "Rising Halted 10 min ago",
            "Rising Halted since 2026-11-23T11:50:00Z: Halted it is; rank 1",
        ),
        (
            [condition("Running", "Unknown", "NotAsked"), RISING],
            "Running NotAsked 10 min ago",
            "Running NotAsked since 2026-11-23T11:50:00Z: NotAsked it is; rank 1",
        ),
        ([], None, "rank 1"),
        ("no json", None, "rank 1"),
    ],
)
def test_the_first_thing_that_is_wrong_with_a_node(conditions: Any, health: str | None, reason: str) -> None:
    text = conditions if isinstance(conditions, str) else json.dumps(conditions)
    found = row(memory({"decision": "opt_in", "reason": "rank 1", "conditions": text}))
    assert (found["health"], found["reason"]) == (health, reason)


@pytest.mark.parametrize(
    ("kept", "shown"), [({}, None), ({"promoted_height": "0"}, None), ({"promoted_height": "12"}, "12")]
)
def test_since_when_a_chain_counts_on_its_node_is_shown(kept: dict[str, str], shown: str | None) -> None:
    assert row(memory({"decision": "opt_in", **kept}))["in_set_since"] == shown


def test_the_last_repair_is_shown() -> None:
    repaired = {"repair_at": "2026-11-23T11:55:00Z", "repair_action": "restart", "repair_reason": "it hung"}
    found = row(memory({"decision": "opt_in", "reason": "rank 1", **repaired}))
    assert found["reason"] == "repaired (restart) 5 min ago: it hung; rank 1"


@pytest.mark.parametrize(
    ("height", "shown"), [({"height": 12, "reason": ""}, 12), ({"height": -1, "reason": "timed out"}, None), ({}, None)]
)
def test_the_height_of_a_node(height: dict[str, Any], shown: int | None) -> None:
    node = stateful_set("alice-consumer-7", validator="alice", **{"consumer-id": "7"})
    (found,) = status_rows(
        [memory({"decision": "opt_in"})],
        consumers=[],
        monitors=[MONITOR],
        nodes=[node],
        heights=[{"item": node, **height}],
    )
    assert found["height"] == shown


@pytest.mark.parametrize(
    ("told", "checked"),
    [
        (receipt("done"), "10 s ago"),
        (receipt("failed", reason="no provider"), "failed 10 s ago: no provider"),
        ({"leftovers": "[]"}, None),
    ],
)
def test_the_last_check(told: dict[str, str], checked: str | None) -> None:
    (found,) = monitor_rows(
        [config_map("check", {**told, "endpoint": "192.0.2.1 is not announced"})], [MONITOR], now=NOW
    )
    assert found["checked"] == checked
    assert found["endpoint"] == "192.0.2.1 is not announced"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"consumer_id": "7", "kind": "deleted"}]', [{"validator": "alice", "consumer_id": "7", "kind": "deleted"}]),
        ("[]", []),
        ("[1]", []),
        ("{", []),
    ],
)
def test_leftovers(text: str, expected: list[dict[str, str]]) -> None:
    assert leftover_rows([config_map("check", {"leftovers": text})], [MONITOR]) == expected


@pytest.mark.parametrize("total", [40, 60, 120])
def test_a_table_fits_into_its_width(total: int) -> None:
    rows = [{"chain_id": "x" * 50, "phase": "launched", "reason": "y" * 90}]
    lines = table(rows, ["chain_id", "phase", "reason"], width=100, total=total).split("\n")
    assert max(map(len, lines)) <= total
    assert lines[1].split()[1] == "launched"


def test_a_table_that_fits_stays_as_it_is() -> None:
    rows = [{"chain_id": "a-1", "phase": "launched"}]
    assert table(rows, ["chain_id", "phase"], total=120) == table(rows, ["chain_id", "phase"])


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ({}, None),
        ({"ccv_channel": "begin_connection"}, "begin connection"),
        ({"ccv_channel": "open", "relayer_conditions": "[]"}, "open"),
        ({"ccv_channel": "open", "relayer_conditions": "EMPTY"}, "open (Wallets Empty)"),
        ({"ccv_channel": "await_channel", "relayer_conditions": "EMPTY"}, "await channel"),
    ],
)
def test_the_channel_and_what_is_wrong_with_its_relayer(kept: dict[str, str], shown: str | None) -> None:
    empty = json.dumps(
        [
            {
                "type": "Wallets",
                "status": "False",
                "reason": "Empty",
                "message": "send cosmos1a more than 1000stake",
                "since": "2026-11-23T11:59:00Z",
            }
        ]
    )
    data = {"decision": "opt_in", **{name: value.replace("EMPTY", empty) for name, value in kept.items()}}
    found = row(memory(data))
    assert found["channel"] == shown
    assert ("send cosmos1a more" in found["reason"]) is ("EMPTY" in str(kept))
