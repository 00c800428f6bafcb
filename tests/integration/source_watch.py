# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the event source, keeps what it sends, and holds that against what happened on the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore

DEADLINE = 120.0  # seconds for each thing waited for
# Short waits, so that faults are noticed within a test.
QUICK = {"request_timeout": 3, "sync_interval": 5, "poll_interval": 0.5, "silence_timeout": 3}

Transition = tuple[str, str, str, int]


class Watch:
    """The queue of a running source. With a state_directory each event gets its receipt at once."""

    def __init__(self, urls: str | Sequence[str], chain_id: str, **args: Any) -> None:
        self.args = {"provider_rpc_url": urls, "provider_chain_id": chain_id, **QUICK, **args}
        self.events: list[dict[str, Any]] = []
        directory = args.get("state_directory")
        self._store = FileStateStore(directory) if directory else None

    async def put(self, event: dict[str, Any], /) -> None:
        self.events.append(event)
        if self._store is not None and event["type"] in ("phase_changed", "consumer_updated", "membership_changed"):
            await asyncio.to_thread(write_receipt, self._store, event, "done")

    async def __aenter__(self) -> Watch:
        self.task = asyncio.create_task(ccv.main(self, self.args))
        return self

    async def __aexit__(self, *_details: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, what: str, condition: Callable[[], object], deadline: float = DEADLINE) -> None:
        """Wait until the condition holds; the source has to run all the while."""
        try:
            async with asyncio.timeout(deadline):
                while not condition():
                    assert not self.task.done(), f"the source ended: {self.task}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {deadline} s: {what}; it sent {self.sent()}") from None

    async def start(self) -> int:
        """Wait for the event started; return its height."""
        await self.until("started", lambda: self._started() is not None)
        return int(self._started() or 0)

    async def reach(self, *changes: tuple[str, str]) -> None:
        """Wait for changes (consumer_id, phase)."""
        for wanted in changes:
            await self.until(
                f"{wanted}", lambda wanted=wanted: wanted in [(name, new) for name, _old, new, _h in self.sent()]
            )

    def _started(self) -> int | None:
        return next((event["height"] for event in self.events if event["type"] == "started"), None)

    def sent(self) -> list[Transition]:
        """The phase changes sent, in order."""
        return [
            (event["consumer_id"], event["previous_phase"], event["phase"], event["height"])
            for event in self.events
            if event["type"] == "phase_changed"
        ]

    def _unseen(self) -> set[str]:
        """Consumers that had stopped before the source began: their deletion is found by a reading of all, not by its block."""
        return {name for name, previous, phase, _height in self.sent() if (previous, phase) == ("none", "stopped")}

    def has_all(self, transitions: Iterable[Transition], tip: int) -> bool:
        """Tell whether as many changes up to a tip were sent as there are transitions."""
        started = self._started() or 0
        expected = [change for change in transitions if started < change[3] <= tip and change[0] not in self._unseen()]
        sent = [change for change in self.sent() if started < change[3] <= tip and change[0] not in self._unseen()]
        return len(sent) >= len(expected)

    def check(self, transitions: Iterable[Transition], tip: int, *, exact: bool = True) -> None:
        """Hold what was sent against the chain's transitions up to a tip: none missing, none twice, each from its block.

        Where blocks cannot be read (exact is False), a transition may be sent from a later block, and of several ones
        of a consumer in between only the outcome.
        """
        uuids = [event["meta"]["uuid"] for event in self.events]
        assert len(set(uuids)) == len(uuids), "an event was sent twice"
        started = self._started()
        assert started is not None
        happened = [change for change in transitions if started < change[3] <= tip and change[0] not in self._unseen()]
        sent = [change for change in self.sent() if started < change[3] <= tip and change[0] not in self._unseen()]
        assert happened, "nothing happened meanwhile"
        if exact:
            missing, besides = set(happened) - set(sent), set(sent) - set(happened)
            assert sorted(sent, key=_place) == happened, f"missing {missing}; besides {besides}; sent {sent}"
        for name in {change[0] for change in happened} | {change[0] for change in sent}:
            chain = [change for change in happened if change[0] == name]
            told = [change for change in sent if change[0] == name]
            assert told, f"nothing was sent of consumer {name}, of which {chain}"
            assert told[-1][2] == chain[-1][2]
            assert [one[1] for one in told] == [chain[0][1], *(one[2] for one in told[:-1])]
            for change in told:
                (phase,) = [one[2] for one in chain if one[3] <= change[3]][-1:]
                assert change[2] == phase, f"consumer {name} was {phase} at block {change[3]}"


def write_receipt(store: FileStateStore, event: dict[str, Any], outcome: str) -> None:
    """What a playbook does at its end."""
    name = f"consumer-{event['consumer_id']}"
    found = store.read(name)
    receipt = {
        "event_uuid": event["meta"]["uuid"],
        "event_outcome": outcome,
        "event_attempt": str(event["attempt"]),
        "event_at": "2026-11-23T00:00:00Z",
        "event_reason": "",
    }
    store.write(name, {**(found.data if found else {}), **receipt}, found.version if found else None)


def _place(change: Transition) -> tuple[int, int]:
    return change[3], int(change[0])
