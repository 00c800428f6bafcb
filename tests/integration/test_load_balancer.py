# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer of a validator on a real API server: whose port is whose, and where each leads to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kubernetes
import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.routes import SLICE, SLICE_VERSION
from ansible_collections.interchain.security.plugins.module_utils.operations import load_balancer, node_routes
from tests.integration.api_server import ApiServer
from tests.integration.consumer_place import MONITOR, VALIDATOR, routed
from tests.operation import run_operation

PROVIDER = {"provider": 26656}


@pytest.fixture
def place(server: ApiServer) -> Iterator[Place]:
    made = Place(server)
    made.make_namespace(MONITOR, {})
    yield made
    made.clear()


class Place:
    """What a test makes: the namespaces of consumers, and pods as a kubelet would tell of them."""

    def __init__(self, server: ApiServer) -> None:
        self.kubeconfig = str(server.kubeconfig)
        self.cluster = Cluster(self.kubeconfig)
        self.core = kubernetes.client.CoreV1Api(self.cluster.api_client)

    def run(self, operation: Any, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_operation(
            operation, check_mode=check, **{"validator": VALIDATOR, "kubeconfig": self.kubeconfig, **options}
        )

    def claim(self, consumer_id: str, port: int, **options: Any) -> dict[str, Any]:
        return self.run(load_balancer, consumer_id=consumer_id, port=port, **options)

    def follow(self, *nodes: str, **options: Any) -> dict[str, dict[str, Any]]:
        found = self.run(node_routes, nodes=list(nodes), **options)
        assert found["problems"] == []
        return {entry["node"]: {**entry, "changed": found["changed"]} for entry in found["routes"]}

    def make_namespace(self, name: str, labels: dict[str, str]) -> None:
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def make_consumer(self, consumer_id: str) -> str:
        name = f"{VALIDATOR}-consumer-{consumer_id}"
        self.make_namespace(name, self.labels(consumer_id))
        return name

    @staticmethod
    def labels(consumer_id: str) -> dict[str, str]:
        return {"interchain-security/validator": VALIDATOR, "interchain-security/consumer-id": consumer_id}

    def make_pod(self, namespace: str, address: str, labels: dict[str, str]) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "node-0", "labels": {**labels, "app.kubernetes.io/name": "node"}},
            "spec": {"nodeName": "machine", "containers": [{"name": "node", "image": "x"}]},
        }
        self.core.create_namespaced_pod(namespace, body)
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self.core.patch_namespaced_pod_status("node-0", namespace, {"status": status})

    def lose_pod(self, namespace: str) -> None:
        self.core.delete_namespaced_pod("node-0", namespace, grace_period_seconds=0)

    def give_address(self, **ingress: str) -> None:
        status = {"loadBalancer": {"ingress": [ingress]}}
        self.core.patch_namespaced_service_status("p2p", MONITOR, {"status": status})

    def service(self) -> dict[str, Any] | None:
        return self.cluster.get("Service", "p2p", MONITOR)

    def ports(self) -> dict[str, int]:
        return {entry["name"]: entry["port"] for entry in (self.service() or {"spec": {"ports": []}})["spec"]["ports"]}

    def endpoints(self, consumer_id: str) -> list[str] | None:
        return routed(self.cluster, consumer_id)

    def clear(self) -> None:
        self.cluster.delete("Service", "p2p", MONITOR)
        for entry in self.cluster.select(SLICE, MONITOR, api_version=SLICE_VERSION):
            self.cluster.delete(SLICE, entry["metadata"]["name"], MONITOR, SLICE_VERSION)
        for entry in self.cluster.select("Namespace", selector=f"interchain-security/validator={VALIDATOR}"):
            name = entry["metadata"]["name"]
            for pod in self.cluster.select("Pod", name):
                self.core.delete_namespaced_pod(pod["metadata"]["name"], name, grace_period_seconds=0)
            self.cluster.delete("Namespace", name)
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
            self.core.replace_namespace_finalize(name, body)


