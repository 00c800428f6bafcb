# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a monitor wrote down, read again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory, launch_failed, parse
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

SPAWN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEYS = ("decision", "reason", "reasons", "height", "phase", "p2p_port", "spawn_time", "launch_failed", "alarm")


def test_a_document_is_read() -> None:
    data = {
        "decision": "opt_in",
        "reason": "a; b",
        "reasons": '["a", "b"]',
        "height": "12",
        "phase": "initialized",
        "p2p_port": "27346",
        "spawn_time": "2026-11-23T12:00:00Z",
        "launch_failed": "false",
        "alarm": "true",
        "alarm_reason": "worse terms",
    }
    assert parse("7", data) == Memory(
        "7", "opt_in", ("a", "b"), 12, Phase.INITIALIZED, 27346, SPAWN, launch_failed=False, alarm_reasons="worse terms"
    )


def test_one_reason_alone_counts_too() -> None:
    assert parse("7", {"reason": "rank 1"}).reasons == ("rank 1",)
    assert parse("7", {"reason": "rank 1", "reasons": "[1]"}).reasons == ("rank 1",)
    # The launch writes its own reason over that of the opt-in.
    assert parse("7", {"reason": "no key", "reasons": '["rank 1"]'}).reasons == ("no key",)
    assert parse("7", {"alarm": "false", "alarm_reason": "old"}).alarm_reasons == ""


@given(st.dictionaries(st.sampled_from(KEYS), st.text()))
def test_what_cannot_be_read_counts_as_not_written(data: dict[str, str]) -> None:
    assert parse("7", data).consumer_id == "7"


@pytest.mark.parametrize(
    ("memory", "phase", "spawn_time", "previous", "seconds", "failed"),
    [
        (Memory("7", phase=Phase.INITIALIZED, spawn_time=SPAWN), Phase.REGISTERED, None, None, 0, True),
        (Memory("7", phase=Phase.REGISTERED, spawn_time=SPAWN), Phase.REGISTERED, None, Phase.INITIALIZED, 1, True),
        # Taken back by the owner before it was due.
        (Memory("7", phase=Phase.INITIALIZED, spawn_time=SPAWN), Phase.REGISTERED, None, None, -1, False),
        (Memory("7", phase=Phase.INITIALIZED, spawn_time=SPAWN), Phase.REGISTERED, SPAWN, None, 1, False),
        (Memory("7", phase=Phase.INITIALIZED, spawn_time=SPAWN), Phase.LAUNCHED, None, None, 1, False),
        (Memory("7"), Phase.REGISTERED, None, None, 1, False),
    ],
)
def test_a_failed_launch_is_found(
    memory: Memory, phase: Phase, spawn_time: datetime | None, previous: Phase | None, seconds: int, failed: bool
) -> None:
    now = SPAWN + timedelta(seconds=seconds)
    assert launch_failed(memory, phase, spawn_time, previous, now) is failed
    again = replace(memory, launch_failed=True)
    assert launch_failed(again, phase, spawn_time, previous, now) is (phase is Phase.REGISTERED and spawn_time is None)
