# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left over of consumers is found, and removed on request only, with the rights of the monitor, on a real provider and a real API server.

The tests build on each other and run in the order of this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from tests.integration.consumer_place import MONITOR, VALIDATOR, wait_for
from tests.integration.monitor_place import MonitorPlace

pytestmark = pytest.mark.timeout(300)  # each runs several playbooks

UNBONDING = "25s"  # a stopped consumer is deleted after that long
UNKNOWN = "99"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorPlace]:
    made = MonitorPlace(tmp_path_factory.mktemp("place"))
    genesis = made.node.home / "config/genesis.json"
    state = json.loads(genesis.read_text())
    state["app_state"]["staking"]["params"]["unbonding_time"] = UNBONDING
    genesis.write_text(json.dumps(state))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What later tests need of earlier ones: consumer_ids."""
    return {}


def labels(consumer_id: str) -> dict[str, str]:
    return {"interchain-security/validator": VALIDATOR, "interchain-security/consumer-id": consumer_id}


def replicas(place: MonitorPlace, consumer_id: str) -> int:
    found = place.get("StatefulSet", "node", f"{VALIDATOR}-consumer-{consumer_id}", "apps/v1")
    assert found is not None
    return int(found["spec"]["replicas"])


def kept_key(cluster: Cluster, consumer_id: str) -> bool:
    return cluster.get("Secret", f"consumer-{consumer_id}-key", MONITOR) is not None


def days_kept(place: MonitorPlace, consumer_id: str) -> int:
    """Return for how many days from now the key is kept."""
    until = datetime.fromisoformat(place.memory(consumer_id)["key_kept_until"])
    return round((until - datetime.now(UTC)) / timedelta(days=1))


def make_namespace(place: MonitorPlace, consumer_id: str) -> str:
    """Make a consumer's namespace with the monitor's rights in it, and return its name."""
    namespace = f"{VALIDATOR}-consumer-{consumer_id}"
    ours = {"app.kubernetes.io/part-of": "interchain-security-monitor", **labels(consumer_id)}
    place.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": ours}})
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "interchain-consumer-operator", "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "interchain-consumer-operator",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "monitor", "namespace": MONITOR}],
    }
    place.cluster.apply(binding)
    return namespace


def test_an_unknown_consumer_is_removed_when_it_is_named(place: MonitorPlace) -> None:
    namespace = make_namespace(place, UNKNOWN)
    lease = {"name": f"fence-{UNKNOWN}", "namespace": MONITOR, "labels": labels(UNKNOWN)}
    place.cluster.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease})
    assert place.leftovers() == [(UNKNOWN, "unknown")]

    # Looking removes nothing, and neither does a check.
    assert "the provider knows no such consumer" in place.run_playbook("remove_leftovers")
    place.run_playbook("check_consumers")
    kept = place.get("ConfigMap", "check", MONITOR)
    assert kept is not None
    (left,) = json.loads(kept["data"]["leftovers"])
    assert (left["consumer_id"], left["kind"]) == (UNKNOWN, "unknown")
    assert place.get("Namespace", namespace, "") is not None
    refused = place.playbook("remove_leftovers", leftover_ids=["98"])
    assert refused.returncode != 0
    assert "Nothing was removed" in refused.stdout
    assert place.leftovers() == [(UNKNOWN, "unknown")]

    # What was decided of it once tells how long its key could be asked for.
    memory = {"name": f"consumer-{UNKNOWN}", "namespace": MONITOR}
    data = {"unbonding_period": str(30 * 86400)}
    place.cluster.merge({"apiVersion": "v1", "kind": "ConfigMap", "metadata": memory, "data": data})
    place.run_playbook("remove_leftovers", leftover_ids=[UNKNOWN])
    assert days_kept(place, UNKNOWN) == 30
    assert place.get("Namespace", namespace, "") is None
    assert place.get("Lease", f"fence-{UNKNOWN}", MONITOR, "coordination.k8s.io/v1") is None
    assert place.leftovers() == []
    place.run_playbook("check_consumers")
    kept = place.get("ConfigMap", "check", MONITOR)
    assert kept is not None
    assert kept["data"]["leftovers"] == "[]"


def test_a_half_made_node_that_should_run_is_not_removed_but_another_is(
    place: MonitorPlace, seen: dict[str, str]
) -> None:
    consumer_id = seen["runs"] = place.create_consumer(spawn_in=15)
    out = place.create_consumer(spawn_in=3600, chain_id="other-1")
    place.opt_in(consumer_id)
    for prepared in (consumer_id, out):
        place.converge("stage", prepared)
    memory = {"name": f"consumer-{consumer_id}", "namespace": MONITOR, "labels": labels(consumer_id)}
    place.cluster.merge({"apiVersion": "v1", "kind": "ConfigMap", "metadata": memory, "data": {"decision": "opt_in"}})
    place.await_launch(consumer_id)
    assert sorted(place.leftovers()) == [(consumer_id, "half_made"), (out, "half_made")]
    refused = place.playbook("remove_leftovers", leftover_ids=[consumer_id, out])
    assert refused.returncode != 0
    assert "repair_consumer" in refused.stdout
    assert sorted(place.leftovers()) == [(consumer_id, "half_made"), (out, "half_made")]
    place.run_playbook("remove_leftovers", leftover_ids=[out])
    assert place.get("Namespace", f"{VALIDATOR}-consumer-{out}", "") is None
    place.run_playbook("repair_consumer", consumer_id=consumer_id)
    assert replicas(place, consumer_id) == 1
    assert place.leftovers() == []


def test_a_stopped_consumers_node_is_stopped_and_keeps_its_data(place: MonitorPlace, seen: dict[str, str]) -> None:
    consumer_id = seen["runs"]
    place.owner.remove(consumer_id)
    wait_for("the stop", lambda: place.phase(consumer_id) == "stopped")
    assert place.leftovers() == [(consumer_id, "stopped")]
    place.run_playbook("remove_leftovers", leftover_ids=[consumer_id])
    assert replicas(place, consumer_id) == 0
    assert place.get("PersistentVolumeClaim", "data", f"{VALIDATOR}-consumer-{consumer_id}") is not None


def test_a_deleted_consumer_goes_and_its_key_only_when_it_has_expired(
    place: MonitorPlace, seen: dict[str, str]
) -> None:
    consumer_id = seen["runs"]
    wait_for("the deletion", lambda: place.phase(consumer_id) == "deleted", 90)
    assert place.leftovers() == [(consumer_id, "deleted")]
    place.run_playbook("remove_leftovers", leftover_ids=f" {consumer_id},", remove_expired_keys=True)
    assert place.get("Namespace", f"{VALIDATOR}-consumer-{consumer_id}", "") is None
    assert place.leftovers() == []
    assert kept_key(place.cluster, consumer_id)

    def keep_until(moment: datetime) -> None:
        data = {"key_kept_until": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
        metadata = {"name": f"consumer-{consumer_id}", "namespace": MONITOR}
        place.cluster.patch({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    # Somebody made it again, and nothing is remembered of it; the check that the monitor makes when it starts reads the consumer.
    memory = {"name": f"consumer-{consumer_id}", "namespace": MONITOR}
    data = {"key_kept_until": None, "unbonding_period": None}
    place.cluster.patch({"apiVersion": "v1", "kind": "ConfigMap", "metadata": memory, "data": data})
    make_namespace(place, consumer_id)
    place.run_playbook("remove_deleted")
    assert place.get("Namespace", f"{VALIDATOR}-consumer-{consumer_id}", "") is None
    assert days_kept(place, consumer_id) == 14  # the unbonding time of the consumer itself

    keep_until(datetime.now(UTC) + timedelta(minutes=10))
    place.run_playbook("remove_leftovers", remove_expired_keys=True)
    assert kept_key(place.cluster, consumer_id)
    keep_until(datetime.now(UTC) - timedelta(seconds=1))
    assert place.leftovers() == [(consumer_id, "expired_key")]
    place.run_playbook("check_consumers")
    place.run_playbook("remove_leftovers")
    assert kept_key(place.cluster, consumer_id)  # on request only
    place.run_playbook("remove_leftovers", remove_expired_keys=True)
    assert not kept_key(place.cluster, consumer_id)
    assert place.leftovers() == []
