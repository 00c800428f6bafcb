# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the monitor's token may do on a real API server, and all else that it is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from kubernetes.client import ApiException

from tests.integration.api_server import ApiServer

ROOT = Path(__file__).resolve().parents[2]
OWN, MONITOR, OPERATOR = "alice-consumer-7", "alice-monitor", "interchain-consumer-operator"
POLICY_SECONDS = 60.0
RBAC, POLICY = "cannot ", "ValidatingAdmissionPolicy"
pytestmark = pytest.mark.timeout(300)

Call = Callable[[], Any]


def configured(kubeconfig: Path, token: str = "") -> kubernetes.client.ApiClient:
    """Return a client of the API server, as admin or with a token alone."""
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    if token:
        configuration.cert_file = configuration.key_file = None
        configuration.api_key = {"authorization": f"Bearer {token}"}
    configuration.retries = False
    return kubernetes.client.ApiClient(configuration)


def metadata(name: str, namespace: str = "", **labels: str) -> dict[str, Any]:
    return {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}


class Client:
    """Calls as one user."""

    def __init__(self, client: kubernetes.client.ApiClient) -> None:
        self.core, self.rbac = kubernetes.client.CoreV1Api(client), kubernetes.client.RbacAuthorizationV1Api(client)
        self.apps, self.batch = kubernetes.client.AppsV1Api(client), kubernetes.client.BatchV1Api(client)
        self.network, self.lease = (
            kubernetes.client.NetworkingV1Api(client),
            kubernetes.client.CoordinationV1Api(client),
        )
        self.slices = kubernetes.client.DiscoveryV1Api(client)
        self.admission = kubernetes.client.AdmissionregistrationV1Api(client)

    def make_namespace(self, name: str) -> Any:
        return self.core.create_namespace({"metadata": metadata(name)})

    def make_secret(self, name: str, namespace: str, **labels: str) -> Any:
        return self.core.create_namespaced_secret(namespace, {"metadata": metadata(name, namespace, **labels)})

    def bind(self, namespace: str, role: str = OPERATOR, subject: str = "monitor", of: str = MONITOR) -> Any:
        body = {
            "metadata": metadata(f"{role}-{subject}", namespace),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": of}],
        }
        return self.rbac.create_namespaced_role_binding(namespace, body)

    def execute(self, *command: str, namespace: str = OWN, **options: bool) -> Any:
        """Ask for a command in a pod; by hand, since the library writes a list as one text."""
        query = [*(("command", part) for part in command), ("container", "node"), ("stdout", "true")]
        query += [(name, str(value).lower()) for name, value in options.items()]
        path = f"/api/v1/namespaces/{namespace}/pods/node-0/exec"
        return self.core.api_client.call_api(path, "POST", query_params=query, auth_settings=["BearerToken"])


def reason(call: Call) -> str:
    """Return why a call was forbidden, by RBAC (403) or by a policy (422); empty when it was not."""
    try:
        call()
    except ApiException as error:
        return str(json.loads(error.body)["message"]) if error.status in (403, 422) else ""
    return ""


def in_force(what: str, call: Call) -> None:
    """Wait until a policy refuses a call: the API server takes new ones up after a moment."""
    deadline = time.monotonic() + POLICY_SECONDS
    while POLICY not in reason(call):
        assert time.monotonic() < deadline, f"the policy for {what} does not come into force"
        time.sleep(0.2)


def allowed(call: Call) -> None:
    """Wait until a binding is in force, which the API server takes up after a moment too."""
    deadline = time.monotonic() + POLICY_SECONDS
    while why := reason(call):
        assert time.monotonic() < deadline, f"the binding does not come into force: {why}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def admin(server: ApiServer) -> Client:
    """Deploy the monitors of alice and bob, with some secrets elsewhere."""
    made = Client(configured(server.kubeconfig))
    for validator in ("alice", "bob"):
        variables = {
            "interchain_validator": validator,
            "interchain_operator_address": "cosmosvaloper1qyqszqgpqyqszqgpqyqszqgpqyqszqgph84tp0",
            "interchain_provider_rpc_url": "http://127.0.0.1:1",
            "monitor_mnemonic": "not one",
            "monitor_wait": False,
        }
        done = server.playbook("deploy_monitor", variables)
        assert done.returncode == 0, done.stdout[-4000:]
    for namespace in ("elsewhere", "bob-consumer-7"):
        made.make_namespace(namespace)
        made.make_secret("secret", namespace)
    return made


@pytest.fixture(scope="module")
def monitor(server: ApiServer, admin: Client) -> Client:
    """Return alice's monitor, once the policies that hold it are in force."""
    wanted = kubernetes.client.AuthenticationV1TokenRequest(
        spec=kubernetes.client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
    )
    token = admin.core.create_namespaced_service_account_token("monitor", MONITOR, wanted).status.token
    made = Client(configured(server.kubeconfig, token))
    in_force("namespaces", lambda: made.core.create_namespace({"metadata": metadata("other")}, dry_run="All"))
    return made


