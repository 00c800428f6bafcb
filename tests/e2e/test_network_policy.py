# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who reaches a consumer's node, and whom it reaches: connections that pods really open, or try to.

Every way that is closed to one pod is seen open to another one at the same moment, so it is a policy that closes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.components import HELPER_IMAGE
from tests.testbed.devnet import Devnet

# The first test also waits for the devnet, where no other file was run before it.
pytestmark = pytest.mark.timeout(900)

STRANGER = "stranger"
METADATA_SERVICE = "169.254.169.254"
# One pod that only is in another namespace, and listens on two ports; one that does so at the address of a cloud's metadata service, as a process of the
# node itself.
STRANGERS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {STRANGER}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: {STRANGER}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: web
      image: {HELPER_IMAGE}
      command: [sh, -c, "httpd -p 80 -h /tmp && exec httpd -f -p 8080 -h /tmp"]
---
apiVersion: v1
kind: Pod
metadata: {{name: metadata, namespace: {STRANGER}}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers:
    - name: metadata
      image: {HELPER_IMAGE}
      command: [sh, -c, "ip address add {METADATA_SERVICE}/32 dev lo && exec httpd -f -p {METADATA_SERVICE}:8080 -h /tmp"]
      securityContext: {{capabilities: {{add: [NET_ADMIN]}}}}
      readinessProbe: {{tcpSocket: {{host: {METADATA_SERVICE}, port: 8080}}, periodSeconds: 1}}
"""
# In a monitor's pod, which has no nc.
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
except (ConnectionRefusedError, TimeoutError):
    print('closed')
else:
    print('open')
"""


def with_node(devnet: Devnet, chain_id: str) -> str:
    """Return a consumer of which alice runs a node."""
    made = devnet.create_consumer(chain_id, spawn_in=3600)
    devnet.await_members(made, ("alice", "bob"))
    devnet.set_spawn_time(made, 10)
    devnet.wait("the first block", lambda: devnet.node_height("alice", made) > 0, 240, "make logs")
    return made


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet) -> str:
    return with_node(devnet, "policy-1")


@pytest.fixture(scope="module")
def other_node(devnet: Devnet) -> tuple[str, str]:
    """Where alice's node of another consumer is: namespace and pod."""
    return f"alice-consumer-{with_node(devnet, 'policy-2')}", "node-0"


@pytest.fixture(scope="module", autouse=True)
def strangers(devnet: Devnet) -> Iterator[None]:
    manifest = devnet.directory / "strangers.yml"
    manifest.write_text(STRANGERS)
    devnet.kubectl("apply", "--filename", str(manifest))
    devnet.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--namespace", STRANGER, "--timeout=60s")
    yield
    # The node keeps the address until it goes itself.
    devnet.kubectl(
        "exec",
        "--namespace",
        STRANGER,
        "metadata",
        "--",
        "ip",
        "address",
        "delete",
        f"{METADATA_SERVICE}/32",
        "dev",
        "lo",
    )
    devnet.kubectl("delete", "namespace", STRANGER, "--wait=false")


def connect(devnet: Devnet, namespace: str, pod: str, host: str, port: int) -> str:
    """Open a connection from a pod; return "open" or "closed", or what else the client says."""
    there = ("exec", "--namespace", namespace, pod, "--")
    if pod.startswith("monitor-"):
        return devnet.kubectl(*there, "python3", "-c", CONNECT, host, str(port)).strip()
    said = devnet.kubectl(
        *there, "sh", "-c", 'nc -w 5 "$0" "$1" 2>&1 >/dev/null </dev/null && echo open || true', host, str(port)
    )
    return "closed" if "Connection refused" in said or "timed out" in said else said.strip()


def address(devnet: Devnet, namespace: str, pod: str) -> str:
    found = devnet.get("pod", pod, namespace)
    assert found is not None
    return str(found["status"]["podIP"])


def test_everybody_may_be_a_peer(devnet: Devnet, consumer_id: str) -> None:
    namespace = f"alice-consumer-{consumer_id}"
    service = devnet.get("service", "p2p", "alice-monitor")
    assert service is not None
    (announced,) = (port for port in service["spec"]["ports"] if port["name"] == f"consumer-{consumer_id}")
    outside = service["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert connect(devnet, STRANGER, "web", address(devnet, namespace, "node-0"), 26656) == "open"
    assert connect(devnet, STRANGER, "web", outside, announced["port"]) == "open"


@pytest.mark.parametrize("port", [26657, 9090, 1317])
def test_only_the_validators_monitor_asks_the_node(
    devnet: Devnet, consumer_id: str, other_node: tuple[str, str], port: int
) -> None:
    """And its relayer, without which no channel is opened: see test_hermes."""
    namespace = f"alice-consumer-{consumer_id}"
    pod, service = address(devnet, namespace, "node-0"), f"node.{namespace}.svc"
    assert connect(devnet, "alice-monitor", "monitor-0", service, port) == "open"
    for place in ((STRANGER, "web"), ("bob-monitor", "monitor-0"), other_node):
        assert connect(devnet, *place, service, port) == "closed"
        assert connect(devnet, *place, pod, port) == "closed"


def test_the_node_reaches_peers_and_nothing_else(devnet: Devnet, consumer_id: str) -> None:
    node = (f"alice-consumer-{consumer_id}", "node-0")
    web = address(devnet, STRANGER, "web")
    assert connect(devnet, *node, web, 8080) == "open"
    for host, port in ((web, 80), (METADATA_SERVICE, 8080)):
        assert connect(devnet, STRANGER, "web", host, port) == "open"
        assert connect(devnet, "alice-monitor", "monitor-0", host, port) == "open"
        assert connect(devnet, *node, host, port) == "closed"


def test_only_the_kubelet_asks_a_monitor(devnet: Devnet) -> None:
    """Its probes come from the node, and get an answer: the pod is ready."""
    pod = address(devnet, "alice-monitor", "monitor-0")
    for place in ((STRANGER, "web"), ("bob-monitor", "monitor-0")):
        assert connect(devnet, *place, pod, 9464) == "closed"
    devnet.kubectl("wait", "--for=condition=Ready", "pod/monitor-0", "--namespace", "alice-monitor", "--timeout=60s")
