# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which port of a validator's load balancer leads to which of its nodes.

One Service of type LoadBalancer per validator, without a selector: one cannot select pods of another namespace. Each node has an EndpointSlice beside it,
which claims a port for the node and says where its pod is. Port and slice belong together by a name that comes from the consumer_id, so what is not
the node's own is never sent to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    CONSUMER_ID,
    ID_LABEL,
    consumer_namespace,
)

SERVICE = "p2p"
SLICE, SLICE_VERSION = "EndpointSlice", "discovery.k8s.io/v1"
PROVIDER = "provider"  # beside consumer_ids: the validator's node of the provider chain
P2P_PORT = 26656  # where every node listens
POD = "node-0"
MANAGER = "interchain-security-monitor"
VALIDATOR_LABEL, ROLE_LABEL = "interchain-security/validator", "interchain-security/role"
PORT_NOTE = "interchain-security/port"
SLICE_SELECTOR = f"kubernetes.io/service-name={SERVICE},endpointslice.kubernetes.io/managed-by={MANAGER}"


@dataclass(frozen=True)
class Claim:
    """A TCP port of the load balancer for one node, that of a consumer_id or ``provider``."""

    node: str
    port: int


@dataclass(frozen=True)
class Plan:
    """Which node gets which port, by port in their order, and by node who has the port that one has asked for in vain."""

    holders: Mapping[int, str]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """Where a node's pod is: ``address`` its IP, ``machine`` the name of the node of the cluster."""

    address: str
    machine: str
    namespace: str
    uid: str


def checked_node(node: str) -> str:
    """Return ``node`` when it is a consumer_id or ``provider``, else raise InvalidInput."""
    if node != PROVIDER and not CONSUMER_ID.fullmatch(node):
        raise InvalidInput(f"a node is named by its consumer_id or as {PROVIDER}, not {node[:40]!r}")
    return node


def port_name(node: str) -> str:
    """Return the name that a node's port has in the Service and in its EndpointSlice."""
    return PROVIDER if node == PROVIDER else f"consumer-{node}"


def slice_name(node: str) -> str:
    """Return the name of a node's EndpointSlice."""
    return f"{SERVICE}-{port_name(node)}"


def namespace_of(node: str, validator: str) -> str:
    """Return the namespace of a validator's node."""
    return f"{validator}-provider" if node == PROVIDER else consumer_namespace(validator, node)


def title(node: str) -> str:
    """Return what a message calls a node."""
    return "the provider's node" if node == PROVIDER else f"consumer {node}"


def owner_labels(node: str, validator: str) -> dict[str, str]:
    """Return the labels that a node's namespace, its pod and its EndpointSlice have, and those of no other node."""
    own = {ROLE_LABEL: PROVIDER} if node == PROVIDER else {ID_LABEL: node}
    return {VALIDATOR_LABEL: validator, **own}


def claim_of(found: Mapping[str, Any]) -> Claim | None:
    """Return what an EndpointSlice claims, None when it is not one of ours."""
    node = str(found["metadata"]["name"]).removeprefix(f"{SERVICE}-").removeprefix("consumer-")
    port = str((found["metadata"].get("annotations") or {}).get(PORT_NOTE, ""))
    usable = (node == PROVIDER or CONSUMER_ID.fullmatch(node)) and port.isascii() and port.isdigit()
    return Claim(node, int(port)) if usable and found["metadata"]["name"] == slice_name(node) else None


def served(service: Mapping[str, Any] | None) -> dict[int, str]:
    """Return which nodes a Service has ports for, by port."""
    found = {}
    for entry in ((service or {}).get("spec") or {}).get("ports") or []:
        name = str(entry.get("name", ""))
        node = name.removeprefix("consumer-")
        if (node == PROVIDER or CONSUMER_ID.fullmatch(node)) and name == port_name(node):
            found[int(entry["port"])] = node
    return found


def plan(claims: Iterable[Claim], present: Mapping[int, str]) -> Plan:
    """Give each port to one node. Who has it (``present``) keeps it; of several that have not, the one that was there first on the chain."""

    def first(claim: Claim) -> tuple[bool, int]:
        return present.get(claim.port) != claim.node, -1 if claim.node == PROVIDER else int(claim.node)

    given: dict[int, str] = {}
    refused = {}
    for claim in sorted(claims, key=first):
        if given.setdefault(claim.port, claim.node) != claim.node:
            refused[claim.node] = given[claim.port]
    return Plan(dict(sorted(given.items())), refused)


