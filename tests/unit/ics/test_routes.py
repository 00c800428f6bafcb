# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port leads to which node, and that none leads to another one's."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import routes
from ansible_collections.interchain.security.plugins.module_utils.ics.routes import PROVIDER, Claim, Target

NODES = st.one_of(st.just(PROVIDER), st.integers(0, 5).map(str))
PORTS = st.integers(1, 4)


def service(*, ingress: list[dict[str, str]] | None = None, **ports: int) -> dict[str, Any]:
    entries = [{"name": name.replace("_", "-"), "port": port, "protocol": "TCP"} for name, port in ports.items()]
    return {"spec": {"ports": entries}, "status": {"loadBalancer": {"ingress": ingress or []}}}


@pytest.mark.parametrize(
    ("claims", "present", "holders", "refused"),
    [
        pytest.param([Claim(PROVIDER, 1), Claim("0", 2)], {}, {1: PROVIDER, 2: "0"}, {}, id="each its own"),
        pytest.param([Claim("3", 2), Claim("7", 2)], {2: "7"}, {2: "7"}, {"3": "7"}, id="who has it keeps it"),
        pytest.param([Claim("10", 2), Claim("9", 2)], {}, {2: "9"}, {"10": "9"}, id="the earlier consumer"),
        pytest.param([Claim("0", 1), Claim(PROVIDER, 1)], {}, {1: PROVIDER}, {"0": PROVIDER}, id="the provider first"),
        pytest.param([Claim("3", 2)], {2: "7"}, {2: "3"}, {}, id="one that is claimed no more is free"),
        pytest.param([Claim("3", 4)], {2: "3"}, {4: "3"}, {}, id="another port"),
        pytest.param([], {2: "3"}, {}, {}, id="none"),
    ],
)
def test_who_gets_a_port(
    claims: list[Claim], present: dict[int, str], holders: dict[int, str], refused: dict[str, str]
) -> None:
    assert routes.plan(claims, present) == routes.Plan(holders, refused)


@given(st.dictionaries(NODES, PORTS), st.dictionaries(PORTS, NODES), st.randoms())
def test_each_claim_is_met_or_refused_and_the_order_does_not_matter(
    claims: dict[str, int], present: dict[int, str], random: Any
) -> None:
    wanted = [Claim(node, port) for node, port in claims.items()]
    found = routes.plan(wanted, present)
    assert sorted(found.holders) == list(found.holders)
    for node, port in claims.items():
        if node in found.refused:
            assert found.holders[port] == found.refused[node] != node
        else:
            assert found.holders[port] == node
        if present.get(port) == node:
            assert found.holders[port] == node
    assert len(found.holders) + len(found.refused) == len(claims)
    random.shuffle(wanted)
    assert routes.plan(wanted, present) == found
    again = routes.plan(wanted, found.holders)
    assert again == found


def test_a_service_tells_what_it_serves() -> None:
    ports = routes.service_ports({26656: PROVIDER, 27346: "18446744073709551615"})
    assert ports[1] == {
        "name": "consumer-18446744073709551615",
        "port": 27346,
        "targetPort": 26656,
        "protocol": "TCP",
    }
    assert all(len(entry["name"]) <= 63 for entry in ports)
    assert routes.served({"spec": {"ports": ports}}) == {26656: PROVIDER, 27346: "18446744073709551615"}
    assert routes.served(service(**{"5": 1, "consumer-x": 2, "web": 3})) == {}
    assert routes.served(None) == {}


def test_a_slice_and_its_claim() -> None:
    claim = Claim("5", 27346)
    target = Target("10.0.0.9", "machine", "alice-consumer-5", "uid")
    made = routes.endpoint_slice(claim, "alice", "alice-monitor", "IPv4", target)
    assert made["metadata"]["name"] == "p2p-consumer-5"
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == routes.SERVICE
    assert made["ports"][0]["name"] == routes.service_ports({27346: "5"})[0]["name"]
    assert made["endpoints"][0]["addresses"] == ["10.0.0.9"]
    assert made["endpoints"][0]["targetRef"]["namespace"] == "alice-consumer-5"
    assert routes.claim_of(made) == claim
    assert routes.endpoint_slice(claim, "alice", "alice-monitor", "IPv4", None)["endpoints"] == []


@pytest.mark.parametrize(
    ("name", "port"),
    [("p2p-5", "1"), ("p2p-consumer-x", "1"), ("p2p-consumer-5", ""), ("p2p-consumer-5", "1x"), ("other", "1")],
)
def test_what_is_no_claim(name: str, port: str) -> None:
    assert routes.claim_of({"metadata": {"name": name, "annotations": {routes.PORT_NOTE: port}}}) is None


