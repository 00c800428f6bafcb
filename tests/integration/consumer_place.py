# SPDX-License-Identifier: GPL-3.0-or-later
"""A validator of a real provider with a real API server, where the role consumer runs; nodes are run as processes by what it made."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes
import urllib3

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.routes import SLICE, SLICE_VERSION
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_leftovers_info, opt_in
from tests.integration.api_server import ApiServer
from tests.integration.owner import Owner
from tests.integration.single_node import CHAIN_ID, Node, free_port
from tests.operation import run_operation
from tests.testbed.parts import CHAIN

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = "alice"
MONITOR = f"{VALIDATOR}-monitor"
ADDRESS = "192.0.2.1"
WAIT_SECONDS = 40.0
FOLLOW_SECONDS = 60  # that one request follows the changes of a kind

PLAY = """
- hosts: "{{ runs_on | default('localhost') }}"
  gather_facts: false
  module_defaults:
    group/interchain.security.provider:
      provider_rpc_url: "{{ interchain_provider_rpc_url }}"
      provider_chain_id: "{{ interchain_provider_chain_id }}"
  tasks:
    - interchain.security.consumer_info:
        consumer_id: "{{ consumer_id }}"
      register: found
    - ansible.builtin.set_fact:
        consumer_record: "{{ found.consumers[0] }}"
    - ansible.builtin.include_role:
        name: interchain.security.consumer
        tasks_from: "{{ part }}"
    - ansible.builtin.copy:
        content: "{{ {'launched': consumer_launched | default({}), 'refusal': consumer_refusal | default('')} | to_json }}"
        dest: "{{ result_file }}"
        mode: "0600"
"""


def wait_for(what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Poll until the condition gives something, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.2)


def routed(cluster: Cluster, consumer_id: str) -> list[str] | None:
    """Return the addresses that a consumer's port of the load balancer leads to, None when it has no port."""
    found = cluster.get(SLICE, f"p2p-consumer-{consumer_id}", MONITOR, SLICE_VERSION)
    if found is None:
        return None
    return [address for entry in found.get("endpoints") or [] for address in entry["addresses"]]


class Controllers:
    """Does what the controllers of a cluster would: Jobs complete, Services get their address. Pods are never run."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        client = kubernetes.client.ApiClient(configuration)
        self._batch, self._core = kubernetes.client.BatchV1Api(client), kubernetes.client.CoreV1Api(client)
        self._apps = kubernetes.client.AppsV1Api(client)
        self.machine = ""  # on which the pods of Jobs run; empty for none
        self._stopping = threading.Event()
        kinds: tuple[tuple[Callable[..., Any], Callable[[dict[str, Any]], None]], ...] = (
            (self._batch.list_job_for_all_namespaces, self._job),
            (self._core.list_service_for_all_namespaces, self._service),
            (self._core.list_namespace, self._namespace),
            (self._apps.list_stateful_set_for_all_namespaces, self._stateful_set),
        )
        self._threads = [threading.Thread(target=self._follow, args=kind, daemon=True) for kind in kinds]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Do nothing more; the threads end at the latest with the server."""
        self._stopping.set()

    def _follow(self, listing: Callable[..., Any], act: Callable[[dict[str, Any]], None]) -> None:
        """Act on each object of a kind that there is, and on each that comes or changes."""
        while not self._stopping.is_set():
            try:
                found = json.loads(listing(_preload_content=False).data)
                for entry in found["items"]:
                    act(entry)
                version = found["metadata"]["resourceVersion"]
                for event in kubernetes.watch.Watch().stream(
                    listing, resource_version=version, timeout_seconds=FOLLOW_SECONDS
                ):
                    if event["type"] != "DELETED" and not self._stopping.is_set():
                        act(event["raw_object"])
            except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
                self._stopping.wait(0.1)  # an object that went away meanwhile, say: all are looked at again

    def _job(self, job: dict[str, Any]) -> None:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if "deletionTimestamp" in job["metadata"]:
            self._batch.patch_namespaced_job(name, namespace, {"metadata": {"finalizers": None}})
        elif not job["status"].get("conditions"):
            if self.machine:
                self._ran(job)
            conditions = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
            status = {"conditions": conditions, "startTime": now, "completionTime": now, "succeeded": 1}
            self._batch.patch_namespaced_job_status(name, namespace, {"status": status})

    def _ran(self, job: dict[str, Any]) -> None:
        """Leave the pod of a Job as it is when it has done its work."""
        namespace, template = job["metadata"]["namespace"], job["spec"]["template"]
        for quota in self._core.list_namespaced_resource_quota(namespace).items:
            status = {"hard": quota.spec.hard, "used": dict.fromkeys(quota.spec.hard, "0")}
            self._core.patch_namespaced_resource_quota_status(quota.metadata.name, namespace, {"status": status})
        name = f"{job['metadata']['name']}-{uuid.uuid4().hex[:5]}"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": {**template["spec"], "nodeName": self.machine},
        }
        self._core.create_namespaced_pod(namespace, body)
        self._core.patch_namespaced_pod_status(name, namespace, {"status": {"phase": "Succeeded"}})

    def _service(self, service: dict[str, Any]) -> None:
        if service["spec"]["type"] == "LoadBalancer" and not service["status"]["loadBalancer"].get("ingress"):
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            status = {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}
            self._core.patch_namespaced_service_status(name, namespace, {"status": status})

    def _namespace(self, found: dict[str, Any]) -> None:
        if found["status"]["phase"] == "Terminating":
            self._finish(found["metadata"]["name"])

    def _stateful_set(self, found: dict[str, Any]) -> None:
        generation, replicas = found["metadata"]["generation"], found["spec"]["replicas"]
        if found["status"].get("observedGeneration") != generation:
            name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
            status = {"observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas}
            self._apps.patch_namespaced_stateful_set_status(name, namespace, {"status": status})

    def _finish(self, namespace: str) -> None:
        """Remove what is in a namespace that is to go, then let it go."""
        for api, kinds in (
            (
                self._core,
                ("config_map", "secret", "service", "persistent_volume_claim", "service_account", "resource_quota"),
            ),
            (self._apps, ("stateful_set",)),
            (self._batch, ("job",)),
        ):
            for kind in kinds:
                for found in getattr(api, f"list_namespaced_{kind}")(namespace).items:
                    patch = getattr(api, f"patch_namespaced_{kind}")
                    patch(found.metadata.name, namespace, {"metadata": {"finalizers": None}})
                    # A Job would else be kept for who looks after its pods, in a namespace that is not there any more.
                    delete = getattr(api, f"delete_namespaced_{kind}")
                    delete(found.metadata.name, namespace, propagation_policy="Background")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}, "spec": {"finalizers": []}}
        self._core.replace_namespace_finalize(namespace, body)


