# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opting in through a proxy that spoils broadcasts: on the real chain there is exactly one opt-in each time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key, fees
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import FileKeyStore
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in
from ansible_collections.interchain.security.plugins.module_utils.runner import execute
from tests.fakes.rpc_proxy import Fault, RpcProxy
from tests.integration.owner import Owner
from tests.integration.single_node import Node
from tests.operation import checked_options
from tests.testbed.parts import CHAIN

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
CONSUMERS = 20
pytestmark = pytest.mark.timeout(120)


@dataclass
class World:
    """A chain with consumers that nobody has opted in to, and a proxy before its node."""

    node: Node
    proxy: RpcProxy
    client: ProviderClient
    consumers: list[str]
    address: str

    def options(self, consumer_id: str, key_file: Path) -> dict[str, Any]:
        return {
            "provider_rpc_url": [self.proxy.url],
            "request_timeout": 2.0,
            "retry_delay": 0.1,
            "consumer_id": consumer_id,
            "key_file": str(key_file),
            # The key that the chain's binary made
            "key_name": "alice",
            "keyring_backend": "test",
            "keyring_dir": str(self.node.home),
        }

    def opt_ins(self, consumer_id: str) -> list[TransactionResult]:
        return [tx for tx in self.client.transactions(f"opt_in.consumer_id='{consumer_id}'", 1) if tx.code == 0]

    def wait_for_block(self) -> None:
        height = self.client.status().latest_height
        deadline = time.monotonic() + 30
        while self.client.status().latest_height <= height:
            assert time.monotonic() < deadline, "the provider makes no blocks"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    node = Node(CHAIN.ensure() / "interchain-security-pd", tmp_path_factory.mktemp("broadcast") / "provider")
    node.start()
    try:
        client = ProviderClient([node.url])
        address = account_key.from_mnemonic(node.mnemonic).account_address
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(ChainUnreachable):
                if client.status().latest_height > 1:
                    break
            assert time.monotonic() < deadline, "the provider makes no blocks"
            time.sleep(0.1)
        consumers = Owner(node).create_many([3600.0] * CONSUMERS)
        while len(client.consumers()) < CONSUMERS:
            assert time.monotonic() < deadline, "the consumers were not created"
            time.sleep(0.1)
        with RpcProxy(node.url).serve() as proxy:
            yield World(node, proxy, client, consumers, address)
    finally:
        node.kill()


