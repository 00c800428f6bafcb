# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring several objects of a Kubernetes cluster into their state in one task."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import (
    POLL_SECONDS,
    Change,
    Cluster,
    merge_changes,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    InvalidInput,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "definitions": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "choices": ["apply", "create", "merge", "patch"], "default": "apply"},
    "wait_timeout": {"type": "int", "default": 0},
    "kubeconfig": {"type": "path"},
}

MADE_FOR = ("interchain-security/volume", "interchain-security/program")
GRANT_SECONDS = 10.0
REMOVE_SECONDS = 60.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Apply, create or remove the objects in their order, and wait for them when that is asked for."""
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    definitions = params["definitions"]
    for number, definition in enumerate(definitions):
        metadata = definition.get("metadata")
        if not isinstance(metadata, dict) or not all(
            [definition.get("apiVersion"), definition.get("kind"), metadata.get("name")]
        ):
            raise InvalidInput(f"definitions[{number}] needs apiVersion, kind and metadata.name")
    changes: list[Change] = []
    for definition in definitions if params["state"] == "present" else reversed(definitions):
        if params["state"] == "absent":
            metadata = definition["metadata"]
            changes.append(
                cluster.delete(
                    definition["kind"], metadata["name"], metadata.get("namespace"), definition["apiVersion"]
                )
            )
        else:
            granted = any(change.changed and (change.after or {}).get("kind") == "RoleBinding" for change in changes)
            changes.append(_write(cluster, params["mode"], definition, GRANT_SECONDS if granted else 0))
    result = merge_changes(changes)
    if params["wait_timeout"] > 0 and not check_mode:
        there = {_key(change.after) for change in changes if change.after is not None}
        for definition in definitions:
            if params["mode"] == "patch" and _key(definition) not in there:
                continue  # there is none, and none was made
            _await(cluster, definition, params)
    found = [change.after for change in changes if change.after is not None]
    if params["wait_timeout"] > 0 and not check_mode:  # with the state that was waited for
        found = [cluster.shown(entry["kind"], entry["metadata"], entry["apiVersion"]) or entry for entry in found]
    return {**result, "objects": found}


def _key(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["kind"], str(found["metadata"].get("namespace", "")), found["metadata"]["name"]


def _write(cluster: Cluster, mode: str, definition: dict[str, Any], patience: float) -> Change:
    """Write an object. A right given just before takes the server a moment to notice: refusals are bridged for ``patience`` seconds."""
    writers: dict[str, Callable[[dict[str, Any]], Change]] = {
        "apply": cluster.apply,
        "create": cluster.create,
        "merge": cluster.merge,
        "patch": cluster.patch,
    }
    deadline = time.monotonic() + patience
    if definition["kind"] == "Job":
        _make_room(cluster, definition)
    while True:
        try:
            return writers[mode](definition)
        except ClusterError as error:
            if error.status != 403 or time.monotonic() >= deadline:
                raise
            time.sleep(POLL_SECONDS)


def _make_room(cluster: Cluster, definition: dict[str, Any]) -> None:
    """A Job never runs again: one that has failed, or that was made for another volume or program, makes room for a new one."""
    name, namespace = definition["metadata"]["name"], definition["metadata"].get("namespace")
    found = cluster.get("Job", name, namespace, definition["apiVersion"])
    if found is None:
        return
    conditions = (found.get("status") or {}).get("conditions") or []
    failed = any(entry["type"] == "Failed" and entry["status"] == "True" for entry in conditions)
    wanted, had = (entry["metadata"].get("annotations") or {} for entry in (definition, found))
    if failed or any(wanted.get(mark) and wanted[mark] != had.get(mark) for mark in MADE_FOR):
        cluster.delete("Job", name, namespace, definition["apiVersion"], found["metadata"]["uid"])

        def gone() -> bool | None:
            left = cluster.get("Job", name, namespace, definition["apiVersion"])
            return True if left is None or left["metadata"]["uid"] != found["metadata"]["uid"] else None

        cluster.await_value(f"Job {namespace}/{name}, which is done, to go", gone, REMOVE_SECONDS)


def _await(cluster: Cluster, definition: dict[str, Any], params: dict[str, Any]) -> None:
    kind, name = definition["kind"], definition["metadata"]["name"]
    namespace, api_version = definition["metadata"].get("namespace"), definition["apiVersion"]
    where = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    absent = params["state"] == "absent"

    def settled() -> bool | None:
        found = cluster.get(kind, name, namespace, api_version)
        if absent:
            return True if found is None else None
        if found is None:
            raise ClusterError(f"{where} is gone while it was waited for")
        return _is_ready(where, found)

    describe = f"`kubectl describe {kind.lower()} {name}{f' --namespace {namespace}' if namespace else ''}` tells why"
    wanted = "be gone" if absent else "be ready"
    cluster.await_value(f"{where} to {wanted}", settled, params["wait_timeout"], describe)


def _is_ready(where: str, found: dict[str, Any]) -> bool | None:
    """Return True or, while it is not ready, None; ClusterError when it never will be."""
    status = found.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    if found["kind"] == "Job":
        if conditions.get("Failed", {}).get("status") == "True":
            raise ClusterError(
                f"{where} failed: {str(conditions['Failed'].get('message', 'no reason was given'))[:400]}"
            )
        return True if conditions.get("Complete", {}).get("status") == "True" else None
    if found["kind"] == "Service" and found["spec"].get("type") == "LoadBalancer":
        return True if (status.get("loadBalancer") or {}).get("ingress") else None
    if found["kind"] in ("StatefulSet", "Deployment"):
        spec = found["spec"]
        current = status.get("observedGeneration") == found["metadata"].get("generation")
        if not current or status.get("replicas", 0) != spec["replicas"]:
            return None
        return True if status.get("readyReplicas", 0) == spec["replicas"] else None
    return True
