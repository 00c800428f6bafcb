# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One sweep at a time: the playbooks of many launches would all do the same work. Nothing is wrong when two do it all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster

NAME, KIND, API_VERSION = "sweep", "Lease", "coordination.k8s.io/v1"
LONGEST = timedelta(seconds=60)  # who holds it for longer was killed
TIME_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


class SweepLock:
    """A Lease in the monitor's namespace; the context's value tells whether it was free."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._uid = ""

    def __enter__(self) -> bool:
        found = self._cluster.get(KIND, NAME, self._namespace, API_VERSION)
        if found is not None:
            if datetime.now(UTC) - _moment(found) < LONGEST:
                return False
            self._cluster.delete(KIND, NAME, self._namespace, API_VERSION, found["metadata"]["uid"])
        lease = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": NAME, "namespace": self._namespace},
            "spec": {"acquireTime": datetime.now(UTC).strftime(TIME_FORM)},
        }
        if not self._cluster.create(lease).changed:
            return False  # somebody was quicker
        made = self._cluster.get(KIND, NAME, self._namespace, API_VERSION)
        self._uid = made["metadata"]["uid"] if made else ""
        return True

    def __exit__(self, *_details: object) -> None:
        if self._uid:
            self._cluster.delete(KIND, NAME, self._namespace, API_VERSION, self._uid)


def _moment(lease: dict[str, Any]) -> datetime:
    return datetime.strptime(lease["spec"]["acquireTime"], TIME_FORM).replace(tzinfo=UTC)
