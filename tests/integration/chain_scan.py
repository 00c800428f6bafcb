# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What really happened on a provider chain, by its state and its results at every height; shares no code with the event source."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import httpx

from ansible_collections.interchain.security.plugins.module_utils.proto import messages

Transition = tuple[str, str, str, int]  # consumer_id, previous phase or none, phase, height
# What each of the provider's events says of the phase that the block ends with, when nothing else happens in it.
TOLD_BY = {"consumer_client_created": "launched", "remove_consumer": "stopped"}


@dataclass(frozen=True)
class Scan:
    """All phases at every height from 1 to the tip. phases[0] is the state before the first block."""

    phases: list[dict[str, str]]
    transactions: list[int]

    @property
    def tip(self) -> int:
        return len(self.phases) - 1

    def transitions(self, after: int = 0) -> list[Transition]:
        """Every change of a phase in the blocks above a height."""
        found = []
        for height in range(after + 1, self.tip + 1):
            before, now = self.phases[height - 1], self.phases[height]
            found += [
                (name, before.get(name, "none"), now[name], height) for name in now if before.get(name) != now[name]
            ]
        return sorted(found, key=lambda change: (change[3], int(change[0])))


def scan(url: str) -> Scan:
    """Read every block of a node that keeps all of them."""
    phases: list[dict[str, str]] = [{}]
    transactions = [0]
    with httpx.Client(timeout=30) as http:
        tip = int(http.get(f"{url}/status").json()["result"]["sync_info"]["latest_block_height"])
        for height in range(1, tip + 1):
            now = _phases(http, url, height)
            results = http.get(f"{url}/block_results?height={height}").json()["result"]
            for kind, consumer_id in _told(results):
                assert now[consumer_id] == TOLD_BY[kind], f"block {height}: {kind} of consumer {consumer_id}, {now}"
            phases.append(now)
            transactions.append(len(results["txs_results"] or []))
    return Scan(phases, transactions)


def _phases(http: httpx.Client, url: str, height: int) -> dict[str, str]:
    path = f"/{messages.PROVIDER}.Query/QueryConsumerChains"
    data = (
        messages.provider_message("QueryConsumerChainsRequest")(pagination={"limit": 10000}).SerializeToString().hex()
    )
    answer = http.get(f"{url}/abci_query", params={"path": f'"{path}"', "data": f"0x{data}", "height": str(height)})
    response = answer.json()["result"]["response"]
    if height == 1 and response["code"]:
        return {}  # the application has no state before its first commit
    assert response["code"] == 0, f"block {height}: {response['log']}"
    decoded = messages.provider_message("QueryConsumerChainsResponse").FromString(base64.b64decode(response["value"]))
    assert not decoded.pagination.next_key
    return {chain.consumer_id: chain.phase.removeprefix("CONSUMER_PHASE_").lower() for chain in decoded.chains}


def _told(results: dict[str, Any]) -> list[tuple[str, str]]:
    events = list(results["finalize_block_events"] or [])
    events += [event for one in results["txs_results"] or [] if one["code"] == 0 for event in one["events"]]
    found = []
    for event in events:
        if event["type"] in TOLD_BY:
            (consumer_id,) = [pair["value"] for pair in event["attributes"] if pair["key"] == "consumer_id"]
            found.append((event["type"], consumer_id))
    return found
