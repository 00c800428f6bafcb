# SPDX-License-Identifier: GPL-3.0-or-later
"""Running nodes know where the others are, whatever these announce. The tests build on each other and run in the order of this file.

Alice, bob and charlie take part in one chain. Charlie runs no node, and announces what nobody should; without him the chain still has more than two
thirds of its power. Alice's monitor may restart her node as the last resort, bob's may not.
"""

from __future__ import annotations

import json
import statistics
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import parse_time
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_peers,
    opt_in,
    validator_endpoint,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.testbed.devnet import POWERS, Devnet

pytestmark = pytest.mark.timeout(900)

MEMBERS = ("alice", "bob")
CHECK_SECONDS = 5
STRANGER = "c0" * 20
NOWHERE = "192.0.2.55"  # of a network for documentation: nobody is there
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


@pytest.fixture(scope="module", autouse=True)
def monitors(devnet: Devnet) -> Iterator[None]:
    """Monitors that look often; charlie's rests."""
    patience = {"interchain_peer_connect_timeout": CHECK_SECONDS}
    devnet.deploy_monitors(["alice"], monitor_check_interval=CHECK_SECONDS, monitor_extra_variables=patience)
    devnet.deploy_monitors(["bob"], monitor_check_interval=CHECK_SECONDS, monitor_auto_update_consumers=False)
    with devnet.monitor_away("charlie"):
        yield
        write_details(devnet, "charlie", "")
    devnet.deploy_monitors(MEMBERS)
    devnet.announce()


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet, monitors: None) -> Iterator[str]:
    """A consumer of all three that makes blocks, launched while charlie announces nonsense."""
    write_details(devnet, "charlie", min(HOSTILE))
    made = devnet.create_consumer("peers-1", spawn_in=3600)
    opt_in.run(
        parameters(
            devnet,
            "charlie",
            opt_in,
            consumer_id=made,
            key_namespace="charlie-monitor",
            key_secret=f"consumer-{made}-key",
        ),
        False,
    )
    devnet.await_members(made, tuple(POWERS))
    devnet.set_spawn_time(made, 15)
    for name in MEMBERS:
        devnet.wait(
            f"height 5 of {name}'s node",
            lambda name=name: devnet.node_height(name, made) >= 5,  # type: ignore[misc]
            300,
            f"kubectl logs --namespace {name}-consumer-{made} node-0",
        )
    yield made
    devnet.remove_consumer(made)


def run_of(devnet: Devnet, name: str, consumer_id: str) -> tuple[str, int]:
    """Return which run of a node it is: its pod's uid, and how often its container was started again."""
    pod = devnet.get("pod", "node-0", f"{name}-consumer-{consumer_id}") or {}
    status = (pod.get("status", {}).get("containerStatuses") or [{}])[0]
    return str(pod.get("metadata", {}).get("uid", "")), int(status.get("restartCount", -1))


def configured(devnet: Devnet, name: str, consumer_id: str) -> str:
    """Return the peers in a node's ConfigMap."""
    found = devnet.get("configmap", "config", f"{name}-consumer-{consumer_id}")
    assert found is not None
    return str(tomllib.loads(found["data"]["config.toml"])["p2p"]["persistent_peers"])


def node_url(devnet: Devnet, name: str, consumer_id: str) -> str:
    service = devnet.get("service", "node", f"{name}-consumer-{consumer_id}")
    assert service is not None
    return f"http://{service['spec']['clusterIP']}:26657"


def checks(devnet: Devnet, name: str, number: int) -> None:
    """Wait until a monitor has ended so many further checks of its nodes."""
    for _number in range(number):
        before = (devnet.get("configmap", "check", f"{name}-monitor") or {"data": {}})["data"].get("event_uuid")

        def is_next(before: str | None = before) -> bool:
            now = (devnet.get("configmap", "check", f"{name}-monitor") or {"data": {}})["data"]
            return now.get("event_uuid") != before

        devnet.wait(f"the next check of {name}'s monitor", is_next, 120, "make logs")


def test_nonsense_leaves_out_its_validator_alone_and_says_why(devnet: Devnet, consumer_id: str) -> None:
    charlie = devnet.variables("charlie")["interchain_operator_address"]
    runs = {name: run_of(devnet, name, consumer_id) for name in MEMBERS}
    for details, reason in HOSTILE.items():
        write_details(devnet, "charlie", details)
        found = looked_at(devnet, "alice", consumer_id)
        assert [entry["operator_address"] for entry in found["skipped"]] == [charlie], details
        assert reason in found["skipped"][0]["reason"], details
        assert len(found["wanted"]) == 1
        assert found["in_sync"], found
    checks(devnet, "alice", 2)
    assert {name: run_of(devnet, name, consumer_id) for name in MEMBERS} == runs
    assert "announce no p2p=" in devnet.playbook("check_endpoint_sync", "alice", consumer_id=consumer_id)
    table = devnet.playbook("validator_endpoints", None)
    assert "announce no p2p=" in table
    assert devnet.addresses["bob"] in table


