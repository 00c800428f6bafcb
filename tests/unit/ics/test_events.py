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
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import Block, Change, Kind
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
        # Opting in moves no phase and changes no record: there is nothing to read.
        ("68_opt_in_alice", ()),
        ("70_opt_in_bob", ()),
        ("83_launch", ("0",)),
        ("2041_create_consumer_no_opt_in", ("1",)),
        ("2051_launch_failed_silently", ()),
        ("2056_remove_consumer", ("0",)),
        ("2635_create_consumer_hostile_chain_id", ("3",)),
        ("2652_launch_hostile_chain_id", ("3",)),
    ],
)
def test_a_recorded_block_names_its_consumers(name: str, dirty: tuple[str, ...]) -> None:
    answer = recorded(name)
    found = events.hints(events.parse_block_results(answer))
    assert found.consumer_ids == dirty
    assert not found.everything
    # A large answer is scanned instead, with the same outcome.
    as_sent = json.loads(json.dumps(answer), object_hook=type_first)
    assert events.scan_block_results(json.dumps(as_sent, separators=(",", ":")).encode()) == found
    assert events.scan_block_results(json.dumps(as_sent, indent=2).encode()) == found
    # The recorded files have their keys in order of the alphabet, which no node sends.
    assert events.scan_block_results(json.dumps(answer).encode()).everything is bool(dirty or found.members)


@pytest.mark.parametrize("name", ["68_opt_in_alice", "70_opt_in_bob"])
def test_who_opts_in_is_a_change_of_the_members(name: str) -> None:
    assert events.hints(events.parse_block_results(recorded(name))) == events.Hints(members=frozenset({"0"}))


@pytest.mark.parametrize(
    ("name", "quiet"),
    [
        ("65_create_consumer_initialized", False),
        ("68_opt_in_alice", False),
        ("83_launch", False),
        ("2051_launch_failed_silently", True),
        ("2056_remove_consumer", False),
    ],
)
def test_a_block_without_anything_of_interest_is_seen_at_a_glance(name: str, quiet: bool) -> None:
    result = recorded(name)["result"]
    height = int(result["height"])
    as_sent = {"jsonrpc": "2.0", "id": 1, "result": {"height": result.pop("height"), **result}}
    text = json.dumps(as_sent, separators=(",", ":"))
    assert events.is_quiet(text.encode(), height) is quiet
    assert events.is_quiet(f"{text}\n".encode(), height) is quiet
    for other in (text[:-1], json.dumps(as_sent), json.dumps(as_sent["result"]), '{"error":{}}', "", "{}}"):
        assert not events.is_quiet(other.encode(), height)
    assert not events.is_quiet(text.encode(), height + 1)
    # A stranger's text is no event.
    quoted = {**as_sent, "result": {**as_sent["result"], "log": '{"type":"create_consumer"}'}}
    assert events.is_quiet(json.dumps(quoted, separators=(",", ":")).encode(), height) is quiet


