# SPDX-License-Identifier: GPL-3.0-or-later
"""Process 1 of the embedded cluster's own namespaces: prepares them and keeps the components running.

When this process ends, for whatever reason, the kernel ends every process of the namespace, and with
the namespaces go all mounts, network devices and packet filter rules of the cluster.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .components import NODE_NAME, Component, Plan, components

DEVICE = "eth0"
DEVICE_SECONDS = 30.0
RESTART_SECONDS = 2.0
LOCAL_TABLE = "100"
POLICY_MARK = "0x10000/0x10000"


def _call(*command: str) -> None:
    subprocess.run(command, check=True)


def prepare_mounts(state: Path) -> None:
    """Hide the host's run-time directories below own ones, and let pods propagate their mounts."""
    _call("mount", "--make-rshared", "/")
    for directory in ("var-lib", "var-log"):
        (state / directory).mkdir(exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _call("mount", "--bind", f"{state}/var-lib", "/var/lib")
    _call("mount", "--bind", f"{state}/var-log", "/var/log")


def prepare_network(plan: Plan) -> None:
    """Give the node its addresses and routes; `up` puts the device into this namespace."""
    deadline = time.monotonic() + DEVICE_SECONDS
    while DEVICE not in (name for _index, name in socket.if_nameindex()):
        if time.monotonic() > deadline:
            raise SystemExit(f"no network device {DEVICE} after {DEVICE_SECONDS:.0f} s")
        time.sleep(0.05)
    network = plan.network
    _call("ip", "link", "set", "lo", "up")
    _call("ip", "address", "add", f"{network.node_address}/30", "dev", DEVICE)
    _call("ip", "link", "set", DEVICE, "up")
    # The node's own packets to a service need some route before kube-proxy's rules can redirect them;
    # packets of pods and of the host to an address that nobody serves are refused at once.
    _call("ip", "route", "add", network.whole, "via", network.host_address, "table", LOCAL_TABLE)
    _call("ip", "rule", "add", "iif", "lo", "lookup", LOCAL_TABLE, "priority", "40000")
    # Whoever is on the host is on the node, which no network policy keeps out. With this mark kube-router takes a packet for allowed.
    policies = ["iptables", "--table", "mangle", "--append", "PREROUTING", "--in-interface", DEVICE]
    _call(*policies, "--source", network.host_address, "--jump", "MARK", "--set-xmark", POLICY_MARK)
    for setting in ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"):
        Path("/proc/sys", setting).write_text("1")


class Supervisor:
    """Starts each component when what it needs is there, and again when it ends."""

    def __init__(self, wanted: list[Component], logs: Path) -> None:
        self._wanted = wanted
        self._logs = logs
        self._running: dict[int, Component] = {}
        self._not_before: dict[str, float] = {}
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/run",
        }

    def run(self) -> None:
        """Work until the process is ended by a signal."""
        while True:
            self._start_missing()
            self._reap()
            time.sleep(0.1)

    def _start_missing(self) -> None:
        running = {component.name for component in self._running.values()}
        for component in self._wanted:
            if component.name in running or time.monotonic() < self._not_before.get(component.name, 0.0):
                continue
            if component.needs is not None and not _accepts(component.needs):
                continue
            with (self._logs / f"{component.name}.log").open("ab") as log:
                process = subprocess.Popen(
                    component.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            # Ended children are collected by _reap alone, orphans of other processes included.
            process.returncode = 0
            self._running[process.pid] = component
            self._not_before[component.name] = time.monotonic() + RESTART_SECONDS
            print(f"started {component.name} as {process.pid}", flush=True)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            component = self._running.pop(pid, None)
            if component is not None:
                print(f"{component.name} ended with status {os.waitstatus_to_exitcode(status)}", flush=True)


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def main(state: Path) -> None:
    plan = Plan.from_json((state / "plan.json").read_text())
    socket.sethostname(NODE_NAME)
    prepare_mounts(state)
    prepare_network(plan)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Supervisor(components(plan), state / "logs").run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
