# SPDX-License-Identifier: GPL-3.0-or-later
"""Running nodes know where the others are, whatever these announce. The tests build on each other and run in the order of this file.

Alice, bob and charlie run a chain. At its launch charlie announces nonsense, and his node, whose id is the one that follows from his moniker, dials
nobody. Alice's node can be told whom to dial, bob's cannot. Nodes do not hear of each other in any other way. Without charlie the chain still has
more than two thirds of its power.
"""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
import tomllib
import urllib.error
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import tomli_w
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.catalogue import merged
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import peers_in
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import derived_node_id
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_local_nodes_info,
    consumer_peers,
    node_routes,
    opt_in,
    validator_endpoint,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.testbed.devnet import POWERS, Devnet

pytestmark = pytest.mark.timeout(600)

CHAIN = "peers-1"
NO_GOSSIP = {"p2p": {"pex": False}}
# What charlie announces, and why he is left out for it.
HOSTILE = {
    "p2p=$(touch /tmp/hostile)": "is not an IP address or a DNS name",
    "p2p={{ lookup('pipe', 'touch /tmp/hostile') }}": "is not an IP address or a DNS name",
    "p2p=" * 70: "is not an IP address or a DNS name",
    "p2p=[2001:db8::1]": "is not an IP address or a DNS name",
    "p2p=192.0.2.1:26656": "is not an IP address or a DNS name",
    "p2p=192.0.2.1,@;": "is not an IP address or a DNS name",
    "p2p=127.0.0.1": "an address of its own machine",
    f"node={'x' * 40} p2p=192.0.2.1": "is not 40 hexadecimal digits",
    "": "announce no p2p=",
}


def parameters(devnet: Devnet, name: str, operation: Any, **options: Any) -> dict[str, Any]:
    """Return the checked options of an operation, given as a validator would."""
    given = {
        "provider_rpc_url": [devnet.rpc_url()],
        "mnemonic_file": str(devnet.directory / f"{name}.mnemonic"),
        "gas_prices": "0.01stake",
        "kubeconfig": str(devnet.kubeconfig),
        "validator": name,
        "operator_address": devnet.variables(name)["interchain_operator_address"],
        **options,
    }
    given = {option: value for option, value in given.items() if option in operation.ARGUMENT_SPEC}
    validated = ArgumentSpecValidator(operation.ARGUMENT_SPEC).validate(given)
    assert not validated.error_messages, validated.error_messages
    found: dict[str, Any] = validated.validated_parameters
    return found


def write_details(devnet: Devnet, name: str, details: str) -> None:
    """Write any text into a validator's details, as a stranger would: not by way of what composes an announcement."""
    params = parameters(devnet, name, validator_endpoint, p2p="unused.example.com")
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
    params = parameters(devnet, name, consumer_peers, consumer_id=consumer_id)
    (entry,) = consumer_peers.run(params, True)["consumers"]
    found: dict[str, Any] = entry
    return found


def write_object(devnet: Devnet, kind: str, name: str, namespace: str, data: dict[str, str]) -> None:
    patch = json.dumps({"data": data})
    devnet.kubectl("patch", kind, name, "--namespace", namespace, "--type=merge", "--patch", patch)


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet) -> Iterator[str]:
    """A consumer of all three that makes blocks; charlie's monitor rests afterwards."""
    found = devnet.get("secret", "node-key", "charlie-monitor")
    assert found is not None
    write_details(devnet, "charlie", min(HOSTILE))
    # As the monitor ics-operator makes it; nobody announces that one.
    seed = hashlib.sha256(hashlib.sha256(f"ics-consumer-charlie-{CHAIN}".encode()).digest()).digest()
    key = consensus_key.from_seed(seed)
    assert key.node_id == derived_node_id("charlie", CHAIN)
    write_object(
        devnet,
        "secret",
        "node-key",
        "charlie-monitor",
        {"node_key.json": base64.b64encode(key.node_key_file().encode()).decode()},
    )
    made = devnet.create_consumer(CHAIN, spawn_in=3600)
    stored = {"key_namespace": "charlie-monitor", "key_secret": f"consumer-{made}-key"}
    opt_in.run(parameters(devnet, "charlie", opt_in, consumer_id=made, **stored), False)
    devnet.await_members(made, tuple(POWERS))
    devnet.set_spawn_time(made, 10)
    for name in POWERS:
        await_height(devnet, name, made, 2)
    with devnet.monitor_away("charlie"):
        yield made
        devnet.remove_consumer(made)
    write_object(devnet, "secret", "node-key", "charlie-monitor", found["data"])
    write_details(devnet, "charlie", "")
    devnet.playbook("validator_endpoint", "charlie", interchain_provider_rpc_url=[devnet.rpc_url()])