def service_ports(holders: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return the ports of the Service. TCP as it is: what a proxy adds to it breaks the handshake of the peers."""
    return [
        {"name": port_name(node), "port": port, "targetPort": P2P_PORT, "protocol": "TCP"}
        for port, node in holders.items()
    ]


def service_hosts(service: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the addresses and DNS names that a Service has been given: of both IP families perhaps, or of each machine. None when it has none (yet)."""
    ingress = (((service or {}).get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return tuple(str(host) for entry in ingress if (host := entry.get("ip") or entry.get("hostname")))


def service_host(service: Mapping[str, Any] | None) -> str:
    """Return the first of them, empty when there is none (yet)."""
    return next(iter(service_hosts(service)), "")


def external_address(service: Mapping[str, Any] | None, port: int) -> str:
    """Return what a node is to call its own address, empty when it has none (yet).

    Only an IP address: a node with a DNS name that does not resolve, as that of a new load balancer, does not start; and its peers do not accept it.
    """
    host = service_host(service)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def target(
    node: str, validator: str, family: str, namespace: Mapping[str, Any] | None, pod: Mapping[str, Any] | None
) -> Target | str:
    """Return where a node's pod is, or why nothing may be sent there. ``family`` is IPv4 or IPv6.

    A pod counts only with the labels of its node, in a namespace that has them too.
    """
    name = namespace_of(node, validator)
    if namespace is None or namespace["metadata"].get("deletionTimestamp"):
        return f"namespace {name} is not there"
    if pod is None:
        return "it has no pod"
    fault = _fault(f"namespace {name}", namespace, (None, name), node, validator)
    fault = fault or _fault(f"pod {name}/{POD}", pod, (name, POD), node, validator)
    if fault:
        return fault
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        return "its pod ends"
    for entry in status.get("podIPs") or []:
        if f"IPv{ipaddress.ip_address(entry['ip']).version}" == family:
            machine = str((pod.get("spec") or {}).get("nodeName", ""))
            return Target(str(entry["ip"]), machine, name, str(pod["metadata"]["uid"]))
    return f"its pod has no {family} address (yet)"


def _fault(what: str, found: Mapping[str, Any], wanted: tuple[str | None, str], node: str, validator: str) -> str:
    """Return why an object is not that of a node, empty when it is."""
    metadata = found["metadata"]
    if (metadata.get("namespace"), metadata["name"]) != wanted:
        return f"{what} was looked for, and {metadata.get('namespace')}/{metadata['name']} found"
    labels = metadata.get("labels") or {}
    for label, value in owner_labels(node, validator).items():
        if labels.get(label) != value:
            return f"{what} is not of {title(node)} of {validator}: its label {label} is {labels.get(label)!r}"
    return ""


def is_current(stateful_set: Mapping[str, Any], pod: Mapping[str, Any] | None) -> bool:
    """Tell whether a pod is the one that its StatefulSet describes now."""
    status = stateful_set.get("status") or {}
    if pod is None or status.get("observedGeneration") != stateful_set["metadata"]["generation"]:
        return False
    revision = status.get("updateRevision")
    return not revision or (pod["metadata"].get("labels") or {}).get("controller-revision-hash") == revision


def endpoint_slice(claim: Claim, validator: str, namespace: str, family: str, found: Target | None) -> dict[str, Any]:
    """Return a node's EndpointSlice in the namespace of the Service, with its pod or without one."""
    endpoints = []
    if found is not None:
        pod = {"kind": "Pod", "namespace": found.namespace, "name": POD, "uid": found.uid}
        # Peers may be sent to it before it is ready: a node that is to catch up needs them first.
        endpoint = {"addresses": [found.address], "conditions": {"ready": True}, "targetRef": pod}
        endpoints.append({**endpoint, "nodeName": found.machine} if found.machine else endpoint)
    return {
        "apiVersion": SLICE_VERSION,
        "kind": SLICE,
        "metadata": {
            "name": slice_name(claim.node),
            "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": SERVICE,
                "endpointslice.kubernetes.io/managed-by": MANAGER,
                "app.kubernetes.io/part-of": MANAGER,
                "app.kubernetes.io/managed-by": MANAGER,
                **owner_labels(claim.node, validator),
            },
            "annotations": {PORT_NOTE: str(claim.port)},
        },
        "addressType": family,
        "ports": [{"name": port_name(claim.node), "port": P2P_PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    }
