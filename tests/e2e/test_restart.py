# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that fail, take long or are cut, and monitors that end. The tests build on each other and run in the order of this file.

One consumer goes through all of it. Bob may not store his key at first; then he is away at the launch, so that alice's deployment waits for the first
block, which needs both, for as long as the tests want.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed import cluster
from tests.testbed.devnet import Devnet

pytestmark = pytest.mark.timeout(600)

CHAIN_ID = "restart-1"
# Run in a monitor's pod, which has no ps and no kill.
KILL_ENGINE = """
import os, pathlib, signal
for entry in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
    words = entry.read_bytes().split(bytes(1))
    if any(word.endswith(b'/ansible-rulebook') for word in words[:2]):
        os.kill(int(entry.parent.name), signal.SIGKILL)
        print('killed')
"""
METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9464/metrics', timeout=10).read().decode())"


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What later tests need of earlier ones."""
    return {}


def in_pod(devnet: Devnet, name: str, program: str) -> str:
    """Run a Python program in a monitor's pod and return what it prints."""
    return devnet.kubectl("exec", "--namespace", f"{name}-monitor", "monitor-0", "--", "python3", "-c", program)


def figure(devnet: Devnet, name: str, figure_name: str) -> float:
    """Return one figure of a monitor, 0 when it is not there."""
    found = re.search(rf"(?m)^{re.escape(figure_name)} (\S+)$", in_pod(devnet, name, METRICS))
    return float(found.group(1)) if found else 0.0


def pod(devnet: Devnet, name: str) -> dict[str, Any]:
    found = devnet.get("pod", "monitor-0", f"{name}-monitor")
    assert found is not None
    return found


def is_ready(devnet: Devnet, name: str) -> bool:
    found = devnet.get("pod", "monitor-0", f"{name}-monitor")
    conditions = found["status"].get("conditions", []) if found else []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def deployments_begun(devnet: Devnet, name: str) -> int:
    """Count in the log of a monitor's present pod how often a deployment began. Playbooks run beside each other, so their lines are mixed."""
    return devnet.kubectl("logs", "--namespace", f"{name}-monitor", "monitor-0").count("PLAY [Consumer launched]")


def launch_is_on_its_way(devnet: Devnet, name: str, consumer_id: str) -> bool:
    """Tell whether a monitor has sent a consumer's launch to its rulebook and waits for the receipt."""
    cursor = devnet.get("configmap", "cursor", f"{name}-monitor")
    assert cursor is not None
    found = [entry for entry in json.loads(cursor["data"]["outstanding"]) if entry["consumer_id"] == consumer_id]
    return any(entry["phase"] == "launched" and entry["put"] for entry in found)


def deployed(devnet: Devnet, seen: dict[str, Any]) -> bool:
    """Tell whether alice's deployment has its receipt, of whichever attempt."""
    remembered = devnet.decision("alice", seen["consumer_id"])
    return remembered["event_outcome"] == "done" and remembered["event_uuid"] != seen["receipt_before"]


def restarts_written(devnet: Devnet, name: str) -> int:
    """Return how often a monitor's supervisor has started the rule engine again, in all its pods."""
    document = devnet.get("configmap", "monitor", f"{name}-monitor")
    return int(document["data"]["restarts"]) if document else 0


def scale(devnet: Devnet, name: str, replicas: int) -> None:
    devnet.kubectl("scale", "statefulset", "monitor", "--namespace", f"{name}-monitor", f"--replicas={replicas}")


@pytest.fixture
def no_right_to_store_keys(devnet: Devnet) -> Iterator[None]:
    """Bob's monitor may not create Secrets; the right is given back in any case."""
    role = devnet.get("role", "monitor", "bob-monitor")
    assert role is not None
    rules = role["rules"]
    without = [rule for rule in rules if "secrets" not in rule["resources"]]
    assert len(without) < len(rules)

    def patch(wanted: list[dict[str, Any]]) -> None:
        body = json.dumps([{"op": "replace", "path": "/rules", "value": wanted}])
        devnet.kubectl("patch", "role", "monitor", "--namespace", "bob-monitor", "--type=json", "--patch", body)

    patch(without)
    yield
    patch(rules)