def await_height(devnet: Devnet, name: str, consumer_id: str, height: int) -> None:
    where = f"kubectl logs --namespace {name}-consumer-{consumer_id} node-0"
    devnet.wait(
        f"height {height} of {name}'s node", lambda: devnet.node_height(name, consumer_id) >= height, 180, where
    )


def run_of(devnet: Devnet, name: str, consumer_id: str) -> tuple[str, int]:
    """Return which run of a node it is: its pod's uid, and how often its container was started again."""
    pod = devnet.get("pod", "node-0", f"{name}-consumer-{consumer_id}") or {}
    status = (pod.get("status", {}).get("containerStatuses") or [{}])[0]
    return str(pod.get("metadata", {}).get("uid", "")), int(status.get("restartCount", -1))


def config_of(devnet: Devnet, name: str, consumer_id: str) -> str:
    """Return the config.toml in a node's ConfigMap."""
    found = devnet.get("configmap", "config", f"{name}-consumer-{consumer_id}")
    assert found is not None
    return str(found["data"]["config.toml"])


def node_url(devnet: Devnet, name: str, consumer_id: str) -> str:
    service = devnet.get("service", "node", f"{name}-consumer-{consumer_id}")
    assert service is not None
    return f"http://{service['spec']['clusterIP']}:26657"


def peers_of(devnet: Devnet, name: str, consumer_id: str) -> dict[str, bool]:
    """Return the node ids that a node is connected to, and whether it has dialled them itself."""
    try:
        found = devnet.rpc("net_info", node_url(devnet, name, consumer_id))["peers"]
    except OSError:
        return {}
    return {peer["node_info"]["id"]: peer["is_outbound"] for peer in found}


