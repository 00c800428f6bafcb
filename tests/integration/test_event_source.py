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
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from tests.integration.single_node import CHAIN_ID, Node

DEADLINE = 90.0  # seconds for each thing waited for


class Watcher:
    """Runs the source and keeps what it sends."""

    def __init__(self, node: Node, cursor_file: Path) -> None:
        self._args = {"provider_rpc_url": node.url, "provider_chain_id": CHAIN_ID, "cursor_file": str(cursor_file)}
        self._args |= {"sync_interval": "5"}
        self.events: list[dict[str, Any]] = []

    async def put(self, event: dict[str, Any], /) -> None:
        self.events.append(event)

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(ccv.main(self, self._args))
        return self

    async def __aexit__(self, *_details: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def phases(self, consumer_id: str) -> list[tuple[str, str]]:
        changes = [event for event in self.events if event.get("consumer_id") == consumer_id]
        return [(event["previous_phase"], event["phase"]) for event in changes]

    async def until(self, what: tuple[str, str, str] | None = None) -> None:
        """Wait for a change (consumer_id, previous phase, phase), or for the start."""
        async with asyncio.timeout(DEADLINE):
            while not self._has(what):
                assert not self._task.done(), "the source ended"
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


@pytest.mark.timeout(400)
async def test_the_life_of_consumers_on_a_real_chain(node: Node, tmp_path: Path) -> None:
    cursor_file = tmp_path / "cursor.json"
    async with Watcher(node, cursor_file) as watcher:
        await watcher.until()
        assert [event["type"] for event in watcher.events] == ["started"]
        now = datetime.now(UTC)
        await asyncio.to_thread(node.create_consumer, now + timedelta(seconds=15))
        await watcher.until(("0", "none", "initialized"))
        await asyncio.to_thread(node.transact, "opt-in", "0")
        await watcher.until(("0", "initialized", "launched"))
        await asyncio.to_thread(node.create_consumer, datetime.now(UTC) + timedelta(seconds=5))
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
    height = watcher.events[-1]["height"]
    assert "lookup" not in json.dumps(watcher.events)

    await block_after(node, height)
    async with Watcher(node, cursor_file) as again:
        await again.until()
    assert again.phases("0") == []
    assert again.phases("1") == [("registered", "registered")]
