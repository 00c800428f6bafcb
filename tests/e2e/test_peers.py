# SPDX-License-Identifier: GPL-3.0-or-later
"""Running nodes know where the others are, whatever these announce. The tests build on each other and run in the order of this file.

Alice, bob and charlie run a chain; at its launch charlie announces nonsense. His node has the id that follows from his moniker, which nobody announces.
Later nodes hear of each other in no other way than by announcements: alice's can be told whom to dial, bob's refuses it, and charlie's dials bob at most.
"""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
import tomllib
import urllib.error
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import tomli_w

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    address,
    announcement,
    consensus_key,
    peer_updates,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.catalogue import merged
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import derived_node_id
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_local_nodes_info,
    consumer_peers,
    node_routes,
    opt_in,
    validator_endpoint,
    validator_info,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from ansible_collections.interchain.security.plugins.module_utils.runner import Operation
from tests.operation import checked_options, known_options, run_operation
from tests.testbed.devnet import POWERS, Devnet
from tests.testbed.progress import say

pytestmark = pytest.mark.timeout(600)

CHAIN = "peers-1"
CHARLIE = derived_node_id("charlie", CHAIN)
# No gossip, and blocks that are far enough apart that a busy machine does not look like a pause.
QUIET = {"p2p": {"pex": False}, "consensus": {"timeout_commit": "3s"}}
NOBODY = "p2p.nowhere.svc"
# What charlie announces before the launch: an account that would make every node panic, and a zone that would keep every node from its start.
AT_LAUNCH = f"relayer={address.module_account('fee_collector', 'cosmos')} p2p=2001:db8::1%x],"
# What he announces later, and why he is left out for it.
HOSTILE = {
    AT_LAUNCH: "is not an IP address or a DNS name",
    f"p2p=2001:db8::1%]:1,{'ab' * 20}@10.96.0.1:443,{'cd' * 20}@[::2": "is not an IP address or a DNS name",
    "p2p=$(touch /tmp/hostile)": "is not an IP address or a DNS name",
    "p2p={{ lookup('pipe', 'touch /tmp/hostile') }}": "is not an IP address or a DNS name",
    "p2p=" * 70: "is not an IP address or a DNS name",
    "p2p=[2001:db8::1]": "is not an IP address or a DNS name",
    "p2p=192.0.2.1:26656": "is not an IP address or a DNS name",
    "p2p=192.0.2.1,@;": "is not an IP address or a DNS name",
    "p2p=127.0.0.1": "an address of its own machine",
    "p2p=::ffff:127.0.0.1": "an address of its own machine",
    f"node={'x' * 40} p2p=192.0.2.1": "is not 40 hexadecimal digits",
}


def usual(devnet: Devnet, name: str, operation: Operation) -> dict[str, Any]:
    """Return the options that a validator gives to every operation."""
    return known_options(
        operation.ARGUMENT_SPEC,
        provider_rpc_url=[devnet.rpc_url()],
        mnemonic_file=str(devnet.directory / f"{name}.mnemonic"),
        gas_prices="0.01stake",
        kubeconfig=str(devnet.kubeconfig),
        validator=name,
        operator_address=devnet.variables(name)["interchain_operator_address"],
    )


def operate(
    devnet: Devnet, name: str, operation: Operation, *, check_mode: bool = False, **options: Any
) -> dict[str, Any]:
    """Run an operation as a validator."""
    return run_operation(operation, check_mode=check_mode, **usual(devnet, name, operation), **options)


def write_details(devnet: Devnet, name: str, details: str) -> None:
    """Write any text into a validator's details, as a stranger would: not by way of what composes an announcement."""
    params = checked_options(validator_endpoint.ARGUMENT_SPEC, **usual(devnet, name, validator_endpoint))
    signer, client = connection.signer(params), connection.provider_client(params)

    def decide() -> Wanted | None:
        own = connection.own_validator(client, signer)
        if own.details == details:
            return None
        message = messages.staking_tx_pb2.MsgEditValidator(validator_address=own.operator_address)
        for field in ("moniker", "identity", "website", "security_contact"):
            setattr(message.description, field, validator_endpoint.UNCHANGED)
        message.description.details = details
        return Wanted(message, "cosmos.staking.v1beta1.MsgEditValidator")

    transaction.send_until(client, signer, decide)


def looked_at(devnet: Devnet, name: str, consumer_id: str) -> dict[str, Any]:
    """Return what the peers of a node should be and are; nothing is changed."""
    (entry,) = operate(devnet, name, consumer_peers, check_mode=True, consumer_id=consumer_id)["consumers"]
    found: dict[str, Any] = entry
    return found


