# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every step of a deployment cut once: the playbook is killed at each of its writes, and running it again ends where an uncut run ends.

The chain has launched and nothing is staged, so one playbook does it all. Between it and a real API server stands a proxy that kills it, in turn before
the server has the write and after it has done it.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.signing import fence_name, owner_mark
from ansible_collections.interchain.security.plugins.module_utils.operations import load_balancer
from tests.integration.api_proxy import FAULTS, ApiProxy, Write
from tests.integration.consumer_place import MONITOR, VALIDATOR, Place
from tests.integration.owner import HOSTILE
from tests.integration.processes import descendants, end, state
from tests.integration.storm import SERVER_FIELDS, Storm
from tests.operation import run_operation

pytestmark = pytest.mark.timeout(900)

# What a deployment writes, in this order: HTTP's method, the kind, and the object. Nothing else, and nothing twice but what is here twice.
STEPS = (
    ("PATCH", "namespaces", "NAMESPACE"),
    ("POST", "rolebindings", "NAMESPACE/interchain-consumer-operator"),
    ("PATCH", "configmaps", "NAMESPACE/settings"),
    ("PATCH", "resourcequotas", "NAMESPACE/node"),
    ("PATCH", "serviceaccounts", "NAMESPACE/node"),
    ("PATCH", "networkpolicies", "NAMESPACE/node"),
    ("PATCH", "services", "NAMESPACE/node"),
    ("PATCH", "persistentvolumeclaims", "NAMESPACE/data"),
    ("PATCH", "persistentvolumeclaims", "NAMESPACE/data"),  # the server completes a new one at the second apply
    ("POST", "jobs", "NAMESPACE/stage"),
    ("PATCH", "persistentvolumeclaims", "NAMESPACE/data"),  # it has a home
    ("POST", "statefulsets", "NAMESPACE/node"),  # without a pod
    ("PATCH", "statefulsets", "NAMESPACE/node"),  # with the description of one
    ("POST", "configmaps", "NAMESPACE/base-genesis"),
    ("PATCH", "endpointslices", "MONITOR/p2p-MEMORY"),  # claims its port of the load balancer
    ("PATCH", "services", "MONITOR/p2p"),
    ("POST", "leases", "MONITOR/FENCE"),
    ("POST", "configmaps", "NAMESPACE/genesis"),
    ("POST", "secrets", "NAMESPACE/keys"),
    ("PATCH", "configmaps", "MONITOR/MEMORY"),
    ("POST", "configmaps", "NAMESPACE/config"),
    ("PATCH", "statefulsets", "NAMESPACE/node"),  # and lets it run
)
WORKERS = 2
PLAYBOOK_SECONDS = 120
ID_LABEL = "interchain-security/consumer-id"
CHAIN_ID = f"{HOSTILE}-1"  # of each of the consumers
FIRST_PORT = 61300  # each has one of its own all the same; no other number begins like it


class CuttingProxy(ApiProxy):
    """Notes the writes, and kills the playbook that makes them at one of them, with all its processes."""

    def __init__(
        self,
        kubeconfig: Path,
        directory: Path,
        at: Callable[[int, Write], bool] = lambda _number, _write: False,
        after: bool = False,
    ) -> None:
        """``at`` tells by its number and itself whether a write is the one; ``after`` whether the server does it first."""
        super().__init__(kubeconfig, directory)
        self.writes: list[Write] = []
        self.process: subprocess.Popen[str] | None = None
        self._at, self._after = at, after

    def _fault(self, write: Write) -> str:
        with self._lock:
            if write.kind == "services" and write in self.writes:
                return "ok"  # the load balancer is that of all: what another run has written meanwhile is read, and it is written again
            self.writes.append(write)
            if not self._at(len(self.writes) - 1, write):
                return "ok"
            if self._after:
                return "lost"
            self._lose()
            return "reset"

    def _lose(self) -> None:
        # Whoever made the request waits for its answer, so nobody starts another process meanwhile.
        assert self.process is not None
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            end(pid)
        self.process.wait()


