# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers of a running node, and its update by hand, with the rights of the monitor on a real provider and a real API server.

The provider has one validator, so nobody announces anything to dial: a test that needs another member says what follows from it. The tests build on
each other and run in the order of this file.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster import node_dial, node_restart
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import with_peers
from ansible_collections.interchain.security.plugins.module_utils.ics.peer_updates import Turn
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import Peers
from ansible_collections.interchain.security.plugins.module_utils.ics.rolling import LocalNode, Votes
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_peers, consumer_restart
from tests.integration.consumer_place import MONITOR, VALIDATOR, config_of, routed, wait_for
from tests.integration.kubelet import Kubelet, process_access
from tests.integration.monitor_place import MonitorPlace
from tests.operation import known_options, run_operation

STALE = f"{'5a' * 20}@192.0.2.7:26756"
NOBODY = f"{'0b' * 20}@192.0.2.8:26756"


@pytest.fixture
def reached(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way to the node: to its process, since no kubelet forwards a port. All else is what it is in a cluster."""
    reach(monkeypatch, kubelet)


def reach(monkeypatch: pytest.MonkeyPatch, *kubelets: Kubelet) -> None:
    access = process_access(*kubelets)
    for module in (node_restart, consumer_restart, node_dial):
        monkeypatch.setattr(module, "NodeAccess", access)


@pytest.fixture
def not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node can be told whom to dial, whether it has a gate by now or not."""

    def refuse(*_arguments: object) -> None:
        raise ClusterError("it has no ear for that")

    monkeypatch.setattr(node_dial, "dial", refuse)


@pytest.fixture
def one_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain's only validator is taken for one that the chain can do without."""
    monkeypatch.setattr(node_restart, "votes", lambda *_node: Votes(own=1, others=9, total=10))


@pytest.fixture(scope="module")
def other(place: MonitorPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Kubelet]]:
    """Another consumer, with the pod of its node."""
    made = place.create_consumer(spawn_in=15, chain_id="other-1")
    place.opt_in(made)
    place.converge("stage", made)
    place.await_launch(made)
    assert place.converge("launch", made)["launched"]["mode"] == "sign"
    kubelet = Kubelet(place, made, tmp_path_factory.mktemp("other") / "home")
    kubelet.process.stage()
    kubelet.start()
    try:
        wait_for("blocks", lambda: kubelet.process.height() >= 4)
        yield made, kubelet
    finally:
        kubelet.process.kill()


