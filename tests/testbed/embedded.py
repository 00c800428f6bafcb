# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded cluster: a real Kubernetes of one node, in namespaces of its own on this machine.

A holder process (`unshare`) owns the namespaces; its id and start time are in the state directory.
Ending it ends everything in them, so `down` works from any half-made or half-broken state.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from . import cache, cgroups, objects
from .certificates import Authority
from .components import API_PORT, NODE_NAME, Plan, Programs, components, configuration, server
from .errors import TestbedError
from .images import ImageFile
from .kubectl import Kubectl
from .network import Network, choose
from .parts import ADDONS, KUBE_ROUTER, KUBERNETES, METALLB, require_packages
from .processes import Process
from .progress import say, wait_until

PROJECT = Path(__file__).parents[2]
POLICY_CHAIN = "KUBE-ROUTER-FORWARD"  # kube-router's own, of the packet filter
HIDDEN = ("/run", "/var/lib", "/var/log")  # node.py mounts own directories there

# The kubelet sets these for the whole machine; `down` puts back what they were.
KERNEL_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


def state_directory() -> Path:
    """Return the directory of everything that belongs to the running cluster."""
    own = os.environ.get("INTERCHAIN_TESTBED")
    return Path(own).absolute() if own else cache.root() / "testbed"


class Embedded:
    """The embedded cluster whose files are in `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.kubeconfig = state / "kubeconfig"
        self.logs = state / "logs"

    @property
    def holder(self) -> Process | None:
        """The process that owns the namespaces, None when it does not run."""
        return Process.read(self.state / "holder")

    @property
    def plan(self) -> Plan:
        return Plan.from_json((self.state / "plan.json").read_text())

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(f"{KUBERNETES.ensure()}/kubectl", self.kubeconfig)

    def first_process(self) -> int:
        """Return the id, on the host, of process 1 of the namespaces."""
        holder = self.holder
        children = holder.children() if holder else []
        if not children:
            raise TestbedError(f"the embedded cluster ended while it started; see {self.logs}/node.log")
        return children[0]

    # up

    def up(self, images: Iterable[ImageFile]) -> None:
        """Bring the cluster up, load `images`, and wait until it can be used; repeatable."""
        with cache.lock("testbed"):
            if self.holder is None:
                if self.state.exists():
                    say("removing what an earlier embedded cluster left")
                    self._remove()
                self._start()
            self._wait_for_network()
            self._wait_for_api()
            self._apply_objects()
            for image in images:
                self.load(image)
            self._wait_for_use()

    def _start(self) -> None:
        if os.geteuid() != 0:
            raise TestbedError(
                "the embedded cluster needs root; run as root, or set KUBECONFIG, or use Docker and kind"
            )
        require_packages()
        for path in (self.state, cache.root(), PROJECT):
            if any(path.is_relative_to(hidden) for hidden in HIDDEN):
                raise TestbedError(f"{path} is below one of {', '.join(HIDDEN)}; choose INTERCHAIN_CACHE elsewhere")
        programs = Programs(*(str(part.ensure()) for part in (KUBERNETES, METALLB, KUBE_ROUTER, ADDONS)))
        network = choose(_routes())
        plan = Plan(str(self.state), network.octet, programs)
        self.logs.mkdir(parents=True)
        (self.state / "host.json").write_text(json.dumps(_kernel_settings(), indent=2))
        (self.state / "plan.json").write_text(plan.to_json())
        self._make_credentials(network)
        for file, content in configuration(plan).items():
            path = self.state / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (self.state / "volumes").mkdir()
        cgroups.create(network.name)
        self._start_holder()

    def _make_credentials(self, network: Network) -> None:
        authority = Authority(self.state / "pki")
        authority.issue(
            "kube-apiserver",
            "kube-apiserver",
            hosts=(
                network.node_address,
                network.kubernetes_service,
                "127.0.0.1",
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ),
        )
        authority.signing_key("service-accounts")
        authority.issue("kubelet-client", "kube-apiserver", organization="system:masters")
        directory = self.state / "kubeconfigs"
        directory.mkdir(mode=0o700)
        for file, user, group in (
            ("admin", "admin", "system:masters"),
            ("kube-controller-manager", "system:kube-controller-manager", ""),
            ("kube-scheduler", "system:kube-scheduler", ""),
            ("kube-proxy", "system:kube-proxy", ""),
            ("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
        ):
            authority.issue(file, user, organization=group)
            authority.kubeconfig(directory / file, server(network), file)
        shutil.copy(directory / "admin", self.kubeconfig)

    def _start_holder(self) -> None:
        command = [
            *("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "tests.testbed.node", str(self.state)),
        ]
        with (self.logs / "node.log").open("ab") as log:
            holder = subprocess.Popen(
                # It writes down its own id, then becomes unshare: no moment without a record.
                [sys.executable, "-m", "tests.testbed.holder", str(self.state / "holder"), *command],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(
            "the namespaces of the cluster",
            lambda: (self.holder is not None and bool(self.holder.children())) or holder.poll() is not None,
            seconds=20,
            where=f"{self.logs}/node.log",
        )
        first = Process.of(self.first_process())
        if first is not None:
            first.write(self.state / "node")

    def _wait_for_network(self) -> None:
        network = self.plan.network
        if not Path(f"/sys/class/net/{network.name}").exists():
            pair = ["type", "veth", "peer", "name", "eth0", "netns", str(self.first_process())]
            _ip("link", "add", network.name, *pair)
        _ip("address", "replace", f"{network.host_address}/30", "dev", network.name)
        _ip("link", "set", network.name, "up")
        _ip("route", "replace", network.whole, "via", network.node_address)

    def _wait_for_api(self) -> None:
        wait_until(
            "the Kubernetes API",
            lambda: bool(self.first_process()) and self.kubectl.succeeds("get", "--raw", "/readyz"),
            seconds=90,
            where=f"{self.logs}/kube-apiserver.log",
        )

    def _apply_objects(self) -> None:
        types = objects.METALLB_TYPES.read_text()
        self.kubectl.apply(types)
        self.kubectl.apply(objects.as_yaml(objects.basic(self.plan)))
        self.kubectl.run("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", stdin=types)
        self.kubectl.apply(objects.as_yaml([objects.address_pool(self.plan.network.load_balancers)]))

    def _wait_for_use(self) -> None:
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        wait_until(
            "the node to be ready",
            lambda: self.kubectl.answer("get", "node", NODE_NAME, "-o", ready).stdout == "True",
            seconds=60,
            where=f"{self.logs}/kubelet.log",
        )
        wait_until(
            "MetalLB",
            lambda: objects.pool_is_served(self.kubectl),
            seconds=60,
            where=f"{self.logs}/metallb-controller.log",
        )
        wait_until(
            "the enforcement of network policies",
            lambda: self._enter("iptables", "--list-rules", POLICY_CHAIN).returncode == 0,
            seconds=60,
            where=f"{self.logs}/kube-router.log",
        )
        wait_until(
            "CoreDNS",
            lambda: _accepts(self.plan.network.node_address, 53),
            seconds=60,
            where=f"{self.logs}/coredns.log",
        )
        wait_until(
            "the default service account",
            lambda: self.kubectl.succeeds("get", "serviceaccount", "default"),
            seconds=30,
            where=f"{self.logs}/kube-controller-manager.log",
        )

    # images

    def _enter(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces of the cluster."""
        enter = ["nsenter", "--target", str(self.first_process()), "--mount", "--net"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=False)

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._enter("ctr", "--namespace=k8s.io", *arguments)

    def load(self, image: ImageFile) -> None:
        """Give the image to containerd unless the cluster has this very build of it."""
        loaded = self.state / "images" / image.name.replace("/", "_")
        if loaded.exists() and loaded.read_text() == str(image.file):
            return
        say(f"loading {image.name}")
        wait_until(
            "containerd",
            lambda: self._ctr("version").returncode == 0,
            seconds=30,
            where=f"{self.logs}/containerd.log",
        )
        done = self._ctr("images", "import", str(image.file))
        if done.returncode != 0:
            raise TestbedError(f"loading {image.name} from {image.file} failed: {done.stderr.strip()}")
        loaded.parent.mkdir(exist_ok=True)
        loaded.write_text(str(image.file))

    def tag(self, name: str, another: str) -> None:
        """Give a loaded image one more name."""
        done = self._ctr("images", "tag", "--force", name, another)
        if done.returncode != 0:
            raise TestbedError(f"{name} cannot be named {another}: {done.stderr.strip()}")

    # down

    def down(self) -> None:
        """End the cluster and remove everything it made on this machine; repeatable."""
        with cache.lock("testbed"):
            self._remove()

    def _remove(self) -> None:
        holder, recorded = self.holder, Process.read(self.state / "node")
        members = [process for process in (holder, recorded) if process is not None]
        if holder is not None:
            members += [child for child in map(Process.of, holder.children()) if child is not None]
        for process in members:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # Process 1 of the namespaces ends only after every other process in them.
        wait_until(
            "the processes to end",
            lambda: not any(process.runs() for process in members),
            seconds=60,
            where=" ".join(str(process.pid) for process in members),
        )
        if (self.state / "plan.json").exists():
            network = self.plan.network
            cgroups.remove(network.name)
            if Path(f"/sys/class/net/{network.name}").exists():
                subprocess.run(["ip", "link", "delete", network.name], check=False, capture_output=True)
            wait_until(
                f"the network device {network.name} to go",
                lambda: not Path(f"/sys/class/net/{network.name}").exists(),
                seconds=30,
                where="ip link",
            )
        if (self.state / "host.json").exists():
            for setting, value in json.loads((self.state / "host.json").read_text()).items():
                Path("/proc/sys", setting).write_text(value)
        if self.state.exists():
            shutil.rmtree(self.state)

    # status

    def status(self) -> list[str]:
        """Return what is up, one line per fact."""
        holder = self.holder
        if holder is None:
            return ["embedded cluster: down"]
        plan = self.plan
        lines = [
            f"embedded cluster: up (process {holder.pid}), API {plan.network.node_address}:{API_PORT}",
            f"kubeconfig: {self.kubeconfig}",
            f"load balancer addresses: {plan.network.load_balancers}",
            f"logs: {self.logs}",
        ]
        running = self._running_commands()
        for component in components(plan):
            state = "running" if " ".join(component.command) in running else "NOT RUNNING"
            lines.append(f"  {component.name}: {state}")
        return lines

    def _running_commands(self) -> set[str]:
        children = Process.of(self.first_process())
        commands = set()
        for pid in children.children() if children else []:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
            commands.add(" ".join(word.decode() for word in words))
        return commands


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"ip {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _routes() -> list[str]:
    return [route["dst"] for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all"))]


def _kernel_settings() -> dict[str, str]:
    paths = {setting: Path("/proc/sys", setting) for setting in KERNEL_SETTINGS}
    return {setting: path.read_text().strip() for setting, path in paths.items() if path.exists()}
