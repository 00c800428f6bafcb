# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a real API server: each write once, again, changed, and in check mode first."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.genesis_store import GenesisStore, parts_of
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    cluster_objects,
    cluster_objects_info,
    consumer_base_genesis,
)
from tests.integration.api_proxy import FAULTS, ApiProxy
from tests.integration.api_server import ApiServer
from tests.operation import run_operation

SECRET = "c2VjcmV0LXZhbHVl"


def converge(server: ApiServer, *definitions: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"definitions": list(definitions), "kubeconfig": str(server.kubeconfig), **options}
    return run_operation(cluster_objects, check_mode=check, **given)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"a": "b"}},
        "data": data,
    }


def data_of(server: ApiServer, name: str) -> dict[str, str] | None:
    found = Cluster(str(server.kubeconfig)).get("ConfigMap", name, "default")
    return None if found is None else found["data"]


def test_the_cycle_of_an_object(server: ApiServer) -> None:
    """Create, repeat, change, repeat, remove, repeat; each in check mode first."""
    for wanted, options, expected in (
        (config_map("cycle", one="1"), {}, {"one": "1"}),
        (config_map("cycle", one="2"), {}, {"one": "2"}),
        (config_map("cycle", one="2"), {"state": "absent"}, None),
    ):
        before = data_of(server, "cycle")
        assert converge(server, wanted, check=True, **options)["changed"]
        assert data_of(server, "cycle") == before
        assert converge(server, wanted, **options)["changed"]
        assert data_of(server, "cycle") == expected
        writes = len(server.writes())
        assert not converge(server, wanted, check=True, **options)["changed"]
        again = converge(server, wanted, **options)
        assert not again["changed"]
        assert again["diff"] == {"before": {}, "after": {}}
        # A repeated apply is a request, but the object keeps its version.
        assert all(entry["verb"] == "patch" for entry in server.writes()[writes:])


def test_a_repeated_apply_keeps_the_version(server: ApiServer) -> None:
    cluster = Cluster(str(server.kubeconfig))
    converge(server, config_map("version", one="1"))
    first = cluster.get("ConfigMap", "version", "default")
    converge(server, config_map("version", one="1"))
    assert cluster.get("ConfigMap", "version", "default") == first


def test_apply_takes_back_what_a_definition_no_longer_names_and_merge_does_not(server: ApiServer) -> None:
    converge(server, config_map("fields", one="1", two="2"))
    assert converge(server, config_map("fields", three="3"), mode="merge")["changed"]
    assert data_of(server, "fields") == {"one": "1", "two": "2", "three": "3"}
    assert not converge(server, config_map("fields", three="3"), mode="merge")["changed"]
    assert converge(server, config_map("fields", one="1"))["changed"]
    found = data_of(server, "fields")
    assert found is not None
    assert "two" not in found


def test_patch_makes_nothing(server: ApiServer) -> None:
    assert not converge(server, config_map("patched", one="1"), mode="patch", wait_timeout=5)["changed"]
    assert data_of(server, "patched") is None
    converge(server, config_map("patched", one="1"))
    assert converge(server, config_map("patched", two="2"), mode="patch", check=True)["changed"]
    assert converge(server, config_map("patched", two="2"), mode="patch")["changed"]
    assert not converge(server, config_map("patched", two="2"), mode="patch")["changed"]
    assert data_of(server, "patched") == {"one": "1", "two": "2"}


def test_create_leaves_what_is_there(server: ApiServer) -> None:
    assert converge(server, config_map("made", one="1"), mode="create")["changed"]
    assert not converge(server, config_map("made", one="2"), mode="create")["changed"]
    assert data_of(server, "made") == {"one": "1"}


def test_the_values_of_a_secret_show_nowhere(server: ApiServer) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hidden", "namespace": "default"},
        "data": {"key": SECRET},
    }
    assert SECRET not in json.dumps(converge(server, secret, check=True))
    made = converge(server, secret)
    assert made["changed"]
    assert SECRET not in json.dumps(made)
    removed = converge(server, secret, state="absent")
    assert removed["changed"]
    assert SECRET not in json.dumps(removed)


