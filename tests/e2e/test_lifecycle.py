# SPDX-License-Identifier: GPL-3.0-or-later
"""A consumer's life, driven by the monitors alone. The tests build on each other and run in the order of this file."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer as consumer_operation
from tests.testbed.devnet import POWERS, Devnet

# Launches wait for block times and spawn times; a hang still ends here.
pytestmark = pytest.mark.timeout(900)

MEMBERS = ("alice", "bob")
CHAIN_ID = "life-1"
HOSTILE = {
    "chain_id": "{{ lookup('pipe','touch /tmp/x') }}/../$(id)-1",
    "name": "$ANSIBLE_VAULT;1.1;AES256\n3132",
    "description": "../../x $(touch /tmp/x) `touch /tmp/x`\nkind: Secret\n",
    "metadata": "{{ 1/0 }}\n- hosts: all\n  tasks: !unsafe [x]\n{% for x in [] %}",
}


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What later tests need of earlier ones: consumer_ids by the name of their part."""
    return {}


def operator(devnet: Devnet, name: str) -> str:
    """Return a validator's operator address."""
    return devnet.variables(name)["interchain_operator_address"]


def wait_remembered(devnet: Devnet, consumer_id: str, phase: str) -> None:
    """Wait until every monitor has dealt with a phase; those that stayed out too, in whose cluster part there is nothing to do."""
    for name in POWERS:
        devnet.wait(
            f"{name}'s memory of the phase {phase}",
            lambda name=name: devnet.decision(name, consumer_id)["phase"] == phase,  # type: ignore[misc]
            90,
            "make logs",
        )


def genesis_hashes(devnet: Devnet, consumer_id: str) -> set[str]:
    """Return the content hashes of both members' genesis."""
    found = [devnet.get("configmap", "genesis", f"{name}-consumer-{consumer_id}") for name in MEMBERS]
    return {entry["metadata"]["annotations"]["interchain-security/genesis-hash"] if entry else "" for entry in found}


