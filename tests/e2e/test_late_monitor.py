# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor that was away when its consumer launched looks first whether anybody signs with its key."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.signing import LATE_SECONDS
from tests.testbed.devnet import Devnet

pytestmark = pytest.mark.timeout(600)


def test_a_late_monitor_watches_a_chain_that_waits_for_it_and_then_signs(devnet: Devnet) -> None:
    """Without bob the chain stands before its first block: alice alone has less than two thirds of the power."""
    consumer_id = devnet.create_consumer("late-1", spawn_in=3600)
    devnet.await_members(consumer_id, ("alice", "bob"))
    with devnet.monitor_away("bob"):
        devnet.set_spawn_time(consumer_id, 5)
        devnet.await_launch(consumer_id)
        spawned = datetime.fromisoformat(devnet.consumer(consumer_id)["spawn_time"])

        def late() -> bool:
            now = datetime.fromisoformat(devnet.rpc("status")["sync_info"]["latest_block_time"][:19] + "+00:00")
            return (now - spawned).total_seconds() > LATE_SECONDS

        devnet.wait("a minute after the launch", late, 120, "make logs")
        assert devnet.decision("alice", consumer_id)["node_mode"] == "sign"
        assert devnet.node_height("alice", consumer_id) == 0
    devnet.wait(
        "bob's node to follow",
        lambda: devnet.decision("bob", consumer_id).get("node_mode") == "follow",
        180,
        "make logs",
    )
    watching = devnet.decision("bob", consumer_id)
    assert watching["watching"] == "true"
    assert "was never signed from here" in json.loads(watching["node_reasons"])[0]
    keys = devnet.get("secret", "keys", f"bob-consumer-{consumer_id}")
    assert keys is not None
    assert list(keys["data"]) == ["node_key.json"]
    devnet.await_height(("alice", "bob"), consumer_id, 3, 240)
    assert devnet.decision("bob", consumer_id)["node_mode"] == "sign"
    devnet.remove_consumer(consumer_id)
