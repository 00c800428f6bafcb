# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the height of a node, or wait for one."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError

ARGUMENT_SPEC: dict[str, Any] = {
    "namespace": {"type": "str", "required": True},
    "wait_height": {"type": "int", "default": 0},
    "wait_timeout": {"type": "int", "default": 0},
    "kubeconfig": {"type": "path"},
}
POLL_SECONDS = 0.5


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Ask the node until it has the height, for wait_timeout seconds at most. -1: it has not answered."""
    node = NodeAccess(Cluster(params["kubeconfig"]), params["namespace"])
    deadline = time.monotonic() + params["wait_timeout"]
    height, reason = -1, ""
    while True:
        try:
            height = int(node.rpc("status")["sync_info"]["latest_block_height"])
            reason = ""
        except ClusterError as error:
            reason = str(error)
        except (KeyError, ValueError) as error:
            reason = f"the node's answer cannot be used: {error!r}"
        if height >= max(params["wait_height"], 0) or time.monotonic() >= deadline:
            return {"changed": False, "height": height, "reason": reason}
        time.sleep(POLL_SECONDS)
