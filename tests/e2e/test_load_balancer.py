# SPDX-License-Identifier: GPL-3.0-or-later
"""Four nodes of a consumer chain that know of each other only the addresses that MetalLB gives, each in a namespace of its own.

Two are run by the monitors of alice and bob; two are run by nobody, follow the chain, and announce nothing: who is connected to them was dialled by them.
"""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.filter import node_key
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.operations import load_balancer, node_routes
from tests.operation import run_operation
from tests.testbed.devnet import Devnet

pytestmark = pytest.mark.timeout(900)

CHAIN_ID = "mesh-1"
PORT = ports_of(CHAIN_ID).p2p
MEMBERS = ("alice", "bob")
FOLLOWERS = {"dave": "da" * 32, "erin": "e1" * 32}  # with what their node keys are made of
IMAGE = "ghcr.io/cosmos/interchain-security:v7.0.1"
# Without PEX: it knows the peers that it is told of, and no others.
START = """
set -eu
home=/tmp/home
interchain-security-cd init follower --home $home >/dev/null 2>&1
cp /given/genesis.json /given/node_key.json $home/config/
sed -i -e 's/^addr_book_strict = .*/addr_book_strict = false/' -e 's/^allow_duplicate_ip = .*/allow_duplicate_ip = true/' \
  -e 's/^pex = .*/pex = false/' $home/config/config.toml
exec interchain-security-cd start --home $home --p2p.laddr tcp://0.0.0.0:26656 --rpc.laddr tcp://0.0.0.0:26657 \
  --p2p.persistent_peers "$PEERS" --minimum-gas-prices 0stake --grpc.enable=false
"""


