# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node starts, as its pod's description says it: on the machine that has the images. The role node on a real API server that runs no pods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from tests.integration.api_server import COLLECTIONS, ApiServer
from tests.integration.consumer_place import Controllers

pytestmark = pytest.mark.timeout(180)

NAMESPACE = "chain"
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: interchain.security.node, tasks_from: stage}
"""
ZONE = {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}
REQUIRED = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [ZONE]}}
PREFERRED = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": ZONE}]}
MACHINE = {"key": "metadata.name", "operator": "In", "values": ["first"]}


@pytest.fixture(scope="module")
def cluster(server: ApiServer) -> Iterator[Cluster]:
    controllers = Controllers(server.kubeconfig)
    controllers.machine = "first"
    controllers.start()
    made = Cluster(str(server.kubeconfig))
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    yield made
    controllers.stop()


def stage(server: ApiServer, directory: Path, affinity: dict[str, Any]) -> None:
    play = directory / "play.yml"
    play.write_text(PLAY)
    values = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "node_namespace": NAMESPACE,
        "node_rpc_gate": True,
        "node_gate_image": "monitor:1",
        "node_affinity": {"nodeAffinity": affinity},
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", str(play), "-e", json.dumps(values)],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "K8S_AUTH_KUBECONFIG": str(server.kubeconfig),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def stateful_set(cluster: Cluster) -> dict[str, Any]:
    found = cluster.get("StatefulSet", "node", NAMESPACE, "apps/v1")
    assert found is not None
    return found


def affinity_of(found: dict[str, Any]) -> dict[str, Any]:
    affinity: dict[str, Any] = found["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    return affinity


def test_a_node_prefers_the_machine_of_its_job_from_its_first_staging_on(
    server: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    stage(server, tmp_path, REQUIRED)
    first = stateful_set(cluster)
    affinity = affinity_of(first)
    (machine,) = affinity.pop("preferredDuringSchedulingIgnoredDuringExecution")
    assert machine["preference"] == {"matchFields": [MACHINE]}
    assert affinity == REQUIRED
    job = cluster.get("Job", "stage", NAMESPACE, "batch/v1")
    assert job is not None
    # It pulls the gate's image too.
    assert [entry["image"] for entry in job["spec"]["template"]["spec"]["initContainers"]] == ["monitor:1"]
    # Nobody is named who may ask it; everybody may be its peer.
    policy = cluster.get("NetworkPolicy", "node", NAMESPACE, "networking.k8s.io/v1")
    assert policy is not None
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 26656, "protocol": "TCP"}]}]

    # A later staging, for which the job's pod is gone, describes the same pod: one that runs is not started anew.
    core = kubernetes.client.CoreV1Api(cluster.api_client)
    core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=0)
    stage(server, tmp_path, REQUIRED)
    assert stateful_set(cluster)["metadata"]["generation"] == first["metadata"]["generation"]

    # What the operator prefers stands alone.
    stage(server, tmp_path, PREFERRED)
    assert affinity_of(stateful_set(cluster)) == PREFERRED
