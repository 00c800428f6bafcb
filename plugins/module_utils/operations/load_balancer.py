# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the Service through which the peers of a validator's nodes come in, with one port for each node.

A port is claimed by an EndpointSlice of its own, so that two who claim at once write two objects; the ports of the Service follow from all of them, and are
written with the version that was read. What was cut anywhere is brought into order by the next run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import (
    FIELD_MANAGER,
    Change,
    Cluster,
    merge_changes,
)
from ansible_collections.interchain.security.plugins.module_utils.cluster.managed_fields import applied_by
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import routes
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    checked_consumer_id,
    checked_validator_name,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.routes import Claim

ARGUMENT_SPEC: dict[str, Any] = {
    "validator": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "consumer_id": {"type": "str"},
    "port": {"type": "int"},
    "provider_port": {"type": "int", "default": routes.P2P_PORT},
    "annotations": {"type": "dict", "default": {}},
    "load_balancer_ip": {"type": "str", "default": ""},
    "wait_timeout": {"type": "int", "default": 0},
    "wait_address": {"type": "str", "default": ""},
    "kubeconfig": {"type": "path"},
}
TRIES = 20


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Claim or free a port when one is named, and bring the Service into its state."""
    validator = checked_validator_name(params["validator"])
    consumer_id = params["consumer_id"]
    if consumer_id is not None:
        checked_consumer_id(consumer_id)
    if params["state"] == "absent" and consumer_id is None:
        raise InvalidInput("state absent frees the port of a consumer: name it by consumer_id")
    if params["state"] == "present" and (consumer_id is None) != (params["port"] is None):
        raise InvalidInput("consumer_id and port are given together")
    for name in ("port", "provider_port"):
        if params[name] is not None and not 1 <= params[name] <= 65535:
            raise InvalidInput(f"{name} must lie between 1 and 65535, but is {params[name]}")
    balancer = _Balancer(params, validator, Cluster(params["kubeconfig"], dry_run=check_mode))
    if params["state"] == "absent":
        return balancer.free(consumer_id)
    return balancer.keep(None if consumer_id is None else Claim(consumer_id, params["port"]), check_mode)


class _Balancer:
    def __init__(self, params: Mapping[str, Any], validator: str, cluster: Cluster) -> None:
        self._params, self._validator, self._cluster = params, validator, cluster
        self._namespace = params["monitor_namespace"] or f"{validator}-monitor"
        self._changes: list[Change] = []

    def keep(self, wanted: Claim | None, check_mode: bool) -> dict[str, Any]:
        """Keep the Service, with the wanted port beside those that were claimed before."""
        before = self._service()
        mine = [Claim(routes.PROVIDER, self._params["provider_port"])] + ([wanted] if wanted else [])
        self._refuse(mine)  # before anything changes, unless others claim in the same moment
        annotations, address = self._params["annotations"], self._params["load_balancer_ip"]
        if before is None:
            self._write(mine, annotations, address)
        family = _family(before or self._service())
        for claim in mine:
            self._claim(claim, family)
        if before is not None or not check_mode:
            self._write(mine, annotations, address)
            self._refuse(mine)
        if self._params["wait_timeout"] > 0 and not check_mode:
            self._await(mine, before)
        return self._result()

    def free(self, consumer_id: str) -> dict[str, Any]:
        """Free a consumer's port; nobody's traffic gets to its node any more."""
        self._remove(consumer_id)
        before = self._service()
        if before is not None:
            annotations, address = _applied(before)
            self._write([], annotations, address, without=consumer_id)
        return self._result()

    # -- the claims --------------------------------------------------------------------------------------------------------

    def _claims(self) -> dict[str, Claim]:
        """Return what is claimed, by node. The claim of a consumer whose namespace has gone is removed: a namespace is made before its claim."""
        found = [claim for entry in self._slices() if (claim := routes.claim_of(entry)) is not None]
        mine = self._cluster.select(
            "Namespace", selector=f"{routes.VALIDATOR_LABEL}={self._validator}", metadata_only=True
        )
        there = {entry["metadata"]["name"] for entry in mine}
        kept = {}
        for claim in found:
            namespace = routes.namespace_of(claim.node, self._validator)
            if (
                claim.node == routes.PROVIDER
                or namespace in there
                or self._cluster.get("Namespace", namespace) is not None
            ):
                kept[claim.node] = claim
            else:
                self._remove(claim.node)
        return kept

    def _remove(self, node: str) -> None:
        name = routes.slice_name(node)
        self._changes.append(self._cluster.delete(routes.SLICE, name, self._namespace, routes.SLICE_VERSION))

    def _slices(self) -> list[dict[str, Any]]:
        return self._cluster.select(
            routes.SLICE, self._namespace, routes.SLICE_SELECTOR, routes.SLICE_VERSION, metadata_only=True
        )

    def _refuse(self, mine: Sequence[Claim]) -> None:
        """Raise ClusterError when somebody else has one of the ports. A claim of it would stay for nothing; nothing was ever sent there."""
        holders = routes.plan(self._claims().values(), routes.served(self._service())).holders
        for claim in mine:
            holder = holders.get(claim.port, claim.node)
            if holder == claim.node:
                continue
            found = self._found(claim.node)
            if found is not None and routes.claim_of(found) == claim:
                self._remove(claim.node)
            raise ClusterError(
                f"port {claim.port} of the load balancer of {self._validator} is that of {routes.title(holder)}: "
                f"{routes.title(claim.node)} cannot have it too"
            )

    def _found(self, node: str) -> dict[str, Any] | None:
        return self._cluster.get(routes.SLICE, routes.slice_name(node), self._namespace, routes.SLICE_VERSION)

    def _claim(self, claim: Claim, family: str) -> None:
        found = self._found(claim.node)
        if found is None:
            made = routes.endpoint_slice(claim, self._validator, self._namespace, family, None)
            self._changes.append(self._cluster.apply(made))
        elif routes.claim_of(found) != claim:
            made = routes.endpoint_slice(claim, self._validator, self._namespace, found["addressType"], None)
            made["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            self._changes.append(self._cluster.apply({**made, "endpoints": found.get("endpoints") or []}))

    # -- the Service -------------------------------------------------------------------------------------------------------

    def _service(self) -> dict[str, Any] | None:
        return self._cluster.get("Service", routes.SERVICE, self._namespace)

    def _write(
        self, mine: Sequence[Claim], annotations: Mapping[str, Any], load_balancer_ip: str, without: str = ""
    ) -> None:
        """Write the Service with all ports that are claimed, as it was read: somebody else's write in between is read first."""
        for _try in range(TRIES):
            service = self._service()
            claims = {**self._claims(), **{claim.node: claim for claim in mine}}
            claims.pop(without, None)  # in a dry run it is there still
            holders = routes.plan(claims.values(), routes.served(service)).holders
            if not holders:
                return  # a Service has a port at least
            definition = self._definition(holders, annotations, load_balancer_ip)
            if service is not None:
                definition["metadata"]["resourceVersion"] = service["metadata"]["resourceVersion"]
            try:
                self._changes.append(self._cluster.apply(definition))
            except ClusterError as error:
                if error.status != 409:
                    raise
                continue
            return
        raise ClusterError(
            f"Service {self._namespace}/{routes.SERVICE} was changed by others each of {TRIES} times: run it again"
        )

    def _definition(
        self, holders: Mapping[int, str], annotations: Mapping[str, Any], load_balancer_ip: str
    ) -> dict[str, Any]:
        labels = {
            "app.kubernetes.io/part-of": routes.MANAGER,
            "app.kubernetes.io/managed-by": routes.MANAGER,
            routes.VALIDATOR_LABEL: self._validator,
        }
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": routes.SERVICE,
                "namespace": self._namespace,
                "labels": labels,
                # YAML's true is a text there.
                "annotations": {
                    name: json.dumps(value) if isinstance(value, bool) else str(value)
                    for name, value in annotations.items()
                },
            },
            "spec": {
                "type": "LoadBalancer",
                # From any machine to the pod, wherever it is: peers come in with the address of a machine, and are known by their keys.
                "externalTrafficPolicy": "Cluster",
                "ports": routes.service_ports(holders),
                **({"loadBalancerIP": load_balancer_ip} if load_balancer_ip else {}),
            },
        }

    def _await(self, mine: Sequence[Claim], before: Mapping[str, Any] | None) -> None:
        """Wait for the address. A Service that had one goes back to it when the new one is not to be had."""
        wanted = self._params["wait_address"]

        def given() -> bool | None:
            host = routes.service_host(self._service())
            return True if host and wanted in ("", host) else None

        where = f"Service {self._namespace}/{routes.SERVICE}"
        what = f"{where} to have {f'the address {wanted}' if wanted else 'an address'}"
        look = f"`kubectl describe service {routes.SERVICE} --namespace {self._namespace}` tells why"
        try:
            self._cluster.await_value(what, given, self._params["wait_timeout"], look)
        except ClusterError as error:
            if before is None or not routes.service_host(before):
                raise
            former = {node: Claim(node, port) for port, node in routes.served(before).items()}
            for claim in mine:
                if claim.node in former:
                    self._claim(former[claim.node], _family(before))
                else:
                    self._remove(claim.node)
            annotations, address = _applied(before)
            self._write([], annotations, address)
            raise ClusterError(f"{error}; what was there is as it was") from error

    def _result(self) -> dict[str, Any]:
        service = self._service()
        return {
            **merge_changes(self._changes),
            "address": routes.service_host(service),
            "ports": {routes.port_name(node): port for port, node in sorted(routes.served(service).items())},
        }


def _family(service: Mapping[str, Any] | None) -> str:
    """Return the kind of addresses that a Service leads to."""
    return str(((service or {}).get("spec") or {}).get("ipFamilies", ["IPv4"])[0])


def _applied(service: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Return the annotations and the address that were asked for."""
    applied = applied_by(FIELD_MANAGER, service)
    return applied["metadata"].get("annotations") or {}, str((applied.get("spec") or {}).get("loadBalancerIP", ""))
