# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a monitor wrote down of a consumer: the document ``consumer-<id>`` of its state store, read into typed values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


@dataclass(frozen=True)
class Memory:
    """What is remembered of one consumer; empty texts, None and 0 for what was never written.

    ``decision`` is ``opt_in``, ``stay_out`` or empty; ``height`` the provider height that the decision rests on.
    """

    consumer_id: str
    decision: str = ""
    reasons: tuple[str, ...] = ()
    height: int = 0
    phase: Phase | None = None
    p2p_port: int = 0
    spawn_time: datetime | None = None
    launch_failed: bool = False
    alarm_reasons: str = ""


def parse(consumer_id: str, data: Mapping[str, str]) -> Memory:
    """Read a document's data. What is not usable counts as not written: the next decision writes it again."""
    return Memory(
        consumer_id=consumer_id,
        decision=data.get("decision", "") if data.get("decision") in ("opt_in", "stay_out") else "",
        reasons=_reasons(data),
        height=_number(data.get("height", "")),
        phase=next((phase for phase in Phase if phase.value == data.get("phase")), None),
        p2p_port=_number(data.get("p2p_port", "")),
        spawn_time=_moment(data.get("spawn_time", "")),
        launch_failed=data.get("launch_failed") == "true",
        alarm_reasons=data.get("alarm_reason", "") if data.get("alarm") == "true" else "",
    )


def launch_failed(
    memory: Memory, phase: Phase, spawn_time: datetime | None, previous_phase: Phase | None, block_time: datetime
) -> bool:
    """Tell whether the consumer's launch failed, which nothing on the chain says.

    Such a consumer is registered again, without a spawn time, after the one it had. An owner who takes the spawn time back does so before it.
    """
    if phase is not Phase.REGISTERED or spawn_time is not None:
        return False
    if memory.launch_failed:
        return True
    was_initialized = Phase.INITIALIZED in (memory.phase, previous_phase)
    return was_initialized and memory.spawn_time is not None and memory.spawn_time <= block_time


def _reasons(data: Mapping[str, str]) -> tuple[str, ...]:
    """Return the reasons one by one; where only the text of all of them was written anew, that text counts."""
    reason = data.get("reason", "")
    try:
        found = json.loads(data.get("reasons", ""))
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(entry, str) for entry in found) and reason == "; ".join(found):
        return tuple(found)
    return (reason,) if reason else ()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
