# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hundred consumers that launch in one block, on a real API server that runs no pods: one playbook starts all their nodes. Beside it, in the same run,
the same writes as bare API calls in parallel.

`make bench`. Prints seconds and their ratio; there is no threshold.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes

from tests.integration.consumer_place import MONITOR, VALIDATOR, Place
from tests.integration.storm import Storm

CONSUMERS = 200
THREADS = 8


class BareCalls:
    """What a start writes, with no reading before and no thought: objects of the same kinds and sizes under other names."""

    def __init__(self, place: Place, consumer_id: str) -> None:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(place.server.kubeconfig), client_configuration=configuration)
        configuration.connection_pool_maxsize = THREADS
        client = kubernetes.client.ApiClient(configuration)
        self._core, self._apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
        self._leases = kubernetes.client.CoordinationV1Api(client)
        namespace = f"{VALIDATOR}-consumer-{consumer_id}"
        self._data = {name: self._of(place, "ConfigMap", name, namespace) for name in ("genesis", "config")}
        self._keys = self._of(place, "Secret", "keys", namespace)
        self._memory = self._of(place, "ConfigMap", f"consumer-{consumer_id}", MONITOR)

    @staticmethod
    def _of(place: Place, kind: str, name: str, namespace: str) -> Any:
        found = place.get(kind, name, namespace)
        assert found is not None
        return found["data"]

    def write(self, consumer_id: str) -> None:
        namespace = f"{VALIDATOR}-consumer-{consumer_id}"
        lease = {"metadata": {"name": f"bare-{consumer_id}"}, "spec": {"holderIdentity": consumer_id}}
        self._leases.create_namespaced_lease(MONITOR, lease)
        for name, data in self._data.items():
            self._core.create_namespaced_config_map(namespace, {"metadata": {"name": f"bare-{name}"}, "data": data})
        self._core.create_namespaced_secret(namespace, {"metadata": {"name": "bare"}, "data": self._keys})
        memory = {"data": {**self._memory, "bare": consumer_id}}
        self._core.patch_namespaced_config_map(f"consumer-{consumer_id}", MONITOR, memory)
        annotated = {"spec": {"template": {"metadata": {"annotations": {"bare": consumer_id}}}}}
        self._apps.patch_namespaced_stateful_set("node", namespace, annotated)


def main() -> int:
    """Run both and print the figures as one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        try:
            place.start()
            storm = Storm(place, CONSUMERS)
            storm.prepare(spawn_in=90)
            storm.await_launches(seconds=180)
            began = time.monotonic()
            place.converge("launch", storm.ids[0])
            swept = time.monotonic() - began
            missing = set(storm.ids) - set(storm.running())
            if missing:
                print(f"benchmark: {len(missing)} of {CONSUMERS} nodes were not started", file=sys.stderr)
                return 1
            bare = BareCalls(place, storm.ids[0])
            began = time.monotonic()
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(bare.write, storm.ids))
            raw = time.monotonic() - began
        finally:
            place.stop()
    figures = {"consumers": CONSUMERS, "sweep_seconds": swept, "bare_calls_seconds": raw, "ratio": swept / raw}
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
