# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a playbook says of an event in the end: some keys of the document ``consumer-<id>``, beside what it remembers, or of another document.

The event source puts an event again until a receipt with its uuid says ``done``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

LONGEST_REASON = 500  # characters
CHECK = "check"  # the document with the receipt of the last look at all consumer nodes, and what it has found left over
ENDPOINTS = "endpoints"  # the document with the receipt of the last look at what the validators announce
KEYS = ("event_uuid", "event_outcome", "event_attempt", "event_at", "event_reason")


class Outcome(Enum):
    """How the playbook ended."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Receipt:
    """One playbook run. event_uuid is that of the last event, of which a run by hand is none; attempt counts from 1; reason is one line."""

    event_uuid: str
    outcome: Outcome
    attempt: int
    at: datetime
    reason: str

    def data(self) -> dict[str, str]:
        """The keys as they are stored."""
        values = (self.event_uuid, self.outcome.value, str(self.attempt), moment(self.at), one_line(self.reason))
        return dict(zip(KEYS, values, strict=True))


def parse(data: Mapping[str, str]) -> Receipt | None:
    """Read the keys of a document; None when there is no receipt, or none that can be understood."""
    try:
        return Receipt(
            data.get("event_uuid", ""),
            Outcome(data["event_outcome"]),
            int(data.get("event_attempt", "1")),
            datetime.fromisoformat(data["event_at"]),
            data.get("event_reason", ""),
        )
    except (KeyError, ValueError):
        return None


def one_line(text: str) -> str:
    """Printable text in one line of bounded length."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 3] + "..."


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
