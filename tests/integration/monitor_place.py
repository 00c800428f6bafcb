# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in which a monitor was deployed: what runs afterwards runs with the rights of its service account, and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes
import yaml

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from tests.integration.consumer_place import MONITOR, ROOT, VALIDATOR, Place
from tests.integration.single_node import CHAIN_ID


class MonitorPlace(Place):
    """The role monitor has run; its pod has not."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.monitor_kubeconfig: Path | None = None

    def start(self) -> None:
        """Start everything and deploy the monitor."""
        super().start()
        done = self.playbook("deploy_monitor", monitor_mnemonic=self.node.mnemonic, monitor_wait=False)
        assert done.returncode == 0, done.stdout[-6000:]
        kubeconfig = yaml.safe_load(self.server.kubeconfig.read_text())
        (user,) = kubeconfig["users"]
        user["user"] = {"token": self._token()}
        made = self.directory / "monitor.kubeconfig"
        made.write_text(yaml.safe_dump(kubeconfig))
        self.monitor_kubeconfig = made
        self.monitor_cluster = Cluster(str(made))

    def _token(self) -> str:
        core = kubernetes.client.CoreV1Api(self.cluster.api_client)
        wanted = kubernetes.client.AuthenticationV1TokenRequest(
            spec=kubernetes.client.V1TokenRequestSpec(audiences=[], expiration_seconds=7200)
        )
        answer: str = core.create_namespaced_service_account_token("monitor", MONITOR, wanted).status.token
        return answer

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return the environment of playbooks; once there is a monitor, with its rights."""
        return super().environment(kubeconfig or self.monitor_kubeconfig)

    def playbook(self, name: str, *, check: bool = False, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection with the inventory variables of the monitor, in check mode perhaps; return how it ended."""
        values = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "interchain_validator": VALIDATOR,
            "interchain_operator_address": self.operator,
            "interchain_provider_rpc_url": [self.node.url],
            "interchain_provider_chain_id": CHAIN_ID,
            "interchain_mnemonic_file": str(self._mnemonic),
            "interchain_catalogue": [{"base_genesis": {"file": str(self.base_genesis)}}],
            **variables,
        }
        return subprocess.run(
            [
                str(ROOT / ".venv/bin/ansible-playbook"),
                *("-i", "localhost,"),
                f"interchain.security.{name}",
                *(["--check"] if check else []),
                *("-e", json.dumps(values)),
            ],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def run_playbook(self, name: str, **variables: Any) -> str:
        """Run a playbook, which has to succeed; return what it said."""
        done = self.playbook(name, **variables)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def memory(self, consumer_id: str) -> dict[str, str]:
        """Return what the monitor remembers of a consumer."""
        found = self.get("ConfigMap", f"consumer-{consumer_id}", MONITOR)
        return {} if found is None else found.get("data") or {}
