# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes API server without a node: objects are checked and kept, pods are never run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.single_node import free_port
from tests.testbed.certificates import Authority
from tests.testbed.kubectl import Kubectl
from tests.testbed.parts import KUBERNETES, require_packages

START_SECONDS = 60
COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"


class ApiServer:
    """etcd and kube-apiserver as plain processes on loopback, with their files below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.kubeconfig = directory / "kubeconfig"
        self.audit_log = directory / "audit.log"

    def start(self) -> None:
        """Start both and wait until the API answers."""
        require_packages()
        programs = KUBERNETES.ensure()
        self._directory.mkdir(parents=True, exist_ok=True)
        client, peer = free_port(), free_port()
        self._run(
            "etcd",
            "etcd",
            f"--data-dir={self._directory}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        pki = self._directory / "pki"
        authority = Authority(pki)
        authority.issue("server", "kube-apiserver", hosts=("127.0.0.1", "localhost"))
        authority.issue("admin", "admin", organization="system:masters")
        authority.signing_key("tokens")
        authority.kubeconfig(self.kubeconfig, f"https://127.0.0.1:{self.port}", "admin")
        policy = self._directory / "audit-policy.yml"
        policy.write_text(
            json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]})
        )
        self._run(
            "kube-apiserver",
            str(programs / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/server.crt",
            f"--tls-private-key-file={pki}/server.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/tokens.pub",
            f"--service-account-signing-key-file={pki}/tokens.key",
            # Nothing makes default service accounts here.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
        )
        kubectl = Kubectl(str(programs / "kubectl"), self.kubeconfig)
        deadline = time.monotonic() + START_SECONDS
        while not kubectl.succeeds("get", "--raw", "/readyz"):
            for process in self._processes:
                assert process.poll() is None, self._logs()
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.2)

    def _run(self, name: str, *command: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            )

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in self._directory.glob("*.log") if path != self.audit_log)

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes.clear()

    def playbook(self, name: str, variables: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection against this server, and nothing of the user's environment; return how it ended."""
        values = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", "localhost,", f"interchain.security.{name}", "-e", json.dumps(values)),
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(Path.home()),
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def writes(self) -> list[Mapping[str, Any]]:
        """Return what the audit log says of requests that changed something, oldest first."""
        entries = [json.loads(line) for line in self.audit_log.read_text().splitlines()]
        return [
            entry
            for entry in entries
            if entry["stage"] == "ResponseComplete"
            and entry["verb"] in ("create", "update", "patch", "delete")
            and entry["user"]["username"] == "admin"
        ]


def main() -> None:
    """Run one until it is interrupted: `python -m tests.integration.api_server DIRECTORY`."""
    server = ApiServer(Path(sys.argv[1]))
    try:
        server.start()
        print(server.kubeconfig, flush=True)
        while True:
            time.sleep(3600)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
