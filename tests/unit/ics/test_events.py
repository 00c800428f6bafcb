# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events of recorded blocks of a real provider, and the events made for rulebooks."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics import events
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

RECORDED = Path(__file__).parent.parent / "fixtures" / "provider"
BLOCK_TIME = datetime(2026, 11, 23, 6, 45, 34, 500000, tzinfo=UTC)


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDED / f"block_results_{name}.json").read_text())
    return answer


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("65_create_consumer_initialized", ("0",)),
        ("68_opt_in_alice", ("0",)),
        ("70_opt_in_bob", ("0",)),
        ("83_launch", ("0",)),
        ("2041_create_consumer_no_opt_in", ("1",)),
        ("2051_launch_failed_silently", ()),
        ("2056_remove_consumer", ("0",)),
        ("2635_create_consumer_hostile_chain_id", ("3",)),
        ("2652_launch_hostile_chain_id", ("3",)),
    ],
)
def test_a_recorded_block_names_its_consumers(name: str, dirty: tuple[str, ...]) -> None:
    found = events.parse_block_results(recorded(name))
    assert events.dirty_consumers(found) == dirty
    assert not events.may_stop_a_consumer(found)


def test_positions_follow_the_order_of_execution() -> None:
    found = events.parse_block_results(
        {
            "height": "7",
            "finalize_block_events": [
                event("a", mode="BeginBlock"),
                event("z", mode="EndBlock"),
                event("b", mode="BeginBlock"),
            ],
            "txs_results": [
                {"code": 0, "events": [event("c")]},
                {"code": 5, "events": [event("failed")]},
                {"events": [event("d"), event("e")]},
            ],
        }
    )
    assert [(entry.type, entry.position) for entry in found] == [
        ("a", "begin/0"),
        ("b", "begin/2"),
        ("c", "tx0/0"),
        ("d", "tx2/0"),
        ("e", "tx2/1"),
        ("z", "end/1"),
    ]


def test_a_failed_transaction_makes_nothing_dirty() -> None:
    answer = recorded("65_create_consumer_initialized")
    answer["result"]["txs_results"][0]["code"] = 11
    assert events.dirty_consumers(events.parse_block_results(answer)) == ()


@pytest.mark.parametrize("consumer_id", ["", "-1", "1 ", "1\n", "0x1", "1" * 21, "١", "{{ 1 }}", "../1"])
def test_a_garbled_consumer_id_is_left_out(consumer_id: str) -> None:
    answer = {
        "height": "1",
        "finalize_block_events": [event("create_consumer", consumer_id=consumer_id), event("opt_in", consumer_id="4")],
    }
    assert events.dirty_consumers(events.parse_block_results(answer)) == ("4",)
    with pytest.raises(ValueError, match="not a consumer_id"):
        outgoing(consumer_id=consumer_id)


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("timeout_packet", {"packet_src_port": "provider"}, True),
        ("channel_close_init", {"port_id": "provider"}, True),
        ("channel_close_init", {"port_id": "transfer"}, False),
        ("timeout_packet", {"packet_src_port": "transfer"}, False),
        ("acknowledge_packet", {"packet_src_port": "provider"}, False),
    ],
)
def test_a_failing_ccv_channel_asks_for_all_consumers(kind: str, attributes: dict[str, str], expected: bool) -> None:
    found = events.parse_block_results({"height": "1", "finalize_block_events": [event(kind, **attributes)]})
    assert events.may_stop_a_consumer(found) is expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "attributes", "key", "value", "code", "events"]), inner)
    ),
    max_leaves=12,
)


@given(json_values, json_values)
def test_events_of_any_shape_are_read_or_left_out(block_events: Any, transactions: Any) -> None:
    found = events.parse_block_results(
        {"height": "1", "finalize_block_events": block_events, "txs_results": transactions}
    )
    assert all(map(events.is_consumer_id, events.dirty_consumers(found)))


@pytest.mark.parametrize("answer", [{}, {"result": None}, {"result": []}, {"error": {"code": -32603}}])
def test_another_answer_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an answer of /block_results"):
        events.parse_block_results(answer)


def test_an_outgoing_event_holds_checked_scalars() -> None:
    made = outgoing()
    meta = made.pop("meta")
    assert made == {
        "type": "phase_changed",
        "consumer_id": "3",
        "phase": "launched",
        "previous_phase": "initialized",
        "height": 83,
        "block_time": "2026-11-23T06:45:34.500000Z",
        "spawn_time": "2026-11-23T06:45:33.500000Z",
    }
    assert uuid.UUID(meta["uuid"]).version == 5
    assert meta["source_offset"] == "83/3"
    assert meta["produced_at"] == "2026-11-23T06:45:35.500000Z"


def test_the_identifier_depends_on_chain_height_consumer_and_phase_alone() -> None:
    assert identifier() == identifier(produced_at=BLOCK_TIME, previous_phase=None, spawn_time=None)
    others = [
        identifier(provider_chain_id="provider-2"),
        identifier(height=84),
        identifier(consumer_id="4"),
        identifier(phase=Phase.STOPPED),
    ]
    assert len({identifier(), *others}) == 5


def test_unknown_previous_phase_and_spawn_time() -> None:
    made = outgoing(previous_phase=None, spawn_time=None)
    assert made["previous_phase"] == "none"
    assert "spawn_time" not in made


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        events.rfc3339(datetime(2026, 11, 23))


def test_each_start_is_an_event_of_its_own() -> None:
    first, second = (
        events.started(provider_chain_id="provider-1", height=9, produced_at=BLOCK_TIME + timedelta(seconds=number))
        for number in (1, 2)
    )
    assert first["type"] == "started"
    assert first["height"] == 9
    assert first["meta"]["uuid"] != second["meta"]["uuid"]


@pytest.mark.parametrize("phase", Phase)
def test_phases_have_the_chain_s_names(phase: Phase) -> None:
    assert Phase.from_chain(f"CONSUMER_PHASE_{phase.name}") is phase
    assert phase.chain_name == f"CONSUMER_PHASE_{phase.name}"
    assert phase.value == phase.name.lower()


@pytest.mark.parametrize("name", ["", "LAUNCHED", "launched", "CONSUMER_PHASE_UNSPECIFIED", "CONSUMER_PHASE_"])
def test_other_texts_are_no_phase(name: str) -> None:
    with pytest.raises(ValueError, match="not a phase"):
        Phase.from_chain(name)


def event(kind: str, **attributes: str) -> dict[str, Any]:
    return {
        "type": kind,
        "attributes": [{"key": key, "value": value, "index": True} for key, value in attributes.items()],
    }


def outgoing(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "provider_chain_id": "provider-1",
        "consumer_id": "3",
        "phase": Phase.LAUNCHED,
        "previous_phase": Phase.INITIALIZED,
        "height": 83,
        "block_time": BLOCK_TIME,
        "spawn_time": BLOCK_TIME - timedelta(seconds=1),
        "produced_at": BLOCK_TIME + timedelta(seconds=1),
    }
    return events.phase_changed(**{**arguments, **changes})


def identifier(**changes: Any) -> str:
    return str(outgoing(**changes)["meta"]["uuid"])