def write_data(devnet: Devnet, what: str, namespace: str, data: Mapping[str, str]) -> None:
    devnet.kubectl("patch", what, "--namespace", namespace, "--type=merge", "--patch", json.dumps({"data": data}))


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet) -> Iterator[str]:
    """A consumer of all three that makes blocks; charlie's monitor rests afterwards."""
    found = devnet.get("secret", "node-key", "charlie-monitor")
    assert found is not None
    write_details(devnet, "charlie", AT_LAUNCH)
    # As the monitor ics-operator makes it.
    seed = hashlib.sha256(hashlib.sha256(f"ics-consumer-charlie-{CHAIN}".encode()).digest()).digest()
    file = consensus_key.from_seed(seed).node_key_file()
    write_data(
        devnet, "secret/node-key", "charlie-monitor", {"node_key.json": base64.b64encode(file.encode()).decode()}
    )
    hold_a_third(devnet, "bob")
    made = devnet.create_consumer(CHAIN, spawn_in=3600)
    stored = f"consumer-{made}-key"
    operate(devnet, "charlie", opt_in, consumer_id=made, key_namespace="charlie-monitor", key_secret=stored)
    devnet.await_members(made, tuple(POWERS))
    devnet.set_spawn_time(made, 10)
    devnet.await_height(tuple(POWERS), made, 2)
    with devnet.monitor_away("charlie"):
        yield made
        devnet.remove_consumer(made)
    write_data(devnet, "secret/node-key", "charlie-monitor", found["data"])
    write_details(devnet, "charlie", "")
    devnet.playbook("validator_endpoint", "charlie", interchain_provider_rpc_url=[devnet.rpc_url()])


def run_of(devnet: Devnet, name: str, consumer_id: str) -> tuple[str, int]:
    """Return which run of a node it is: its pod's uid, and how often its container was started again."""
    pod = devnet.get("pod", "node-0", f"{name}-consumer-{consumer_id}") or {}
    status = (pod.get("status", {}).get("containerStatuses") or [{}])[0]
    return str(pod.get("metadata", {}).get("uid", "")), int(status.get("restartCount", -1))


def pods_made(devnet: Devnet, name: str, consumer_id: str) -> int:
    """Return how many pods the StatefulSet of a node has made so far."""
    fields = "involvedObject.kind=StatefulSet,involvedObject.name=node,reason=SuccessfulCreate"
    where = ("--namespace", f"{name}-consumer-{consumer_id}", "--field-selector", fields)
    return sum(
        int(event["count"]) for event in json.loads(devnet.kubectl("get", "events", *where, "-o", "json"))["items"]
    )


def config_of(devnet: Devnet, name: str, consumer_id: str) -> str:
    """Return the config.toml in a node's ConfigMap."""
    found = devnet.get("configmap", "config", f"{name}-consumer-{consumer_id}")
    assert found is not None
    return str(found["data"]["config.toml"])


def set_config(devnet: Devnet, name: str, consumer_id: str, settings: Mapping[str, Any]) -> None:
    """Write settings into a node's ConfigMap; they count from its next start on."""
    config = merged(tomllib.loads(config_of(devnet, name, consumer_id)), settings)
    write_data(devnet, "configmap/config", f"{name}-consumer-{consumer_id}", {"config.toml": tomli_w.dumps(config)})


def node_url(devnet: Devnet, name: str, consumer_id: str) -> str:
    service = devnet.get("service", "node", f"{name}-consumer-{consumer_id}")
    assert service is not None
    return f"http://{service['spec']['clusterIP']}:26657"


def peers_of(devnet: Devnet, name: str, consumer_id: str) -> dict[str, bool]:
    """Return the node ids that a node is connected to, and whether it has dialled them itself; nothing while it does not answer."""
    try:
        found = devnet.rpc("net_info", node_url(devnet, name, consumer_id))["peers"]
    except OSError:
        return {}
    return {peer["node_info"]["id"]: peer["is_outbound"] for peer in found}


def follow_pod(devnet: Devnet, name: str) -> None:
    """Send peers to the pods that a validator's nodes have now, as its monitor does at each check."""
    found = operate(devnet, name, node_routes, wait_timeout=60)
    assert not found["problems"], found