OWN = {"interchain-security/validator": "alice", "interchain-security/consumer-id": "5"}


def namespace(name: str = "alice-consumer-5", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": OWN, **metadata}}


def pod(ips: tuple[str, ...] = ("10.0.0.9",), phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "node-0", "namespace": "alice-consumer-5", "uid": "uid", "labels": OWN, **metadata},
        "spec": {"nodeName": "machine"},
        "status": {"phase": phase, "podIPs": [{"ip": ip} for ip in ips]},
    }


def test_where_a_pod_is() -> None:
    there = Target("10.0.0.9", "machine", "alice-consumer-5", "uid")
    assert routes.target("5", "alice", "IPv4", namespace(), pod()) == there
    both = pod(("fd00::9", "10.0.0.9"))
    assert routes.target("5", "alice", "IPv4", namespace(), both) == there
    found = routes.target("5", "alice", "IPv6", namespace(), both)
    assert isinstance(found, Target)
    assert found.address == "fd00::9"


@pytest.mark.parametrize(
    ("where", "found", "reason"),
    [
        (None, pod(), "namespace alice-consumer-5 is not there"),
        (namespace(deletionTimestamp="now"), pod(), "is not there"),
        (namespace(), None, "it has no pod"),
        (namespace(), pod(deletionTimestamp="now"), "its pod ends"),
        (namespace(), pod(phase="Failed"), "its pod ends"),
        (namespace(), pod(()), "has no IPv4 address"),
        (namespace(), pod(("fd00::9",)), "has no IPv4 address"),
        (namespace(labels={**OWN, "interchain-security/validator": "bob"}), pod(), "its label .*validator is 'bob'"),
        (namespace(labels={}), pod(), "its label .* is None"),
        (namespace(), pod(labels={**OWN, "interchain-security/consumer-id": "6"}), "its label .*consumer-id is '6'"),
        (namespace(), pod(labels={}), "pod .* is not of consumer 5 of alice"),
        (namespace(), pod(namespace="alice-consumer-6"), "alice-consumer-6/node-0 found"),
        (namespace("alice-consumer-6"), pod(), "alice-consumer-6 found"),
        (namespace(), pod(name="stage-x"), "stage-x found"),
    ],
)
def test_nothing_is_sent_to_what_is_not_the_nodes_own(where: Any, found: Any, reason: str) -> None:
    said = routes.target("5", "alice", "IPv4", where, found)
    assert isinstance(said, str)
    assert re.search(reason, said)


def test_the_node_of_the_provider_chain() -> None:
    labels = {"interchain-security/validator": "alice", "interchain-security/role": "provider"}
    where = namespace("alice-provider", labels=labels)
    found = pod(labels=labels, namespace="alice-provider")
    assert isinstance(routes.target(PROVIDER, "alice", "IPv4", where, found), Target)
    assert isinstance(routes.target(PROVIDER, "alice", "IPv4", where, pod(namespace="alice-provider")), str)
    assert routes.port_name(PROVIDER) == "provider"


@pytest.mark.parametrize(
    ("ingress", "host", "external"),
    [
        ([], "", ""),
        ([{"ip": "192.0.2.1"}], "192.0.2.1", "192.0.2.1:27346"),
        ([{"ip": "2001:db8::1"}], "2001:db8::1", "[2001:db8::1]:27346"),
        ([{"hostname": "x.elb.amazonaws.com"}], "x.elb.amazonaws.com", ""),
        ([{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}, {}], "192.0.2.1", "192.0.2.1:27346"),
    ],
)
def test_the_address_of_a_service(ingress: list[dict[str, str]], host: str, external: str) -> None:
    found = service(ingress=ingress)
    assert routes.service_host(found) == host
    assert routes.service_hosts(found) == tuple(entry.get("ip") or entry["hostname"] for entry in ingress if entry)
    assert routes.external_address(found, 27346) == external


@pytest.mark.parametrize(
    ("generation", "labels", "current"),
    [
        (3, {"controller-revision-hash": "new"}, True),
        (4, {"controller-revision-hash": "new"}, False),
        (3, {"controller-revision-hash": "old"}, False),
        (3, {}, False),
    ],
)
def test_which_pod_is_the_wanted_one(generation: int, labels: dict[str, str], current: bool) -> None:
    stateful_set = {
        "metadata": {"generation": generation},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 3, "updateRevision": "new"},
    }
    assert routes.is_current(stateful_set, pod(labels=labels)) is current
    assert not routes.is_current(stateful_set, None)


@pytest.mark.parametrize("name", ["", "x", "-1", "provider2", "0/../x", "{{ 1 }}"])
def test_a_node_is_named_by_its_id(name: str) -> None:
    with pytest.raises(InvalidInput, match="consumer_id"):
        routes.checked_node(name)
