# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send the ports of a validator's load balancer to where the pods of its nodes are now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import routes
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_validator_name
from ansible_collections.interchain.security.plugins.module_utils.ics.routes import Claim, Target

ARGUMENT_SPEC: dict[str, Any] = {
    "validator": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "wait_timeout": {"type": "int", "default": 0},
    "kubeconfig": {"type": "path"},
}
POLL_SECONDS = 0.2
TRIES = 4
AT_ONCE = 4  # nodes


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look at the pods and write what is other than it was; one that cannot be looked at holds up no other."""
    validator = checked_validator_name(params["validator"])
    if params["wait_timeout"] < 0:
        raise InvalidInput("wait_timeout must be seconds, 0 to look once")
    named = {routes.checked_node(node) for node in params["nodes"]}
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    work = _Routes(cluster, validator, params["monitor_namespace"] or f"{validator}-monitor")
    waiting = work.claimed()
    waiting = waiting & named if named else waiting
    deadline = time.monotonic() + (0 if check_mode else params["wait_timeout"])
    while True:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(work.follow, sorted(waiting)))
        if time.monotonic() >= deadline:
            break
        waiting = {node for node in waiting if not work.is_settled(node)}
        if not waiting:
            break
        time.sleep(POLL_SECONDS)
    return {
        **merge_changes(work.changes),
        "routes": [work.routes[node] for node in sorted(work.routes)],
        "problems": [f"{routes.title(node)}: {reason}" for node, reason in sorted(work.problems.items())],
    }


class _Routes:
    def __init__(self, cluster: Cluster, validator: str, namespace: str) -> None:
        self._cluster, self._validator, self._namespace = cluster, validator, namespace
        self._written: dict[str, list[Change]] = {}
        self.routes: dict[str, dict[str, Any]] = {}
        self.problems: dict[str, str] = {}
        self._pods: dict[str, dict[str, Any] | None] = {}

    @property
    def changes(self) -> list[Change]:
        """What was written, by node."""
        return [change for node in sorted(self._written) for change in self._written[node]]

    def claimed(self) -> set[str]:
        """Return the nodes that have a port."""
        found = self._cluster.select(
            routes.SLICE, self._namespace, routes.SLICE_SELECTOR, routes.SLICE_VERSION, metadata_only=True
        )
        return {claim.node for entry in found if (claim := routes.claim_of(entry)) is not None}

    def follow(self, node: str) -> None:
        """Send a node's port to its pod."""
        self.problems.pop(node, None)
        try:
            self._follow(node)
        except ClusterError as error:
            # The node of the provider chain may be one that is none of the monitor's business: who deployed it has sent peers to it.
            if node != routes.PROVIDER or error.status != 403:
                self.problems[node] = str(error)

    def is_settled(self, node: str) -> bool:
        """Tell whether the port leads to the pod that is wanted now, or none is wanted."""
        routed = bool(self.routes.get(node, {}).get("address"))
        if node == routes.PROVIDER:  # the validator may run it in another way
            return routed
        try:
            place = routes.namespace_of(node, self._validator)
            stateful_set = self._cluster.get("StatefulSet", "node", place, "apps/v1")
        except ClusterError:
            return False
        if stateful_set is None or not stateful_set["spec"]["replicas"]:
            return True
        return routed and routes.is_current(stateful_set, self._pods.get(node))

    def _follow(self, node: str) -> None:
        for _try in range(TRIES):
            # The slice is read before the pod and written with its version: what was seen earlier never goes over what was seen later.
            found = self._cluster.get(routes.SLICE, routes.slice_name(node), self._namespace, routes.SLICE_VERSION)
            claim = None if found is None else routes.claim_of(found)
            if found is None or claim is None:  # its port was freed
                self.routes.pop(node, None)
                return
            place = routes.namespace_of(node, self._validator)
            namespace = self._cluster.get("Namespace", place)
            pod = None if namespace is None else self._cluster.get("Pod", routes.POD, place)
            self._pods[node] = pod
            try:
                self._write(claim, found, routes.target(node, self._validator, found["addressType"], namespace, pod))
            except ClusterError as error:
                if error.status != 409:
                    raise
                continue
            return
        raise ClusterError(f"its {routes.SLICE} was changed by others each of {TRIES} times")

    def _write(self, claim: Claim, found: Mapping[str, Any], seen: Target | str) -> None:
        target, reason = (seen, "") if isinstance(seen, Target) else (None, seen)
        self.routes[claim.node] = {
            "node": claim.node,
            "port": claim.port,
            "address": target.address if target else "",
            "reason": reason,
        }
        wanted = routes.endpoint_slice(claim, self._validator, self._namespace, found["addressType"], target)
        if (found.get("endpoints") or []) != wanted["endpoints"]:
            wanted["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            self._written.setdefault(claim.node, []).append(self._cluster.apply(wanted))