def block_times(devnet: Devnet, consumer_id: str, first: int, last: int) -> list[float]:
    """Return the seconds between the blocks of a consumer from one height to another."""
    url = node_url(devnet, "alice", consumer_id)
    times = [
        parse_time(devnet.rpc(f"header?height={height}", url)["header"]["time"]) for height in range(first, last + 1)
    ]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def provider_power(devnet: Devnet, name: str) -> int:
    """Return a validator's power on the provider: tests of other files delegate to it."""
    (validator,) = operate(devnet, name, validator_info)["validators"]
    return int(validator["tokens"]) // 1_000_000


def hold_a_third(devnet: Devnet, name: str) -> None:
    """Give a validator a third of the power on the provider, if it has less."""
    own = provider_power(devnet, name)
    lacking = (sum(provider_power(devnet, other) for other in POWERS if other != name) - 2 * own + 1) // 2
    if lacking > 0:
        operator = devnet.variables(name)["interchain_operator_address"]
        devnet.transact(name, "staking", "delegate", operator, f"{lacking * 1_000_000}stake")


def test_nonsense_leaves_out_its_validator_alone_and_says_why(devnet: Devnet, consumer_id: str) -> None:
    charlie = devnet.variables("charlie")["interchain_operator_address"]
    runs = {name: run_of(devnet, name, consumer_id) for name in POWERS}
    nodes = {
        name: announcement.parse(operate(devnet, name, validator_info)["validators"][0]["details"]).node
        for name in ("alice", "bob")
    }
    copied = {
        f"node={nodes['alice']} p2p=192.0.2.1": "the one that this validator announces itself",
        f"node={nodes['bob']} p2p=192.0.2.1": "the one of cosmosvaloper",
    }
    for details, reason in {**HOSTILE, **copied, "": "announce no p2p="}.items():
        write_details(devnet, "charlie", details)
        found = looked_at(devnet, "alice", consumer_id)
        assert [entry["operator_address"] for entry in found["skipped"]] == [charlie], details
        assert reason in found["skipped"][0]["reason"], details
        assert len(found["wanted"]) == 1
        assert found["in_sync"], found
    assert {name: run_of(devnet, name, consumer_id) for name in POWERS} == runs
    assert "announce no p2p=" in devnet.playbook("check_endpoint_sync", "alice", consumer_id=consumer_id)
    for name in ("alice", "bob"):
        looked = ("exec", "monitor-0", "--namespace", f"{name}-monitor", "--", "ls", "-A", "/tmp")
        assert "hostile" not in devnet.kubectl(*looked)


def test_whose_nodes_have_which_power(devnet: Devnet, consumer_id: str) -> None:
    found = operate(devnet, "alice", consumer_local_nodes_info, consumer_id=consumer_id)
    assert [(one["validator"], one["power"], one["up"]) for one in found["nodes"]] == [
        (name, provider_power(devnet, name), True) for name in sorted(POWERS)
    ]
    assert [one["pod_uid"] for one in found["nodes"]] == [
        run_of(devnet, name, consumer_id)[0] for name in sorted(POWERS)
    ]
    assert all(one["rising_height"] > 0 for one in found["nodes"])
    assert found["refusal"] == ""