def test_a_playbook_that_fails_is_tried_again_and_shown(
    devnet: Devnet, seen: dict[str, Any], no_right_to_store_keys: None
) -> None:
    consumer_id = seen["consumer_id"] = devnet.create_consumer(CHAIN_ID, spawn_in=3600)
    devnet.wait(
        "bob's second failure",
        lambda: int(devnet.decision("bob", consumer_id).get("event_attempt", "0")) >= 2,
        120,
        "make logs",
    )
    remembered = devnet.decision("bob", consumer_id)
    assert remembered["event_outcome"] == "failed"
    assert "Secret" in remembered["event_reason"]
    assert "\n" not in remembered["event_reason"]
    assert figure(devnet, "bob", f'interchain_actions_failed_total{{consumer_id="{consumer_id}"}}') >= 1
    output = devnet.playbook("status", None, status_validator="bob")
    assert re.search(rf"bob +{consumer_id} .*failed \dx", output), output
    assert remembered["event_reason"][:60] in output


def test_it_goes_on_by_itself_once_the_cause_is_gone(devnet: Devnet, seen: dict[str, Any]) -> None:
    consumer_id = seen["consumer_id"]
    operators = {devnet.variables(name)["interchain_operator_address"] for name in ("alice", "bob")}
    devnet.wait("opt-ins", lambda: set(devnet.consumer(consumer_id)["opted_in"]) == operators, 120, "make logs")
    devnet.wait(
        "bob's receipt",
        lambda: devnet.decision("bob", consumer_id).get("event_outcome") == "done",
        120,
        "make logs",
    )
    assert int(devnet.decision("bob", consumer_id)["event_attempt"]) >= 2
    scale(devnet, "bob", 0)
    # What else it may be doing is of no matter here.
    devnet.kubectl("delete", "pod", "monitor-0", "--namespace", "bob-monitor", "--grace-period=1", "--ignore-not-found")


def test_a_long_deployment_holds_up_no_other_consumer(devnet: Devnet, seen: dict[str, Any]) -> None:
    consumer_id = seen["consumer_id"]
    seen["begun_before"] = deployments_begun(devnet, "alice")
    devnet.set_spawn_time(consumer_id, 15)
    devnet.wait("the launch", lambda: launch_is_on_its_way(devnet, "alice", consumer_id), 150, "make logs")
    seen["receipt_before"] = devnet.decision("alice", consumer_id)["event_uuid"]
    devnet.wait("alice's node", lambda: devnet.get("pod", "node-0", f"alice-consumer-{consumer_id}"), 120, "make logs")
    devnet.wait(
        "alice's deployment", lambda: deployments_begun(devnet, "alice") > seen["begun_before"], 120, "make logs"
    )
    other = seen["other"] = devnet.create_consumer("restart-2", spawn_in=3600)
    devnet.wait(
        "alice's decision on another consumer",
        lambda: devnet.decision("alice", other).get("event_outcome") == "done",
        120,
        "make logs",
    )
    assert devnet.decision("alice", other)["decision"] == "opt_in"
    assert figure(devnet, "alice", "interchain_outstanding_events") >= 1
    assert not deployed(devnet, seen)


def test_a_killed_rule_engine_runs_again_and_so_does_the_cut_playbook(devnet: Devnet, seen: dict[str, Any]) -> None:
    before, begun = pod(devnet, "alice"), deployments_begun(devnet, "alice")
    assert begun == seen["begun_before"] + 1
    restarts = restarts_written(devnet, "alice")
    restarts_of_pod = figure(devnet, "alice", "interchain_monitor_restarts")
    assert in_pod(devnet, "alice", KILL_ENGINE).split() == ["killed"]
    devnet.wait("the deployment to run again", lambda: deployments_begun(devnet, "alice") > begun, 150, "make logs")
    after = pod(devnet, "alice")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [entry["restartCount"] for entry in after["status"]["containerStatuses"]] == [0]
    assert figure(devnet, "alice", "interchain_monitor_restarts") == restarts_of_pod + 1
    assert restarts_written(devnet, "alice") == restarts + 1
    assert "ended by SIGKILL" in devnet.playbook("status", None, status_validator="alice")


