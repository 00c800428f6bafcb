# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A testbed that crashed leaves nothing on the machine after `down`.

Slow: each test brings up an embedded cluster of its own, beside the one that may be in use.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.testbed import cgroups, images
from tests.testbed.components import HELPER_IMAGE
from tests.testbed.embedded import KERNEL_SETTINGS, PROJECT, Embedded
from tests.testbed.processes import Process
from tests.testbed.progress import wait_until

pytestmark = pytest.mark.timeout(400)

WORKLOAD = f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  containers:
    - name: web
      image: {HELPER_IMAGE}
      command: [sh, -c, "echo hello > /data/index.html; exec httpd -f -p 8080 -h /data"]
      volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


@dataclass(frozen=True)
class Host:
    """What a testbed could leave on the machine, besides processes."""

    mounts: frozenset[str]
    devices: frozenset[str]
    routes: frozenset[str]
    rules: str
    cgroups: frozenset[str]
    paths: frozenset[str]
    settings: tuple[str, ...]

    @staticmethod
    def now() -> Host:
        rules = _output("iptables-save")
        places = ("/run", "/var/lib", "/var/log", "/etc/cni", "/opt/cni", "/run/netns", "/run/containerd")
        return Host(
            mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
            devices=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            routes=frozenset(_output("ip", "-4", "route").splitlines()),
            rules="\n".join(re.sub(r"\[\d+:\d+\]", "", line) for line in rules.splitlines() if line[0] != "#"),
            cgroups=frozenset(str(path) for root in cgroups.hierarchies() for path in root.iterdir() if path.is_dir()),
            paths=frozenset(str(path) for place in places if Path(place).is_dir() for path in Path(place).iterdir()),
            settings=tuple(
                path.read_text() for path in (Path("/proc/sys", name) for name in KERNEL_SETTINGS) if path.exists()
            ),
        )


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _read(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return f"{address}: {error}"


def _processes_of(state: Path, namespace: str) -> list[str]:
    """Return the command lines of all processes in the process namespace or that name the state directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid() or Process.of(int(entry.name)) is None:
            continue  # one that has ended and only waits for its parent to notice is not running
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if os.readlink(entry / "ns/pid") == namespace or str(state) in command:
                found.append(command)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or belongs to the machine's own keeper, which root may not look at
    return found


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    cluster = Embedded(tmp_path / "testbed")
    yield cluster
    cluster.down()


def test_nothing_is_left_after_a_crash_of_kubelet_and_containerd(embedded: Embedded) -> None:
    before = Host.now()
    small = [images.pause(), images.busybox()]
    embedded.up(small)
    embedded.kubectl.apply(WORKLOAD)
    embedded.kubectl.run("wait", "--for=condition=Ready", "pod/web", "--timeout=90s")
    address = ["get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"]
    wait_until("an address", lambda: bool(embedded.kubectl.run(*address)), seconds=60, where=str(embedded.logs))
    page = f"http://{embedded.kubectl.run(*address)}/"
    wait_until("the page", lambda: _read(page) == "hello\n", seconds=30, where=str(embedded.logs))

    first = embedded.first_process()
    namespace = os.readlink(f"/proc/{first}/ns/pid")
    node = Process.of(first)
    assert node is not None
    killed = 0
    for pid in node.children():
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        if program.endswith((b"/kubelet", b"containerd")):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    assert killed == 2

    embedded.down()
    assert _processes_of(embedded.state, namespace) == []
    assert Host.now() == before
    assert not embedded.state.exists()


def test_nothing_is_left_when_up_is_killed_in_the_middle(embedded: Embedded) -> None:
    before = Host.now()
    program = (
        "import sys; from pathlib import Path; from tests.testbed.embedded import Embedded;"
        "Embedded(Path(sys.argv[1])).up([])"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(embedded.state)], cwd=PROJECT) as up:
        wait_until(
            "the cluster to be half up",
            lambda: (embedded.logs / "etcd.log").exists() or up.poll() is not None,
            seconds=120,
            where=str(embedded.logs),
        )
        assert up.poll() is None
        up.kill()
    assert embedded.holder is not None
    namespace = os.readlink(f"/proc/{embedded.first_process()}/ns/pid")

    embedded.down()
    # A question of the killed program to the API server may outlive both; it ends by itself, since nobody answers any more.
    wait_until(
        "the end of the last process",
        lambda: _processes_of(embedded.state, namespace) == [],
        seconds=20,
        where=str(embedded.logs),
    )
    assert Host.now() == before
    assert not embedded.state.exists()


def test_down_of_nothing_is_quiet(embedded: Embedded) -> None:
    embedded.down()
    assert not embedded.state.exists()