def test_nonsense_leaves_out_its_validator_alone_and_says_why(devnet: Devnet, consumer_id: str) -> None:
    charlie = devnet.variables("charlie")["interchain_operator_address"]
    runs = {name: run_of(devnet, name, consumer_id) for name in POWERS}
    for details, reason in HOSTILE.items():
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
    params = parameters(devnet, "alice", consumer_local_nodes_info, consumer_id=consumer_id)
    found = consumer_local_nodes_info.run(params, False)
    assert found["nodes"] == [
        {"validator": name, "power": tokens // 1_000_000, "up": True} for name, tokens in sorted(POWERS.items())
    ]
    assert found["refusal"] == ""


def test_a_node_gets_its_gate_by_hand(devnet: Devnet, consumer_id: str) -> None:
    """By one restart, with other settings in the same go. What is safe is answered from outside, and nothing else."""
    before = run_of(devnet, "alice", consumer_id)
    options = {"interchain_catalogue": [{"config": NO_GOSSIP}], "interchain_hybrid_peer_updates": True}
    output = devnet.playbook("update_consumer", "alice", consumer_ids=consumer_id, **options)
    assert "was restarted" in " ".join(output.split())
    after = run_of(devnet, "alice", consumer_id)
    assert after[0] != before[0]
    assert "needs no restart" in " ".join(
        devnet.playbook("update_consumer", "alice", consumer_ids=[consumer_id], **options).split()
    )
    assert run_of(devnet, "alice", consumer_id) == after
    url = node_url(devnet, "alice", consumer_id)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        devnet.rpc("dial_peers", url)
    pod = devnet.get("pod", "node-0", f"alice-consumer-{consumer_id}")
    assert pod is not None
    address = pod["status"]["podIP"]
    assert devnet.rpc("status", f"http://{address}:26657")["sync_info"]
    with pytest.raises(OSError, match="refused"):
        devnet.rpc("status", f"http://{address}:26667")


def test_who_is_announced_now_is_dialled_without_a_restart(devnet: Devnet, consumer_id: str) -> None:
    """Charlie's node dials nobody; alice's is told of it while it runs, and bob's is restarted for it once."""
    devnet.playbook("update_consumer", "bob", consumer_id=consumer_id, interchain_catalogue=[{"config": NO_GOSSIP}])
    silent = tomllib.loads(config_of(devnet, "charlie", consumer_id))
    silent = merged(silent, {"p2p": {"pex": False, "persistent_peers": ""}})
    write_object(
        devnet, "configmap", "config", f"charlie-consumer-{consumer_id}", {"config.toml": tomli_w.dumps(silent)}
    )
    devnet.kubectl("delete", "pod", "node-0", "--namespace", f"charlie-consumer-{consumer_id}")
    charlie = derived_node_id("charlie", CHAIN)
    for name in ("alice", "bob"):
        devnet.wait(
            f"{name}'s node to be without charlie's",
            lambda name=name: charlie not in (found := peers_of(devnet, name, consumer_id)) and len(found) == 1,  # type: ignore[misc]
            120,
            "make logs",
        )
    # As charlie's monitor would, were it there.
    followed = node_routes.run(parameters(devnet, "charlie", node_routes, wait_timeout=60), False)
    assert followed["changed"], followed
    runs = {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")}
    write_details(devnet, "charlie", f"p2p={devnet.addresses['charlie']}")
    devnet.wait(
        "alice's node to have dialled charlie's",
        lambda: peers_of(devnet, "alice", consumer_id).get(charlie, False),
        90,
        "make logs",
    )
    assert run_of(devnet, "alice", consumer_id) == runs["alice"]
    assert charlie in str(peers_in(config_of(devnet, "alice", consumer_id)))
    # Bob's node may be on its way down in this moment.
    found = looked_at(devnet, "alice", consumer_id)
    assert found["configured"] == found["wanted"]
    assert [address for address in found["connected"] if address.startswith(charlie)]
    devnet.wait(
        "bob's node to be restarted, and to have dialled charlie's",
        lambda: peers_of(devnet, "bob", consumer_id).get(charlie, False),
        180,
        "make logs",
    )
    assert run_of(devnet, "bob", consumer_id)[0] != runs["bob"][0]
    restarted = devnet.decision("bob", consumer_id)["peers_restarted"]
    assert list(json.loads(restarted)) == [devnet.variables("charlie")["interchain_operator_address"]]
    height = devnet.node_height("alice", consumer_id)
    for name in POWERS:
        await_height(devnet, name, consumer_id, height + 3)


def test_a_validator_that_moves_is_known_without_a_pause(devnet: Devnet, consumer_id: str) -> None:
    """It moves to another name of the same node, while all three make blocks."""
    url, runs = node_url(devnet, "alice", consumer_id), {name: run_of(devnet, name, consumer_id) for name in POWERS}
    quiet, name = devnet.node_height("alice", consumer_id), "p2p.charlie-monitor.svc"
    await_height(devnet, "alice", consumer_id, quiet + 8)
    first = devnet.node_height("alice", consumer_id)
    write_details(devnet, "charlie", f"p2p={name}")
    for other in ("alice", "bob"):
        devnet.wait(
            f"{other}'s new peers",
            lambda other=other: name in config_of(devnet, other, consumer_id),  # type: ignore[misc]
            90,
            "make logs",
        )
    # Alice's node was told in the same moment, and bob's is connected.
    last = max(devnet.node_height("alice", consumer_id), first + 6) + 2
    await_height(devnet, "alice", consumer_id, last)
    times = [
        parse_time(devnet.rpc(f"header?height={number}", url)["header"]["time"]) for number in range(quiet, last + 1)
    ]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    before, since = gaps[: first - quiet], gaps[first - quiet :]
    # What a busy machine does to blocks, it did before the change too.
    assert max(since) <= 3 * max(statistics.median(since), *before), gaps
    assert {other: run_of(devnet, other, consumer_id) for other in POWERS} == runs


def test_another_ones_host_costs_nobody_a_restart(devnet: Devnet, consumer_id: str) -> None:
    """Charlie says that he is where alice's node is, with an id that nobody has. He stays connected as he was."""
    runs = {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")}
    stranger = "c0" * 20
    write_details(devnet, "charlie", f"node={stranger} p2p={devnet.addresses['alice']}")
    for name in ("alice", "bob"):
        devnet.wait(
            f"{name}'s new peers",
            lambda name=name: stranger in config_of(devnet, name, consumer_id),  # type: ignore[misc]
            90,
            "make logs",
        )
    done = devnet.run_playbook("check_endpoint_sync", "alice", {"consumer_id": consumer_id})
    assert done.returncode != 0
    assert stranger in done.stdout
    params = parameters(devnet, "bob", consumer_peers, consumer_id=consumer_id, restart="fallback", connect_timeout=0)
    (entry,) = consumer_peers.run(params, False)["consumers"]
    assert entry["action"] == "nothing"
    assert "lately" in entry["reason"]
    height = devnet.node_height("alice", consumer_id)
    await_height(devnet, "bob", consumer_id, height + 2)
    assert {name: run_of(devnet, name, consumer_id) for name in ("alice", "bob")} == runs
