# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain's validator set as a node tells of it, and since when it holds the node's key: found by asking the node as seldom as possible."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster import node_look

OWN = "OWN"


class Node:
    """A node with blocks from ``earliest`` to ``latest`` whose set holds its key from ``since`` on, as the last of ``others`` more."""

    def __init__(self, since: int, earliest: int = 1, latest: int = 1_000_000, others: int = 2) -> None:
        self.since, self.earliest, self.latest, self.others = since, earliest, latest, others
        self.asked = 0

    def __call__(self, path: str) -> dict[str, Any]:
        if path == "status":
            heights = {"earliest_block_height": str(self.earliest), "latest_block_height": str(self.latest)}
            return {"validator_info": {"address": OWN}, "sync_info": heights}
        found = re.fullmatch(r"validators[?]height=([0-9]+)&page=([0-9]+)&per_page=([0-9]+)", path)
        assert found is not None, path
        height, page, size = map(int, found.groups())
        assert self.earliest <= height <= self.latest
        assert size <= 100
        self.asked += 1
        addresses = [f"A{number}" for number in range(self.others)] + ([OWN] if height >= self.since else [])
        chosen = addresses[(page - 1) * size : page * size]
        assert chosen
        return {"validators": [{"address": entry} for entry in chosen], "total": str(len(addresses))}


@pytest.mark.parametrize(
    ("since", "earliest", "found"),
    [(1, 1, 1), (2, 1, 2), (1_000_000, 1, 1_000_000), (654_321, 1, 654_321), (5, 10, 10), (11, 10, 11)],
)
def test_the_first_block_of_the_set_is_found(since: int, earliest: int, found: int) -> None:
    node = Node(since, earliest)
    assert node_look._find_promotion(node) == found
    assert node.asked <= 22


def test_the_set_of_a_large_chain_has_pages() -> None:
    node = Node(7, latest=9, others=200)
    assert node_look._find_promotion(node) == 7


def test_the_present_set_is_read_with_all_its_pages_at_one_height() -> None:
    asked = []

    def rpc(path: str) -> dict[str, Any]:
        asked.append(path)
        page = int(path.partition("&page=")[2][:1] or 1)
        addresses = [f"A{number}" for number in range(205)][(page - 1) * 100 : page * 100]
        return {"block_height": "7", "validators": [{"address": entry} for entry in addresses], "total": "205"}

    found = node_look.newest_set(rpc)
    assert [entry["address"] for entry in found] == [f"A{number}" for number in range(205)]
    assert asked == ["validators?per_page=100", *(f"validators?height=7&page={page}&per_page=100" for page in (2, 3))]


def test_a_pod_tells_whether_it_ended_at_the_look_back() -> None:
    said = "panic: Failed to start consensus state: found signature from the same key\n\nconS:\n" + "goroutine 1\n" * 60
    status = {"lastState": {"terminated": {"message": said}}, "state": {"waiting": {}}, "restartCount": 5}
    pod = {"metadata": {"uid": "1"}, "status": {"containerStatuses": [status]}}
    assert node_look.pod_of(pod).own_signature
    status["lastState"] = {"terminated": {"message": "panic: no space left on device"}}
    assert not node_look.pod_of(pod).own_signature
