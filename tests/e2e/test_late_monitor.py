# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitors that were away when their consumer launched look first whether anybody signs with their keys."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import datetime

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.signing import LATE_SECONDS
from tests.testbed.devnet import Devnet

pytestmark = pytest.mark.timeout(600)

MEMBERS = ("alice", "bob")


def test_late_monitors_watch_a_chain_that_waits_for_them_and_then_sign(devnet: Devnet) -> None:
    """Neither alice nor bob has two thirds of the power: the chain stands before its first block until both sign."""
    consumer_id = devnet.create_consumer("late-1", spawn_in=3600)
    devnet.await_members(consumer_id, MEMBERS)
    with ExitStack() as away:
        for name in MEMBERS:
            away.enter_context(devnet.monitor_away(name))
        devnet.set_spawn_time(consumer_id, 5)
        devnet.await_launch(consumer_id)
        spawned = datetime.fromisoformat(devnet.consumer(consumer_id)["spawn_time"])

        def late() -> bool:
            now = datetime.fromisoformat(devnet.rpc("status")["sync_info"]["latest_block_time"][:19] + "+00:00")
            return (now - spawned).total_seconds() > LATE_SECONDS

        devnet.wait("a minute after the launch", late, 120, "make logs")
    watched = set()

    def all_watch() -> bool:
        for name in MEMBERS:
            seen = devnet.decision(name, consumer_id)
            if seen.get("node_mode") == "follow":
                assert seen["watching"] == "true"
                assert "was never signed from here" in json.loads(seen["node_reasons"])[0]
                keys = devnet.get("secret", "keys", f"{name}-consumer-{consumer_id}")
                assert keys is not None
                assert name in watched or list(keys["data"]) == ["node_key.json"]
                watched.add(name)
        return watched == set(MEMBERS)

    devnet.wait("both nodes to follow", all_watch, 180, "make logs")
    # They hear from each other that nobody signs, before the launch would give up.
    devnet.await_height(MEMBERS, consumer_id, 3, 120)
    assert [devnet.decision(name, consumer_id)["node_mode"] for name in MEMBERS] == ["sign", "sign"]
    devnet.remove_consumer(consumer_id)
