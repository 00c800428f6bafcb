# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Telling a running node whom to dial, by CometBFT's unsafe call, which is open within the node's own pod only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import (
    ANSWER_SECONDS,
    OWN_RPC_PORT,
    NodeAccess,
)

GATE = "rpc-gate"  # the container that tells a pod whose node listens within it only


def dial(cluster: Cluster, namespace: str, peers: Sequence[str]) -> None:
    """Make these (``node id@host:port``) the node's persistent peers, in place of those before; ClusterError when it does not take them.

    It dials those that it is not connected to, and goes on with that as after a start. Connections to others stay until they end.
    """
    parameters = urlencode({"peers": json.dumps(list(peers)), "persistent": "true"})
    with NodeAccess(cluster, namespace, port=OWN_RPC_PORT).conversation(ANSWER_SECONDS) as rpc:
        rpc(f"dial_peers?{parameters}")