def type_first(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": entry["type"], **entry} if "type" in entry else entry


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
    assert events.hints(events.parse_block_results(answer)) == events.Hints()


@pytest.mark.parametrize("consumer_id", ["", "-1", "1 ", "1\n", "0x1", "1" * 21, "١", "{{ 1 }}", "../1"])
def test_a_garbled_consumer_id_is_left_out(consumer_id: str) -> None:
    answer = {
        "height": "1",
        "finalize_block_events": [
            event("create_consumer", consumer_id=consumer_id),
            event("remove_consumer", consumer_id="4"),
        ],
    }
    assert events.hints(events.parse_block_results(answer)) == events.Hints(("4",))
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
    answer = {"height": "1", "finalize_block_events": [event(kind, **attributes)]}
    assert events.hints(events.parse_block_results(answer)).everything is expected
    assert events.scan_block_results(json.dumps(answer).encode()).everything is expected


def test_a_record_that_was_written_is_told_apart() -> None:
    names = {"create_consumer": "1", "update_consumer": "2", "remove_consumer": "3", "consumer_client_created": "4"}
    found = events.hints(events.Event(kind, {"consumer_id": name}, "") for kind, name in names.items())
    assert found == events.Hints(("1", "2", "3", "4"), frozenset({"1", "2"}))


@pytest.mark.parametrize("kind", ["opt_in", "opt_out", "assign_consumer_key"])
def test_other_members_and_other_endpoints_are_told_apart(kind: str) -> None:
    answer = {
        "height": "1",
        "txs_results": [
            {"events": [event(kind, consumer_id="7"), event(kind, consumer_id="x"), event(kind)]},
            {"events": [event("edit_validator", commission_rate="0.1"), event(kind, consumer_id="7")]},
        ],
    }
    expected = events.Hints(members=frozenset({"7"}), endpoints=True)
    assert events.hints(events.parse_block_results(answer)) == expected
    assert events.scan_block_results(json.dumps(answer).encode()) == expected
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": answer}, separators=(",", ":"))
    assert not events.is_quiet(text.encode(), 1)
    assert events.hints([events.Event("set_consumer_commission_rate", {"consumer_id": "7"}, "")]) == events.Hints()


def test_a_stranger_s_text_that_looks_like_an_event_is_none() -> None:
    hostile = json.dumps(event("create_consumer", consumer_id="66"))
    answer = {"height": "1", "finalize_block_events": [event("transfer", memo=hostile, consumer_id="7")]}
    assert events.scan_block_results(json.dumps(answer).encode()) == events.Hints()


def test_an_event_too_long_to_be_read_asks_for_everything() -> None:
    answer = {"height": "1", "finalize_block_events": [event("create_consumer", name="x" * 100_000, consumer_id="1")]}
    assert events.scan_block_results(json.dumps(answer).encode()).everything


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
    assert all(map(events.is_consumer_id, events.hints(found).consumer_ids))


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
        "attempt": 1,
    }
    assert uuid.UUID(meta["uuid"]).version == 5
    assert meta["source_offset"] == "83/3"
    assert meta["produced_at"] == "2026-11-23T06:45:35.500000Z"


def test_the_identifier_depends_on_chain_height_consumer_phase_and_attempt_alone() -> None:
    assert identifier() == identifier(produced_at=BLOCK_TIME, previous_phase=None, spawn_time=None)
    others = [
        identifier(chain_id="provider-2"),
        identifier(block=Block(84, BLOCK_TIME)),
        identifier(consumer_id="4"),
        identifier(phase=Phase.STOPPED),
        identifier(kind=Kind.UPDATED),
        identifier(kind=Kind.IMMINENT),
        identifier(kind=Kind.MEMBERS),
        identifier(attempt=2),
        identifier(attempt=3),
    ]
    assert len({identifier(), *others}) == 10


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Kind.UPDATED, {"phase", "spawn_time"}),
        (Kind.IMMINENT, {"spawn_time", "seconds"}),
        (Kind.MEMBERS, set()),
    ],
)
def test_other_kinds_have_their_own_fields(kind: Kind, fields: set[str]) -> None:
    spawn_time = None if kind is Kind.MEMBERS else BLOCK_TIME
    made = outgoing(kind=kind, spawn_time=spawn_time, seconds=7)
    assert set(made) == {"type", "consumer_id", "height", "block_time", "attempt", "meta", *fields}
    assert made["type"] == kind.value


def test_unknown_previous_phase_and_spawn_time() -> None:
    made = outgoing(previous_phase=None, spawn_time=None)
    assert made["previous_phase"] == "none"
    assert "spawn_time" not in made


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        events.rfc3339(datetime(2026, 11, 23))


@pytest.mark.parametrize("kind", [events.STARTED, events.CHECK_DUE, events.ENDPOINT_CHANGED])
def test_each_event_of_no_consumer_is_one_of_its_own(kind: str) -> None:
    first, second = (
        events.of_no_consumer(
            kind,
            provider_chain_id="provider-1",
            height=9,
            block_time=BLOCK_TIME,
            produced_at=BLOCK_TIME + timedelta(seconds=number),
        )
        for number in (1, 2)
    )
    assert first["type"] == kind
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


def outgoing(
    chain_id: str = "provider-1",
    attempt: int = 1,
    produced_at: datetime = BLOCK_TIME + timedelta(seconds=1),
    **changes: Any,
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": Kind.PHASE,
        "consumer_id": "3",
        "phase": Phase.LAUNCHED,
        "previous_phase": Phase.INITIALIZED,
        "spawn_time": BLOCK_TIME - timedelta(seconds=1),
        "block": Block(83, BLOCK_TIME),
    }
    return events.outgoing(chain_id, Change(**{**values, **changes}), attempt, produced_at)


def identifier(**changes: Any) -> str:
    return str(outgoing(**changes)["meta"]["uuid"])