def test_a_validator_that_moves_is_known_without_a_pause(devnet: Devnet, consumer_id: str) -> None:
    """It moves to the name of the same node, as the cluster knows it."""
    url, run = node_url(devnet, "alice", consumer_id), run_of(devnet, "alice", consumer_id)
    first = devnet.node_height("alice", consumer_id)
    name = f"p2p.bob-consumer-{consumer_id}.svc"
    assert name not in configured(devnet, "alice", consumer_id)
    before = configured(devnet, "alice", consumer_id)
    devnet.playbook("validator_endpoint", "bob", interchain_provider_rpc_url=[devnet.rpc_url()], endpoint_p2p=name)
    devnet.wait("alice's new peers", lambda: name in configured(devnet, "alice", consumer_id), 90, "make logs")
    after = configured(devnet, "alice", consumer_id)
    assert after.partition("@")[0] == before.partition("@")[0]
    checks(devnet, "alice", 2)
    assert run_of(devnet, "alice", consumer_id) == run
    assert looked_at(devnet, "alice", consumer_id)["in_sync"]
    times = [
        parse_time(devnet.rpc(f"header?height={number}", url)["header"]["time"])
        for number in range(max(first, 2), devnet.node_height("alice", consumer_id) + 1)
    ]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(gaps) >= 5
    assert max(gaps) <= 3 * statistics.median(gaps), gaps


def test_who_cannot_be_reached_is_worth_one_restart(devnet: Devnet, consumer_id: str) -> None:
    alices, bobs = run_of(devnet, "alice", consumer_id), run_of(devnet, "bob", consumer_id)
    write_details(devnet, "charlie", f"node={STRANGER} p2p={NOWHERE}")
    devnet.wait(
        "alice's node to be restarted",
        lambda: run_of(devnet, "alice", consumer_id)[0] not in ("", alices[0]),
        120,
        "make logs",
    )
    charlie = devnet.variables("charlie")["interchain_operator_address"]
    assert list(json.loads(devnet.decision("alice", consumer_id)["peers_restarted"])) == [charlie]
    height = devnet.node_height("bob", consumer_id)
    devnet.wait("new blocks", lambda: devnet.node_height("alice", consumer_id) > height + 1, 120, "make logs")
    second = run_of(devnet, "alice", consumer_id)
    # It moves again, to where nobody is either.
    write_details(devnet, "charlie", f"node={STRANGER[::-1]} p2p={NOWHERE}")
    devnet.wait(
        "alice's new peers", lambda: STRANGER[::-1] in configured(devnet, "alice", consumer_id), 90, "make logs"
    )
    checks(devnet, "alice", 3)
    assert run_of(devnet, "alice", consumer_id) == second
    done = devnet.run_playbook("check_endpoint_sync", "alice", {"consumer_id": consumer_id})
    assert done.returncode != 0
    assert "out of sync: consumer" in done.stdout
    assert STRANGER[::-1] in done.stdout
    # Bob's monitor may only write it down.
    devnet.wait("bob's new peers", lambda: STRANGER[::-1] in configured(devnet, "bob", consumer_id), 90, "make logs")
    checks(devnet, "bob", 2)
    assert run_of(devnet, "bob", consumer_id) == bobs


def test_by_hand_a_node_takes_new_settings_once(devnet: Devnet, consumer_id: str) -> None:
    run = run_of(devnet, "alice", consumer_id)
    output = devnet.playbook("update_consumer", "alice", consumer_ids=consumer_id, consumer_timeout_commit="900ms")
    assert "was restarted: it runs with other settings" in " ".join(output.split())
    second = run_of(devnet, "alice", consumer_id)
    assert second[0] != run[0]
    again = devnet.playbook("update_consumer", "alice", consumer_ids=[consumer_id], consumer_timeout_commit="900ms")
    assert "needs no restart" in " ".join(again.split())
    assert run_of(devnet, "alice", consumer_id)[0] == second[0]


def test_by_hand_a_node_that_does_not_come_back_is_named(devnet: Devnet, consumer_id: str) -> None:
    """With an image that is nowhere; with the right one the node is brought back."""
    wrong = {"consumer_id": consumer_id, "consumer_image": "example.invalid/none:1", "interchain_update_timeout": 15}
    done = devnet.run_playbook("update_consumer", "alice", wrong)
    assert done.returncode != 0
    assert f"the node in alice-consumer-{consumer_id} did not come back" in " ".join(done.stdout.split())
    devnet.playbook("update_consumer", "alice", consumer_id=consumer_id)
    height = devnet.node_height("bob", consumer_id)
    devnet.wait("new blocks", lambda: devnet.node_height("alice", consumer_id) > height, 120, "make logs")