@dataclass
class Cuts:
    """The consumers: one for the run that is not cut, one for the run against faults, and one for each step."""

    storm: Storm
    directory: Path

    @property
    def place(self) -> Place:
        return self.storm._place

    @property
    def uncut(self) -> str:
        return self.storm.ids[0]

    @property
    def faulty(self) -> str:
        return self.storm.ids[1]

    @property
    def of_steps(self) -> list[str]:
        return self.storm.ids[2:]

    # -- running -----------------------------------------------------------------------------------------------------------

    def run(self, consumer_id: str, proxy: ApiProxy) -> tuple[int, str]:
        """Run the playbook of a launch behind a proxy; return its exit code and output."""
        process = subprocess.Popen(
            self._command("launch", consumer_id),
            env=self.place.environment(proxy.kubeconfig),
            # As its workers have: the kernel shares the processors out between sessions, and that of the tests holds servers and nodes as well.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if isinstance(proxy, CuttingProxy):
            proxy.process = process
        proxy.start()
        try:
            output, _none = process.communicate(timeout=PLAYBOOK_SECONDS)
        except subprocess.TimeoutExpired as error:
            running = [process.pid, *descendants(process.pid)]
            waits = {pid: state(pid) for pid in running}
            for pid in running:
                end(pid)
            printed = (error.output or b"").decode(errors="replace")
            pytest.fail(f"consumer {consumer_id}: still under way after {error.timeout} s; {waits}; {printed[-3000:]}")
        finally:
            proxy.stop()
        return process.returncode, output

    def converge(self, part: str, consumer_ids: Sequence[str]) -> None:
        """Run a part of the role for several consumers by one playbook, which has to succeed."""
        command = [
            *self._command(part, "{{ inventory_hostname }}"),
            "-e",
            "runs_on=all",
            "-i",
            f"{','.join(consumer_ids)},",
        ]
        done = subprocess.run(
            [*command, "--forks", str(WORKERS)],
            env=self.place.environment(),
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    def _command(self, part: str, consumer_id: str) -> list[str]:
        # Without the sweep: each consumer is to be brought to its end by its own playbook.
        result = str(self.directory / f"result-{consumer_id}.json")
        port = f"{{{{ {FIRST_PORT} + (consumer_id | int) }}}}"
        return self.place.command(part, consumer_id, consumer_sweep=False, result_file=result, load_balancer_port=port)

    def cut(self, consumer_id: str, at: Callable[[int, Write], bool], *, after: bool) -> tuple[int, int]:
        """Cut the deployment of a consumer at a write; return the playbook's exit code and how many writes it came to."""
        proxy = CuttingProxy(self.place.server.kubeconfig, self.directory / f"cut-{consumer_id}", at, after)
        code, _output = self.run(consumer_id, proxy)
        return code, len(proxy.writes)

    # -- what is there -----------------------------------------------------------------------------------------------------

    def neutral(self, consumer_id: str, text: str) -> str:
        """Replace in a text what belongs to one consumer alone."""
        key, namespace = self.storm.keys[consumer_id], f"{VALIDATOR}-consumer-{consumer_id}"
        claim, genesis = (
            self.place.get("PersistentVolumeClaim", "data", namespace),
            self.place.get("ConfigMap", "genesis", namespace),
        )
        assert claim is not None
        assert genesis is not None
        for own, name in (
            (namespace, "NAMESPACE"),
            (f"consumer-{consumer_id}-key", "KEY"),
            (f"consumer-{consumer_id}", "MEMORY"),
            (MONITOR, "MONITOR"),
            (fence_name(key.public_key_base64, CHAIN_ID), "FENCE"),
            (owner_mark(consumer_id, CHAIN_ID), "OWNER"),
            (key.public_key_base64, "PUBLIC"),
            (base64.b64encode(key.seed + key.public_key).decode(), "PRIVATE"),
            (key.address, "ADDRESS"),
            (str(FIRST_PORT + int(consumer_id)), "PORT"),
            (hashlib.sha256(key.public_key_base64.encode()).hexdigest()[:12], "SIGNER"),
            (claim["metadata"]["uid"], "VOLUME"),
            (hashlib.sha256(genesis["data"]["genesis.json"].encode()).hexdigest(), "GENESIS"),
        ):
            text = text.replace(own, name)
        return text

    def objects(self, consumer_id: str) -> dict[str, Any]:
        """Return all objects of a consumer by kind and name, without what has to differ between two consumers."""
        found = {}
        for entry in self.place.objects(consumer_id):
            name = f"{entry['kind']} {entry['metadata'].get('namespace', '')}/{entry['metadata']['name']}"
            assert name not in found
            found[name] = cleared(entry)
        neutral: dict[str, Any] = json.loads(self.neutral(consumer_id, json.dumps(found)))
        return neutral


def cleared(found: dict[str, Any]) -> Any:
    """Return an object without what the server adds, and without the moment and the id of its consumer."""
    entry = copy.deepcopy(found)
    entry.pop("status", None)
    for name in SERVER_FIELDS:
        if name != "managedFields":
            entry["metadata"].pop(name, None)
    for manager in entry["metadata"].get("managedFields", []):
        manager.pop("time", None)
    entry["metadata"].get("managedFields", []).sort(key=json.dumps)
    spec, data = entry.get("spec") or {}, entry.get("data") or {}
    if entry["kind"] == "Secret":
        data.update({name: base64.b64decode(value).decode() for name, value in data.items()})
    elif entry["kind"] == "Service":
        for name in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            spec.pop(name, None)
        for port in spec["ports"]:
            port.pop("nodePort", None)
    elif entry["kind"] == "Job":
        spec.pop("selector")
        for name in ("controller-uid", "batch.kubernetes.io/controller-uid"):
            spec["template"]["metadata"]["labels"].pop(name)
    elif entry["kind"] == "Lease":
        spec.pop("acquireTime")
    elif entry["kind"] == "ConfigMap" and entry["metadata"]["name"] == "genesis":
        genesis = json.loads(data["genesis.json"])
        genesis.pop("genesis_time")
        ccv = genesis["app_state"]["ccvconsumer"]
        ccv["params"].pop("consumer_id")
        ccv["provider"].pop("consensus_state")
        ccv["provider"]["client_state"].pop("latest_height")
        data["genesis.json"] = genesis
    return without_id(entry)


def without_id(found: Any) -> Any:
    """Return a value without the labels that name the consumer."""
    if isinstance(found, dict):
        return {name: without_id(value) for name, value in found.items() if name != ID_LABEL}
    if isinstance(found, list):
        return [without_id(value) for value in found]
    return found


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cuts]:
    """All consumers have launched, the validator is a member of each, and nothing is deployed."""
    place = Place(tmp_path_factory.mktemp("cuts"))
    try:
        place.start()
        # As the deployment of the monitor does.
        run_operation(load_balancer, validator=VALIDATOR, kubeconfig=str(place.server.kubeconfig))
        storm = Storm(place, len(STEPS) + 2)
        storm.announce(spawn_in=5)
        storm.await_launches(seconds=60)
        yield Cuts(storm, tmp_path_factory.mktemp("runs"))
    finally:
        place.stop()


@pytest.fixture(scope="module")
def uncut(cuts: Cuts) -> CuttingProxy:
    """What noted the writes of a run that is not cut."""
    proxy = CuttingProxy(cuts.place.server.kubeconfig, cuts.directory / "uncut")
    code, output = cuts.run(cuts.uncut, proxy)
    assert code == 0, output[-6000:]
    return proxy


@pytest.fixture(scope="module")
def outcomes(cuts: Cuts, uncut: CuttingProxy) -> list[tuple[int, int]]:
    """How the playbook ended at each step; afterwards another one has run for all."""

    def cut(number: int) -> tuple[int, int]:
        return cuts.cut(cuts.of_steps[number], lambda count, _write: count == number, after=number % 2 == 1)

    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(cut, range(len(STEPS))))
    cuts.converge("launch", cuts.of_steps)
    return found


