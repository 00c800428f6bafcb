# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does anybody sign a consumer chain with a key? A node that follows the chain is asked."""

from __future__ import annotations

import base64
import hashlib
import time

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import Sighting

COMMITS = 20
POLL_SECONDS = 1.0
# So long is the chain looked at before nobody counts as nobody: a vote that was seen by no commit shows in the round that runs.
LOOK_SECONDS = 10.0
VOTED = (2, 3)  # BlockIDFlagCommit and BlockIDFlagNil: the validator signed


def watch(cluster: Cluster, namespace: str, public_key: str, timeout: float) -> Sighting:
    """Look until somebody is seen to sign with the key (base64), or nobody for LOOK_SECONDS; UNKNOWN after ``timeout`` seconds."""
    node = NodeAccess(cluster, namespace)
    address = hashlib.sha256(base64.b64decode(public_key)).digest()[:20].hex().upper()
    deadline = time.monotonic() + timeout
    nobody_since: float | None = None
    while True:
        try:
            seen = _look(node, address)
        except (ClusterError, KeyError, TypeError, ValueError):  # it does not answer yet
            seen = Sighting.UNKNOWN
        now = time.monotonic()
        if seen is Sighting.SOMEBODY:
            return seen
        if seen is Sighting.UNKNOWN:
            nobody_since = None
        elif nobody_since is None:
            nobody_since = now
        elif now - nobody_since >= LOOK_SECONDS:
            return seen
        if now >= deadline:
            return Sighting.UNKNOWN
        time.sleep(POLL_SECONDS)


def _look(node: NodeAccess, address: str) -> Sighting:
    """Look at the newest commits and at the votes of the round that runs."""
    status = node.rpc("status")["sync_info"]
    if status["catching_up"] or int(node.rpc("net_info")["n_peers"]) == 0:
        return Sighting.UNKNOWN
    height = int(status["latest_block_height"])
    lowest = max(1, int(status["earliest_block_height"]), height - COMMITS + 1)
    for number in range(height, lowest - 1, -1):
        signatures = node.rpc(f"commit?height={number}")["signed_header"]["commit"]["signatures"]
        if any(entry["validator_address"] == address and entry["block_id_flag"] in VOTED for entry in signatures):
            return Sighting.SOMEBODY
    for votes in node.rpc("consensus_state")["round_state"]["height_vote_set"]:
        # As in `Vote{0:1A2B3C4D5E6F 12/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) ...}`: the first 6 bytes of the address.
        if any(f":{address[:12]} " in vote for kind in ("prevotes", "precommits") for vote in votes[kind]):
            return Sighting.SOMEBODY
    return Sighting.NOBODY