def test_the_cycle_of_a_port(place: Place) -> None:
    """Claim, repeat, claim another, free, repeat; each in check mode first."""
    place.make_consumer("5")
    for options, expected in (
        ({"consumer_id": "5", "port": 27346}, {**PROVIDER, "consumer-5": 27346}),
        ({"consumer_id": "5", "port": 27356}, {**PROVIDER, "consumer-5": 27356}),
        ({"consumer_id": "5", "state": "absent"}, PROVIDER),
    ):
        before = place.ports()
        predicted = place.run(load_balancer, check=True, **options)
        assert predicted["changed"]
        assert place.ports() == before
        done = place.run(load_balancer, **options)
        assert done["changed"]
        assert done["ports"] == place.ports() == expected
        assert not place.run(load_balancer, check=True, **options)["changed"]
        again = place.run(load_balancer, **options)
        assert not again["changed"]
        assert again["diff"] == {"before": {}, "after": {}}
    found = place.service()
    assert found is not None
    assert found["spec"]["type"] == "LoadBalancer"
    assert not found["spec"].get("selector")
    assert place.endpoints("5") is None


def test_many_who_claim_at_once_all_get_their_port(place: Place) -> None:
    """Also the first of them, who make the Service."""
    ids = [str(number) for number in range(12)]
    for consumer_id in ids:
        place.make_consumer(consumer_id)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda consumer_id: place.claim(consumer_id, 27000 + int(consumer_id)), ids))
    assert place.ports() == {**PROVIDER, **{f"consumer-{one}": 27000 + int(one) for one in ids}}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: place.run(load_balancer, consumer_id=one, state="absent"), ids[1:]))
    assert place.ports() == {**PROVIDER, "consumer-0": 27000}


def test_a_port_that_another_one_has_is_refused_and_named(place: Place) -> None:
    for consumer_id in ("3", "7"):
        place.make_consumer(consumer_id)
    place.claim("7", 27346)
    before = place.service()
    with pytest.raises(
        ClusterError, match="port 27346 of the load balancer of alice is that of consumer 7: consumer 3"
    ):
        place.claim("3", 27346)
    with pytest.raises(ClusterError, match=r"port 26656 .* is that of the provider's node"):
        place.claim("3", 26656)
    assert place.service() == before
    assert place.endpoints("3") is None
    place.cluster.delete("Service", "p2p", MONITOR)  # whose the port is does not depend on the Service
    with pytest.raises(ClusterError, match="is that of consumer 7"):
        place.claim("3", 27346)
    place.run(load_balancer)  # what the check does
    assert place.ports() == {**PROVIDER, "consumer-7": 27346}
    place.run(load_balancer, consumer_id="7", state="absent")
    assert place.claim("3", 27346)["ports"] == {**PROVIDER, "consumer-3": 27346}


def test_of_two_who_claim_a_port_at_once_one_is_refused(place: Place) -> None:
    ids = ["11", "12", "13", "14"]
    for consumer_id in ids:
        place.make_consumer(consumer_id)

    def claim(consumer_id: str) -> str:
        try:
            place.claim(consumer_id, 27346)
        except ClusterError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(ids, pool.map(claim, ids), strict=True))
    winners = [consumer_id for consumer_id, refusal in said.items() if not refusal]
    place.run(load_balancer)
    assert place.ports() == {**PROVIDER, f"consumer-{winners[0]}": 27346}
    assert len(winners) == 1
    assert [consumer_id for consumer_id in ids if place.endpoints(consumer_id) is not None] == winners


def test_a_port_leads_to_its_pod_and_follows_it(place: Place) -> None:
    first, second = place.make_consumer("5"), place.make_consumer("6")
    place.claim("5", 27346)
    place.claim("6", 27356)
    assert place.follow("5")["5"]["reason"] == "it has no pod"
    place.make_pod(first, "10.0.0.5", place.labels("5"))
    place.make_pod(second, "10.0.0.6", place.labels("6"))
    assert place.run(node_routes, check=True, nodes=["5"])["changed"]
    assert place.endpoints("5") == []
    found = place.follow("5")
    assert list(found) == ["5"]
    assert (found["5"]["address"], found["5"]["port"], found["5"]["changed"]) == ("10.0.0.5", 27346, True)
    assert not place.follow("5")["5"]["changed"]
    assert (place.endpoints("5"), place.endpoints("6")) == (["10.0.0.5"], [])
    assert set(place.follow()) == {"5", "6", "provider"}
    assert (place.endpoints("5"), place.endpoints("6")) == (["10.0.0.5"], ["10.0.0.6"])

    place.lose_pod(first)
    assert place.follow()["5"]["changed"]
    assert place.endpoints("5") == []
    place.make_pod(first, "10.0.0.7", place.labels("5"))
    place.follow()
    assert (place.endpoints("5"), place.endpoints("6")) == (["10.0.0.7"], ["10.0.0.6"])
    place.claim("5", 27366)  # another port leads there too
    assert (place.endpoints("5"), place.ports()["consumer-5"]) == (["10.0.0.7"], 27366)
    assert place.run(load_balancer, consumer_id="5", state="absent")["ports"] == {**PROVIDER, "consumer-6": 27356}
    assert list(place.follow("5")) == []