def test_a_run_that_is_not_cut_makes_these_steps(cuts: Cuts, uncut: CuttingProxy) -> None:
    made = [
        (write.method, write.kind, cuts.neutral(cuts.uncut, f"{write.namespace}/{write.name}".removeprefix("/")))
        for write in uncut.writes
    ]
    assert tuple(made) == STEPS
    cuts.storm.check(cuts.uncut)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=lambda number: "-".join(STEPS[number]))
def test_a_run_that_was_cut_ends_where_the_uncut_one_does(
    cuts: Cuts, outcomes: list[tuple[int, int]], number: int
) -> None:
    assert outcomes[number] == (-9, number + 1)  # killed, at this write
    consumer_id = cuts.of_steps[number]
    assert cuts.objects(consumer_id) == cuts.objects(cuts.uncut)
    cuts.storm.check(consumer_id)  # its own key in its namespace, the fence held by its volume


def test_a_server_that_fails_ends_where_a_good_one_does(cuts: Cuts, uncut: CuttingProxy) -> None:
    """Each kind of fault comes several times in one deployment."""
    proxy = ApiProxy(cuts.place.server.kubeconfig, cuts.directory / "faults")
    code, output = cuts.run(cuts.faulty, proxy)
    assert code == 0, output[-6000:]
    assert all(proxy.injected.count(fault) >= 2 for fault in FAULTS), proxy.injected
    assert cuts.objects(cuts.faulty) == cuts.objects(cuts.uncut)
    cuts.storm.check(cuts.faulty)


def test_another_run_changes_nothing(cuts: Cuts, outcomes: list[tuple[int, int]]) -> None:
    """The objects of all are equal, also in who set which of their fields, so what is true of one is true of all."""
    some = [cuts.uncut, cuts.of_steps[len(STEPS) // 2]]
    before = [cuts.place.versions(consumer_id) for consumer_id in some]
    for part in ("stage", "launch"):
        cuts.converge(part, some)
    assert [cuts.place.versions(consumer_id) for consumer_id in some] == before


def test_a_lost_volume_is_made_again_though_that_was_cut(cuts: Cuts, uncut: CuttingProxy) -> None:
    """The cut comes between the volume and its home, when all else that staging makes is there."""
    namespace = f"{VALIDATOR}-consumer-{cuts.uncut}"
    lost = cuts.place.lose_volume(cuts.uncut)
    code, _writes = cuts.cut(cuts.uncut, lambda _number, write: write.kind == "persistentvolumeclaims", after=True)
    assert code == -9
    cuts.converge("launch", [cuts.uncut])
    claim, job = (
        cuts.place.get("PersistentVolumeClaim", "data", namespace),
        cuts.place.get("Job", "stage", namespace, "batch/v1"),
    )
    assert claim is not None
    assert claim["metadata"]["uid"] != lost
    assert job is not None
    assert job["metadata"]["annotations"]["interchain-security/volume"] == claim["metadata"]["uid"]
    keys = cuts.place.get("Secret", "keys", namespace)
    assert keys is not None
    assert list(keys["data"]) == ["node_key.json"]
