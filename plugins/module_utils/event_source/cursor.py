# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The document ``cursor``: how far the chain was worked through, what is known of the consumers, and what is on its way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import StateError
from ansible_collections.interchain.security.plugins.module_utils.ics.events import identifier, is_consumer_id, rfc3339
from ansible_collections.interchain.security.plugins.module_utils.ics.follower import Block, Change, Kind, Record
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

DOCUMENT = "cursor"
# A ConfigMap holds 1 MiB. What waits beyond this is left out, and its consumers as well: a restart finds them anew.
MOST_WAITING = 2000


@dataclass(frozen=True)
class Sending:
    """A change on its way: which attempt it is, whether its event was put on the queue, and when it will be after a failure."""

    change: Change
    attempt: int = 1
    was_put: bool = False
    next_try: datetime | None = None


@dataclass(frozen=True)
class Cursor:
    """Everything up to and with the block of that height is in here: announced, or on its way."""

    chain_id: str
    height: int
    block_time: datetime
    hash: str  # upper-case hex, of the block at hash_height; empty when not known
    hash_height: int  # height, or the one before it: a header holds the hash of the block before
    records: Mapping[str, Record] = field(default_factory=dict)
    sending: tuple[Sending, ...] = ()
    announcements_pending: bool = False  # whether what the validators announce is to be looked at
    reconciled: str = ""  # when all consumers were last read instead of each block, and why

    def data(self) -> dict[str, str]:
        """The document's content. Phases are written as ranges of consumer_ids, so that ten thousand of them stay small."""
        ordered = sorted(self.sending, key=lambda entry: not entry.was_put)
        left_out = {entry.change.consumer_id for entry in ordered[MOST_WAITING:]}
        by_phase: dict[str, list[int]] = {}
        details: dict[str, dict[str, Any]] = {}
        for consumer_id, record in self.records.items():
            if consumer_id in left_out:
                continue
            by_phase.setdefault(record.phase.value, []).append(int(consumer_id))
            detail: dict[str, Any] = {}
            if record.spawn_time:
                detail["spawn_time"] = rfc3339(record.spawn_time)
            if record.removal_time:
                detail["removal_time"] = rfc3339(record.removal_time)
            if record.digest:
                detail["digest"] = record.digest
            if record.noticed:
                detail["noticed"] = True
            if detail:
                details[consumer_id] = detail
        return {
            "chain_id": self.chain_id,
            "height": str(self.height),
            "block_time": rfc3339(self.block_time),
            "hash": self.hash,
            "hash_height": str(self.hash_height),
            "phases": _json({phase: _ranges(numbers) for phase, numbers in by_phase.items()}),
            "records": _json(details),
            "outstanding": _json([_sending_data(self.chain_id, entry) for entry in ordered[:MOST_WAITING]]),
            "announcements": "pending" if self.announcements_pending else "",
            "reconciled": self.reconciled,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, str]) -> Cursor:
        """Read the document's content. StateError when it cannot be understood."""
        try:
            height = int(data["height"])
            details = json.loads(data["records"])
            records: dict[str, Record] = {}
            for phase, ranges in json.loads(data["phases"]).items():
                for consumer_id in _numbers(ranges):
                    detail = details.get(consumer_id, {})
                    spawn_time, removal_time = _time(detail.get("spawn_time")), _time(detail.get("removal_time"))
                    records[consumer_id] = Record(
                        phase=Phase(phase),
                        height=height,
                        spawn_time=spawn_time,
                        digest=detail.get("digest"),
                        removal_time=removal_time,
                        due=spawn_time or removal_time,
                        noticed=bool(detail.get("noticed")),
                    )
            sending = tuple(_sending(entry) for entry in json.loads(data["outstanding"]))
            return cls(
                chain_id=data["chain_id"],
                height=height,
                block_time=datetime.fromisoformat(data["block_time"]).astimezone(UTC),
                hash=data["hash"],
                hash_height=int(data["hash_height"]),
                records=records,
                sending=sending,
                announcements_pending=data.get("announcements") == "pending",
                reconciled=data["reconciled"],
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StateError(
                f"the state document {DOCUMENT} cannot be understood: {error!r}; remove it to begin anew"
            ) from error


def busy_consumers(data: Mapping[str, str]) -> set[str]:
    """Return the consumers of whose events a playbook runs or is about to, by the document's content; none when it cannot be understood."""
    try:
        found = json.loads(data.get("outstanding", "[]"))
        return {str(entry["consumer_id"]) for entry in found if not entry.get("next_try")}
    except (ValueError, TypeError, KeyError, AttributeError):
        return set()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _ranges(numbers: Iterable[int]) -> str:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _numbers(ranges: str) -> Iterable[str]:
    for part in ranges.split():
        first, _separator, last = part.partition("-")
        if not is_consumer_id(first) or not is_consumer_id(last or first):
            raise ValueError(f"{part!r} is no range of consumer_ids")
        yield from map(str, range(int(first), int(last or first) + 1))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _sending_data(chain_id: str, entry: Sending) -> dict[str, Any]:
    change = entry.change
    found: dict[str, Any] = {
        "type": change.kind.value,
        "consumer_id": change.consumer_id,
        "phase": change.phase.value,
        "previous_phase": change.previous_phase.value if change.previous_phase else "none",
        "height": change.block.height,
        "block_time": rfc3339(change.block.time),
        "attempt": entry.attempt,
        "put": entry.was_put,
        "uuid": identifier(chain_id, change, entry.attempt),  # for those who read along
    }
    if entry.next_try:
        found["next_try"] = rfc3339(entry.next_try)
    if change.spawn_time:
        found["spawn_time"] = rfc3339(change.spawn_time)
    return found


def _sending(entry: Mapping[str, Any]) -> Sending:
    if not is_consumer_id(entry["consumer_id"]):
        raise ValueError(f"{entry['consumer_id']!r} is not a consumer_id")
    block_time = _time(entry["block_time"])
    if block_time is None:
        raise ValueError("an event has no block_time")
    change = Change(
        kind=Kind(entry["type"]),
        consumer_id=entry["consumer_id"],
        phase=Phase(entry["phase"]),
        previous_phase=None if entry["previous_phase"] == "none" else Phase(entry["previous_phase"]),
        spawn_time=_time(entry.get("spawn_time")),
        block=Block(int(entry["height"]), block_time),
    )
    return Sending(change, int(entry["attempt"]), bool(entry["put"]), _time(entry.get("next_try")))
