# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of a node in a pod: queries and transactions through the API server's port forward."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import Exchange, NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    ClusterError,
    NodeSilent,
)


class PodChain(NodeRpc):
    """A chain that is asked through its node's pod. See :func:`chain_of`."""

    def __init__(self, namespace: str, exchange: Exchange) -> None:
        super().__init__([f"http://node-0.{namespace}"])
        self._exchanged = exchange

    def _exchange(self, url: str, request: Mapping[str, Any]) -> bytes:
        try:
            return self._exchanged("POST", "", json.dumps(request).encode())
        except NodeSilent as error:
            raise ChainUnreachable(str(error)) from error


@contextmanager
def chain_of(cluster: Cluster, namespace: str, seconds: float) -> Iterator[PodChain]:
    """Give the chain of the node in a namespace, for so many seconds in all; ChainUnreachable when its pod cannot be reached."""
    try:
        with NodeAccess(cluster, namespace).exchange(seconds) as exchange:
            yield PodChain(namespace, exchange)
    except ClusterError as error:
        raise ChainUnreachable(str(error)) from error
