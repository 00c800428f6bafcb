# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts as the modules write and read them, in a state directory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import Document, FileStateStore
from ansible_collections.interchain.security.plugins.module_utils.ics import receipt
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    event_receipt,
    event_receipt_info,
)
from ansible_collections.interchain.security.plugins.module_utils.runner import execute
from tests.operation import checked_options

UUID = "6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c10"
OTHER = "6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c11"


def run(operation: Any, directory: Path, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Run an operation as its module does."""
    given = {"state_directory": str(directory), "consumer_id": "7", **options}
    return execute(operation, checked_options(operation.ARGUMENT_SPEC, **given), check_mode)


def stored(directory: Path) -> Mapping[str, str]:
    document = FileStateStore(str(directory)).read("consumer-7")
    return document.data if document else {}


def test_a_receipt_stands_beside_what_is_remembered(tmp_path: Path) -> None:
    FileStateStore(str(tmp_path)).write("consumer-7", {"decision": "opt_in"}, None)
    done = run(event_receipt, tmp_path, event_uuid=UUID, outcome="failed", attempt=3, reason="no\n  quota\x1b[0m left")
    assert done["changed"]
    found = stored(tmp_path)
    assert found["decision"] == "opt_in"
    assert {key: found[key] for key in receipt.KEYS if key != "event_at"} == {
        "event_uuid": UUID,
        "event_outcome": "failed",
        "event_attempt": "3",
        "event_reason": "no quota [0m left",
    }
    assert run(event_receipt_info, tmp_path)["receipts"] == [done["receipt"]]
    assert run(event_receipt_info, tmp_path, event_uuid=UUID)["receipts"] == [done["receipt"]]
    assert run(event_receipt_info, tmp_path, event_uuid=OTHER)["receipts"] == []


def test_the_same_receipt_again_changes_nothing(tmp_path: Path) -> None:
    assert run(event_receipt, tmp_path, True, event_uuid=UUID, outcome="done")["changed"]
    assert stored(tmp_path) == {}
    assert run(event_receipt, tmp_path, event_uuid=UUID, outcome="done")["changed"]
    before = FileStateStore(str(tmp_path)).read("consumer-7")
    for check_mode in (True, False):
        assert not run(event_receipt, tmp_path, check_mode, event_uuid=UUID, outcome="done")["changed"]
    assert FileStateStore(str(tmp_path)).read("consumer-7") == before
    assert run(event_receipt, tmp_path, True, event_uuid=OTHER, outcome="done")["changed"]
    assert stored(tmp_path)["event_uuid"] == UUID


def test_a_run_by_hand_names_no_event(tmp_path: Path) -> None:
    run(event_receipt, tmp_path, outcome="done")
    assert stored(tmp_path)["event_uuid"] == ""
    assert run(event_receipt_info, tmp_path, event_uuid=UUID)["receipts"] == []


def test_a_run_by_hand_takes_no_receipt_away(tmp_path: Path) -> None:
    """Else the event source would wait until action_timeout for the check that has ended just before."""
    run(event_receipt, tmp_path, event_uuid=UUID, outcome="failed", attempt=2, reason="no quota")
    assert run(event_receipt, tmp_path, outcome="done")["changed"]
    found = stored(tmp_path)
    assert (found["event_uuid"], found["event_attempt"]) == (UUID, "2")
    assert (found["event_outcome"], found["event_reason"]) == ("done", "")
    assert not run(event_receipt, tmp_path, outcome="done")["changed"]


def test_what_others_write_at_the_same_time_stays(tmp_path: Path) -> None:
    store = FileStateStore(str(tmp_path))
    store.write("consumer-7", {}, None)

    def remember(number: int) -> None:
        while True:
            document = store.read("consumer-7")
            assert document is not None
            try:
                store.write("consumer-7", {**document.data, f"key{number}": "kept"}, document.version)
                return
            except event_receipt.StateConflict:
                continue

    with ThreadPoolExecutor(max_workers=4) as pool:
        others = [pool.submit(remember, number) for number in range(6)]
        ours = pool.submit(run, event_receipt, tmp_path, event_uuid=UUID, outcome="done")
        assert ours.result()["changed"]
        for other in others:
            other.result()
    assert {f"key{number}" for number in range(6)} <= set(stored(tmp_path))
    assert stored(tmp_path)["event_uuid"] == UUID


def test_a_document_that_never_stands_still_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def conflict(*_arguments: Any) -> Document:
        raise event_receipt.StateConflict("written by another program")

    monkeypatch.setattr(FileStateStore, "write", conflict)
    done = run(event_receipt, tmp_path, event_uuid=UUID, outcome="done")
    assert done["failed"]
    assert "written by another program" in done["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"event_uuid": "../x"}, "event_uuid: '../x' is not a UUID"),
        ({"attempt": 0}, "attempt: 0"),
        ({"consumer_id": "../7"}, "consumer_id"),
        ({"state_directory": ""}, "state_namespace: give"),
        ({"state_directory": "/nonexistent"}, "state_directory: '/nonexistent'"),
        ({"state_namespace": "alice-monitor"}, "not both"),
    ],
)
def test_wrong_options_are_told_by_name(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    done = run(event_receipt, tmp_path, **{"outcome": "done", **options})
    assert done["failed"]
    assert message in done["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data", [{}, {"event_outcome": "perhaps", "event_at": "2026-11-23T12:00:00Z"}, {"event_outcome": "done"}]
)
def test_a_receipt_that_cannot_be_understood_is_none(data: dict[str, str]) -> None:
    assert receipt.parse(data) is None


def test_a_receipt_is_read_as_it_was_written() -> None:
    data = {
        "event_uuid": UUID,
        "event_outcome": "done",
        "event_attempt": "2",
        "event_at": "2026-11-23T12:00:00Z",
        "event_reason": "x" * 500,
    }
    found = receipt.parse(data)
    assert found is not None
    assert found.data() == data