def node_pods(devnet: Devnet, name: str, consumer_id: str) -> list[str]:
    """Return the uids of the pods of a validator's node of a consumer."""
    found = devnet.kubectl(
        *("get", "pods", "--namespace", f"{name}-consumer-{consumer_id}"),
        "--output",
        "jsonpath={range .items[*]}{.metadata.name}={.metadata.uid} {end}",
    )
    return [entry for entry in found.split() if entry.startswith("node-")]


def is_replaced(devnet: Devnet, name: str, before: str, image: str) -> bool:
    """Tell whether another pod with that image does a monitor's work."""
    if not is_ready(devnet, name):
        return False
    found = pod(devnet, name)
    return found["metadata"]["uid"] != before and found["spec"]["containers"][0]["image"] == image


def test_a_monitor_that_is_upgraded_finishes_its_deployment(devnet: Devnet, seen: dict[str, Any]) -> None:
    consumer_id = seen["consumer_id"]
    before, nodes = pod(devnet, "alice")["metadata"]["uid"], node_pods(devnet, "alice", consumer_id)
    assert len(nodes) == 1
    newer = cluster.tag_monitor_image("newer")
    # Not waited for: the deployment, and with it the pod, ends when bob is there.
    devnet.playbook("deploy_monitor", "alice", monitor_image=newer, monitor_wait=False)
    assert not deployed(devnet, seen)
    scale(devnet, "bob", 1)
    devnet.wait("the receipt of the deployment", lambda: deployed(devnet, seen), 150, "make logs")
    # It was the old pod that finished: it is still there, or its successor has just come and has begun nothing.
    devnet.wait("the newer pod", lambda: is_replaced(devnet, "alice", before, newer), 300, "make logs")
    assert deployments_begun(devnet, "alice") == 0
    assert node_pods(devnet, "alice", consumer_id) == nodes
    assert devnet.node_height("alice", consumer_id) >= 1
    devnet.wait("bob's monitor", lambda: is_ready(devnet, "bob"), 300, "make logs")


def is_done(devnet: Devnet, name: str, consumer_id: str) -> bool:
    """Tell whether a monitor has its receipt of the launch, with a node that signs."""
    remembered = devnet.decision(name, consumer_id)
    wanted = {"phase": "launched", "node_mode": "sign", "event_outcome": "done"}
    return remembered.items() >= wanted.items()


def test_monitors_that_are_upgraded_before_a_launch_lose_and_double_nothing(
    devnet: Devnet, seen: dict[str, Any]
) -> None:
    """Both are replaced while the spawn time comes near; no block of the chain is made without both."""
    consumer_id = seen["other"]
    names = ("alice", "bob")
    operators = {devnet.variables(name)["interchain_operator_address"] for name in names}
    devnet.wait("bob's opt-in", lambda: set(devnet.consumer(consumer_id)["opted_in"]) == operators, 120, "make logs")
    before = {name: pod(devnet, name)["metadata"]["uid"] for name in names}
    newest = cluster.tag_monitor_image("newest")
    devnet.for_each_validator("deploy_monitor", names, monitor_image=newest, monitor_wait=False)
    # The pods end and begin meanwhile; blocks that none of them saw are worked through by the next.
    devnet.set_spawn_time(consumer_id, 15)
    assert devnet.consumer(consumer_id)["phase"] == "initialized"
    for name in names:
        devnet.wait(
            f"{name}'s newest pod",
            lambda name=name: is_replaced(devnet, name, before[name], newest),
            300,
            "make logs",
        )
    devnet.await_launch(consumer_id, 120)
    for name in names:
        devnet.wait(
            f"blocks at {name}'s node", lambda name=name: devnet.node_height(name, consumer_id) >= 3, 180, "make logs"
        )
        devnet.wait(
            f"{name}'s receipt",
            lambda name=name: is_done(devnet, name, consumer_id),
            120,
            "make logs",
        )
        assert len(node_pods(devnet, name, consumer_id)) == 1
    assert devnet.opt_in_count(consumer_id) == dict.fromkeys(operators, 1)
