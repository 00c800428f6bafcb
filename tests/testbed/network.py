# SPDX-License-Identifier: GPL-3.0-or-later
"""The private networks of one embedded cluster, all cut out of a single 10.x.0.0/16."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from .errors import TestbedError

FIRST, LAST = 192, 254


@dataclass(frozen=True)
class Network:
    """Addresses of the cluster whose /16 is 10.`octet`.0.0.

    The node lives in a network namespace of its own; one pair of virtual Ethernet devices joins
    it to the host, which routes the whole /16 to it.
    """

    octet: int

    @property
    def name(self) -> str:
        """Name of the host's network device and of the cgroup of all pods."""
        return f"ics-testbed{self.octet}"

    @property
    def whole(self) -> str:
        return f"10.{self.octet}.0.0/16"

    @property
    def host_address(self) -> str:
        return f"10.{self.octet}.0.1"

    @property
    def node_address(self) -> str:
        return f"10.{self.octet}.0.2"

    @property
    def load_balancers(self) -> str:
        """First and last address that MetalLB gives away."""
        return f"10.{self.octet}.1.1-10.{self.octet}.1.254"

    @property
    def services(self) -> str:
        return f"10.{self.octet}.16.0/20"

    @property
    def cluster_dns(self) -> str:
        return f"10.{self.octet}.16.10"

    @property
    def kubernetes_service(self) -> str:
        return f"10.{self.octet}.16.1"

    @property
    def pods(self) -> str:
        return f"10.{self.octet}.32.0/19"


def choose(routes: Iterable[str]) -> Network:
    """Return the first network that overlaps no destination in `routes` ("default" is ignored)."""
    taken = [IPv4Network(route, strict=False) for route in routes if route != "default"]
    for octet in range(FIRST, LAST + 1):
        network = Network(octet)
        if not any(IPv4Network(network.whole).overlaps(other) for other in taken):
            return network
    raise TestbedError(f"no free network between 10.{FIRST}.0.0/16 and 10.{LAST}.0.0/16 on this host")


def addresses(block: str) -> list[str]:
    """Return all addresses of "first-last", in order."""
    first, last = (int(IPv4Address(end)) for end in block.split("-"))
    return [str(IPv4Address(address)) for address in range(first, last + 1)]
