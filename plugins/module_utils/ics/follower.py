# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of each consumer, and which changes a new reading of the state makes known.

Pure: the state of the provider chain at a height goes in, the changes to announce come out. Time is block time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Block:
    """The block whose state is read: height and block time."""

    height: int
    time: datetime


@dataclass(frozen=True)
class ConsumerState:
    """A consumer as read at one height.

    ``digest`` stands for everything in its record but the phase; it is None when only the listing was read, which shows no
    ``spawn_time`` either. ``removal_time`` is known only when the block that stopped the consumer is. ``written`` says
    that an event of the block tells of a change of the record.
    """

    consumer_id: str
    phase: Phase
    spawn_time: datetime | None = None
    digest: str | None = None
    removal_time: datetime | None = None
    written: bool = False


class Kind(enum.Enum):
    """What a change is; the values are the types of the outgoing events."""

    PHASE = "phase_changed"
    UPDATED = "consumer_updated"
    IMMINENT = "spawn_imminent"
    MEMBERS = "membership_changed"


@dataclass(frozen=True)
class Change:
    """One thing to announce. ``previous_phase`` is None when nothing was known of the consumer.

    ``spawn_time`` is that of an initialized consumer. ``seconds`` of block time are left until then (IMMINENT only).
    """

    kind: Kind
    consumer_id: str
    phase: Phase
    previous_phase: Phase | None
    spawn_time: datetime | None
    block: Block
    seconds: int = 0


@dataclass(frozen=True)
class Record:
    """What is known of one consumer that is not deleted.

    ``height`` is that of the last reading. ``due`` is the block time at which its phase may have moved without any event.
    ``noticed`` says that its spawn time was announced as imminent.
    """

    phase: Phase
    height: int
    spawn_time: datetime | None = None
    digest: str | None = None
    removal_time: datetime | None = None
    due: datetime | None = None
    noticed: bool = False


class Follower:
    """The consumers that are not deleted: a deleted one never changes again, and is forgotten once that is announced."""

    def __init__(self, records: Mapping[str, Record] | None = None) -> None:
        self._records: dict[str, Record] = {}
        self._deleted: set[str] = set()  # a reading of an earlier block may still show them
        # Lower bounds of what is to come, so that a block at which nothing is due costs one comparison for each.
        self._next_due = self._next_spawn = _NEVER
        self._spawning: set[str] = set()
        for consumer_id, record in (records or {}).items():
            self._keep(consumer_id, record)

    @property
    def records(self) -> Mapping[str, Record]:
        """The consumers by consumer_id; not to be changed."""
        return self._records

    def due(self, block_time: datetime) -> list[str]:
        """The consumer_ids whose phase may have moved by block_time without any event, in order of id."""
        if block_time < self._next_due:
            return []
        pending = {name: record.due for name, record in self._records.items() if record.due is not None}
        self._next_due = min((moment for moment in pending.values() if moment > block_time), default=_NEVER)
        found = sorted((name for name, moment in pending.items() if moment <= block_time), key=int)
        if found:
            self._next_due = block_time  # until they have been read
        return found

    def imminent(self, block: Block, notice: timedelta) -> list[Change]:
        """The launches that come within notice of block and were not told of yet, in order of id."""
        if block.time + notice < self._next_spawn:
            return []
        found: list[Change] = []
        following = _NEVER
        for name in sorted(self._spawning, key=int):
            record = self._records[name]
            moment = record.spawn_time
            if moment is None or moment <= block.time:
                continue
            if moment - notice > block.time:
                following = min(following, moment)
                continue
            self._records[name] = replace(record, noticed=True)
            self._spawning.discard(name)
            seconds = int((moment - block.time).total_seconds())
            found.append(Change(Kind.IMMINENT, name, record.phase, record.phase, moment, block, seconds))
        self._next_spawn = following
        return found

    def observe(self, states: Iterable[ConsumerState], block: Block) -> list[Change]:
        """Take note of states read at block and return at most one change for each consumer, in order of id.

        A consumer that was read at a later block already is left as it is.
        """
        changes: list[Change] = []
        unique = {state.consumer_id: state for state in states}
        for state in sorted(unique.values(), key=lambda state: int(state.consumer_id)):
            known = self._records.get(state.consumer_id)
            if state.consumer_id in self._deleted or (known is not None and known.height > block.height):
                continue
            previous = known.phase if known else None
            if state.phase is Phase.DELETED:
                if known is None:
                    continue
                self._forget(state.consumer_id)
            else:
                self._keep(state.consumer_id, _record(known, state, block))
            if state.phase is not previous:
                kind = Kind.PHASE
            elif known is not None and _was_updated(known, state):
                kind = Kind.UPDATED
            else:
                continue
            changes.append(Change(kind, state.consumer_id, state.phase, previous, state.spawn_time, block))
        return changes

    def members_changed(self, consumer_ids: Iterable[str], block: Block) -> list[Change]:
        """Return a change for each of the consumers that is launched, in order of id. The launch of any other one looks at its members anyway."""
        return [
            Change(Kind.MEMBERS, name, Phase.LAUNCHED, Phase.LAUNCHED, None, block)
            for name in sorted(consumer_ids, key=int)
            if name in self._records and self._records[name].phase is Phase.LAUNCHED
        ]

    def has_launched(self) -> bool:
        """Tell whether any consumer is launched."""
        return any(record.phase is Phase.LAUNCHED for record in self._records.values())

    def _keep(self, consumer_id: str, record: Record) -> None:
        self._records[consumer_id] = record
        if record.due is not None:
            self._next_due = min(self._next_due, record.due)
        if record.spawn_time is not None and not record.noticed:
            self._spawning.add(consumer_id)
            self._next_spawn = min(self._next_spawn, record.spawn_time)
        else:
            self._spawning.discard(consumer_id)

    def _forget(self, consumer_id: str) -> None:
        del self._records[consumer_id]
        self._deleted.add(consumer_id)
        self._spawning.discard(consumer_id)


def _record(known: Record | None, state: ConsumerState, block: Block) -> Record:
    same_phase = known is not None and known.phase is state.phase
    if known is not None and same_phase and state.digest is None:
        # The listing says no more than the phase.
        spawn_time, digest = known.spawn_time, known.digest
    else:
        spawn_time = state.spawn_time if state.phase is Phase.INITIALIZED else None
        digest = state.digest
    removal_time = state.removal_time
    if removal_time is None and known is not None and same_phase:
        removal_time = known.removal_time
    moment = spawn_time or removal_time
    return Record(
        phase=state.phase,
        height=block.height,
        spawn_time=spawn_time,
        digest=digest,
        removal_time=removal_time,
        due=next_reading(moment, block.time) if moment else None,
        noticed=known is not None and known.noticed and known.spawn_time == spawn_time,
    )


def _was_updated(known: Record, state: ConsumerState) -> bool:
    if state.digest is None:
        return False
    return state.written if known.digest is None else known.digest != state.digest


def next_reading(moment: datetime, read_at: datetime) -> datetime:
    """The block time at which to read a consumer again that had not moved at block time read_at.

    The first block at or after the spawn or removal time moves it, except when more than 200 are due in one block:
    then look every second for 30 s, every 5 s up to 2 min, and every 30 s from then on.
    """
    late = read_at - moment
    if late < timedelta(0):
        return moment
    if late <= timedelta(seconds=30):
        return read_at + timedelta(seconds=1)
    if late <= timedelta(minutes=2):
        return read_at + timedelta(seconds=5)
    return read_at + timedelta(seconds=30)