class Place:
    """The provider of one validator, the API server, and the role between them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        binaries = CHAIN.ensure()
        self.program = binaries / "interchain-security-cd"
        self.server = ApiServer(directory / "api")
        self.node = Node(binaries / "interchain-security-pd", directory / "provider")
        self.owner = Owner(self.node)
        self.base_genesis = directory / "base.json"
        self._mnemonic = directory / "mnemonic"

    def start(self) -> None:
        """Start everything; what a monitor's deployment makes is there afterwards."""
        self._mnemonic.touch(mode=0o600)
        self._mnemonic.write_text(self.node.mnemonic)
        self.node.start()
        self.server.start()
        self.controllers = Controllers(self.server.kubeconfig)
        self.controllers.start()
        self.cluster = Cluster(str(self.server.kubeconfig))
        home = self.directory / "init"
        self._chain("init", "base", "--chain-id", "base", "--home", str(home))
        self.base_genesis.write_text((home / "config/genesis.json").read_text())
        self.node_key = (home / "config/node_key.json").read_text()
        self.make_monitor(MONITOR)
        client = ProviderClient([self.node.url])
        wait_for("the provider's first blocks", lambda: self._height() >= 2)
        self.operator = client.validators()[0].operator_address
        self.provider_key = base64.b64encode(client.validators()[0].consensus_public_key).decode()

    def make_monitor(self, namespace: str) -> None:
        """Make what the deployment of a monitor makes: its namespace and its P2P identity."""
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "node-key", "namespace": namespace},
                "data": {"node_key.json": base64.b64encode(self.node_key.encode()).decode()},
            }
        )

    def stop(self) -> None:
        self.node.kill()
        self.controllers.stop()
        self.server.stop()

    def _height(self) -> int:
        try:
            with urllib.request.urlopen(f"{self.node.url}/status", timeout=5) as answer:
                return int(json.load(answer)["result"]["sync_info"]["latest_block_height"])
        except (OSError, ValueError):
            return 0

    def _chain(self, *arguments: str) -> None:
        subprocess.run([str(self.program), *arguments], check=True, capture_output=True, timeout=60)

    # -- the provider ------------------------------------------------------------------------------------------------------

    def create_consumer(self, spawn_in: float = 3.0, **named: str) -> str:
        """Create a consumer that is to launch so many seconds from now; ``chain_id`` names its chain, else it is an injection."""
        consumer_id = self.owner.create(spawn_in, **named)
        client = ProviderClient([self.node.url])
        wait_for("the consumer", lambda: self.phase(consumer_id) in ("initialized", "launched"))
        client.close()
        return consumer_id

    def opt_in(self, consumer_id: str, state: str = "present", url: str = "") -> None:
        """Opt in with an own key, as the monitor does, or out again; by another node than the real one with ``url``."""
        result = run_operation(
            opt_in,
            provider_rpc_url=[url or self.node.url],
            mnemonic=self.node.mnemonic,
            consumer_id=consumer_id,
            state=state,
            key_namespace=MONITOR,
            key_secret=f"consumer-{consumer_id}-key",
            kubeconfig=str(self.server.kubeconfig),
        )
        self.owner.count_on(result)

    def consumer(self, consumer_id: str) -> Consumer:
        client = ProviderClient([self.node.url])
        try:
            return client.consumer(consumer_id)
        finally:
            client.close()

    def phase(self, consumer_id: str) -> str:
        try:
            return self.consumer(consumer_id).phase.value
        except Exception:
            return ""

    def await_launch(self, consumer_id: str) -> None:
        wait_for("the launch", lambda: self.phase(consumer_id) == "launched")

    # -- the role ----------------------------------------------------------------------------------------------------------

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return what a playbook runs with; ``kubeconfig`` is that of a proxy."""
        cluster = str(kubeconfig or self.server.kubeconfig)
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "KUBECONFIG": cluster,
            "K8S_AUTH_KUBECONFIG": cluster,
            "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, part: str, consumer_id: str, **variables: Any) -> list[str]:
        """Return what runs a part of the role (stage, launch, stop, delete)."""
        play = self.directory / "play.yml"
        play.write_text(PLAY)
        values = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "interchain_validator": VALIDATOR,
            "interchain_operator_address": self.operator,
            "interchain_provider_rpc_url": [self.node.url],
            "interchain_provider_chain_id": CHAIN_ID,
            "interchain_mnemonic_file": str(self._mnemonic),
            "interchain_catalogue": [{"base_genesis": {"file": str(self.base_genesis)}}],
            "consumer_launch_timeout": 0,
            "consumer_id": consumer_id,
            "part": part,
            "result_file": str(self.result_file),
            **variables,
        }
        return [str(ROOT / ".venv/bin/ansible-playbook"), str(play), "-e", json.dumps(values)]

    def run(
        self, part: str, consumer_id: str, seconds: float = 120, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a part of the role within so many seconds; return how it ended."""
        self.result_file.unlink(missing_ok=True)
        return subprocess.run(
            self.command(part, consumer_id, **variables),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def converge(self, part: str, consumer_id: str, seconds: float = 120, **variables: Any) -> dict[str, Any]:
        """Run a part of the role, which has to succeed within so many seconds; return what it decided."""
        done = self.run(part, consumer_id, seconds, **variables)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        found: dict[str, Any] = json.loads(self.result_file.read_text())
        return found

    def leftovers(self) -> list[tuple[str, str]]:
        """Return what the module says is left over: consumer_id and kind."""
        found = run_operation(
            consumer_leftovers_info,
            provider_rpc_url=[self.node.url],
            validator=VALIDATOR,
            kubeconfig=str(self.server.kubeconfig),
        )
        return [(entry["consumer_id"], entry["kind"]) for entry in found["leftovers"]]

    @property
    def result_file(self) -> Path:
        return self.directory / "result.json"

    # -- what is in the cluster --------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str, api_version: str = "v1") -> dict[str, Any] | None:
        return self.cluster.get(kind, name, namespace, api_version)

    def objects(self, consumer_id: str) -> list[dict[str, Any]]:
        """Return all objects of a consumer, its key and what the monitor remembers of it included."""
        namespace, own = f"{VALIDATOR}-consumer-{consumer_id}", f"interchain-security/consumer-id={consumer_id}"
        found = self.cluster.select("Namespace", selector=own)
        for kind, api_version, where in (
            ("ConfigMap", "v1", namespace),
            ("Secret", "v1", namespace),
            ("Service", "v1", namespace),
            ("ServiceAccount", "v1", namespace),
            ("PersistentVolumeClaim", "v1", namespace),
            ("ResourceQuota", "v1", namespace),
            ("NetworkPolicy", "networking.k8s.io/v1", namespace),
            ("Job", "batch/v1", namespace),
            ("StatefulSet", "apps/v1", namespace),
            ("RoleBinding", "rbac.authorization.k8s.io/v1", namespace),
            ("ConfigMap", "v1", MONITOR),
            ("Secret", "v1", MONITOR),
            ("Lease", "coordination.k8s.io/v1", MONITOR),
            ("EndpointSlice", "discovery.k8s.io/v1", MONITOR),
        ):
            listed = self.cluster.select(kind, where, own if where == MONITOR else "", api_version)
            found += [{"kind": kind, **entry} for entry in listed]
        return found

    def lose_volume(self, consumer_id: str) -> str:
        """Remove a volume, as nothing here protects it; return its uid."""
        namespace = f"{VALIDATOR}-consumer-{consumer_id}"
        claim = self.get("PersistentVolumeClaim", "data", namespace)
        assert claim is not None
        self.cluster.delete("PersistentVolumeClaim", "data", namespace)
        freed = {"name": "data", "namespace": namespace, "finalizers": None}
        self.cluster.merge({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": freed})
        return str(claim["metadata"]["uid"])

    def versions(self, consumer_id: str) -> dict[str, str]:
        """Return the versions of all objects of a consumer."""
        return {
            f"{entry['kind']} {entry['metadata'].get('namespace', '')}/{entry['metadata']['name']}": entry["metadata"][
                "resourceVersion"
            ]
            for entry in self.objects(consumer_id)
        }


class Pod:
    """The pod of a StatefulSet as a process: its command with its files in a home of its own, on ports of its own."""

    def __init__(self, place: Place, consumer_id: str, home: Path) -> None:
        self._place, self._namespace, self._home = place, f"{VALIDATOR}-consumer-{consumer_id}", home
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{free_port()}"
        self.p2p_port, self.signer_port = free_port(), free_port()
        self._mounted = home.with_suffix(".mounted")
        self.log = home.with_suffix(".log")

    def stage(self) -> None:
        """Do what the job does on a new volume."""
        job = self._place.get("Job", "stage", self._namespace, "batch/v1")
        assert job is not None
        self._run(job["spec"]["template"]["spec"]["containers"][0]).wait(timeout=60)
        assert self._home.is_dir(), self.log.read_text()[-2000:]

    def start(self) -> None:
        """Put the files where their mounts would be, and start the container's command."""
        stateful_set = self._place.get("StatefulSet", "node", self._namespace, "apps/v1")
        assert stateful_set is not None
        pod = stateful_set["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for name in ("config", "keys", "genesis"):
            self._mount(self._mounted / name, volumes[name])
        config = self._mounted / "config/config.toml"
        text = config.read_text().replace("tcp://0.0.0.0:26657", f"tcp://{self.url.removeprefix('http://')}")
        text = text.replace("tcp://0.0.0.0:26659", f"tcp://127.0.0.1:{self.signer_port}")
        config.write_text(text.replace("tcp://0.0.0.0:26656", f"tcp://127.0.0.1:{self.p2p_port}"))
        app = self._mounted / "config/app.toml"
        app.write_text(re.sub(r"enable = true", "enable = false", app.read_text()))
        self._process = self._run(pod["containers"][0])

    def _run(self, container: dict[str, Any]) -> subprocess.Popen[bytes]:
        environment = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        # As in the image: the programs of the chains are on the path.
        path = f"{self._place.program.parent}{os.pathsep}{os.environ['PATH']}"
        environment.update(NODE_HOME=str(self._home), PATH=path)
        environment.update(
            {f"NODE_{name.upper()}": str(self._mounted / name) for name in ("config", "keys", "genesis")}
        )
        with self.log.open("ab") as log:
            own = f"tcp://{self.url.removeprefix('http://')}"
            command = [part.replace("tcp://127.0.0.1:26667", own) for part in container["command"]]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def file(self, path: str) -> str:
        """Return a file of the node's configuration as it was when the node started."""
        return (self._mounted / "config" / Path(path).name).read_text()

    def _mount(self, directory: Path, volume: dict[str, Any]) -> None:
        """Put the files of a Secret, a ConfigMap or several ConfigMaps into a directory, as the kubelet does."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        sources = [("Secret", volume["secret"]["secretName"], False)] if "secret" in volume else []
        listed = [volume] if "configMap" in volume else volume.get("projected", {}).get("sources", [])
        sources += [("ConfigMap", one["configMap"]["name"], one["configMap"].get("optional", False)) for one in listed]
        for kind, name, optional in sources:
            found = self._place.get(kind, name, self._namespace)
            assert found is not None or optional, f"{kind} {name} is not there"
            for part, content in ((found or {}).get("data") or {}).items():
                (directory / part).write_bytes(base64.b64decode(content) if kind == "Secret" else content.encode())
            for part, content in ((found or {}).get("binaryData") or {}).items():
                (directory / part).write_bytes(base64.b64decode(content))

    def ended(self) -> int | None:
        """Return the exit code of a container that has ended."""
        assert self._process is not None
        return self._process.poll()

    def height(self) -> int:
        try:
            with urllib.request.urlopen(f"{self.url}/status", timeout=2) as answer:
                return int(json.load(answer)["result"]["sync_info"]["latest_block_height"])
        except (OSError, ValueError):
            return 0

    def rpc(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=5) as answer:
            return json.load(answer)["result"]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def config_of(place: Place, consumer_id: str) -> dict[str, Any]:
    """Return the node's config.toml as it is in the cluster."""
    found = place.get("ConfigMap", "config", f"{VALIDATOR}-consumer-{consumer_id}")
    assert found is not None
    return tomllib.loads(found["data"]["config.toml"])
