# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source on a real provider chain of one validator: a launch, a failed launch, a removal, and a killed node."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.extensions.eda.plugins.event_source import ccv
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from tests.testbed.parts import CHAIN

CHAIN_ID = "provider-events"
DEADLINE = 90.0  # seconds for each thing waited for
UNBONDING = "15s"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Node:
    """A provider chain of one validator on loopback."""

    def __init__(self, binary: Path, home: Path) -> None:
        self._binary = binary
        self._home = home
        self._port, self._peer_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self._run("init", "alice", "--chain-id", CHAIN_ID)
        self._run("keys", "add", "alice", "--keyring-backend", "test")
        self._run("genesis", "add-genesis-account", "alice", "1000000000000stake", "--keyring-backend", "test")
        self._run("genesis", "gentx", "alice", "600000000stake", "--chain-id", CHAIN_ID, "--keyring-backend", "test")
        self._run("genesis", "collect-gentxs")
        genesis_file = home / "config" / "genesis.json"
        genesis = json.loads(genesis_file.read_text())
        genesis["app_state"]["staking"]["params"]["unbonding_time"] = UNBONDING
        genesis_file.write_text(json.dumps(genesis))
        config_file = home / "config" / "config.toml"
        config = re.sub(r"(?m)^timeout_commit = .*$", 'timeout_commit = "500ms"', config_file.read_text())
        config_file.write_text(config)

    def _run(self, *arguments: str) -> str:
        command = [str(self._binary), *arguments, "--home", str(self._home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    def start(self) -> None:
        command = [str(self._binary), "start", "--home", str(self._home), "--minimum-gas-prices", "0stake"]
        command += ["--rpc.laddr", f"tcp://127.0.0.1:{self._port}", "--p2p.laddr", f"tcp://127.0.0.1:{self._peer_port}"]
        command += ["--grpc.enable=false", "--api.enable=false", "--rpc.pprof_laddr", ""]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def transact(self, *arguments: str) -> None:
        """Send a transaction of the provider module; the node answers once it is in the mempool."""
        command = ["tx", "provider", *arguments, "--from", "alice", "--keyring-backend", "test", "--chain-id", CHAIN_ID]
        command += ["--node", f"tcp://127.0.0.1:{self._port}", "--gas", "2000000", "--yes", "--output", "json"]
        answer = json.loads(self._run(*command))
        assert answer["code"] == 0, answer["raw_log"]

    def create_consumer(self, spawn_time: datetime) -> None:
        """Create a consumer whose free text is an injection."""
        record = self._home / "consumer.json"
        hostile = "{{ lookup('pipe', 'id') }}"
        record.write_text(
            json.dumps(
                {
                    "chain_id": f"{hostile}-1",
                    "metadata": {"name": hostile, "description": hostile, "metadata": "{}"},
                    "initialization_parameters": {
                        "initial_height": {"revision_number": 1, "revision_height": 1},
                        "spawn_time": spawn_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "unbonding_period": 1209600000000000,
                        "ccv_timeout_period": 2419200000000000,
                        "transfer_timeout_period": 1800000000000,
                        "consumer_redistribution_fraction": "0.75",
                        "blocks_per_distribution_transmission": 1000,
                        "historical_entries": 10000,
                    },
                    "power_shaping_parameters": {"top_N": 0},
                }
            )
        )
        self.transact("create-consumer", str(record))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    binary = CHAIN.ensure() / "interchain-security-pd"
    made = Node(binary, tmp_path / "provider")
    made.start()
    yield made
    made.kill()


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
