# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network namespace joined to the host by one cable, in which packets can be lost without either end being told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

STATES = {"01"}  # ESTABLISHED, as /proc/net/tcp writes it


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr} (these tests need root, iproute2 and iptables)"
    return done.stdout


class Namespace:
    """Addresses are out of 198.18.0.0/15, which is set aside for tests of networks."""

    def __init__(self) -> None:
        number = os.getpid()
        self.name = f"ics-faults-{number}"
        self.inside = ("ip", "netns", "exec", self.name)
        subnet = f"198.{18 + number // 16384 % 2}.{number // 64 % 256}"
        base = number % 64 * 4
        self.host_address, self.address = f"{subnet}.{base + 1}", f"{subnet}.{base + 2}"
        self._cable = f"icsf{number}"

    def __enter__(self) -> Namespace:
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "cable", "netns", self.name)
            run("ip", "address", "add", f"{self.host_address}/30", "dev", self._cable)
            run("ip", "link", "set", self._cable, "up")
            run(*self.inside, "ip", "address", "add", f"{self.address}/30", "dev", "cable")
            for device in ("lo", "cable"):
                run(*self.inside, "ip", "link", "set", device, "up")
        except BaseException:
            run("ip", "netns", "delete", self.name)
            raise
        return self

    def __exit__(self, *_details: object) -> None:
        run("ip", "netns", "delete", self.name)

    def lose(self, *, port: int) -> None:
        """Lose all packets from and to a TCP port, of either end, from now on."""
        for chain in ("INPUT", "OUTPUT"):
            for end in ("--sport", "--dport"):
                run(*self.inside, "iptables", "-A", chain, "-p", "tcp", end, str(port), "-j", "DROP")

    def heal(self) -> None:
        """Lose nothing any longer."""
        run(*self.inside, "iptables", "-F")

    def connected_ports(self) -> Sequence[int]:
        """The host's ports of the connections into the namespace that are open now."""
        address = "".join(f"{int(part):02X}" for part in reversed(self.address.split(".")))
        with open("/proc/net/tcp", encoding="ascii") as file:
            lines = [line.split() for line in file.readlines()[1:]]
        found = [line for line in lines if line[2].startswith(f"{address}:") and line[3] in STATES]
        return sorted({int(line[1].partition(":")[2], 16) for line in found})