def test_a_namespace_and_what_is_in_it_can_be_checked_before_either_is_there(server: ApiServer) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
    inside = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "later"}}
    checked = converge(server, namespace, inside, check=True)
    assert list(checked["diff"]["after"]) == ["Namespace later", "ConfigMap later/x"]
    assert converge(server, namespace, inside)["changed"]


def test_a_job_that_failed_ends_the_wait_with_its_reason(server: ApiServer) -> None:
    container = {"name": "x", "image": "x"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "fails", "namespace": "default"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    with pytest.raises(
        ClusterError, match=r"Job default/fails to be ready: not after 1 s; `kubectl describe job fails"
    ):
        converge(server, job, wait_timeout=1)
    status = {
        "conditions": [
            {"type": "FailureTarget", "status": "True", "message": "no volume", "reason": "x"},
            {"type": "Failed", "status": "True", "message": "no volume", "reason": "x"},
        ],
        "startTime": "2026-01-01T00:00:00Z",
    }
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    batch = kubernetes.client.BatchV1Api(kubernetes.client.ApiClient(configuration))
    # While the module waits.
    failure = threading.Timer(0.5, batch.patch_namespaced_job_status, ("fails", "default", {"status": status}))
    failure.start()
    with pytest.raises(ClusterError, match="Job default/fails failed: no volume"):
        converge(server, job, wait_timeout=30)
    failure.join()


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ({"kind": "ConfigMap"}, r"definitions\[0\] needs apiVersion, kind and metadata.name"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}, "the cluster knows no such kind"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "X_", "namespace": "default"}},
            r"failed to apply ConfigMap default/X_: .*Invalid value.*\(422\)",
        ),
    ],
)
def test_what_cannot_be_is_said(server: ApiServer, definition: dict[str, Any], complaint: str) -> None:
    with pytest.raises((ClusterError, InvalidInput), match=complaint):
        converge(server, definition)


def test_a_cluster_that_does_not_answer_is_said(server: ApiServer, tmp_path: Path) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(server.kubeconfig.read_text().replace(str(server.port), "1"))
    with pytest.raises(ClusterError, match="the Kubernetes cluster does not answer"):
        Cluster(str(nowhere))


def test_refused_and_lost_writes_end_in_the_wanted_state(server: ApiServer, tmp_path: Path) -> None:
    """429 with Retry-After, 409, 500, a connection reset before and after the server did it: nothing is missing or there twice."""
    proxy = ApiProxy(server.kubeconfig, tmp_path / "proxy")
    proxy.start()
    try:
        options = {"kubeconfig": str(proxy.kubeconfig)}
        wanted = [config_map(f"stormy-{number}", number=str(number)) for number in range(4)]
        for mode in ("apply", "merge", "patch"):
            for definition in wanted:
                definition["data"][mode] = "yes"
            assert converge(server, *wanted, mode=mode, **options)["changed"]
        found = Cluster(str(server.kubeconfig)).select("ConfigMap", "default")
        named = {entry["metadata"]["name"]: entry for entry in found if entry["metadata"]["name"].startswith("stormy-")}
        assert {name: entry["data"] for name, entry in named.items()} == {
            f"stormy-{number}": {"number": str(number), "apply": "yes", "merge": "yes", "patch": "yes"}
            for number in range(4)
        }
        uids = {name: entry["metadata"]["uid"] for name, entry in named.items()}
        made = Cluster(str(proxy.kubeconfig))
        for definition in wanted:
            made.create(definition)
        again = Cluster(str(server.kubeconfig)).select("ConfigMap", "default")
        assert {
            entry["metadata"]["name"]: entry["metadata"]["uid"] for entry in again if entry["metadata"]["name"] in uids
        } == uids
        converge(server, *wanted, state="absent", **options)
        assert all(data_of(server, name) is None for name in uids)
        assert set(FAULTS) <= set(proxy.injected)
    finally:
        proxy.stop()


