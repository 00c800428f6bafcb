# SPDX-License-Identifier: GPL-3.0-or-later
"""Running nodes go on whatever another validator announces. Alice, bob and charlie run a chain; at its launch charlie announces nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_local_nodes_info,
    consumer_peers,
    opt_in,
    validator_endpoint,
    validator_info,
)
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.testbed.devnet import POWERS, Devnet

pytestmark = pytest.mark.timeout(600)

CHAIN = "peers-1"
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


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet) -> Iterator[str]:
    """A consumer of all three that makes blocks; charlie's monitor rests afterwards."""
    write_details(devnet, "charlie", min(HOSTILE))
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


def provider_power(devnet: Devnet, name: str) -> int:
    """Return a validator's power on the provider: tests of other files delegate to it."""
    (validator,) = validator_info.run(parameters(devnet, name, validator_info), False)["validators"]
    return int(validator["tokens"]) // 1_000_000


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
        {"validator": name, "power": provider_power(devnet, name), "up": True} for name in sorted(POWERS)
    ]
    assert found["refusal"] == ""
