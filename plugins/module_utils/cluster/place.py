# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the cluster holds of one consumer of a validator, read in one go before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, decoded
from ansible_collections.interchain.security.plugins.module_utils.ics import routes
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import from_key_file
from ansible_collections.interchain.security.plugins.module_utils.ics.names import ID_LABEL, consumer_namespace

KEY_FILE, NODE_KEY_FILE = "priv_validator_key.json", "node_key.json"
GENESIS, BASE_GENESIS, SETTINGS = "genesis", "base-genesis", "settings"
# What the monitor remembers: the key (base64) that somebody else was seen to sign with, and the one of which it is known that nobody else has it any more.
SEEN_ELSEWHERE = "key_seen_elsewhere"
TAKEN_OVER = "taken_over_key"
HOME = "interchain-security/home"  # the annotation of a volume on which staging has made the node's home


@dataclass(frozen=True)
class Place:
    """What the cluster holds of one consumer. ``first_key`` is the public half (base64) of the key in the Secret of that name, empty for none.

    ``keys`` has all that are kept, by their public halves. The Secrets' data is as the cluster has it.
    """

    consumer_id: str
    namespace: str
    monitor_namespace: str
    labels: dict[str, str]
    first_key: str
    keys: dict[str, str] = field(repr=False)
    node_key_data: dict[str, str] = field(repr=False)
    memory: dict[str, str] = field(repr=False)
    genesis: dict[str, Any] | None = field(repr=False)
    base_genesis: bool
    settings: dict[str, str] | None = field(repr=False)
    volume: str
    home: bool
    service: dict[str, Any] | None = field(repr=False)  # the load balancer
    route: dict[str, Any] | None = field(repr=False)  # that claims the node's port of it
    node: bool

    @property
    def missing(self) -> list[str]:
        """What staging has yet to make."""
        parts = {
            "base genesis": self.base_genesis or self.genesis is not None,
            "settings": self.settings is not None,
            "volume": bool(self.volume),
            "home directory": self.home,
            "P2P port": self.route is not None,
            "StatefulSet": self.node,
        }
        return [name for name, there in parts.items() if not there]

    @property
    def external_address(self) -> str:
        """IP address and port of the load balancer, empty when there is none (yet)."""
        claim = None if self.route is None else routes.claim_of(self.route)
        return "" if claim is None else routes.external_address(self.service, claim.port)


def labels_of(validator: str, consumer_id: str) -> dict[str, str]:
    """Return the labels of all that belongs to one consumer of a validator."""
    return {
        "app.kubernetes.io/part-of": "interchain-security-monitor",
        "app.kubernetes.io/managed-by": "interchain-security-monitor",
        "interchain-security/validator": validator,
        ID_LABEL: consumer_id,
    }


def kept_keys(cluster: Cluster, monitor_namespace: str, consumer_id: str) -> dict[str, dict[str, str]]:
    """Return the data of the Secrets that keep consensus keys for a consumer, by their names."""
    found = cluster.select("Secret", monitor_namespace, f"{ID_LABEL}={consumer_id}")
    name = f"consumer-{consumer_id}-key"
    if name not in {entry["metadata"]["name"] for entry in found}:  # made by hand, without its label
        found += filter(None, [cluster.get("Secret", name, monitor_namespace)])
    kept = {str(entry["metadata"]["name"]): entry.get("data") or {} for entry in found}
    return {name: data for name, data in sorted(kept.items()) if KEY_FILE in data}


def public_half(data: dict[str, str]) -> str:
    """Return the public half (base64) of the key that is kept in a Secret's data."""
    return from_key_file(decoded(data, KEY_FILE)).public_key_base64


def look(cluster: Cluster, validator: str, monitor_namespace: str, consumer_id: str) -> Place:
    """Read it."""
    namespace = consumer_namespace(validator, consumer_id)
    kept = kept_keys(cluster, monitor_namespace, consumer_id)
    first = kept.get(f"consumer-{consumer_id}-key")
    node_key = (cluster.get("Secret", "node-key", monitor_namespace) or {}).get("data") or {}
    claim = cluster.get("PersistentVolumeClaim", "data", namespace)
    settings = cluster.get("ConfigMap", SETTINGS, namespace)
    node = cluster.get("StatefulSet", "node", namespace, "apps/v1")
    return Place(
        consumer_id=consumer_id,
        namespace=namespace,
        monitor_namespace=monitor_namespace,
        labels=labels_of(validator, consumer_id),
        first_key=public_half(first) if first else "",
        keys={public_half(data): data[KEY_FILE] for data in kept.values()},
        node_key_data=node_key,
        memory=(cluster.get("ConfigMap", f"consumer-{consumer_id}", monitor_namespace) or {}).get("data") or {},
        genesis=cluster.get("ConfigMap", GENESIS, namespace),
        base_genesis=cluster.get("ConfigMap", BASE_GENESIS, namespace) is not None,
        settings=None if settings is None else settings.get("data") or {},
        volume=str(claim["metadata"]["uid"]) if claim else "",
        home=bool(claim and HOME in (claim["metadata"].get("annotations") or {})),
        service=cluster.get("Service", routes.SERVICE, monitor_namespace),
        route=cluster.get(routes.SLICE, routes.slice_name(consumer_id), monitor_namespace, routes.SLICE_VERSION),
        # It is made without its volumes first, so that it begins with no pod.
        node=bool(node and node["spec"]["template"]["spec"].get("volumes")),
    )
