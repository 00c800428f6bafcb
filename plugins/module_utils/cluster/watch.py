# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does anybody sign a consumer chain with a key, or did lately? A node that follows the chain is asked."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess, Rpc
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import Sighting

# Newest commits that are looked through, as far as the node has them: a signer whose volume moves to another machine is silent for minutes and comes back.
HISTORY = 1000
RECENT = 20  # of these when it is known that the former signer does not come back
READERS = 4
READ_SECONDS = 20.0  # for one pass; the next one goes on with what is left
POLL_SECONDS = 1.0
VOTED = (2, 3)  # BlockIDFlagCommit and BlockIDFlagNil: the validator signed


def watch(
    cluster: Cluster, namespace: str, public_key: str, *, look_seconds: float, timeout: float, commits: int = HISTORY
) -> Sighting:
    """Look until somebody is seen to sign with the key (base64), or nobody for ``look_seconds`` and in none of the newest ``commits``.

    UNKNOWN after ``timeout`` seconds.
    """
    look = _Look(cluster, namespace, public_key, commits)
    deadline = time.monotonic() + timeout
    nobody_since: float | None = None
    while True:
        try:
            seen = look.once(deadline)
        except (ClusterError, KeyError, TypeError, ValueError):  # it does not answer yet
            seen = Sighting.UNKNOWN
        now = time.monotonic()
        if seen is Sighting.SOMEBODY:
            return seen
        if seen is Sighting.UNKNOWN:
            nobody_since = None
        elif nobody_since is None:
            nobody_since = now
        elif now - nobody_since >= look_seconds:
            return seen
        if now >= deadline:
            return Sighting.UNKNOWN
        time.sleep(POLL_SECONDS)


class _Look:
    """Looks at the commits, each once, and at the votes of the round that runs."""

    def __init__(self, cluster: Cluster, namespace: str, public_key: str, commits: int) -> None:
        self._access = partial(NodeAccess, cluster, namespace)  # one for each thread
        self._address = hashlib.sha256(base64.b64decode(public_key)).digest()[:20].hex().upper()
        self._commits = commits
        self._read: set[int] = set()

    def once(self, deadline: float) -> Sighting:
        """Look at what is new; UNKNOWN while the node does not follow the chain or commits are left to be read."""
        node = self._access()
        status = node.rpc("status")["sync_info"]
        if status["catching_up"] or int(node.rpc("net_info")["n_peers"]) == 0:
            return Sighting.UNKNOWN
        height = int(status["latest_block_height"])
        lowest = max(1, int(status["earliest_block_height"]), height - self._commits + 1)
        left = [number for number in range(height, lowest - 1, -1) if number not in self._read]
        if self._signed_one_of(left, min(deadline, time.monotonic() + READ_SECONDS)):
            return Sighting.SOMEBODY
        # The newest commit may yet get votes that come late.
        self._read.discard(height)
        for votes in node.rpc("consensus_state")["round_state"]["height_vote_set"]:
            # As in `Vote{0:1A2B3C4D5E6F 12/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) ...}`: the first 6 bytes of the address.
            if any(f":{self._address[:12]} " in vote for kind in ("prevotes", "precommits") for vote in votes[kind]):
                return Sighting.SOMEBODY
        return Sighting.NOBODY if self._read.issuperset(left[1:]) else Sighting.UNKNOWN

    def _signed_one_of(self, heights: Sequence[int], deadline: float) -> bool:
        """Read the commits of these heights, the newest first, as far as the time allows."""
        readers = READERS if len(heights) > READERS else 1
        with ThreadPoolExecutor(readers) as pool:
            parts = [heights[number::readers] for number in range(readers)]
            return any(list(pool.map(lambda part: self._signed(part, deadline), parts)))

    def _signed(self, heights: Sequence[int], deadline: float) -> bool:
        seconds = deadline - time.monotonic()
        if not heights or seconds <= 0:
            return False
        with self._access().conversation(seconds) as rpc:
            for height in heights:
                if time.monotonic() >= deadline:
                    break
                if self._is_signed(rpc, height):
                    return True
                self._read.add(height)
        return False

    def _is_signed(self, rpc: Rpc, height: int) -> bool:
        signatures = rpc(f"commit?height={height}")["signed_header"]["commit"]["signatures"]
        return any(
            entry["validator_address"] == self._address and entry["block_id_flag"] in VOTED for entry in signatures
        )