def test_it_can_do_what_it_needs(admin: Client, monitor: Client) -> None:
    """From a namespace of a consumer's own to its end; and its memory."""
    monitor.make_namespace(OWN)
    # Its rights in the namespace begin with the binding.
    assert "cannot create resource" in reason(lambda: monitor.make_secret("keys", OWN))
    monitor.bind(OWN)
    allowed(lambda: monitor.core.list_namespaced_secret(OWN))
    named = {"metadata": metadata("node", OWN)}
    pod = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "node", "image": "x"}]},
    }
    selector = {"matchLabels": {"a": "b"}}
    template = {"metadata": pod["metadata"], "spec": {"containers": pod["spec"]["containers"]}}
    calls: list[Call] = [
        lambda: monitor.make_secret("keys", OWN),
        lambda: monitor.core.read_namespaced_secret("keys", OWN),
        lambda: monitor.core.create_namespaced_config_map(OWN, named),
        lambda: monitor.core.create_namespaced_service_account(OWN, named),
        lambda: monitor.core.create_namespaced_service(OWN, {**named, "spec": {"ports": [{"port": 1}]}}),
        lambda: monitor.core.create_namespaced_resource_quota(OWN, {**named, "spec": {"hard": {"pods": "5"}}}),
        lambda: monitor.core.create_namespaced_persistent_volume_claim(
            OWN,
            {**named, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        ),
        lambda: monitor.network.create_namespaced_network_policy(OWN, {**named, "spec": {"podSelector": {}}}),
        lambda: monitor.batch.create_namespaced_job(OWN, {**named, "spec": {"template": pod}}),
        lambda: monitor.apps.create_namespaced_stateful_set(
            OWN, {**named, "spec": {"selector": selector, "serviceName": "node", "replicas": 0, "template": template}}
        ),
        lambda: monitor.apps.patch_namespaced_stateful_set_scale("node", OWN, {"spec": {"replicas": 1}}),
        lambda: monitor.core.list_namespaced_pod(OWN),
        monitor.core.list_namespace,
        lambda: monitor.core.create_namespaced_config_map(MONITOR, {"metadata": metadata("cursor", MONITOR)}),
        lambda: monitor.core.patch_namespaced_config_map("cursor", MONITOR, {"data": {"height": "1"}}),
        lambda: monitor.make_secret("consumer-7-key", MONITOR),
        lambda: monitor.core.read_namespaced_secret("validator", MONITOR),
        lambda: monitor.lease.create_namespaced_lease(MONITOR, {"metadata": metadata("sweep", MONITOR)}),
        lambda: monitor.core.read_namespaced_service("p2p", MONITOR),
        lambda: monitor.slices.create_namespaced_endpoint_slice(
            MONITOR,
            {
                "metadata": metadata("p2p-consumer-7", MONITOR),
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["192.0.2.1"]}],
            },
        ),
    ]
    for call in calls:
        call()
    # There is no kubelet: what is let through finds no pod.
    admin.core.create_namespaced_pod(OWN, {"metadata": metadata("node-0", OWN), "spec": pod["spec"]})
    for command in (("df", "-P", "-k", "/home"), ("cat", "/home/node/config/config.toml")):
        assert reason(lambda command=command: monitor.execute(*command)) == ""
    assert reason(lambda: monitor.core.connect_get_namespaced_pod_portforward("node-0", OWN, ports=26657)) == ""
    monitor.core.delete_namespaced_pod("node-0", OWN)
    # The key of a consumer that has ended.
    monitor.core.patch_namespaced_secret(
        "consumer-7-key", MONITOR, {"metadata": {"labels": {"interchain-security/archived": "true"}}}
    )
    monitor.core.delete_namespaced_secret("consumer-7-key", MONITOR)
    monitor.core.delete_namespace(OWN)


