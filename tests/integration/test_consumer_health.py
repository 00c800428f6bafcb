# SPDX-License-Identifier: GPL-3.0-or-later
"""Health and repair of a consumer's node with the rights of the monitor, on a real provider and a real API server.

The node runs as a process; the test tells the API server of its pod what a kubelet would tell. The tests build on each other and run in the order
of this file: one node is well, hangs, is started anew, and loses some of its objects.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster import node_look
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics import health
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    consumer_health,
    consumer_health_info,
    consumer_info,
)
from tests.integration.consumer_place import MONITOR, VALIDATOR, wait_for
from tests.integration.kubelet import Kubelet, process_access
from tests.integration.monitor_place import MonitorPlace
from tests.integration.single_node import free_port
from tests.operation import known_options, run_operation

pytestmark = pytest.mark.timeout(300)  # some run several playbooks

NEVER = 10**6  # seconds


@pytest.fixture
def reached(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the node: to its process, since no kubelet forwards a port. All else is what it is in a cluster."""

    monkeypatch.setattr(node_look, "NodeAccess", process_access(kubelet))
    monkeypatch.setattr(node_look, "ASK_SECONDS", 2.0)


def run(place: MonitorPlace, operation: Any, **options: Any) -> dict[str, Any]:
    """Run an operation as its module does, with the monitor's rights."""
    usual = known_options(
        operation.ARGUMENT_SPEC,
        validator=VALIDATOR,
        kubeconfig=str(place.monitor_kubeconfig),
        provider_rpc_url=[place.node.url],
    )
    return run_operation(operation, **{**usual, **options})


def check(place: MonitorPlace, **options: Any) -> dict[str, Any]:
    """Check all nodes; return the entry of the only one."""
    found = run(place, consumer_health, **options)
    assert found["problems"] == []
    (entry,) = found["health"]
    return {**found, **entry}


def statuses(entry: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in entry["conditions"]}


