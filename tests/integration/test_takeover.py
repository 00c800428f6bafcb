# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An installation of the Go monitor is taken over, on a real API server and a real provider. The tests build on each other, in the order of this file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kubernetes
import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import decoded
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError, InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.operations import ics_operator_takeover
from tests.integration import ics_operator
from tests.integration.consumer_place import MONITOR, VALIDATOR, Place, wait_for
from tests.integration.monitor_place import MonitorPlace
from tests.integration.single_node import CHAIN_ID
from tests.operation import run_operation

pytestmark = pytest.mark.timeout(300)

HD_PATH = "m/44'/118'/0'/0/0"
KEY = consensus_key.from_seed(bytes(range(32)))
OTHER = consensus_key.from_seed(bytes(32))
WITH_KEY, WITH_PROVIDER_KEY, LAUNCHED = "former-1", "unassigned-1", "launched-1"
DEPLOYMENTS = [
    (ics_operator.NAMESPACE, "monitor"),
    (WITH_KEY, WITH_KEY),
    (WITH_PROVIDER_KEY, WITH_PROVIDER_KEY),
    (WITH_KEY, f"{WITH_KEY}-hermes"),
    (WITH_PROVIDER_KEY, f"{WITH_PROVIDER_KEY}-hermes"),
]


class FormerPlace(MonitorPlace):
    """The Go monitor was installed and has two consumers: one with an assigned key, and one with the provider's."""

    def start(self) -> None:
        Place.start(self)
        self.with_key = self.create_consumer(spawn_in=3600, chain_id=WITH_KEY)
        self.without = self.create_consumer(spawn_in=3600, chain_id=WITH_PROVIDER_KEY)
        (self.launched,) = self.owner.create_many([10], opt_in=True, chain_id=LAUNCHED)
        self.owner.opt_in(self.with_key, self.without, keys=[KEY.public_key_base64, ""])
        for made in (
            *ics_operator.release(VALIDATOR, self.node.mnemonic, HD_PATH),
            *ics_operator.consumer(VALIDATOR, self.with_key, WITH_KEY),
            *ics_operator.consumer(VALIDATOR, self.without, WITH_PROVIDER_KEY),
            ics_operator.key(VALIDATOR, self.with_key, KEY),
        ):
            self.cluster.create(made)
            if made["kind"] == "Deployment":
                # That of the monitor is on a machine that does not answer.
                machine = "lost" if made["metadata"]["name"] == "monitor" else ""
                self.cluster.create(ics_operator.pod(made, machine))
        wait_for("the opt-ins", lambda: self.take_over(check=True)["consumers"][0]["key"] == "copy")

    def take_over(self, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run the operation in this process."""
        return run_operation(
            ics_operator_takeover,
            check_mode=check,
            provider_rpc_url=[self.node.url],
            provider_chain_id=CHAIN_ID,
            validator=VALIDATOR,
            operator_address=self.operator,
            kubeconfig=str(self.server.kubeconfig),
            **{"timeout": 2, **options},
        )

    def replicas(self) -> dict[str, int]:
        """Return how many pods each Deployment of the Go monitor is to have."""
        found = {}
        for namespace, name in DEPLOYMENTS:
            deployment = self.get("Deployment", name, namespace, "apps/v1")
            assert deployment is not None
            found[name] = deployment["spec"]["replicas"]
        return found

    def copied_key(self) -> str:
        secret = self.get("Secret", f"consumer-{self.with_key}-key", MONITOR)
        return "" if secret is None else decoded(secret["data"], "priv_validator_key.json")

    @contextmanager
    def deployments_controller(self) -> Iterator[None]:
        """Let the pods of Deployments of no pod go, as their controller does."""
        stopping = threading.Event()

        def look() -> None:
            while not stopping.wait(0.1):
                for deployment in self.cluster.select("Deployment", api_version="apps/v1"):
                    if deployment["spec"]["replicas"]:
                        continue
                    namespace = deployment["metadata"]["namespace"]
                    labels = deployment["spec"]["selector"]["matchLabels"]
                    for pod in self.cluster.select("Pod", namespace, ",".join(f"{k}={v}" for k, v in labels.items())):
                        if not pod["metadata"].get("deletionTimestamp"):
                            self.cluster.delete("Pod", pod["metadata"]["name"], namespace)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        yield
        stopping.set()
        thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FormerPlace]:
    made = FormerPlace(tmp_path_factory.mktemp("place"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def written(place: FormerPlace) -> int:
    """Count what was written so far; to ask for a right is a write too, for the audit log."""
    return sum(entry["objectRef"]["resource"] != "selfsubjectaccessreviews" for entry in place.server.writes())


def test_check_mode_tells_what_would_be_done(place: FormerPlace) -> None:
    before = written(place)
    done = place.playbook("takeover", check=True)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "former monitor's key is the one that is assigned" in done.stdout
    assert "it assigns one of its own" in done.stdout
    assert f"Deployment {WITH_KEY}/{WITH_KEY}" in done.stdout
    assert consensus_secret() not in done.stdout
    assert place.node.mnemonic not in done.stdout
    assert written(place) == before
    assert set(place.replicas().values()) == {1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (OTHER, f"the former monitor has {OTHER.public_key_base64}, but {KEY.public_key_base64} is assigned"),
        ("{}", "cannot be used: not a CometBFT key file"),
    ],
)
def test_a_key_that_does_not_fit_is_refused_before_anything_changes(
    place: FormerPlace, content: Any, words: str
) -> None:
    place.cluster.merge(ics_operator.key(VALIDATOR, place.with_key, content))
    with pytest.raises(InvalidInput) as refused:
        place.take_over()
    assert "nothing was changed" in str(refused.value)
    assert f"consumer {place.with_key}: " in str(refused.value)
    assert words in str(refused.value)
    assert place.copied_key() == ""
    assert set(place.replicas().values()) == {1}
    place.cluster.merge(ics_operator.key(VALIDATOR, place.with_key, KEY))


def test_a_chain_that_would_stand_still_keeps_its_node(place: FormerPlace) -> None:
    place.await_launch(place.launched)
    made = ics_operator.consumer(VALIDATOR, place.launched, LAUNCHED)
    for entry in made:
        place.cluster.create(entry)
    with pytest.raises(
        InvalidInput, match=rf"consumer {place.launched}: with (\d+) of \1 votes the chain stands still"
    ):
        place.take_over()
    assert set(place.replicas().values()) == {1}
    result = place.take_over(check=True, leave_running=[place.launched])
    assert [entry["key"] for entry in result["consumers"]] == ["copy", "own", "leave"]
    assert result["stopped"] == [f"Deployment {namespace}/{name}" for namespace, name in DEPLOYMENTS]
    for entry in made[1:]:
        place.cluster.delete(entry["kind"], entry["metadata"]["name"], LAUNCHED, entry["apiVersion"])


def test_another_validator_finds_nothing(place: FormerPlace) -> None:
    with pytest.raises(InvalidInput, match="no installation of the Go monitor for bob is in namespace provider"):
        place.take_over(former_validator="bob")


def test_a_monitor_that_could_not_be_deployed_stops_nothing(place: FormerPlace) -> None:
    account = ics_operator.release(VALIDATOR, "", "")[-1]
    place.cluster.delete("Secret", account["metadata"]["name"], ics_operator.NAMESPACE)
    with pytest.raises(InvalidInput, match="the mnemonic of the validator's account is neither in a Secret"):
        place.take_over()
    assert place.take_over(check=True, needs_account=False)["account_copied"] is False
    place.cluster.create(ics_operator.release(VALIDATOR, place.node.mnemonic, HD_PATH)[-1])
    done = place.playbook("takeover", interchain_policy={"mode": "some"})
    assert done.returncode != 0
    assert "mode" in done.stdout
    assert set(place.replicas().values()) == {1}


def test_what_cannot_be_stopped_ends_it_before_anything_is_started(place: FormerPlace) -> None:
    """The key is copied by then, and the nodes run on: their monitor is to go first."""
    with place.deployments_controller():
        done = place.playbook("takeover", former_timeout=3, monitor_wait=False)
    assert done.returncode != 0
    assert "Deployment provider/monitor to be without pods: not after 3 s" in done.stdout.replace("\n", " ")
    assert place.copied_key() == KEY.key_file()
    assert place.get("StatefulSet", "monitor", MONITOR, "apps/v1") is None
    assert place.replicas() == {name: 0 if name == "monitor" else 1 for _namespace, name in DEPLOYMENTS}


def test_somebody_who_scales_it_up_again_is_noticed(place: FormerPlace) -> None:
    stopping = threading.Event()
    metadata = {"name": "monitor", "namespace": ics_operator.NAMESPACE}
    wanted = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}}

    def scale_up() -> None:
        while not stopping.wait(0.1):
            place.cluster.patch(wanted)

    thread = threading.Thread(target=scale_up, daemon=True)
    thread.start()
    try:
        with pytest.raises(InterchainError, match="Deployment provider/monitor was scaled up again by somebody else"):
            place.take_over(timeout=10)
    finally:
        stopping.set()
        thread.join()


def test_once_it_is_gone_this_monitor_is_deployed(place: FormerPlace) -> None:
    core = kubernetes.client.CoreV1Api(place.cluster.api_client)
    core.delete_namespaced_pod("monitor-7d4b9c-x2x7p", ics_operator.NAMESPACE, grace_period_seconds=0)
    with place.deployments_controller():
        done = place.playbook("takeover", former_timeout=30, monitor_wait=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert set(place.replicas().values()) == {0}
    for namespace in (WITH_KEY, WITH_PROVIDER_KEY):
        assert place.cluster.select("Pod", namespace) == []
    # The provider's node is no business of the monitor.
    node = place.get("Deployment", "validator", ics_operator.NAMESPACE, "apps/v1")
    assert node is not None
    assert node["spec"]["replicas"] == 1
    assert len(place.cluster.select("Pod", ics_operator.NAMESPACE)) == 1

    assert place.copied_key() == KEY.key_file()
    # The former node's signatures are in the chain: the launch knows that it does not come back.
    remembered = place.get("ConfigMap", f"consumer-{place.with_key}", MONITOR)
    assert remembered is not None
    assert remembered["data"]["taken_over_key"] == KEY.public_key_base64
    assert place.get("ConfigMap", f"consumer-{place.without}", MONITOR) is None
    assert place.get("Secret", f"consumer-{place.without}-key", MONITOR) is None
    account = place.get("Secret", "validator", MONITOR)
    assert account is not None
    assert decoded(account["data"], "mnemonic") == place.node.mnemonic
    assert place.get("StatefulSet", "monitor", MONITOR, "apps/v1") is not None
    configuration = place.get("ConfigMap", "configuration", MONITOR)
    assert configuration is not None
    assert yaml.safe_load(configuration["data"]["inventory.yml"])["all"]["vars"]["interchain_hd_path"] == HD_PATH
    # The secrets were in no output.
    assert place.node.mnemonic not in done.stdout
    assert consensus_secret() not in done.stdout


def consensus_secret() -> str:
    """Return the private half as the key file has it."""
    return str(yaml.safe_load(KEY.key_file())["priv_key"]["value"])


def test_again_there_is_nothing_to_do(place: FormerPlace) -> None:
    result = place.take_over()
    assert result["changed"] is False
    assert [(entry["consumer_id"], entry["key"]) for entry in result["consumers"]] == [
        (place.with_key, "held"),
        (place.without, "own"),
    ]