def test_a_port_never_leads_to_a_pod_of_another_one(place: Place) -> None:
    first = place.make_consumer("5")
    place.claim("5", 27346)
    place.make_pod(first, "10.0.0.6", place.labels("6"))
    found = place.follow()["5"]
    assert (found["address"], place.endpoints("5")) == ("", [])
    assert "pod alice-consumer-5/node-0 is not of consumer 5 of alice" in found["reason"]
    place.lose_pod(first)
    place.make_pod(first, "10.0.0.5", place.labels("5"))
    assert place.follow()["5"]["address"] == "10.0.0.5"
    relabelled = {"interchain-security/validator": "mallory"}
    metadata = {"name": first, "labels": relabelled}
    place.cluster.patch({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    assert "its label interchain-security/validator is 'mallory'" in place.follow()["5"]["reason"]
    assert place.endpoints("5") == []
    place.cluster.patch(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {**metadata, "labels": place.labels("5")}}
    )


def test_the_port_of_a_consumer_that_has_gone_is_freed(place: Place) -> None:
    gone = place.make_consumer("5")
    place.make_consumer("6")
    place.claim("5", 27346)
    place.cluster.delete("Namespace", gone)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gone}, "spec": {"finalizers": []}}
    place.core.replace_namespace_finalize(gone, body)
    assert place.claim("6", 27346)["ports"] == {**PROVIDER, "consumer-6": 27346}
    assert place.endpoints("5") is None


def test_an_address_that_is_not_to_be_had_leaves_what_was_there(place: Place) -> None:
    place.make_consumer("5")
    with pytest.raises(ClusterError, match=r"p2p to have an address: not after 1 s; `kubectl describe service p2p"):
        place.run(load_balancer, annotations={"ours": "1"}, wait_timeout=1)
    assert place.ports() == PROVIDER  # it is left to be looked at, and the nodes start without an address
    assert place.claim("5", 27346)["address"] == ""
    place.run(load_balancer, consumer_id="5", state="absent")

    place.give_address(ip="192.0.2.1")
    place.core.patch_namespaced_service("p2p", MONITOR, {"metadata": {"annotations": {"theirs": "1"}}})
    done = place.run(load_balancer, annotations={"ours": "1"}, wait_timeout=1, wait_address="192.0.2.1")
    assert done["address"] == "192.0.2.1"
    before = place.service()
    assert before is not None
    assert before["metadata"]["annotations"] == {"ours": "1", "theirs": "1"}
    with pytest.raises(ClusterError, match=r"have the address 192.0.2.2: not after 1 s.*; what was there is as it was"):
        place.claim("5", 27346, annotations={"ours": "2", "more": "1"}, wait_timeout=1, wait_address="192.0.2.2")
    after = place.service()
    assert after is not None
    assert (after["metadata"]["annotations"], after["spec"]) == (before["metadata"]["annotations"], before["spec"])
    assert place.endpoints("5") is None
    assert not place.run(load_balancer, annotations={"ours": "1"})["changed"]
    place.give_address(hostname="lb.example")
    assert place.run(load_balancer, annotations={"ours": "1"}, wait_timeout=1)["address"] == "lb.example"


@pytest.mark.parametrize(
    ("operation", "options", "complaint"),
    [
        (load_balancer, {"state": "absent"}, "name it by consumer_id"),
        (load_balancer, {"consumer_id": "5"}, "given together"),
        (load_balancer, {"port": 5}, "given together"),
        (load_balancer, {"consumer_id": "../x", "port": 5}, "decimal number"),
        (load_balancer, {"consumer_id": "5", "port": 70000}, "between 1 and 65535"),
        (node_routes, {"nodes": ["../x"]}, "named by its consumer_id"),
        (node_routes, {"wait_timeout": -1}, "must be seconds"),
    ],
)
def test_what_cannot_be_is_said(place: Place, operation: Any, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        place.run(operation, **options)
    assert place.service() is None