def server_names(server: ApiServer) -> set[str]:
    return {entry["metadata"]["name"] for entry in Cluster(str(server.kubeconfig)).select("ConfigMap", "default")}


def test_a_genesis_larger_than_a_config_map_is_kept_in_parts(server: ApiServer) -> None:
    store = GenesisStore(Cluster(str(server.kubeconfig)), "default", "large")
    generator = random.Random(11)
    text = json.dumps([generator.random() for _unused in range(180_000)])
    assert store.read() is None
    store.create(text, {}, {"a": "b"})
    first = store.head()
    assert first is not None
    assert parts_of(first) == 2
    assert store.read() == text
    assert not any(change.changed for change in store.create(text, {}, {"a": "b"}))
    Cluster(str(server.kubeconfig)).delete("ConfigMap", "large-1", "default")
    with pytest.raises(ClusterError, match="ConfigMap default/large-1 is missing"):
        store.read()
    store.create("{}", {}, {})  # one that is there stays: the chain runs on it
    assert parts_of(store.head() or first) == 2
    store.create(text, {}, {})
    before = server_names(server)
    checked = GenesisStore(Cluster(str(server.kubeconfig), dry_run=True), "default", "large").replace("{}", {}, {})
    assert merge_changes(checked)["diff"]["after"]["ConfigMap default/large"]["data"] == {"genesis.json": "{}"}
    assert server_names(server) == before
    store.replace("{}", {}, {})
    assert store.read() == "{}"
    # A part of one that was larger: the node puts all together that are there.
    Cluster(str(server.kubeconfig)).apply(config_map("large-3", one="1"))
    store.replace(text, {}, {})
    assert store.read() == text
    assert {name for name in server_names(server) if name.startswith("large")} == {"large", "large-1"}
    plain = GenesisStore(Cluster(str(server.kubeconfig)), "default", "small")
    plain.create("{}", {}, {})
    assert plain.read() == "{}"