def test_a_node_that_is_well_costs_one_write(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    first = wait_for("a node that is well", lambda: (entry := check(place))["healthy"] and entry)
    assert list(statuses(first)) == ["Running", "Rising", "CaughtUp", "Connected", "Signing", "Disk"]
    assert first["signed"] > 0
    assert first["commits"] >= first["signed"]
    assert (first["repair"], first["converge"], first["leftovers"]) == ("nothing", [], [])
    before = place.versions(consumer_id)
    again = check(place)
    assert again["healthy"]
    assert not again["changed"]
    assert place.versions(consumer_id) == before
    assert again["conditions"] == first["conditions"]
    info = run(place, consumer_health_info)
    assert info["health"][0]["conditions"] == first["conditions"]
    shown = run(place, consumer_info, state_namespace=MONITOR)["consumers"][0]["node"]
    assert shown["conditions"] == first["conditions"]
    assert shown["promoted_height"] == 1  # the chain began with its key
    assert shown["repair"] is None


def test_why_the_set_does_not_hold_its_key(
    place: MonitorPlace, kubelet: Kubelet, reached: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider of one validator never jails it, so the two answers that tell of it are changed on their way."""
    look_at, validators, none = consumer_health.look, ProviderClient.validators, "http://127.0.0.1:1"

    def outside(*arguments: Any) -> Any:
        seen, problems = look_at(*arguments)
        return {name: replace(found, in_validator_set=False) for name, found in seen.items()}, problems

    with monkeypatch.context() as patched:
        patched.setattr(consumer_health, "look", outside)
        patched.setattr(consumer_health_info, "look", outside)
        assert statuses(check(place, operator_address=place.operator))["Signing"] == ("False", "NotInSet")
        patched.setattr(
            ProviderClient, "validators", lambda *given: [replace(entry, jailed=True) for entry in validators(*given)]
        )
        entry = check(place, operator_address=place.operator)
        assert statuses(entry)["Signing"] == ("False", "Jailed")
        assert "slashing unjail" in entry["summary"]
        (again,) = run(place, consumer_health, operator_address=place.operator, provider_rpc_url=[none])["health"]
        assert again["conditions"] == entry["conditions"]
        (told,) = run(place, consumer_health_info)["health"]
        assert told["conditions"] == entry["conditions"]
    assert statuses(check(place, operator_address=place.operator))["Signing"] == ("True", "Signs")


def test_a_node_that_cannot_be_reached_is_not_touched(
    place: MonitorPlace, kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server finds no machine behind the pod: that says nothing about the node, whatever the kubelet said last."""
    kubelet.tell(ready=False)
    before = kubelet.pod
    entry = check(place, repair="safe", repair_after=0, repair_pause=0)
    assert statuses(entry)["Running"] == ("False", "NotReady")
    assert statuses(entry)["Rising"] == ("Unknown", "NotAsked")
    assert (entry["repair"], entry["repaired"]) == ("nothing", False)
    assert before is not None
    assert kubelet.pod is not None
    assert kubelet.pod["metadata"]["uid"] == before["metadata"]["uid"]
    kubelet.tell(ready=True)


def test_a_node_that_hangs_is_started_anew_once_and_recovers(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    assert kubelet.pod is not None
    uid = kubelet.pod["metadata"]["uid"]
    signed = kubelet.sign_state()
    assert signed > (0, 0)
    kubelet.signal(signal.SIGSTOP)
    kubelet.tell(ready=False)

    seen = check(place, repair="safe", repair_after=NEVER)
    assert statuses(seen)["Rising"] == ("Unknown", "NoAnswer")
    assert (seen["repair"], seen["repaired"]) == ("nothing", False)
    kept = json.loads(place.memory(consumer_id)["conditions"])
    assert kept == seen["conditions"]
    reported = wait_for(
        "the patience to end", lambda: (entry := check(place, repair_after=1))["repair"] == "restart" and entry
    )
    assert not reported["repaired"]
    assert json.loads(place.memory(consumer_id)["conditions"]) == kept  # since when, too
    assert not kubelet.pod["metadata"].get("deletionTimestamp")
    assert "repair_at" not in place.memory(consumer_id)

    entry = check(place, repair="safe", repair_after=1)
    assert (entry["repair"], entry["repaired"]) == ("restart", True)
    remembered = place.memory(consumer_id)
    assert remembered["repair_action"] == "restart"
    assert (
        remembered["repair_reason"] == entry["repair_reason"] == "the node answers neither the kubelet nor the monitor"
    )
    assert remembered["repair_count"] == "1"
    assert kubelet.pod["metadata"]["uid"] == uid
    assert kubelet.pod["metadata"]["deletionGracePeriodSeconds"] == 30
    deletion = kubelet.pod["metadata"]["deletionTimestamp"]

    ending = check(place, repair="safe", repair_after=0, repair_pause=0)
    assert statuses(ending)["Running"] == ("False", "Ending")
    assert not ending["repaired"]
    assert kubelet.pod["metadata"]["deletionTimestamp"] == deletion

    kubelet.finish()
    assert statuses(check(place, repair="safe", repair_after=0, repair_pause=0))["Running"] == ("False", "NoPod")
    kubelet.start()
    assert kubelet.pod["metadata"]["uid"] != uid
    wait_for("a node that is well again", lambda: check(place, repair="safe", repair_after=0)["healthy"])
    assert kubelet.sign_state() >= signed
    wait_for("a vote on a higher block", lambda: kubelet.sign_state() > signed)
    remembered = place.memory(consumer_id)
    assert remembered["repair_count"] == "0"
    assert remembered["repair_at"]
    shown = run(place, consumer_info, state_namespace=MONITOR)["consumers"][0]["node"]
    assert shown["repair"]["reason"] == remembered["repair_reason"]


def test_after_a_repair_there_is_a_pause(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    kubelet.signal(signal.SIGSTOP)
    kubelet.tell(ready=False)
    entry = check(place, repair="safe", repair_after=0)
    assert (entry["repair"], entry["repaired"]) == ("nothing", False)
    assert "not before" in entry["repair_reason"]
    assert kubelet.pod is not None
    assert not kubelet.pod["metadata"].get("deletionTimestamp")
    kubelet.signal(signal.SIGCONT)
    kubelet.tell(ready=True)
    wait_for("a node that is well again", lambda: check(place)["healthy"])


def test_a_node_that_its_own_signature_keeps_from_starting_starts_without_looking_for_it(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    """Its chain stands still without it, and its settings are of a time when that was not so."""
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"

    def look_back(wanted: str = "") -> str:
        found = place.get("ConfigMap", "config", namespace)
        assert found is not None
        text = found["data"]["config.toml"]
        height = re.search(r"double_sign_check_height = (\d+)", text)
        assert height is not None
        if wanted:
            data = {"config.toml": text.replace(height[0], f"double_sign_check_height = {wanted}")}
            metadata = {"name": "config", "namespace": namespace}
            place.cluster.patch({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        return height[1]

    look_back("10")
    place.cluster.delete("Pod", "node-0", namespace)
    kubelet.finish()
    kubelet.start()
    wait_for("the refusal", lambda: kubelet.process.ended() is not None)
    signed = kubelet.sign_state()
    kubelet.tell_of_refusals(4)
    assert check(place, repair="safe", repair_pause=0)["repair"] == "nothing"
    kubelet.tell_of_refusals(5)
    entry = check(place, repair="safe", repair_pause=0)
    assert (entry["repair"], entry["converge"]) == ("look_back_off", [consumer_id])
    assert "found its own signature in the newest blocks" in entry["repair_reason"]
    assert place.memory(consumer_id)["look_back"] == "off"

    launched = place.converge("launch", consumer_id)["launched"]
    assert launched["mode"] == "sign"
    assert "the sign state on its volume" in launched["reasons"][-1]
    assert look_back() == "0"
    kubelet.process.start()
    kubelet.tell(ready=True)
    wait_for("a node that is well again", lambda: check(place, repair="safe")["healthy"])
    wait_for("a vote on a higher block", lambda: kubelet.sign_state() > signed)
    assert place.memory(consumer_id)["look_back"] == ""


@contextmanager
def copy_of(place: MonitorPlace, kubelet: Kubelet, home: Path) -> Iterator[Callable[[], int]]:
    """Let a copy of a node that signs nothing any more go on with the chain, connected to it; gives how to ask for the copy's height."""
    shutil.copytree(kubelet.home, home)
    (home / "config/node_key.json").unlink()  # it makes one of its own
    app = home / "config/app.toml"
    app.write_text(re.sub(r"halt-height = \d+\n", "", app.read_text()))
    node_id = kubelet.process.rpc("status")["node_info"]["id"]
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        *(str(place.program), "start", "--home", str(home), "--rpc.laddr", url.replace("http", "tcp")),
        *("--p2p.laddr", f"tcp://127.0.0.1:{free_port()}"),
        *("--p2p.persistent_peers", f"{node_id}@127.0.0.1:{kubelet.process.p2p_port}"),
    ]

    def height() -> int:
        try:
            with urllib.request.urlopen(f"{url}/status", timeout=2) as answer:
                return int(json.load(answer)["result"]["sync_info"]["latest_block_height"])
        except OSError:
            return 0

    with home.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield height
    finally:
        process.kill()
        process.wait()


def test_a_node_that_stands_still_while_its_peers_go_on_is_started_anew(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    reached: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Its consensus ends at a block, as it was told to, and its process lives on. Alone it is left alone: the chain may stand still."""
    monkeypatch.setattr(health, "OLDEST_BLOCK", timedelta(seconds=4))
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"

    def start_with(app: str) -> None:
        metadata = {"name": "config", "namespace": namespace}
        place.cluster.patch({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"app.toml": app}})
        kubelet.finish()
        kubelet.start()

    config = place.get("ConfigMap", "config", namespace)
    assert config is not None
    app = config["data"]["app.toml"]
    last = kubelet.process.height() + 5
    place.cluster.delete("Pod", "node-0", namespace)
    start_with(f"halt-height = {last}\n{app}")
    wait_for("its consensus to end", lambda: "CONSENSUS FAILURE" in kubelet.process.log.read_text(errors="replace"))
    at_once = {"repair": "safe", "repair_after": 1, "repair_pause": 0}
    alone = wait_for(
        "its block to be old", lambda: statuses(entry := check(place, **at_once))["Rising"][1] == "Halted" and entry
    )
    assert (alone["height"], alone["repaired"]) == (last, False)
    copy = tmp_path / "copy"
    with copy_of(place, kubelet, copy) as height:
        wait_for("newer blocks", lambda: height() > last + 2)
        entry = wait_for("the repair", lambda: (entry := check(place, **at_once))["repaired"] and entry)
    assert entry["repair"] == "restart"
    assert re.search(rf"no block after {last}, .* and its peers are at block \d+", entry["repair_reason"])
    assert kubelet.pod is not None
    assert kubelet.pod["metadata"]["deletionGracePeriodSeconds"] == 30
    kubelet.process.kill()
    # What was signed meanwhile is in the copy: it takes the place of what it is a copy of.
    shutil.rmtree(kubelet.home)
    copy.rename(kubelet.home)
    start_with(app)
    wait_for("a node that is well again", lambda: check(place)["healthy"])


def test_what_somebody_removed_is_made_again_by_the_playbook(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet
) -> None:
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    route = ("EndpointSlice", f"p2p-consumer-{consumer_id}", MONITOR, "discovery.k8s.io/v1")
    place.cluster.delete(*route)
    place.cluster.delete("Service", "p2p", MONITOR)
    place.cluster.delete("NetworkPolicy", "node", namespace, "networking.k8s.io/v1")
    event = str(uuid.uuid4())
    output = place.run_playbook("check_consumers", event_uuid=event)
    assert "not there" in output
    for lost in (route, ("Service", "p2p", MONITOR), ("NetworkPolicy", "node", namespace, "networking.k8s.io/v1")):
        assert place.get(*lost) is not None, output
    receipt = place.get("ConfigMap", "check", MONITOR)
    assert receipt is not None
    assert (receipt["data"]["event_uuid"], receipt["data"]["event_outcome"]) == (event, "done")
    assert receipt["data"]["leftovers"] == "[]"
    assert receipt["data"]["endpoint"] == "no address yet"
    remembered = place.memory(consumer_id)
    assert remembered["repair_action"] == "converge"
    assert "NetworkPolicy node" in remembered["repair_reason"]


def test_a_node_without_its_stateful_set_signs_again_on_its_volume(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet
) -> None:
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    claim = place.get("PersistentVolumeClaim", "data", namespace)
    place.cluster.delete("StatefulSet", "node", namespace, "apps/v1")
    gone = {"name": "node", "namespace": namespace, "finalizers": None}  # its pods are not the test's concern
    place.cluster.patch({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": gone})
    assert place.get("StatefulSet", "node", namespace, "apps/v1") is None
    place.run_playbook("check_consumers", interchain_repair="report")
    assert place.get("StatefulSet", "node", namespace, "apps/v1") is None
    place.run_playbook("repair_consumer", consumer_id=consumer_id)
    made = place.get("StatefulSet", "node", namespace, "apps/v1")
    assert made is not None
    assert made["spec"]["replicas"] == 1
    assert place.get("PersistentVolumeClaim", "data", namespace) == claim
    assert place.memory(consumer_id)["node_mode"] == "sign"


def test_a_node_that_was_scaled_to_0_stays_so(place: MonitorPlace, consumer_id: str, kubelet: Kubelet) -> None:
    """Somebody may run it elsewhere."""
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    scaled = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "node", "namespace": namespace}}
    place.cluster.patch({**scaled, "spec": {"replicas": 0}})
    place.cluster.delete("Service", "node", namespace)
    entry = check(place, repair="safe", repair_after=0, repair_pause=0)
    assert statuses(entry) == {"Running": ("False", "Stopped")}
    assert (entry["repair"], entry["converge"]) == ("nothing", [])
    (left,) = entry["leftovers"]
    assert (left["kind"], left["remedy"]) == ("half_made", "repair")
    place.run_playbook("repair_consumer", consumer_id=consumer_id)  # asked for
    made = place.get("StatefulSet", "node", namespace, "apps/v1")
    assert made is not None
    assert made["spec"]["replicas"] == 1
    assert place.get("Service", "node", namespace) is not None


def test_without_a_provider_the_nodes_are_looked_at_all_the_same(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    found = run(place, consumer_health, provider_rpc_url=["http://127.0.0.1:1"])
    assert found["health"][0]["consumer_id"] == consumer_id
    assert found["health"][0]["height"] > 0
    (problem,) = found["problems"]
    assert "provider" in problem
    event = str(uuid.uuid4())
    unreachable = {"interchain_provider_rpc_url": ["http://127.0.0.1:1"]}
    place.run_playbook("check_consumers", event_uuid=event, **unreachable)
    receipt = place.get("ConfigMap", "check", MONITOR)
    assert receipt is not None
    assert (receipt["data"]["event_uuid"], receipt["data"]["event_outcome"]) == (event, "failed")
    assert "http://127.0.0.1:1 does not answer" in receipt["data"]["event_reason"]
    assert place.playbook("check_consumers", **unreachable).returncode != 0  # by hand it says so itself


def test_the_monitor_may_not_remove_what_it_did_not_archive(place: MonitorPlace, consumer_id: str) -> None:
    key = f"consumer-{consumer_id}-key"

    def refused() -> bool:
        try:
            place.monitor_cluster.delete("Secret", "node-key", MONITOR)
        except ClusterError as error:
            return "remove no key that was not archived" in str(error)
        raise AssertionError("the P2P identity was removed")

    assert refused()
    with pytest.raises(ClusterError, match="not archived"):
        place.monitor_cluster.delete("Secret", key, MONITOR)
    assert place.get("Secret", key, MONITOR) is not None


def test_a_member_without_a_node_is_found_and_joins_late(place: MonitorPlace, consumer_id: str) -> None:
    """It opted in without its monitor. What it leaves is kept until the provider does not ask for it any more."""
    late = place.create_consumer(spawn_in=8, chain_id="late-1")
    place.opt_in(late)
    place.await_launch(late)
    operator = {"operator_address": place.operator}
    assert run(place, consumer_health)["joining"] == []  # it has not said who it is
    found = run(place, consumer_health, **operator)
    assert (found["joining"], found["unwanted"], found["problems"]) == ([late], [], [])

    event = str(uuid.uuid4())
    place.run_playbook("consumer_membership_changed", consumer_id=late, event_uuid=event, consumer_launch_timeout=0)
    remembered = place.memory(late)
    assert (remembered["event_uuid"], remembered["event_outcome"]) == (event, "done")
    assert (remembered["decision"], remembered["node_mode"]) == ("opt_in", "sign")
    assert int(remembered["p2p_port"]) > 0
    started = place.get("StatefulSet", "node", f"{VALIDATOR}-consumer-{late}", "apps/v1")
    assert started is not None
    assert started["spec"]["replicas"] == 1
    before = place.versions(late)
    place.run_playbook("consumer_membership_changed", consumer_id=late, consumer_launch_timeout=0)
    after = place.versions(late)
    assert {name for name in after if after[name] != before.get(name)} <= {f"ConfigMap {MONITOR}/consumer-{late}"}
    assert run(place, consumer_health, **operator)["joining"] == []

    place.opt_in(late, state="absent")
    place.cluster.merge(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"consumer-{late}", "namespace": MONITOR},
            "data": {"node_mode": "follow"},  # its chain never counts on such a node
        }
    )
    place.run_playbook("consumer_membership_changed", consumer_id=late)
    assert run(place, consumer_health, **operator)["unwanted"] == []  # not before the provider's next epoch
    started = place.get("StatefulSet", "node", f"{VALIDATOR}-consumer-{late}", "apps/v1")
    assert started is not None
    assert started["spec"]["replicas"] == 1