def load_balancer(devnet: Devnet, name: str) -> tuple[dict[str, int], set[str], str]:
    """Return the ports of a validator's load balancer, the EndpointSlices that lead them to nodes, and its address."""
    where = ("--namespace", f"{name}-monitor", "--selector", "kubernetes.io/service-name=p2p", "--output", "name")
    slices = devnet.kubectl("get", "endpointslices", *where).split()
    service = devnet.get("service", "p2p", f"{name}-monitor")
    assert service is not None
    (ingress,) = service["status"]["loadBalancer"]["ingress"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    return ports, {entry.rpartition("/")[2] for entry in slices}, str(ingress["ip"])


def create_hostile(devnet: Devnet) -> str:
    """Create the consumer of injections straight through the module's function: no shell and no template in between."""
    made = devnet.operate(
        consumer_operation,
        mnemonic_file=str(devnet.directory / "owner.mnemonic"),
        spawn_time="+3600s",
        **HOSTILE,
    )
    assert isinstance(made["consumer_id"], str)
    return made["consumer_id"]


def kill_monitor(devnet: Devnet, name: str) -> None:
    """End a monitor's pod by force: SIGTERM, and SIGKILL after the two seconds that the kubelet grants at least."""
    devnet.kubectl("delete", "pod", "monitor-0", "--namespace", f"{name}-monitor", "--force", "--grace-period=0")


def decided(devnet: Devnet, consumer_id: str, names: tuple[str, ...] = tuple(POWERS)) -> bool:
    return all(devnet.decision(name, consumer_id).get("decision") for name in names)


def test_the_selection_opts_in_and_the_others_say_why_not(devnet: Devnet, seen: dict[str, str]) -> None:
    # The launch is set once both are in, however busy the machine is: who comes later is in no initial set.
    consumer_id = seen["life"] = devnet.create_consumer(CHAIN_ID, spawn_in=3600)
    devnet.wait("decisions", lambda: decided(devnet, consumer_id), 60, "make logs")
    assert devnet.decision("alice", consumer_id)["decision"] == "opt_in"
    assert devnet.decision("bob", consumer_id)["decision"] == "opt_in"
    charlie = devnet.decision("charlie", consumer_id)
    assert charlie["decision"] == "stay_out"
    assert "rank 3 of 3" in charlie["reason"]
    members = sorted(operator(devnet, name) for name in MEMBERS)
    devnet.wait("opt-ins", lambda: devnet.consumer(consumer_id)["opted_in"] == members, 60, "make logs")
    devnet.set_spawn_time(consumer_id, 15)


def test_both_nodes_start_from_the_same_genesis_and_sign(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["life"]
    devnet.await_launch(consumer_id, 120)
    # Once each. The node's index of transactions comes a moment after the block.
    assert devnet.opt_in_count(consumer_id) == dict.fromkeys((operator(devnet, name) for name in MEMBERS), 1)
    devnet.await_height(MEMBERS, consumer_id, 20)
    hashes = genesis_hashes(devnet, consumer_id)
    assert len(hashes) == 1
    assert "" not in hashes
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    assert service is not None
    url = f"http://{service['spec']['clusterIP']}:26657"
    keys = set()
    for name in MEMBERS:
        secret = devnet.get("secret", f"consumer-{consumer_id}-key", f"{name}-monitor")
        assert secret is not None
        keys.add(json.loads(base64.b64decode(secret["data"]["priv_validator_key.json"]))["pub_key"]["value"])
    validators = devnet.rpc("validators?height=20", url)["validators"]
    assert {entry["pub_key"]["value"] for entry in validators} == keys
    provider_keys = {entry["pub_key"]["value"] for entry in devnet.rpc("validators")["validators"]}
    assert not keys & provider_keys
    # Flag 2: the validator signed this very block. Both do, at the latest in one of these commits.
    signed: set[str] = set()
    for height in range(10, 20):
        commit = devnet.rpc(f"commit?height={height}", url)["signed_header"]["commit"]
        signed |= {entry["validator_address"] for entry in commit["signatures"] if entry["block_id_flag"] == 2}
    assert signed == {entry["address"] for entry in validators}
    assert devnet.get("namespace", f"charlie-consumer-{consumer_id}") is None


def test_running_the_launch_again_changes_nothing(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["life"]
    before = devnet.get("statefulset", "node", f"alice-consumer-{consumer_id}")
    output = devnet.playbook("consumer_launched", "alice", consumer_id=consumer_id)
    after = devnet.get("statefulset", "node", f"alice-consumer-{consumer_id}")
    assert before is not None
    assert after is not None
    assert before["metadata"]["generation"] == after["metadata"]["generation"], output


def test_a_removed_consumer_stops_and_keeps_its_data(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["life"]
    balanced = {name: load_balancer(devnet, name) for name in MEMBERS}
    for name, (ports, slices, address) in balanced.items():
        assert ports[f"consumer-{consumer_id}"] == ports_of(CHAIN_ID).p2p
        assert ports["provider"] == 26656
        assert f"p2p-consumer-{consumer_id}" in slices
        assert address == devnet.addresses[name]
    devnet.playbook("remove_consumer", None, consumer_id=consumer_id)
    assert devnet.consumer(consumer_id)["phase"] == "stopped"
    for name in MEMBERS:
        namespace = f"{name}-consumer-{consumer_id}"
        devnet.wait(
            f"{name}'s node to stop",
            lambda namespace=namespace: devnet.get("pod", "node-0", namespace) is None,
            90,
            "make logs",  # type: ignore[misc]
        )
        stateful_set = devnet.get("statefulset", "node", namespace)
        assert stateful_set is not None
        assert stateful_set["spec"]["replicas"] == 0
        assert devnet.get("persistentvolumeclaim", "data", namespace) is not None
    wait_remembered(devnet, consumer_id, "stopped")
    # Its port is free again; nothing else of the load balancer is another one.
    for name, (ports, slices, address) in balanced.items():
        del ports[f"consumer-{consumer_id}"]
        slices.remove(f"p2p-consumer-{consumer_id}")
        assert load_balancer(devnet, name) == (ports, slices, address)


def test_the_same_chain_id_again_gets_its_own_resources(devnet: Devnet, seen: dict[str, str]) -> None:
    """Meanwhile one monitor is killed between opt-in and launch, and a provider node is restarted."""
    consumer_id = seen["again"] = devnet.create_consumer(CHAIN_ID, spawn_in=3600, allow_duplicate=True)
    assert consumer_id != seen["life"]
    devnet.await_members(consumer_id, MEMBERS)
    devnet.set_spawn_time(consumer_id, 15)
    kill_monitor(devnet, "alice")
    devnet.kubectl("delete", "pod", "node-0", "--namespace", "bob-provider", "--wait=false")
    devnet.await_launch(consumer_id, 180)
    devnet.await_height(MEMBERS, consumer_id, 3)
    assert devnet.opt_in_count(consumer_id) == dict.fromkeys((operator(devnet, name) for name in MEMBERS), 1)
    assert len(genesis_hashes(devnet, consumer_id)) == 1
    volumes = set()
    for part in ("life", "again"):
        claim = devnet.get("persistentvolumeclaim", "data", f"alice-consumer-{seen[part]}")
        if claim is not None:  # the first one may be deleted by now
            volumes.add(claim["spec"]["volumeName"])
    again = devnet.get("secret", f"consumer-{consumer_id}-key", "alice-monitor")
    first = devnet.get("secret", f"consumer-{seen['life']}-key", "alice-monitor")
    assert again is not None
    assert first is not None
    assert again["data"] != first["data"]
    assert volumes


def test_a_deleted_consumer_is_gone_but_its_key(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["life"]
    devnet.wait("the deletion", lambda: devnet.consumer(consumer_id)["phase"] == "deleted", 240, "make logs")
    for name in MEMBERS:
        namespace = f"{name}-consumer-{consumer_id}"
        devnet.wait(
            f"namespace {namespace} to go",
            lambda namespace=namespace: devnet.get("namespace", namespace) is None,
            120,
            "make logs",  # type: ignore[misc]
        )
        assert devnet.get("secret", f"consumer-{consumer_id}-key", f"{name}-monitor") is not None
    wait_remembered(devnet, consumer_id, "deleted")
    # The second consumer of the same chain_id goes on.
    height = devnet.node_height("alice", seen["again"])
    devnet.wait("more blocks", lambda: devnet.node_height("alice", seen["again"]) > height, 60, "make logs")


def test_injections_are_data(devnet: Devnet, seen: dict[str, str]) -> None:
    """The hostile consumer launches; meanwhile a monitor is killed during the deployment."""
    consumer_id = seen["hostile"] = create_hostile(devnet)
    devnet.await_members(consumer_id, MEMBERS)
    devnet.set_spawn_time(consumer_id, 15)
    devnet.await_launch(consumer_id, 120)
    kill_monitor(devnet, "bob")
    devnet.await_height(MEMBERS, consumer_id, 3)
    assert len(genesis_hashes(devnet, consumer_id)) == 1
    members = sorted(operator(devnet, name) for name in MEMBERS)
    assert devnet.opt_in_count(consumer_id) == dict.fromkeys(members, 1)
    namespace = devnet.get("namespace", f"alice-consumer-{consumer_id}")
    assert namespace is not None
    assert namespace["metadata"]["annotations"]["interchain-security/chain-id"] == HOSTILE["chain_id"]
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    assert service is not None
    assert (
        devnet.rpc("status", f"http://{service['spec']['clusterIP']}:26657")["node_info"]["network"]
        == HOSTILE["chain_id"]
    )
    for name in MEMBERS:
        namespaced = ("--namespace", f"{name}-monitor", "monitor-0", "--")
        assert "x" not in devnet.kubectl("exec", *namespaced, "ls", "/tmp").split()
    record = devnet.consumer(consumer_id)
    assert {field: record[field] for field in HOSTILE} == HOSTILE
    names: list[str] = []
    for kind in ("secrets", "configmaps", "services", "statefulsets"):
        listed: dict[str, Any] = json.loads(
            devnet.kubectl("get", kind, "--namespace", f"alice-consumer-{consumer_id}", "--output", "json")
        )
        names += [entry["metadata"]["name"] for entry in listed["items"]]
    assert sorted(set(names)) == [  # no relayer: Hermes does not start with such a chain_id
        "base-genesis",
        "config",
        "genesis",
        "keys",
        "kube-root-ca.crt",
        "node",
        "settings",
    ]


def test_a_used_port_is_a_reason_to_stay_out_and_a_launch_without_opt_ins_is_reported(
    devnet: Devnet, seen: dict[str, str]
) -> None:
    """A third consumer of a chain_id that runs here: nobody opts in, its launch fails, and the provider tells that by no event."""
    consumer_id = devnet.create_consumer(CHAIN_ID, spawn_in=20, allow_duplicate=True)
    devnet.wait("decisions", lambda: decided(devnet, consumer_id), 60, "make logs")
    for name in MEMBERS:
        decision = devnet.decision(name, consumer_id)
        assert decision["decision"] == "stay_out"
        assert f"already used by consumer {seen['again']}" in decision["reason"]
    for name in POWERS:
        devnet.wait(
            f"{name}'s report of the failed launch",
            lambda name=name: devnet.decision(name, consumer_id).get("launch_failed") == "true",  # type: ignore[misc]
            120,
            "make logs",
        )
        assert "no active validator had opted in" in devnet.decision(name, consumer_id)["launch_failed_reason"]
    assert devnet.consumer(consumer_id)["phase"] == "registered"
    assert devnet.consumer(consumer_id)["opted_in"] == []
    done = devnet.run_playbook("remove_consumer", None, {"consumer_id": consumer_id})
    assert done.returncode != 0
    assert "has to be in its launched phase" in " ".join(done.stdout.split())


def test_status_shows_what_every_monitor_decided(devnet: Devnet, seen: dict[str, str]) -> None:
    output = devnet.playbook("status", None)
    for name in POWERS:
        assert name in output
    assert "stay_out" in output
    assert "launched" in output