@pytest.fixture(autouse=True)
def _unspoilt(world: World) -> None:
    world.proxy.faults, world.proxy.barrier, world.proxy.gas_share = [], None, 1.0
    world.proxy.broadcasts.clear()


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Run the module as its action plugin does."""
    return execute(opt_in, checked_options(opt_in.ARGUMENT_SPEC, **options), check_mode=False)


@pytest.mark.parametrize(
    "faults",
    [
        *([fault] for fault in Fault),
        [Fault.MEMPOOL_FULL, Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER_COMMIT],
    ],
    ids=lambda faults: "-then-".join(fault.name.lower() for fault in faults),
)
def test_a_spoilt_broadcast_has_one_effect(world: World, tmp_path: Path, faults: list[Fault]) -> None:
    consumer_id = world.consumers.pop()
    world.proxy.faults = list(faults)
    options = world.options(consumer_id, tmp_path / "key.json")
    done = run(options)
    assert not done.get("failed"), done
    assert done["changed"]
    assert not world.proxy.faults
    assert set(world.proxy.broadcasts) == {done["tx_hash"]}
    again = run(options)
    assert not again["changed"]
    world.wait_for_block()
    assert [tx.hash for tx in world.opt_ins(consumer_id)] == [done["tx_hash"]]
    assert world.client.consumer_keys(consumer_id).popitem()[1] == done["consumer_public_key"]


def test_another_endpoint_takes_over(world: World, tmp_path: Path) -> None:
    """The first endpoint takes it and falls silent; what the second one says then does not count."""
    consumer_id = world.consumers.pop()
    world.proxy.faults = [Fault.LOST_AFTER_COMMIT]
    options = world.options(consumer_id, tmp_path / "key.json")
    done = run({**options, "provider_rpc_url": [world.proxy.url, world.node.url]})
    assert not done.get("failed"), done
    assert [tx.hash for tx in world.opt_ins(consumer_id)] == [done["tx_hash"]]


def test_a_node_that_never_takes_it_is_told(world: World, tmp_path: Path) -> None:
    consumer_id = world.consumers.pop()
    world.proxy.faults = [Fault.MEMPOOL_FULL] * 3
    failed = run({**world.options(consumer_id, tmp_path / "key.json"), "retries": 2})
    assert failed["failed"]
    assert "mempool is full" in failed["msg"]
    assert "(code 20, sdk, transaction " in failed["msg"]
    assert not world.opt_ins(consumer_id)


def test_too_little_gas_is_tried_once_more(world: World, tmp_path: Path) -> None:
    consumer_id = world.consumers.pop()
    world.proxy.gas_share = 0.6
    done = run({**world.options(consumer_id, tmp_path / "key.json"), "gas_adjustment": 1.0})
    assert not done.get("failed"), done
    assert len(set(world.proxy.broadcasts)) == 2
    assert [tx.hash for tx in world.opt_ins(consumer_id)] == [done["tx_hash"]]


def test_fees_are_counted_on_the_chain(world: World, tmp_path: Path) -> None:
    consumer_id = world.consumers.pop()
    options = {**world.options(consumer_id, tmp_path / "key.json"), "gas_prices": "0.05stake"}
    before = fees.paid_in_last_day(world.client, world.address, "stake")
    for limit in ({"max_fee": "100stake"}, {"fee_budget": f"{before + 100}stake"}):
        refused = run({**options, **limit})
        assert refused["failed"]
        assert "nothing was sent" in refused["msg"]
    assert not world.proxy.broadcasts
    done = run({**options, "max_fee": "1000000stake", "fee_budget": f"{before + 1000000}stake"})
    assert not done.get("failed"), done
    world.wait_for_block()
    sent = world.opt_ins(consumer_id)[0]
    assert fees.paid_in_last_day(world.client, world.address, "stake") - before == -(-sent.gas_wanted * 5 // 100)


@pytest.mark.parametrize(
    ("other", "with_key"),
    [({}, True), ({"gas_adjustment": 1.7}, True), ({"gas_adjustment": 1.7}, False)],
    ids=[
        "alike",
        "different gas",
        "different gas without a key",
    ],  # without one the chain itself would take a second opt-in
)
def test_two_monitors_at_once(world: World, tmp_path: Path, other: dict[str, Any], with_key: bool) -> None:
    """Both have read that the validator is not opted in, and broadcast at the same moment."""
    consumer_id = world.consumers.pop()
    # A broadcast waits for the other monitor's, whose Python may begin late.
    options = {**world.options(consumer_id, tmp_path / "key.json"), "request_timeout": 30.0}
    if with_key:  # both find it; when neither had one, the slower would be told that it appeared meanwhile
        FileKeyStore(options["key_file"]).create(consensus_key.generate())
    else:
        options = {**options, "key_file": None, "key_source": "none"}
    world.proxy.barrier = threading.Barrier(2, action=lambda: setattr(world.proxy, "barrier", None))
    results = at_once([options, {**options, **other}])
    for result in results:
        assert not result.get("failed"), result
    assert len(world.proxy.broadcasts) >= 2
    if other:
        assert len(set(world.proxy.broadcasts)) >= 2
    assert [result["consumer_public_key"] for result in results] == [results[0]["consumer_public_key"]] * 2
    world.wait_for_block()
    (only,) = world.opt_ins(consumer_id)
    assert {result["tx_hash"] for result in results if result["changed"]} == {only.hash}


def test_one_account_for_two_consumers_at_once(world: World, tmp_path: Path) -> None:
    """Both sign with the same sequence number; the slower signs anew and is in a later block."""
    world.proxy.barrier = threading.Barrier(2, action=lambda: setattr(world.proxy, "barrier", None))
    wanted = [world.consumers.pop() for _unused in range(2)]
    results = at_once(
        [{**world.options(consumer_id, tmp_path / consumer_id), "request_timeout": 30.0} for consumer_id in wanted]
    )
    for result in results:
        assert not result.get("failed"), result
        assert result["changed"]
    for result, consumer_id in zip(results, wanted, strict=True):
        assert [tx.hash for tx in world.opt_ins(consumer_id)] == [result["tx_hash"]]
    assert results[0]["height"] != results[1]["height"]


def test_each_sequence_number_was_used_once(world: World) -> None:
    """After all of the above: the account's numbers in the blocks' order, without a gap."""
    sent: list[TransactionResult] = []
    page = 1
    while found := world.client.transactions(f"tx.fee_payer='{world.address}'", page):
        sent += found
        page += 1
    used = [
        int(event.attributes["acc_seq"].removeprefix(f"{world.address}/"))
        for tx in reversed(sent)
        for event in tx.events
        if event.type == "tx" and "acc_seq" in event.attributes
    ]
    assert sorted(used) == list(range(1, len(used) + 1))  # the genesis transaction had 0
    assert world.client.account(world.address)[1] == len(used) + 1


def at_once(several: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the module in as many processes at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "ansible_collections.interchain.security.plugins.modules.opt_in"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            text=True,
        )
        for _unused in several
    ]
    try:
        for process, options in zip(processes, several, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
            process.stdin.close()
            process.stdin = None
        return [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
