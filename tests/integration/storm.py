# SPDX-License-Identifier: GPL-3.0-or-later
"""Many consumers that launch in one block, staged for one validator on a real API server that runs no pods."""

from __future__ import annotations

import base64
import copy
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key, routes
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from tests.integration.consumer_place import MONITOR, VALIDATOR, Place, wait_for

THREADS = 8
STAGED = (
    ("ConfigMap", "settings", "v1"),
    ("ConfigMap", "base-genesis", "v1"),
    ("PersistentVolumeClaim", "data", "v1"),
    ("StatefulSet", "node", "apps/v1"),
)
SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")


class Storm:
    """So many consumers of which the validator is a member, each with a key of its own; the role stages the first one."""

    def __init__(self, place: Place, consumers: int) -> None:
        self._place = place
        self._number = consumers
        self.ids: list[str] = []
        self.keys: dict[str, consensus_key.ConsensusKey] = {}

    def announce(self, spawn_in: float) -> None:
        """Create them and opt in."""
        place = self._place
        self.ids = place.owner.create_many([spawn_in] * self._number)
        self.keys = {
            consumer_id: consensus_key.from_seed(int(consumer_id).to_bytes(32, "big")) for consumer_id in self.ids
        }
        place.owner.opt_in(*self.ids, keys=[self.keys[one].public_key_base64 for one in self.ids])
        self._in_parallel(self._write_down, self.ids)
        wait_for("the last consumer", lambda: place.phase(self.ids[-1]) in ("initialized", "launched"))

    def prepare(self, spawn_in: float) -> None:
        """Create and opt in, stage the first by the role, and give the others what it got."""
        place = self._place
        self.announce(spawn_in)
        place.converge("stage", self.ids[0])
        self._in_parallel(self._stage, self.ids[1:])
        wait_for("the address of the load balancer", self._addressed)

    def await_launches(self, seconds: float) -> None:
        client = ProviderClient([self._place.node.url])
        wait_for("the launches", lambda: len(client.consumers(Phase.LAUNCHED)) >= self._number, seconds)
        client.close()

    def running(self) -> list[str]:
        """Return the consumers whose nodes are to run."""
        found = self._place.cluster.select("StatefulSet", api_version="apps/v1")
        prefix = f"{VALIDATOR}-consumer-"
        return [
            entry["metadata"]["namespace"].removeprefix(prefix) for entry in found if entry["spec"]["replicas"] == 1
        ]

    def _in_parallel(self, function: Any, items: list[str]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(function, items))

    def _write_down(self, consumer_id: str) -> None:
        """Do what the monitor's decision does: its key and its memory."""
        labels = {"interchain-security/consumer-id": consumer_id}
        key = {"priv_validator_key.json": base64.b64encode(self.keys[consumer_id].key_file().encode()).decode()}
        for kind, name, more, data in (
            ("Secret", f"consumer-{consumer_id}-key", {}, key),
            (
                "ConfigMap",
                f"consumer-{consumer_id}",
                {"interchain-security/validator": VALIDATOR},
                {"decision": "opt_in", "reason": "it is selected", "phase": "initialized"},
            ),
        ):
            metadata = {"name": name, "namespace": MONITOR, "labels": {**labels, **more}}
            self._place.cluster.create({"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data})

    def _stage(self, consumer_id: str) -> None:
        """Make what the role made for the first consumer, under the name of this one."""
        first, own = (f"{VALIDATOR}-consumer-{one}" for one in (self.ids[0], consumer_id))
        self._place.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}})
        for kind, name, api_version in STAGED:
            found = self._place.get(kind, name, first, api_version)
            assert found is not None
            made = copy.deepcopy(found)
            for field in SERVER_FIELDS:
                made["metadata"].pop(field, None)
            made.pop("status", None)
            made["metadata"]["namespace"] = own
            made["metadata"]["labels"]["interchain-security/consumer-id"] = consumer_id
            self._place.cluster.create(made)
        claim = routes.Claim(consumer_id, routes.P2P_PORT + 10 * (int(consumer_id) + 1))
        self._place.cluster.create(routes.endpoint_slice(claim, VALIDATOR, MONITOR, "IPv4", None))

    def _addressed(self) -> bool:
        return bool(routes.service_host(self._place.get("Service", routes.SERVICE, MONITOR)))

    # -- what is there afterwards ------------------------------------------------------------------------------------------

    def check(self, consumer_id: str) -> None:
        """Assert that the consumer's node has all that it starts with, and nothing of another one."""
        place, namespace = self._place, f"{VALIDATOR}-consumer-{consumer_id}"
        keys = place.get("Secret", "keys", namespace)
        assert keys is not None
        key = json.loads(base64.b64decode(keys["data"]["priv_validator_key.json"]))["pub_key"]["value"]
        assert key == self.keys[consumer_id].public_key_base64
        genesis = place.get("ConfigMap", "genesis", namespace)
        assert genesis is not None
        state = json.loads(genesis["data"]["genesis.json"])["app_state"]["ccvconsumer"]
        assert [entry["pub_key"]["ed25519"] for entry in state["provider"]["initial_val_set"]] == [key]
        config = place.get("ConfigMap", "config", namespace)
        assert config is not None
        assert config["data"]["owner"].startswith(f"{consumer_id}-")
        assert config["data"]["signer"] == "local"
        memory = place.get("ConfigMap", f"consumer-{consumer_id}", MONITOR)
        assert memory is not None
        assert memory["data"]["phase"] == "launched"
        assert memory["data"]["signing_key"] == key
        claim = place.get("PersistentVolumeClaim", "data", namespace)
        assert claim is not None
        selector = f"interchain-security/consumer-id={consumer_id}"
        leases = place.cluster.select("Lease", MONITOR, selector, "coordination.k8s.io/v1")
        assert [lease["spec"]["holderIdentity"] for lease in leases] == [claim["metadata"]["uid"]]
