# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A team with validators in several clusters: one inventory and one run, on two real API servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from tests.integration.api_server import COLLECTIONS, ApiServer

pytestmark = pytest.mark.timeout(300)

VALIDATORS = ("alice", "bob")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ApiServer]]:
    """Return the API server of each validator's cluster."""
    made = {name: ApiServer(tmp_path_factory.mktemp(name)) for name in VALIDATORS}
    try:
        for server in made.values():
            server.start()
        yield made
    finally:
        for server in made.values():
            server.stop()


def joined(servers: dict[str, ApiServer]) -> dict[str, Any]:
    """Return one kubeconfig with a context for each cluster; the current one is that of the first."""
    content: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": VALIDATORS[0]}
    content |= {"clusters": [], "users": [], "contexts": []}
    for name, server in servers.items():
        found = yaml.safe_load(server.kubeconfig.read_text())
        content["clusters"].append({"name": name, "cluster": found["clusters"][0]["cluster"]})
        content["users"].append({"name": name, "user": found["users"][0]["user"]})
        content["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    return content


@pytest.fixture(scope="module")
def inventory(servers: dict[str, ApiServer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One host for each validator: alice's cluster by a kubeconfig of its own, bob's by a context of one that names alice's first."""
    directory = tmp_path_factory.mktemp("inventory")
    both = directory / "kubeconfig"
    both.write_text(yaml.safe_dump(joined(servers)))
    environments = {
        "alice": {"K8S_AUTH_KUBECONFIG": str(servers["alice"].kubeconfig)},
        "bob": {"K8S_AUTH_KUBECONFIG": str(both), "K8S_AUTH_CONTEXT": "bob"},
    }
    content = {
        "validators": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "interchain_validator": "{{ inventory_hostname }}",
                "interchain_operator_address": "cosmosvaloper1qyqszqgpqyqszqgpqyqszqgpqyqszqgph84tp0",
                "interchain_provider_rpc_url": ["http://127.0.0.1:1"],
                "monitor_mnemonic": "not one",
                "monitor_wait": False,
            },
            "hosts": {name: {"interchain_environment": environments[name]} for name in VALIDATORS},
        }
    }
    made = directory / "validators.yml"
    made.write_text(yaml.safe_dump(content))
    return made


def deploy(inventory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)]
    command += ["interchain.security.deploy_monitor", "-e", "interchain_hosts=validators", *more]
    return subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", "HOME": str(inventory.parent), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_each_monitor_is_deployed_onto_its_own_cluster(servers: dict[str, ApiServer], inventory: Path) -> None:
    """With one run, and nothing of the user's environment; a second one changes nothing."""
    done = deploy(inventory)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    for name, other in (VALIDATORS, VALIDATORS[::-1]):
        cluster = Cluster(str(servers[name].kubeconfig))
        # By kubernetes.core, by this collection within Ansible's own process, and what belongs to no namespace.
        made = [
            ("StatefulSet", "monitor", f"{name}-monitor", "apps/v1"),
            ("Service", "p2p", f"{name}-monitor", "v1"),
            ("ValidatingAdmissionPolicy", f"interchain-monitor-{name}", None, "admissionregistration.k8s.io/v1"),
        ]
        assert [kind for kind, *found in made if cluster.get(kind, *found) is None] == []
        assert cluster.get("Namespace", f"{other}-monitor") is None
        policy = ("ValidatingAdmissionPolicy", f"interchain-monitor-{other}", None, "admissionregistration.k8s.io/v1")
        assert cluster.get(*policy) is None
    again = deploy(inventory)
    assert again.stdout.count("changed=0") == len(VALIDATORS), again.stdout[-4000:]


def versions(servers: dict[str, ApiServer]) -> list[str]:
    """Return which version each monitor's configuration and StatefulSet have."""
    found = []
    for name, server in servers.items():
        cluster = Cluster(str(server.kubeconfig))
        for kind, called, api_version in (("ConfigMap", "configuration", "v1"), ("StatefulSet", "monitor", "apps/v1")):
            one = cluster.get(kind, called, f"{name}-monitor", api_version)
            assert one is not None
            found.append(one["metadata"]["resourceVersion"])
    return found


def test_the_check_mode_shows_what_would_change(servers: dict[str, ApiServer], inventory: Path) -> None:
    before = versions(servers)
    done = deploy(inventory, "--check", "--diff", "-e", "monitor_check_interval=61")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count("changed=1") == len(VALIDATORS), done.stdout[-4000:]
    shown = [line for line in done.stdout.splitlines() if line.startswith("+ ") and "check_interval: 61" in line]
    assert len(shown) == len(VALIDATORS)
    assert versions(servers) == before