def stage_pod(server: ApiServer, namespace: str) -> None:
    """Make the pod of the job that has made a node's home, and say that it has succeeded."""
    cluster = Cluster(str(server.kubeconfig))
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    account = {"name": "stage", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    labels = {"batch.kubernetes.io/job-name": "stage"}
    spec = {
        "serviceAccountName": "stage",
        "automountServiceAccountToken": False,
        "containers": [{"name": "stage", "image": "x"}],
    }
    metadata = {"name": "stage-0", "namespace": namespace, "labels": labels}
    cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    core = kubernetes.client.CoreV1Api(cluster.api_client)
    core.patch_namespaced_pod_status("stage-0", namespace, {"status": {"phase": "Succeeded"}})


def test_a_base_genesis_is_replaced_until_the_chain_has_its_genesis(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a pod is what no kubelet is here for; all else is the server's."""
    namespace, log = "base", {"text": '{"of":"one"}'}
    stage_pod(server, namespace)
    monkeypatch.setattr(Cluster, "pod_log", lambda self, name, where: log["text"])
    cluster = Cluster(str(server.kubeconfig))

    def keep(check: bool = False, **options: Any) -> dict[str, Any]:
        given = {"namespace": namespace, "source": {"init": True}, "kubeconfig": str(server.kubeconfig), **options}
        return run_operation(consumer_base_genesis, check_mode=check, **given)

    def kept() -> str | None:
        return GenesisStore(cluster, namespace, "base-genesis").read()

    program = {"image": "chain:1", "binary": "chaind"}
    assert keep(check=True, **program)["changed"]
    assert keep(**program)["changed"]
    assert kept() == '{"of":"one"}'
    log["text"] = '{"of":"two"}'
    assert not keep(**program)["changed"]  # its log is not read again
    for change in ({"image": "chain:2"}, {"binary": "otherd"}):
        program |= change
        log["text"] = json.dumps(program)
        before = kept()
        assert keep(check=True, **program)["changed"]
        assert kept() == before
        assert keep(**program)["changed"]
        assert kept() == log["text"]
        assert not keep(**program)["changed"]

    # Another source, and other content of it.
    file = tmp_path / "genesis.json"
    file.write_text('{"of":"file"}')
    from_file = {**program, "source": {"file": str(file)}}
    assert keep(**from_file)["changed"]
    assert not keep(**{**from_file, "image": "chain:3"})["changed"]  # which does not make it
    file.write_text('{"of":"file","and":1}')
    result = keep(**from_file)
    assert result["changed"]
    assert kept() == file.read_text()

    # The owner names one: who has another says which, and what is kept stays until there is a better one.
    owners = json.dumps({"of": random.Random(3).randbytes(700_000).hex()})
    stated = hashlib.sha256(owners.encode()).hexdigest()
    with pytest.raises(InvalidInput, match=rf"the file .* has SHA-256 {result['sha256']}, but .* {stated} on chain"):
        keep(**from_file, genesis_hash=stated)
    assert kept() == file.read_text()
    file.write_text(owners)
    assert keep(**from_file, genesis_hash=stated)["sha256"] == stated
    assert kept() == owners
    assert not keep(**program, genesis_hash=stated.upper())["changed"]  # wherever it comes from

    # The chain runs.
    cluster.create({**config_map("genesis"), "metadata": {"name": "genesis", "namespace": namespace}})
    for options in ({"image": "chain:4"}, from_file, {"genesis_hash": "ab" * 32}):
        assert not keep(**options)["changed"]
    assert kept() == owners


def test_a_job_is_made_anew_for_another_program(server: ApiServer) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
    metadata = {"name": "program", "namespace": "default"}

    def keep(program: str) -> str:
        marked = {**metadata, "annotations": {"interchain-security/program": program}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": marked, "spec": {"template": {"spec": pod}}}
        converge(server, job, mode="create")
        found = Cluster(str(server.kubeconfig)).get("Job", "program", "default", "batch/v1")
        assert found is not None
        return str(found["metadata"]["uid"])

    batch = kubernetes.client.BatchV1Api(Cluster(str(server.kubeconfig)).api_client)

    def let_go() -> None:  # what the controllers of a cluster do when its pods are gone
        while not stopping.wait(0.1):
            for job in batch.list_namespaced_job("default").items:
                if job.metadata.deletion_timestamp is not None:
                    batch.patch_namespaced_job(job.metadata.name, "default", {"metadata": {"finalizers": None}})

    stopping = threading.Event()
    controller = threading.Thread(target=let_go)
    controller.start()
    try:
        first = keep("chain:1 chaind")
        assert keep("chain:1 chaind") == keep("") == first
        assert keep("chain:2 chaind") != first
    finally:
        stopping.set()
        controller.join()


def look(server: ApiServer, **options: Any) -> Any:
    return run_operation(cluster_objects_info, kubeconfig=str(server.kubeconfig), **options)["resources"]


def test_objects_are_read_by_name_and_by_labels(server: ApiServer) -> None:
    converge(server, config_map("read", one="1"))
    (found,) = look(server, kind="ConfigMap", namespace="default", name="read")
    assert found["data"] == {"one": "1"}
    selected = look(server, kind="ConfigMap", label_selectors=["a=b", "a"])
    assert "read" in [entry["metadata"]["name"] for entry in selected]
    assert look(server, kind="ConfigMap", namespace="default", label_selectors=["a=b", "!a"]) == []
    assert look(server, kind="ConfigMap", namespace="default", name="none") == []
    assert look(server, kind="Lease", api_version="coordination.k8s.io/v1", namespace="nowhere", name="none") == []
    with pytest.raises(InvalidInput, match="exclude each other"):
        look(server, kind="ConfigMap", namespace="default", name="read", label_selectors=["a"])
    with pytest.raises(ClusterError, match="Nonsense"):
        look(server, kind="Nonsense", namespace="default", name="read")