def test_a_node_is_left_alone_while_another_one_is_down(devnet: Devnet, consumer_id: str) -> None:
    """Charlie's can run nowhere for a while. Of a power of twelve, alice's six and bob's four would leave too little each."""
    place = f"charlie-consumer-{consumer_id}"

    def place_on(selector: dict[str, str] | None) -> None:
        patch = json.dumps({"spec": {"template": {"spec": {"nodeSelector": selector}}}})
        devnet.kubectl("patch", "statefulset/node", "--namespace", place, "--type=merge", "--patch", patch)
        # The controller replaces no pod that is not ready.
        devnet.kubectl("delete", "pod", "node-0", "--namespace", place, "--ignore-not-found")

    def down() -> list[str]:
        found = operate(devnet, "alice", consumer_local_nodes_info, consumer_id=consumer_id)
        return [one["validator"] for one in found["nodes"] if not one["up"]]

    # Other settings for the pod as well: it would be restarted.
    options = {"consumer_ids": consumer_id, "interchain_catalogue": [{"config": QUIET}]}
    advice = "which is not more than two thirds: bring back first the node of charlie"
    runs = {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")}
    configs = {name: config_of(devnet, name, consumer_id) for name in runs}
    # Without the look back, which ends a node that is back within some blocks of its last signature.
    set_config(devnet, "charlie", consumer_id, {"consensus": {"double_sign_check_height": 0}})
    place_on({"interchain-security/nowhere": "true"})
    devnet.wait("charlie's node to be down", lambda: down() == ["charlie"], 60, "make status")
    for name in runs:
        done = devnet.run_playbook("update_consumer", name, options)
        said = " ".join(done.stdout.split())
        assert done.returncode != 0, said
        assert f"The node of consumer {consumer_id} was left alone: without the node of {name}" in said
        assert f"{advice}. With interchain_hosts or consumer_ids they can be updated in another order" in said
    predicted = devnet.run_playbook("update_consumer", "bob", options, arguments=("--check",))
    said = " ".join(predicted.stdout.split())
    assert predicted.returncode == 0, said
    assert (
        f"The node of consumer {consumer_id} would be left alone as the nodes are now: without the node of bob" in said
    )
    assert advice in said
    assert {name: run_of(devnet, name, consumer_id) for name in runs} == runs
    assert {name: config_of(devnet, name, consumer_id) for name in runs} == configs

    place_on(None)
    devnet.wait("charlie's node to be up", lambda: down() == [], 120, f"kubectl --namespace {place} logs node-0")
    follow_pod(devnet, "charlie")
    # All that run, as none is named.
    assert f"The node of consumer {consumer_id} needs no restart" in " ".join(
        devnet.playbook("update_consumer", "bob").split()
    )
    assert run_of(devnet, "bob", consumer_id) == runs["bob"]


def test_a_node_gets_its_gate_by_one_restart(devnet: Devnet, consumer_id: str) -> None:
    """By hand, with other settings in the same go. What is safe is answered from outside, and nothing else."""
    write_details(devnet, "charlie", f"p2p={NOBODY}")
    made = pods_made(devnet, "alice", consumer_id)
    options = {"interchain_catalogue": [{"config": QUIET}], "interchain_hybrid_peer_updates": True}
    output = devnet.playbook("update_consumer", "alice", consumer_ids=consumer_id, **options)
    assert "was restarted" in " ".join(output.split()), output
    assert pods_made(devnet, "alice", consumer_id) == made + 1
    pod = devnet.get("pod", "node-0", f"alice-consumer-{consumer_id}")
    assert pod is not None
    address = pod["status"]["podIP"]
    assert devnet.rpc("status", f"http://{address}:26657")["sync_info"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        devnet.rpc("dial_peers", f"http://{address}:26657")
    with pytest.raises(OSError, match="refused"):
        devnet.rpc("status", f"http://{address}:26667")


def test_a_validator_that_moves_is_dialled_without_a_restart_and_without_a_pause(
    devnet: Devnet, consumer_id: str
) -> None:
    """So far charlie is where nobody finds him, and known to the chain because he has dialled bob. Now he announces where he is."""
    place = f"bob-consumer-{consumer_id}"
    (bob,) = (peer for peer in looked_at(devnet, "alice", consumer_id)["wanted"] if NOBODY not in peer)
    # Without the look back, which keeps a node of little power waiting for some blocks after a restart.
    settings = {"p2p": {"persistent_peers": bob}, "consensus": {"double_sign_check_height": 0}}
    set_config(devnet, "charlie", consumer_id, merged(QUIET, settings))
    set_config(devnet, "bob", consumer_id, QUIET)
    devnet.kubectl("delete", "pod", "node-0", "--namespace", f"charlie-consumer-{consumer_id}")
    # Bob's node has a gate too, but not the call that it would be told by.
    alice = devnet.get("statefulset", "node", f"alice-consumer-{consumer_id}")
    assert alice is not None
    template = alice["spec"]["template"]["spec"]
    command = [part for part in template["containers"][0]["command"] if not part.startswith("--rpc.unsafe")]
    pod = {"initContainers": template["initContainers"], "containers": [{"name": "node", "command": command}]}
    patch = json.dumps({"spec": {"template": {"spec": pod}}})
    devnet.kubectl("patch", "statefulset/node", "--namespace", place, "--patch", patch)
    devnet.kubectl("rollout", "status", "statefulset/node", "--namespace", place, "--timeout=90s")
    for name in ("bob", "charlie"):
        follow_pod(devnet, name)
    devnet.wait(
        "charlie's node to be connected to bob's alone",
        lambda: CHARLIE in peers_of(devnet, "bob", consumer_id) and len(peers_of(devnet, "alice", consumer_id)) == 1,
        90,
        "make logs",
    )
    assert CHARLIE not in peers_of(devnet, "alice", consumer_id)
    before = devnet.node_height("alice", consumer_id) + 2  # the chain may have waited for bob
    devnet.await_height(("alice",), consumer_id, before + 5)

    runs = {name: run_of(devnet, name, consumer_id) for name in POWERS}
    first = devnet.node_height("alice", consumer_id)
    write_details(devnet, "charlie", f"p2p={devnet.addresses['charlie']}")
    devnet.wait(
        "alice's node to have dialled charlie's",
        lambda: peers_of(devnet, "alice", consumer_id).get(CHARLIE, False),
        90,
        "make logs",
    )
    for name in ("alice", "bob"):
        devnet.wait(
            f"{name}'s peers to be in sync",
            lambda name=name: (
                (found := looked_at(devnet, name, consumer_id))["in_sync"]
                and any(devnet.addresses["charlie"] in peer for peer in found["wanted"])
            ),
            60,
            "make logs",
        )
    last = devnet.node_height("alice", consumer_id) + 2
    devnet.await_height(("alice",), consumer_id, last)
    assert {name: run_of(devnet, name, consumer_id) for name in POWERS} == runs
    gaps = block_times(devnet, consumer_id, before, last)
    pause, usual = max(gaps[first - before :]), statistics.median(gaps)
    say(f"  the longest time between two blocks was {pause:.2f} s, {usual:.2f} s is usual")
    assert pause <= 3 * usual, gaps


def test_a_node_that_refuses_to_dial_is_left_alone_when_the_chain_needs_it(devnet: Devnet, consumer_id: str) -> None:
    """Bob has a third of the power. Charlie's node dials nobody any more, and he announces another name of the same place."""
    set_config(devnet, "charlie", consumer_id, {"p2p": {"persistent_peers": ""}})
    devnet.kubectl("delete", "pod", "node-0", "--namespace", f"charlie-consumer-{consumer_id}")
    follow_pod(devnet, "charlie")
    devnet.wait(
        "alice's node to have dialled charlie's, and bob's to be without it",
        lambda: (
            peers_of(devnet, "alice", consumer_id).get(CHARLIE, False)
            and CHARLIE not in peers_of(devnet, "bob", consumer_id)
        ),
        90,
        "make logs",
    )
    runs = {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")}
    write_details(devnet, "charlie", "p2p=p2p.charlie-monitor.svc")

    def told() -> bool:
        lines = devnet.kubectl("logs", "monitor-0", "--namespace", "bob-monitor").splitlines()
        parts = ("p2p.charlie-monitor.svc", "it could not be told whom to dial", "without it there is no block")
        return any(all(part in line for part in parts) for line in lines)

    devnet.wait("bob's monitor to say that and why it leaves the node alone", told, 180, "make logs")
    assert "p2p.charlie-monitor.svc" in config_of(devnet, "bob", consumer_id)
    assert CHARLIE not in peers_of(devnet, "bob", consumer_id)
    assert {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")} == runs


def test_a_node_that_the_chain_can_do_without_is_restarted(
    devnet: Devnet, consumer_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charlie's, which does not know where the others are, and has no gate. His monitor rests, so it is asked by hand at his turn."""
    monkeypatch.setattr(peer_updates, "TURN", timedelta(seconds=20))
    monkeypatch.setattr(peer_updates, "TURN_BEGINS_WITHIN", timedelta(seconds=20))
    # What his monitor had under way when it went to rest is nobody's concern now.
    monkeypatch.setattr(consumer_peers, "busy_consumers", lambda _cursor: frozenset())
    assert provider_power(devnet, "charlie") * 3 < sum(provider_power(devnet, name) for name in POWERS)
    place = f"charlie-consumer-{consumer_id}"
    runs = {name: run_of(devnet, name, consumer_id) for name in POWERS}

    def restarted() -> bool:
        (entry,) = operate(devnet, "charlie", consumer_peers, consumer_id=consumer_id, restart="fallback")["consumers"]
        say(f"  {entry['action']}: {entry['reason']}")
        return str(entry["action"]) == "restarted"

    devnet.wait("charlie's turn", restarted, 180, f"kubectl --namespace {place} describe pod node-0")
    follow_pod(devnet, "charlie")
    devnet.wait(
        "charlie's node to have dialled bob's",
        lambda: CHARLIE in peers_of(devnet, "bob", consumer_id),
        90,
        "make logs",
    )
    assert run_of(devnet, "charlie", consumer_id)[0] != runs["charlie"][0]
    assert {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")} == {
        name: runs[name] for name in ("alice", "bob")
    }
    bob = devnet.variables("bob")["interchain_operator_address"]
    assert bob in json.loads(devnet.decision("charlie", consumer_id)["peers_restarted"])
    height = devnet.node_height("alice", consumer_id)
    devnet.await_height(tuple(POWERS), consumer_id, height + 2)