def run(place: MonitorPlace, operation: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Run an operation as its module does, with the monitor's rights."""
    usual = known_options(
        operation.ARGUMENT_SPEC,
        validator=VALIDATOR,
        operator_address=place.operator,
        kubeconfig=str(place.monitor_kubeconfig),
        provider_rpc_url=[place.node.url],
    )
    return run_operation(operation, check_mode=check_mode, **{**usual, **options})


def peers(place: MonitorPlace, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """Bring the peers of the only node up to date; return its entry, with whether anything changed."""
    found = run(place, consumer_peers, check_mode, **options)
    assert found["problems"] == []
    (entry,) = found["consumers"]
    return {**entry, "changed": found["changed"], "diff": found["diff"]}


def write_config(place: MonitorPlace, consumer_id: str, text: str) -> None:
    metadata = {"name": "config", "namespace": f"{VALIDATOR}-consumer-{consumer_id}"}
    place.cluster.patch({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.toml": text}})


def text_of(place: MonitorPlace, consumer_id: str) -> str:
    found = place.get("ConfigMap", "config", f"{VALIDATOR}-consumer-{consumer_id}")
    assert found is not None
    text: str = found["data"]["config.toml"]
    return text


def uid(kubelet: Kubelet) -> str:
    return "" if kubelet.pod is None else str(kubelet.pod["metadata"]["uid"])


def runs_as_written(place: MonitorPlace, consumer_id: str, kubelet: Kubelet) -> None:
    """Let the node be taken to run with what is written: its process has ports of its own, which are other settings."""
    found = place.get("ConfigMap", "config", f"{VALIDATOR}-consumer-{consumer_id}")
    assert found is not None
    for name in ("config.toml", "app.toml"):
        (kubelet.process._mounted / "config" / name).write_text(found["data"][name])


@contextmanager
def restarts_of(kubelet: Kubelet, seen: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
    """Do what kubelet and controller do with a pod that is deleted, meanwhile; gives the uids of those that were. ``seen`` is called for each."""
    deleted: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            pod = kubelet.pod
            if pod is not None and pod["metadata"].get("deletionTimestamp"):
                seen()
                deleted.append(pod["metadata"]["uid"])
                kubelet.finish()
                kubelet.start()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield deleted
    finally:
        over.set()
        thread.join()


def test_a_node_whose_peers_are_right_costs_no_write(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    before = place.versions(consumer_id)
    entry = peers(place)
    assert (entry["changed"], entry["asked"], entry["in_sync"], entry["action"]) == (False, True, True, "nothing")
    assert not peers(place, ask="changed")["asked"]
    assert place.versions(consumer_id) == before


@pytest.mark.timeout(300)
def test_check_mode_tells_what_an_update_would_do(place: MonitorPlace, consumer_id: str, kubelet: Kubelet) -> None:
    """Of a pod that is not ready: the settings of one that is are read within it, which takes a real kubelet."""
    kubelet.tell(ready=False)
    before, pod = place.versions(consumer_id), kubelet.pod

    def told(**variables: Any) -> str:
        done = place.playbook("update_consumer", check=True, consumer_ids=consumer_id, **variables)
        assert done.returncode == 0, done.stdout[-6000:]
        return " ".join(done.stdout.split())

    about = f"The node of consumer {consumer_id}"
    assert f"{about} needs no restart" in told()
    other = {"base_genesis": {"file": str(place.base_genesis)}, "config": {"p2p": {"max_num_inbound_peers": 7}}}
    assert f"{about} would be restarted: other settings or another pod" in told(interchain_catalogue=[other])
    assert (place.versions(consumer_id), kubelet.pod) == (before, pod)
    kubelet.tell(ready=True)


def test_a_validator_that_has_gone_is_taken_out_and_nothing_else_changes(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None
) -> None:
    right, run_before = text_of(place, consumer_id), uid(kubelet)
    write_config(place, consumer_id, with_peers(right, [STALE]))
    before = place.versions(consumer_id)
    predicted = peers(place, check_mode=True)
    assert (predicted["changed"], predicted["configured"], predicted["in_sync"]) == (True, [STALE], False)
    assert STALE in json.dumps(predicted["diff"]["before"])
    assert STALE not in json.dumps(predicted["diff"]["after"])
    assert place.versions(consumer_id) == before
    done = peers(place, restart="fallback", connect_timeout=0)
    assert (done["changed"], done["action"]) == (True, "configured")
    assert done["diff"] == predicted["diff"]
    assert text_of(place, consumer_id) == right
    assert uid(kubelet) == run_before
    assert not peers(place)["changed"]


def test_what_a_launch_writes_in_the_same_moment_is_not_undone(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = text_of(place, consumer_id)
    write_config(place, consumer_id, with_peers(right, [STALE]))
    other = 'written_by = "a launch"\n' + with_peers(right, [STALE])

    def late(config: str, wanted: Any) -> str:
        write_config(place, consumer_id, other)
        return with_peers(config, wanted)

    with monkeypatch.context() as patched:
        patched.setattr(consumer_peers, "with_peers", late)
        found = run(place, consumer_peers)
    assert len(found["problems"]) == 1
    assert "409" in found["problems"][0]
    assert text_of(place, consumer_id) == other
    write_config(place, consumer_id, right)


def test_a_node_without_which_there_is_no_block_is_left_alone(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the node itself says: its chain has one validator."""
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"anybody": STALE}, {}))
    first = uid(kubelet)
    for _again in range(2):
        done = peers(place, restart="fallback", connect_timeout=0)
        assert done["missing"] == [STALE]
        assert "without it there is no block" in done["reason"]
    assert (uid(kubelet), place.memory(consumer_id)["peers_restarted"]) == (first, "")
    assert config_of(place, consumer_id)["p2p"]["persistent_peers"] == STALE
    # As if it were one of five, another of whom is away.
    monkeypatch.setattr(node_restart, "votes", lambda *_node: Votes(own=20, others=60, total=100))
    assert "60 of the chain's power 100 sign" in peers(place, restart="fallback", connect_timeout=0)["reason"]
    monkeypatch.setattr(node_restart, "votes", lambda *_node: Votes(own=1, others=9, total=10))
    monkeypatch.setattr(Turn, "refusal", lambda *_turn: "its turn is later")
    assert "not now: its turn is later" in peers(place, restart="fallback", connect_timeout=0)["reason"]
    assert uid(kubelet) == first


def test_a_peer_that_cannot_be_reached_is_worth_one_restart(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    reached: None,
    one_of_many: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"somebody": NOBODY}, {}))
    first = uid(kubelet)
    reported = peers(place, restart="never", connect_timeout=0)
    assert (reported["action"], reported["missing"]) == ("configured", [NOBODY])
    assert "its restart is not asked for" in reported["reason"]
    assert config_of(place, consumer_id)["p2p"]["persistent_peers"] == NOBODY
    assert uid(kubelet) == first
    predicted = peers(place, check_mode=True, restart="fallback")
    assert (predicted["action"], predicted["changed"]) == ("restarted", True)
    assert uid(kubelet) == first
    with restarts_of(kubelet) as deleted:
        done = peers(place, restart="fallback", connect_timeout=0, restart_timeout=60)
        assert done["action"] == "restarted"
        assert NOBODY in done["reason"]
        for _again in range(3):
            after = peers(place, restart="fallback", connect_timeout=0)
            assert (after["action"], after["missing"]) == ("nothing", [NOBODY])
    assert deleted == [first]
    memory = place.memory(consumer_id)
    assert list(json.loads(memory["peers_restarted"])) == ["somebody"]
    assert memory["peers_due"] == ""


def test_a_node_that_does_not_come_back_is_named(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    reached: None,
    one_of_many: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody starts the next pod. What was not asked for lately is: another validator's address."""
    elsewhere = NOBODY.replace("0b", "0c")
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"another": elsewhere}, {}))
    found = run(place, consumer_peers, restart="fallback", connect_timeout=0, restart_timeout=1, restart_pause=0)
    assert len(found["problems"]) == 1
    assert f"the node in {VALIDATOR}-consumer-{consumer_id} did not come back" in found["problems"][0]
    kubelet.finish()
    kubelet.start()
    wait_for("blocks", lambda: kubelet.process.height() >= 1)


def test_a_node_takes_other_settings_by_one_restart(
    place: MonitorPlace, consumer_id: str, kubelet: Kubelet, reached: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, text = uid(kubelet), text_of(place, consumer_id)
    runs_as_written(place, consumer_id, kubelet)
    write_config(place, consumer_id, with_peers(text, []))
    assert not run(place, consumer_restart, consumer_id=consumer_id, timeout=20)["changed"]
    write_config(place, consumer_id, "filter_peers = false\n" + text)
    assert run(place, consumer_restart, True, consumer_id=consumer_id)["restarted"]
    # Another one has gone down since the update has looked.
    nodes = {VALIDATOR: LocalNode(power=4, up=True), "charlie": LocalNode(power=2, up=False)}
    with monkeypatch.context() as patched:
        patched.setattr(consumer_restart, "local_nodes", lambda *_asked: (nodes, {}))
        assert run(place, consumer_restart, True, consumer_id=consumer_id)["restarted"]
        with pytest.raises(ClusterError, match=r"was not restarted, .*: bring back first the node of charlie"):
            run(place, consumer_restart, consumer_id=consumer_id, timeout=60)
    assert uid(kubelet) == first
    with restarts_of(kubelet) as deleted:
        done = run(place, consumer_restart, consumer_id=consumer_id, timeout=60)
    assert done["restarted"]
    assert done["height"] > 0
    assert deleted == [first]
    # As if the StatefulSet's controller had done it before it was looked at.
    runs_as_written(place, consumer_id, kubelet)
    former = {"former_pod": first, "former_height": done["height"]}
    seen = run(place, consumer_restart, consumer_id=consumer_id, timeout=60, **former)
    assert (seen["restarted"], seen["changed"], deleted) == (True, False, [first])
    assert "its pod was replaced" in seen["reason"]
    assert seen["height"] > done["height"]


def test_a_node_with_a_gate_is_told_whom_to_dial(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    reached: None,
    one_of_many: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its next pod has the gate; the one that runs still refuses, and is restarted, after which it is told while it runs."""
    place.converge("stage", consumer_id, consumer_hybrid_peer_updates=True)
    first, elsewhere = uid(kubelet), NOBODY.replace("0b", "0d")
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"third": elsewhere}, {}))
    with restarts_of(kubelet) as deleted:
        refused = peers(place, restart="fallback", connect_timeout=0, restart_timeout=60, restart_pause=0)
    assert refused["action"] == "restarted"
    assert "it could not be told whom to dial" in refused["reason"]
    assert deleted == [first]
    pod, second = kubelet.pod, uid(kubelet)
    assert pod is not None
    assert [one["name"] for one in pod["spec"]["initContainers"]] == ["rpc-gate"]
    assert "--rpc.laddr=tcp://127.0.0.1:26667" in pod["spec"]["containers"][0]["command"]
    wait_for("blocks", lambda: kubelet.process.height() >= 1)
    # The second one is nobody's name: the node takes the others all the same.
    moved, nameless = NOBODY.replace("0b", "0e"), f"{'0f' * 20}@nobody.invalid:26656"
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"third": moved, "fourth": nameless}, {}))
    predicted = peers(place, check_mode=True, restart="fallback")
    assert (predicted["action"], predicted["configured"]) == ("dialled", [elsewhere])
    for action in ("dialled", "dialled"):
        told = peers(place, restart="fallback", connect_timeout=0, restart_pause=0)
        assert (told["action"], told["missing"]) == (action, [moved, nameless])
        assert "was told the address and goes on dialling" in told["reason"]
    assert uid(kubelet) == second
    heard = [
        line for line in kubelet.process.log.read_text(errors="replace").splitlines() if "persistent peers" in line
    ]
    assert moved in heard[-1]
    assert nameless in heard[-1]
    assert elsewhere not in heard[-1]
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({}, {}))
    gone = peers(place, restart="fallback", connect_timeout=0)
    assert (gone["action"], gone["reason"]) == ("configured", "other peers are announced than were written down")


def test_the_playbooks(place: MonitorPlace, consumer_id: str, kubelet: Kubelet) -> None:
    """No kubelet forwards a port here, so that the node cannot be asked: said, and no reason to fail where it need not be."""
    event = "6e9c2f0e-7a51-5d2c-9d5a-0d1f6f1b2c3d"
    write_config(place, consumer_id, with_peers(text_of(place, consumer_id), [STALE]))
    place.run_playbook("validator_endpoint_changed", event_uuid=event)
    assert config_of(place, consumer_id)["p2p"]["persistent_peers"] == ""
    receipt = place.get("ConfigMap", "endpoints", MONITOR)
    assert receipt is not None
    assert (receipt["data"]["event_uuid"], receipt["data"]["event_outcome"]) == (event, "done")
    done = place.playbook("check_endpoint_sync")
    assert done.returncode != 0
    assert "out of sync: consumer" in done.stdout
    done = place.playbook("update_consumer", consumer_ids="7777")
    assert done.returncode != 0
    assert "no node of consumer 7777 runs here" in " ".join(done.stdout.split())
    assert "announce no p2p=" in place.run_playbook("validator_endpoints")


def test_without_the_right_operator_nothing_is_written(place: MonitorPlace, consumer_id: str) -> None:
    with pytest.raises(InvalidInput, match="no validator of the provider chain"):
        run(place, consumer_peers, operator_address="cosmosvaloper1nobody")


def test_before_an_opt_in_the_cluster_is_asked(place: MonitorPlace) -> None:
    """The namespace could be made, and is not; that of another validator could not, says the cluster's own policy."""
    other = place.create_consumer(spawn_in=3600)
    place.converge("access", other)
    refused = place.run("access", other, interchain_validator="bob")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert f"The namespace bob-consumer-{other} could not be made in this cluster, nothing was changed" in said
    assert f"may only work in namespaces {VALIDATOR}-consumer-" in said
    for name in (VALIDATOR, "bob"):
        assert place.cluster.get("Namespace", f"{name}-consumer-{other}") is None


@pytest.mark.timeout(300)
def test_the_next_node_is_left_alone_when_the_one_before_does_not_come_back(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    other: tuple[str, Kubelet],
    one_of_many: None,
    not_told: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody starts the first one's next pod. Both lack the same peer."""
    other_id, second = other
    reach(monkeypatch, kubelet, second)
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"fifth": NOBODY}, {}))
    before = uid(second)
    found = run(place, consumer_peers, restart="fallback", connect_timeout=0, restart_timeout=1, restart_pause=0)
    assert [(one["consumer_id"], one["action"]) for one in found["consumers"]] == [
        (consumer_id, "restarted"),
        (other_id, "configured"),
    ]
    assert f"not now: the node of consumer {consumer_id} is not back" in found["consumers"][1]["reason"]
    assert len(found["problems"]) == 1
    assert (uid(second), place.memory(other_id)["peers_restarted"]) == (before, "")
    kubelet.finish()
    kubelet.start()
    wait_for("blocks", lambda: kubelet.process.height() >= 1)


def test_the_next_node_is_restarted_when_the_one_before_is_back(
    place: MonitorPlace,
    consumer_id: str,
    kubelet: Kubelet,
    other: tuple[str, Kubelet],
    one_of_many: None,
    not_told: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _other_id, second = other
    reach(monkeypatch, kubelet, second)
    elsewhere = NOBODY.replace("0b", "1a")
    monkeypatch.setattr(consumer_peers, "peers_of", lambda *_facts: Peers({"sixth": elsewhere}, {}))
    former = (uid(kubelet), uid(second))
    height = kubelet.process.height()
    at_second: list[tuple[str, bool, bool]] = []

    def look() -> None:
        at_second.append((uid(kubelet), node_restart.is_ready(kubelet.pod), kubelet.process.height() > height))

    with restarts_of(kubelet) as first_gone, restarts_of(second, look) as second_gone:
        found = run(place, consumer_peers, restart="fallback", connect_timeout=0, restart_timeout=60, restart_pause=0)
    assert found["problems"] == []
    assert [one["action"] for one in found["consumers"]] == ["restarted", "restarted"]
    assert (first_gone, second_gone) == ([former[0]], [former[1]])
    ((first, ready, risen),) = at_second
    assert first != former[0]
    assert ready
    assert risen


def test_the_playbook_that_waits_for_a_launch_sends_peers_to_the_pod(place: MonitorPlace, tmp_path: Path) -> None:
    """The playbook of the launch comes seconds later, and a node dials its peers when it starts."""
    warm = place.create_consumer(spawn_in=25, chain_id="warm-1")
    place.opt_in(warm)
    pod = Kubelet(place, warm, tmp_path / "home")

    def size() -> int:
        found = place.get("StatefulSet", "node", pod.namespace, "apps/v1")
        return 0 if found is None else int(found["spec"]["replicas"])

    with ThreadPoolExecutor() as pool:
        playing = pool.submit(place.run_playbook, "consumer_spawn_imminent", consumer_id=warm)
        wait_for("the start", lambda: size() == 1, 90)
        assert place.phase(warm) == "launched"
        pod.schedule()
        assert not playing.done()
        assert routed(place.cluster, warm) == []
        pod.tell_address("10.9.9.9")
        playing.result(timeout=60)
    assert routed(place.cluster, warm) == ["10.9.9.9"]
