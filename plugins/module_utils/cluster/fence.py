# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fence of a consensus key on one chain: a Lease held by the one volume whose node may sign.

It does not run out: a node that cannot be seen may still sign. It is given back when the consumer is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import fence_name

KIND, API_VERSION = "Lease", "coordination.k8s.io/v1"


class Fence:
    """The fence of one key and chain, in a namespace that all monitors of the validator share."""

    def __init__(self, cluster: Cluster, namespace: str, public_key: str, chain_id: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self.name = fence_name(public_key, chain_id)

    def holder(self) -> str:
        """Return the uid of the volume that holds it, empty when none does."""
        found = self._cluster.get(KIND, self.name, self._namespace, API_VERSION)
        return "" if found is None else str((found.get("spec") or {}).get("holderIdentity") or "")

    def take(self, volume: str, labels: Mapping[str, str]) -> tuple[str, list[Change]]:
        """Take it for a volume unless another one holds it; return who holds it then, and what changed."""
        lease: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name, "namespace": self._namespace, "labels": dict(labels)},
            "spec": {
                "holderIdentity": volume,
                "acquireTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
        made = self._cluster.create(lease)
        if made.changed:  # in check mode too, where it is not there afterwards
            return volume, [made]
        return self.holder(), []