REFUSED: dict[str, tuple[Callable[[Client], Any], str]] = {
    "secrets of the whole cluster": (lambda user: user.core.list_secret_for_all_namespaces(), RBAC),
    "secrets elsewhere": (lambda user: user.core.list_namespaced_secret("elsewhere"), RBAC),
    "a secret elsewhere": (lambda user: user.core.read_namespaced_secret("secret", "elsewhere"), RBAC),
    "another validator's key": (lambda user: user.core.read_namespaced_secret("validator", "bob-monitor"), RBAC),
    "another validator's consumer": (lambda user: user.core.read_namespaced_secret("secret", "bob-consumer-7"), RBAC),
    "another validator's memory": (lambda user: user.core.list_namespaced_config_map("bob-monitor"), RBAC),
    "pods elsewhere": (lambda user: user.core.list_namespaced_pod("elsewhere"), RBAC),
    "a command elsewhere": (lambda user: user.execute("df", "-P", "-k", "/home", namespace="elsewhere"), RBAC),
    "a role": (
        lambda user: user.rbac.create_namespaced_role("alice-consumer-8", {"metadata": metadata("x"), "rules": []}),
        RBAC,
    ),
    "a cluster role": (lambda user: user.rbac.create_cluster_role({"metadata": metadata("x"), "rules": []}), RBAC),
    "its own cluster role": (
        lambda user: user.rbac.patch_cluster_role("interchain-monitor", {"metadata": {"labels": {"a": "b"}}}),
        RBAC,
    ),
    "a cluster role binding": (
        lambda user: user.rbac.create_cluster_role_binding(
            {
                "metadata": metadata("x"),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": OPERATOR},
            }
        ),
        RBAC,
    ),
    "the policy that holds it": (
        lambda user: user.admission.delete_validating_admission_policy("interchain-monitor-alice"),
        RBAC,
    ),
    "a token": (
        lambda user: user.core.create_namespaced_service_account_token(
            "monitor", "bob-monitor", {"spec": {"audiences": []}}
        ),
        RBAC,
    ),
    "where another validator's ports lead to": (
        lambda user: user.slices.list_namespaced_endpoint_slice("bob-monitor"),
        RBAC,
    ),
    "machines": (lambda user: user.core.list_node(), RBAC),
    "a binding of another role": (lambda user: user.bind("alice-consumer-8", "cluster-admin"), "attempting to grant"),
    "a namespace of another name": (lambda user: user.make_namespace("alice-consumer-x"), POLICY),
    "a namespace of another validator": (lambda user: user.make_namespace("bob-consumer-8"), POLICY),
    "the end of another namespace": (lambda user: user.core.delete_namespace("elsewhere"), POLICY),
    "the end of its own namespace": (lambda user: user.core.delete_namespace(MONITOR), POLICY),
    "a label of another namespace": (
        lambda user: user.core.patch_namespace("elsewhere", {"metadata": {"labels": {"a": "b"}}}),
        POLICY,
    ),
    "its rights elsewhere": (lambda user: user.bind("elsewhere"), POLICY),
    "its rights at another validator's": (lambda user: user.bind("bob-consumer-7"), POLICY),
    "its rights for another": (lambda user: user.bind("alice-consumer-8", subject="default", of="elsewhere"), POLICY),
    "the end of a key that is in use": (lambda user: user.core.delete_namespaced_secret("validator", MONITOR), POLICY),
    "a shell": (lambda user: user.execute("sh", namespace="alice-consumer-8"), POLICY),
    "a key by a command": (
        lambda user: user.execute("cat", "/keys/priv_validator_key.json", namespace="alice-consumer-8"),
        POLICY,
    ),
    "a terminal": (
        lambda user: user.execute("df", "-P", "-k", "/home", namespace="alice-consumer-8", stdin=True, tty=True),
        POLICY,
    ),
}


@pytest.fixture(scope="module")
def at_work(admin: Client, monitor: Client) -> Client:
    """Return alice's monitor with a consumer, 8, whose pod is there."""
    monitor.make_namespace("alice-consumer-8")
    monitor.bind("alice-consumer-8")
    allowed(lambda: monitor.core.list_namespaced_pod("alice-consumer-8"))
    spec = {"containers": [{"name": "node", "image": "x"}]}
    admin.core.create_namespaced_pod("alice-consumer-8", {"metadata": metadata("node-0"), "spec": spec})
    in_force("commands", lambda: monitor.execute("sh", namespace="alice-consumer-8"))
    return monitor


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(at_work: Client, what: str) -> None:
    call, by = REFUSED[what]
    assert by in reason(lambda: call(at_work)), what


def test_the_policies_hold_only_the_monitor(admin: Client, at_work: Client) -> None:
    admin.make_namespace("somebody-else")
    admin.core.delete_namespace("somebody-else")


def test_the_commands_are_those_that_are_run() -> None:
    """What the policy allows is what the code asks for."""
    variables = yaml.safe_load((ROOT / "roles/monitor/vars/main.yml").read_text().replace("!unsafe", ""))
    access = (ROOT / "plugins/module_utils/cluster/node_access.py").read_text()
    assert 'self._run("df", "-P", "-k", path)' in access
    assert 'self._run("cat", path)' in access
    assert access.count("self._run(") == 2
    assert {tuple(command) for command in variables["monitor_commands"]} == {
        ("df", "-P", "-k", "/home"),
        ("cat", "/home/node/config/config.toml"),
        ("cat", "/home/node/config/app.toml"),
    }
