# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster made by kind in a Docker engine; its images come from their registries."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

from . import cache, collection, objects
from .errors import TestbedError
from .images import PROJECT, monitor_image
from .kubectl import Kubectl
from .progress import run, say, wait_until

NAME = "interchain-testbed"
METALLB = Path(__file__).parent / "manifests" / "metallb-kind.yaml"
ADDRESSES = 250


def last_addresses(subnets: Sequence[str]) -> str:
    """Return the range that MetalLB gives away: the last addresses of the first IPv4 subnet."""
    for subnet in map(ip_network, subnets):
        if isinstance(subnet, IPv4Network):
            last = int(subnet.broadcast_address) - 1
            return f"{IPv4Address(last - ADDRESSES + 1)}-{IPv4Address(last)}"
    raise TestbedError("the Docker network of kind has no IPv4 subnet")


class Kind:
    """The cluster NAME of kind, with its kubeconfig in `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.kubeconfig = state / "kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl("kubectl", self.kubeconfig)

    def exists(self) -> bool:
        return NAME in _output("kind", "get", "clusters").splitlines()

    def load_balancers(self) -> str:
        """Return the first and last address that MetalLB gives away, as "first-last"."""
        network = json.loads(_output("docker", "network", "inspect", "kind"))[0]
        return last_addresses([part["Subnet"] for part in network["IPAM"]["Config"]])

    def up(self) -> None:
        """Make the cluster unless it exists, and give it MetalLB and the monitor's image."""
        self.state.mkdir(parents=True, exist_ok=True)
        if not self.exists():
            run("kind", ["kind", "create", "cluster", "--name", NAME, "--wait", "120s"], cache.log("kind"))
        run(
            "kind", ["kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", self.kubeconfig], cache.log("kind")
        )
        types = objects.METALLB_TYPES.read_text()
        self.kubectl.apply(types)
        self.kubectl.run("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", stdin=types)
        self.kubectl.apply(METALLB.read_text())
        self.kubectl.apply(objects.as_yaml([objects.address_pool(self.load_balancers()), objects.announcement()]))
        wait_until(
            "MetalLB",
            lambda: objects.pool_is_served(self.kubectl),
            seconds=180,
            where="kubectl --namespace metallb-system get pods",
        )
        self.load_monitor()

    def load_monitor(self) -> None:
        """Build the monitor's image with Docker and give it to the cluster."""
        name = monitor_image()
        say(f"loading {name}")
        with tempfile.TemporaryDirectory() as context:
            collection.copy_for_image(Path(context))
            containerfile = PROJECT / "containers" / "monitor" / "Containerfile"
            run(
                "monitor-image", ["docker", "build", "--tag", name, "--file", containerfile, context], cache.log("kind")
            )
        run("monitor-image", ["kind", "load", "docker-image", name, "--name", NAME], cache.log("kind"))

    def down(self) -> None:
        """Delete the cluster if it exists."""
        if self.exists():
            run("kind", ["kind", "delete", "cluster", "--name", NAME], cache.log("kind"))
        self.kubeconfig.unlink(missing_ok=True)

    def status(self) -> list[str]:
        if not self.exists():
            return [f"kind cluster {NAME}: down"]
        return [
            f"kind cluster {NAME}: up",
            f"kubeconfig: {self.kubeconfig}",
            f"load balancer addresses: {self.load_balancers()}",
        ]


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout
