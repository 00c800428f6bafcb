# SPDX-License-Identifier: GPL-3.0-or-later
"""A monitor checks its nodes by itself: one that hangs is told of, started anew once, and goes on with its sign state.

The chain needs both of its validators, so it stands still meanwhile; the other one's node is well and is not touched. The tests build on each
other and run in the order of this file.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.devnet import Devnet

pytestmark = pytest.mark.timeout(900)

MEMBERS = ("alice", "bob")
CHECK_SECONDS = 10  # a check takes four seconds of a processor


@pytest.fixture(scope="module", autouse=True)
def an_impatient_monitor(devnet: Devnet) -> Iterator[None]:
    """Bob's monitor looks often, and does not wait long."""
    devnet.deploy_monitors(["bob"], monitor_check_interval=CHECK_SECONDS, monitor_repair_after=10)
    yield
    devnet.deploy_monitors(["bob"])


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet) -> str:
    """A consumer of alice and bob that makes blocks."""
    made = devnet.create_consumer("health-1", spawn_in=3600)
    devnet.await_members(made, MEMBERS)
    devnet.await_staged(made, MEMBERS)
    devnet.set_spawn_time(made, 15)
    devnet.await_height(MEMBERS, made, 5, 300)
    return made


def pod(devnet: Devnet, name: str, consumer_id: str) -> dict[str, Any]:
    return devnet.get("pod", "node-0", f"{name}-consumer-{consumer_id}") or {}


def uid(devnet: Devnet, name: str, consumer_id: str) -> str:
    return str(pod(devnet, name, consumer_id).get("metadata", {}).get("uid", ""))


def condition(devnet: Devnet, name: str, consumer_id: str, kind: str) -> dict[str, str]:
    """Return one condition of a node as its monitor keeps it."""
    found = json.loads(devnet.decision(name, consumer_id).get("conditions", "[]"))
    return next((entry for entry in found if entry["type"] == kind), {})


def is_well(devnet: Devnet, name: str, consumer_id: str) -> bool:
    wanted = ("Running", "Rising", "CaughtUp", "Connected", "Signing")
    return all(condition(devnet, name, consumer_id, kind).get("status") == "True" for kind in wanted)


def sign_state(devnet: Devnet, consumer_id: str) -> int:
    """Return the height of bob's last vote, out of the file on his volume."""
    text = devnet.kubectl(
        *("exec", "--namespace", f"bob-consumer-{consumer_id}", "node-0", "--container", "node", "--"),
        *("cat", "/home/node/data/priv_validator_state.json"),
    )
    return int(json.loads(text)["height"])


def node_process(pod_uid: str) -> int:
    """Return the pid of the node in a pod: the cluster's processes are this machine's."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = pod_uid in (entry / "cgroup").read_text()
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if inside and command[:2] == [b"interchain-security-cd", b"start"]:
            return int(entry.name)
    raise AssertionError(f"no node runs in pod {pod_uid}")


def last_check(devnet: Devnet) -> dict[str, str]:
    found = devnet.get("configmap", "check", "bob-monitor")
    return {} if found is None else found["data"]


def test_the_monitor_checks_by_itself_and_tells_that_all_is_well(devnet: Devnet, consumer_id: str) -> None:
    devnet.wait("bob's node to be well", lambda: is_well(devnet, "bob", consumer_id), 120, "make logs")
    # The check that found the node well has not ended yet; the one before may have met a node that had just started.
    earlier = last_check(devnet)["event_uuid"]
    devnet.wait("that check to end", lambda: last_check(devnet)["event_uuid"] != earlier, 60, "make logs")
    before = last_check(devnet)
    assert before["event_outcome"] == "done", before
    kept = devnet.get("configmap", f"consumer-{consumer_id}", "bob-monitor")
    assert kept is not None
    devnet.wait("the next check", lambda: last_check(devnet)["event_uuid"] != before["event_uuid"], 60, "make logs")
    again = devnet.get("configmap", f"consumer-{consumer_id}", "bob-monitor")
    assert again is not None
    assert again["data"]["conditions"] == kept["data"]["conditions"]
    assert "well" in devnet.playbook("status", None, status_validator="bob")


def test_a_node_that_hangs_is_started_anew_once_and_goes_on_with_its_sign_state(
    devnet: Devnet, consumer_id: str
) -> None:
    first, alices = uid(devnet, "bob", consumer_id), uid(devnet, "alice", consumer_id)
    claim = devnet.get("persistentvolumeclaim", "data", f"bob-consumer-{consumer_id}")
    signed = sign_state(devnet, consumer_id)
    assert signed > 0
    os.kill(node_process(first), signal.SIGSTOP)
    devnet.wait(
        "the condition",
        lambda: condition(devnet, "bob", consumer_id, "Rising").get("reason") == "NoAnswer",
        120,
        "make logs",
    )
    seen = condition(devnet, "bob", consumer_id, "Rising")
    assert seen["status"] == "Unknown"
    assert seen["since"]
    devnet.wait("the next pod", lambda: uid(devnet, "bob", consumer_id) not in ("", first), 240, "make logs")
    remembered = devnet.decision("bob", consumer_id)
    assert (remembered["repair_action"], remembered["repair_count"]) == ("restart", "1")
    assert remembered["repair_reason"] == "the node answers neither the kubelet nor the monitor"
    devnet.wait("bob's node to be well again", lambda: is_well(devnet, "bob", consumer_id), 240, "make logs")
    devnet.wait("a vote on a higher block", lambda: sign_state(devnet, consumer_id) > signed, 60, "make logs")
    devnet.wait(
        "the repair to have had its effect",
        lambda: devnet.decision("bob", consumer_id)["repair_count"] == "0",
        60,
        "make logs",
    )
    after = devnet.decision("bob", consumer_id)
    assert after["repair_at"] == remembered["repair_at"]  # once
    same = devnet.get("persistentvolumeclaim", "data", f"bob-consumer-{consumer_id}")
    assert claim is not None
    assert same is not None
    assert same["spec"]["volumeName"] == claim["spec"]["volumeName"]
    # The chain stood still for alice too, and her monitor saw no reason to touch a node that answers.
    assert uid(devnet, "alice", consumer_id) == alices
    assert "repair_at" not in devnet.decision("alice", consumer_id)
    output = devnet.playbook("status", None, status_validator="bob")
    assert "repaired (restart)" in output


def test_nobody_has_signed_twice(devnet: Devnet, consumer_id: str) -> None:
    """No evidence in the blocks of the chain so far, and one vote of each validator in each commit."""
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    assert service is not None
    url = f"http://{service['spec']['clusterIP']}:26657"
    height = int(devnet.rpc("status", url)["sync_info"]["latest_block_height"])
    for number in range(1, height + 1):
        block = devnet.rpc(f"block?height={number}", url)["block"]
        assert not block["evidence"]["evidence"], number
        votes = [entry["validator_address"] for entry in block["last_commit"]["signatures"] if entry["signature"]]
        assert len(votes) == len(set(votes)), number
