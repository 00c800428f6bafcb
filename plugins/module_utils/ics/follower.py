# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has been announced of each consumer, and which changes a new reading of the state makes known.

Pure: the state of the provider chain at a height goes in, the changes to announce come out. Time is block time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


@dataclass(frozen=True)
class Block:
    """The block whose state is read: height and block time."""

    height: int
    time: datetime


@dataclass(frozen=True)
class ConsumerState:
    """A consumer as read at one height. spawn_time is None when the chain has none for it."""

    consumer_id: str
    phase: Phase
    spawn_time: datetime | None = None


@dataclass(frozen=True)
class PhaseChange:
    """One change to announce. previous_phase is None when nothing was known of the consumer."""

    consumer_id: str
    phase: Phase
    previous_phase: Phase | None
    spawn_time: datetime | None
    block: Block


@dataclass(frozen=True)
class Follower:
    """What was announced last of each consumer that is not deleted, and the block time at which to read it again.

    A deleted consumer never changes again, so it is forgotten once its deletion is announced.
    """

    phases: Mapping[str, Phase] = field(default_factory=dict)
    due_times: Mapping[str, datetime] = field(default_factory=dict)

    def due(self, block_time: datetime) -> list[str]:
        """The consumer_ids whose phase may have moved by block_time without any event, in order of id."""
        return sorted(
            (name for name, moment in self.due_times.items() if moment <= block_time),
            key=int,
        )

    def observe(
        self, states: Iterable[ConsumerState], block: Block, *, repeat: bool = False
    ) -> tuple[Follower, list[PhaseChange]]:
        """Compare states read at block with what was announced: the follower after it, and at most one change per consumer.

        Consumers that are not among states keep what is known of them. With repeat, consumers in an unchanged phase are
        announced too, as after a start. Readings have to come in order of height.
        """
        phases = dict(self.phases)
        due_times = dict(self.due_times)
        changes: list[PhaseChange] = []
        for state in sorted(
            {state.consumer_id: state for state in states}.values(),
            key=lambda state: int(state.consumer_id),
        ):
            previous = phases.pop(state.consumer_id, None)
            due_times.pop(state.consumer_id, None)
            if state.phase is Phase.DELETED:
                if previous is not None:
                    changes.append(
                        PhaseChange(
                            state.consumer_id,
                            state.phase,
                            previous,
                            state.spawn_time,
                            block,
                        )
                    )
                continue
            phases[state.consumer_id] = state.phase
            if state.phase is Phase.INITIALIZED and state.spawn_time is not None:
                due_times[state.consumer_id] = next_reading(state.spawn_time, block.time)
            if repeat or state.phase is not previous:
                changes.append(
                    PhaseChange(
                        state.consumer_id,
                        state.phase,
                        previous,
                        state.spawn_time,
                        block,
                    )
                )
        return Follower(phases, due_times), changes


def next_reading(spawn_time: datetime, read_at: datetime) -> datetime:
    """The block time at which to read a consumer again that was still initialized at block time read_at.

    The first block at or after spawn_time launches it or sends it back to registered, except when more than 200
    are due in one block: then look every second for 30 s, every 5 s up to 2 min, and every 30 s from then on.
    """
    late = read_at - spawn_time
    if late < timedelta(0):
        return spawn_time
    if late <= timedelta(seconds=30):
        return read_at + timedelta(seconds=1)
    if late <= timedelta(minutes=2):
        return read_at + timedelta(seconds=5)
    return read_at + timedelta(seconds=30)
