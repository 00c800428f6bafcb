# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source on a real provider chain of one validator: a launch, a failed launch, a removal, and a killed node."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from tests.integration.single_node import CHAIN_ID, Node

DEADLINE = 90.0  # seconds for each thing waited for


class Watcher:
    """Runs the source, keeps what it sends, and gives a receipt for each event as a playbook would."""

    def __init__(self, node: Node, state_directory: Path) -> None:
        self._args = {"provider_rpc_url": node.url, "provider_chain_id": CHAIN_ID}
        self._args |= {"sync_interval": "5", "spawn_notice": "3", "state_directory": str(state_directory)}
        self._store = FileStateStore(str(state_directory))
        self.events: list[dict[str, Any]] = []

    async def put(self, event: dict[str, Any], /) -> None:
        self.events.append(event)
        if event["type"] in ("phase_changed", "consumer_updated", "membership_changed"):
            name = f"consumer-{event['consumer_id']}"
            known = self._store.read(name)
            receipt = {"event_uuid": event["meta"]["uuid"], "event_outcome": "done", "event_attempt": "1"}
            self._store.write(name, receipt, known.version if known else None)

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(ccv.main(self, self._args))
        return self

    async def __aexit__(self, *_details: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def phases(self, consumer_id: str) -> list[tuple[str, str]]:
        changes = [event for event in self.events if event.get("consumer_id") == consumer_id]
        changes = [event for event in changes if event["type"] == "phase_changed"]
        return [(event["previous_phase"], event["phase"]) for event in changes]

    async def until(self, what: tuple[str, str, str] | None = None) -> None:
        """Wait for a change (consumer_id, previous phase, phase), or for the start."""
        async with asyncio.timeout(DEADLINE):
            while not self._has(what):
                assert not self._task.done(), "the source ended"
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Wait until the cursor says that nothing is on its way."""
        async with asyncio.timeout(DEADLINE):
            while (found := self._store.read("cursor")) is None or found.data["outstanding"] != "[]":
                await asyncio.sleep(0.05)

    def _has(self, what: tuple[str, str, str] | None) -> bool:
        if what is None:
            return any(event["type"] == "started" for event in self.events)
        return what[1:] in self.phases(what[0])


async def block_after(node: Node, height: int) -> datetime:
    """Wait for a block above height; return its time."""
    client = ProviderClient([node.url])
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                status = await asyncio.to_thread(client.status)
                if status.latest_height > height:
                    client.close()
                    return status.latest_block_time
            except ChainUnreachable:
                pass  # it is still starting
            await asyncio.sleep(0.05)


async def launch_block(node: Node, block_time: str) -> int:
    """Find the block of that time that created the client of a consumer, by the node's own search."""
    client = ProviderClient([node.url])
    try:
        found = await asyncio.to_thread(
            client.rpc, "block_search", query="consumer_client_created.consumer_id EXISTS", page="1", per_page="10"
        )
    finally:
        client.close()
    (block,) = found["blocks"]
    header = block["block"]["header"]
    assert header["time"][:26] == block_time[:26]
    return int(header["height"])


@pytest.mark.timeout(400)
async def test_the_life_of_consumers_on_a_real_chain(node: Node, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with Watcher(node, state) as watcher:
        await watcher.until()
        assert [event["type"] for event in watcher.events] == ["started"]
        now = datetime.now(UTC)
        await asyncio.to_thread(node.create_consumer, now + timedelta(seconds=15))
        await watcher.until(("0", "none", "initialized"))
        await asyncio.to_thread(node.transact, "opt-in", "0")
        await watcher.until(("0", "initialized", "launched"))
        await asyncio.to_thread(node.create_consumer, datetime.now(UTC) + timedelta(seconds=15))
        await watcher.until(("1", "initialized", "registered"))
        assert watcher.phases("1") == [("none", "initialized"), ("initialized", "registered")]

        await asyncio.to_thread(node.transact, "remove-consumer", "0")
        await watcher.until(("0", "launched", "stopped"))
        node.kill()
        node.start()
        await watcher.until(("0", "stopped", "deleted"))
        assert watcher.phases("0") == [
            ("none", "initialized"),
            ("initialized", "launched"),
            ("launched", "stopped"),
            ("stopped", "deleted"),
        ]
        await watcher.settled()
    height = watcher.events[-1]["height"]
    assert [event["consumer_id"] for event in watcher.events if event["type"] == "spawn_imminent"] == ["0", "1"]
    launched = next(event for event in watcher.events if event.get("phase") == "launched")
    assert launched["height"] == await launch_block(node, launched["block_time"])
    identifiers = [event["meta"]["uuid"] for event in watcher.events]
    assert len(set(identifiers)) == len(identifiers)
    assert "lookup" not in json.dumps(watcher.events)

    await block_after(node, height)
    async with Watcher(node, state) as again:
        await again.until()
    assert [event["type"] for event in again.events] == ["started"]