class Mesh:
    """The four nodes; ``hosts`` holds what MetalLB gave each of them."""

    def __init__(self, devnet: Devnet, consumer_id: str) -> None:
        self.devnet, self.consumer_id = devnet, consumer_id
        self.hosts = {name: self.host(name) for name in MEMBERS}
        self.ids = {name: self.rpc(name, "status")["node_info"]["id"] for name in MEMBERS}
        self.ids |= {name: node_key.node_id(node_key.node_key(secret)) for name, secret in FOLLOWERS.items()}

    def namespace(self, name: str) -> str:
        return f"{name}-consumer-{self.consumer_id}"

    def host(self, name: str) -> str:
        service = self.devnet.get("service", "p2p", f"{name}-monitor")
        assert service is not None
        (ingress,) = service["status"]["loadBalancer"]["ingress"]
        return str(ingress["ip"])

    def pod_address(self, name: str) -> str:
        """Return the address of a node's pod, empty when it has none (yet) or is about to go."""
        found = self.devnet.get("pod", "node-0", self.namespace(name))
        return "" if found is None or found["metadata"].get("deletionTimestamp") else found["status"].get("podIP", "")

    def routed(self, name: str) -> list[str]:
        """Return the addresses that a node's port leads to."""
        found = self.devnet.get("endpointslice", f"p2p-consumer-{self.consumer_id}", f"{name}-monitor")
        assert found is not None
        return [address for entry in found["endpoints"] or [] for address in entry["addresses"]]

    def rpc(self, name: str, path: str) -> Any:
        return self.devnet.rpc(path, f"http://{self.pod_address(name)}:26657")

    def peers(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the connections of a node by the names of those that it is connected to."""
        try:
            found = self.rpc(name, "net_info")["peers"]
        except (OSError, ValueError):
            return {}
        names = {node_id: other for other, node_id in self.ids.items()}
        return {names[peer["node_info"]["id"]]: peer for peer in found}

    def operate(self, operation: Any, name: str, **options: Any) -> dict[str, Any]:
        return run_operation(operation, validator=name, kubeconfig=str(self.devnet.kubeconfig), **options)

    def apply(self, *objects: dict[str, Any]) -> None:
        manifest = self.devnet.directory / "mesh.json"
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self.devnet.kubectl("apply", "--filename", str(manifest))

    def publish(self, name: str) -> None:
        """Give a follower its load balancer."""
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{name}-monitor"}},
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": self.namespace(name), "labels": self.labels(name)},
            },
        )
        claimed = self.operate(load_balancer, name, consumer_id=self.consumer_id, port=PORT, wait_timeout=30)
        self.hosts[name] = claimed["address"]

    def labels(self, name: str) -> dict[str, str]:
        return {"interchain-security/validator": name, "interchain-security/consumer-id": self.consumer_id}

    def start(self, name: str) -> None:
        """Start a follower that dials the other three where MetalLB offers them."""
        genesis = self.devnet.get("configmap", "genesis", self.namespace("alice"))
        assert genesis is not None
        given = {"genesis.json": genesis["data"]["genesis.json"], "node_key.json": node_key.node_key(FOLLOWERS[name])}
        peers = ",".join(f"{self.ids[other]}@{host}:{PORT}" for other, host in self.hosts.items() if other != name)
        container = {
            "name": "node",
            "image": IMAGE,
            "command": ["sh", "-c", START],
            "env": [{"name": "HOME", "value": "/tmp"}, {"name": "PEERS", "value": peers}],
            "volumeMounts": [{"name": "given", "mountPath": "/given"}],
        }
        where = {"namespace": self.namespace(name)}
        self.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "given", **where}, "data": given},
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "node-0", "labels": self.labels(name), **where},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [container],
                    "volumes": [{"name": "given", "configMap": {"name": "given"}}],
                },
            },
        )
        self.devnet.wait(f"{name}'s pod", lambda: self.pod_address(name), 60, "kubectl describe pod")
        (route,) = self.operate(node_routes, name, nodes=[self.consumer_id])["routes"]
        assert route["address"] == self.pod_address(name)


@pytest.fixture(scope="module")
def mesh(devnet: Devnet) -> Iterator[Mesh]:
    consumer_id = devnet.create_consumer(CHAIN_ID, spawn_in=3600)
    devnet.await_members(consumer_id, MEMBERS)
    devnet.set_spawn_time(consumer_id, 10)
    devnet.await_height(MEMBERS, consumer_id, 2, 240)
    made = Mesh(devnet, consumer_id)
    yield made
    namespaces = [namespace for name in FOLLOWERS for namespace in (f"{name}-monitor", made.namespace(name))]
    devnet.kubectl("delete", "namespace", "--ignore-not-found", "--wait=false", *namespaces)
    devnet.remove_consumer(consumer_id)


def test_a_validators_nodes_share_one_load_balancer(devnet: Devnet, mesh: Mesh) -> None:
    """One Service with the port of its provider node and that of each consumer; none in the namespaces of the nodes."""
    listed = json.loads(devnet.kubectl("get", "services", "--all-namespaces", "--output", "json"))["items"]
    balancers = [entry for entry in listed if entry["spec"]["type"] == "LoadBalancer"]
    places = [entry["metadata"]["namespace"] for entry in balancers]
    assert len(set(places)) == len(places)
    assert all(place.endswith("-monitor") for place in places)
    for name in MEMBERS:
        (own,) = (entry for entry in balancers if entry["metadata"]["namespace"] == f"{name}-monitor")
        ports = {port["name"]: port["port"] for port in own["spec"]["ports"]}
        assert (ports["provider"], ports[f"consumer-{mesh.consumer_id}"]) == (26656, PORT)
        assert mesh.hosts[name] == devnet.addresses[name]
        config = devnet.get("configmap", "config", mesh.namespace(name))
        assert config is not None
        p2p = tomllib.loads(config["data"]["config.toml"])["p2p"]
        (other,) = set(MEMBERS) - {name}
        assert p2p["persistent_peers"] == f"{mesh.ids[other]}@{mesh.hosts[other]}:{PORT}"
        assert p2p["external_address"] == f"{mesh.hosts[name]}:{PORT}"
        secret = devnet.get("secret", "node-key", f"{name}-monitor")
        assert secret is not None
        announced = node_key.node_id(base64.b64decode(secret["data"]["node_key.json"]).decode())
        assert mesh.ids[name] == announced


def test_four_nodes_are_all_connected_although_their_addresses_are_translated(devnet: Devnet, mesh: Mesh) -> None:
    for name in FOLLOWERS:
        mesh.publish(name)
    assert len(set(mesh.hosts.values())) == 4
    for name in FOLLOWERS:
        mesh.start(name)
    for name in mesh.ids:
        others = set(mesh.ids) - {name}
        devnet.wait(
            f"{name}'s node to be connected to the other three",
            lambda name=name, others=others: set(mesh.peers(name)) == others,  # type: ignore[misc]
            120,
            f"kubectl logs --namespace {mesh.namespace(name)} node-0",
        )
    connections = {name: mesh.peers(name) for name in mesh.ids}
    dialled = [(name, other) for name, found in connections.items() for other in found if found[other]["is_outbound"]]
    assert len({frozenset(pair) for pair in dialled}) == len(dialled) == 6
    for name, other in dialled:
        assert connections[name][other]["remote_ip"] == mesh.hosts[other]
        # Who is dialled sees a machine of the cluster: neither the pod nor the load balancer that the other one has.
        seen = connections[other][name]["remote_ip"]
        assert seen not in {mesh.pod_address(one) for one in mesh.ids} | set(mesh.hosts.values())
    for name in FOLLOWERS:
        devnet.wait(
            f"{name}'s node to have the blocks",
            lambda name=name: (  # type: ignore[misc]
                int(mesh.rpc(name, "status")["sync_info"]["latest_block_height"])
                >= devnet.node_height("alice", mesh.consumer_id) - 1
                > 0
            ),
            60,
            f"kubectl logs --namespace {mesh.namespace(name)} node-0",
        )


def test_the_port_follows_a_pod_that_moves(devnet: Devnet, mesh: Mesh) -> None:
    """Nobody tells bob's monitor; the followers, which bob does not know, find him again where they always did."""
    before = mesh.pod_address("bob")
    assert mesh.routed("bob") == [before]
    devnet.kubectl("delete", "pod", "node-0", "--namespace", mesh.namespace("bob"))
    devnet.wait("bob's next pod", lambda: mesh.pod_address("bob"), 60, "kubectl describe pod")
    after = mesh.pod_address("bob")
    assert after != before
    took = devnet.wait("bob's port to lead to it", lambda: mesh.routed("bob") == [after], 240, "make logs")
    print(f"bob's port followed {took:.0f} s after the new pod had its address")
    for name in FOLLOWERS:
        devnet.wait(
            f"{name}'s node to be connected to bob's again",
            lambda name=name: "bob" in mesh.peers(name),  # type: ignore[misc]
            120,
            f"kubectl logs --namespace {mesh.namespace(name)} node-0",
        )
        connection = mesh.peers(name)["bob"]
        assert (connection["is_outbound"], connection["remote_ip"]) == (True, mesh.hosts["bob"])
    height = devnet.node_height("bob", mesh.consumer_id)
    devnet.wait("more blocks", lambda: devnet.node_height("bob", mesh.consumer_id) > height + 1, 60, "make logs")
