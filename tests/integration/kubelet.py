# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod of a node where no kubelet is: the cluster's object of it, told by the test, and the process that it stands for."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes

from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import NodeSilent
from tests.integration.consumer_place import VALIDATOR, Pod
from tests.integration.monitor_place import MonitorPlace


class Kubelet:
    """The pod of a node as the cluster sees it, told by the test; the process that it stands for."""

    def __init__(self, place: MonitorPlace, consumer_id: str, home: Path) -> None:
        self._place, self.namespace = place, f"{VALIDATOR}-consumer-{consumer_id}"
        self._core = kubernetes.client.CoreV1Api(place.cluster.api_client)
        self.home = home
        self.process = Pod(place, consumer_id, home)

    def start(self) -> None:
        """Do what the controllers and the kubelet do: a pod object on a machine, and its process."""
        self.schedule()
        self.process.start()
        self.tell(ready=True)

    def schedule(self) -> None:
        """Make the pod object on a machine, with no process yet."""
        for quota in self._core.list_namespaced_resource_quota(self.namespace).items:
            status = {"hard": quota.spec.hard, "used": dict.fromkeys(quota.spec.hard, "0")}
            self._core.patch_namespaced_resource_quota_status(quota.metadata.name, self.namespace, {"status": status})
        stateful_set = self._place.get("StatefulSet", "node", self.namespace, "apps/v1")
        assert stateful_set is not None
        template = stateful_set["spec"]["template"]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "node-0", "labels": template["metadata"]["labels"]},
            "spec": {**template["spec"], "nodeName": "machine"},
        }
        self._core.create_namespaced_pod(self.namespace, body)

    def tell_address(self, address: str) -> None:
        """Say which address the pod has."""
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self._core.patch_namespaced_pod_status("node-0", self.namespace, {"status": status})

    def tell(self, *, ready: bool) -> None:
        """Say what the probes have found."""
        container = {
            "name": "node",
            "image": "image",
            "imageID": "",
            "ready": ready,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-11-23T00:00:00Z"}, "waiting": None},
        }
        status = {"phase": "Running", "containerStatuses": [container]}
        self._core.patch_namespaced_pod_status("node-0", self.namespace, {"status": status})

    def tell_of_refusals(self, number: int) -> None:
        """Say that the container ended at once so many times, with the end of its log as the reason, and is to be started again later."""
        now = "2026-11-23T00:00:00Z"
        said = self.process.log.read_text(errors="replace")[-2048:]
        ended = {"exitCode": 1, "reason": "Error", "message": said, "startedAt": now, "finishedAt": now}
        container = {
            "name": "node",
            "image": "image",
            "imageID": "",
            "ready": False,
            "started": False,
            "restartCount": number,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": ended},
        }
        status = {"phase": "Running", "containerStatuses": [container]}
        self._core.patch_namespaced_pod_status("node-0", self.namespace, {"status": status})

    @property
    def pod(self) -> dict[str, Any] | None:
        return self._place.get("Pod", "node-0", self.namespace)

    def finish(self) -> None:
        """End the process of a pod that is to go, and say that it is gone."""
        assert self.pod is not None
        assert self.pod["metadata"]["deletionTimestamp"]
        self.process.kill()
        self._core.delete_namespaced_pod("node-0", self.namespace, grace_period_seconds=0)

    def signal(self, number: signal.Signals) -> None:
        process = self.process._process
        assert process is not None
        os.kill(process.pid, number)

    def sign_state(self) -> tuple[int, int]:
        """Return height and round of the last vote."""
        found = json.loads((self.home / "data/priv_validator_state.json").read_text())
        return int(found["height"]), int(found["round"])


def process_access(*kubelets: Kubelet) -> type[NodeAccess]:
    """Return the way to the nodes: to their processes, since no kubelet forwards a port. All else is what it is in a cluster."""
    processes = {kubelet.namespace: kubelet.process for kubelet in kubelets}

    class ProcessAccess(NodeAccess):
        def _connect(self) -> Any:
            parts = urlsplit(processes[self._namespace].url)
            try:
                return socket.create_connection((parts.hostname, parts.port or 0), timeout=5)
            except OSError as error:  # a forward to a port at which nobody listens is closed at once
                raise NodeSilent(str(error)) from error

        def disk_usage(self, path: str) -> float:
            return 0.5

        def read_file(self, path: str) -> str:
            return processes[self._namespace].file(path)

    return ProcessAccess
