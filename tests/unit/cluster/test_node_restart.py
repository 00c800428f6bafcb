# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node tells of those who sign its chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster import node_restart
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import Rpc
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics.rolling import Votes

ABSENT, SIGNED, NIL = 1, 2, 3


def votes(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> Votes:
    class Node:
        def __init__(self, *_where: object) -> None:
            pass

        @contextmanager
        def conversation(self, _seconds: float) -> Iterator[Rpc]:
            yield answers.__getitem__

    monkeypatch.setattr(node_restart, "NodeAccess", Node)
    return node_restart.votes(None, "alice-consumer-0")  # type: ignore[arg-type]


def answers(
    signatures: list[tuple[str, int]], powers: dict[str, int], own: str, newest: int = 9, earliest: int = 1
) -> dict[str, Any]:
    rows = [{"address": address, "voting_power": str(power)} for address, power in powers.items()]
    pages = {
        f"validators?height=7&page={start // 100 + 1}&per_page=100" if start else "validators?per_page=100": {
            "block_height": "7",
            "validators": rows[start : start + 100],
            "total": str(len(rows)),
        }
        for start in range(0, len(rows), 100)
    }
    commit = [{"validator_address": address, "block_id_flag": flag} for address, flag in signatures]
    sync = {"latest_block_height": str(newest), "earliest_block_height": str(earliest)}
    return {
        "status": {"validator_info": {"address": own}, "sync_info": sync},
        f"commit?height={max(newest - 1, earliest)}": {"signed_header": {"commit": {"signatures": commit}}},
        **pages,
    }


@pytest.mark.parametrize(
    ("own", "found"),
    [("A", Votes(20, 40, 100)), ("nobody", Votes(0, 60, 100))],
)
def test_only_who_signed_that_block_counts(monkeypatch: pytest.MonkeyPatch, own: str, found: Votes) -> None:
    """One has voted for no block, one is away, and one was taken out of the set since."""
    signed = [("A", SIGNED), ("B", SIGNED), ("C", SIGNED), ("D", NIL), ("", ABSENT), ("gone", SIGNED)]
    powers = dict.fromkeys("ABCDE", 20)
    assert votes(monkeypatch, answers(signed, powers, own)) == found


def test_sets_of_more_than_a_page_count_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    powers = {f"{number:040X}": 1 for number in range(150)}
    signed = [(address, SIGNED) for address in powers]
    assert votes(monkeypatch, answers(signed, powers, f"{7:040X}")) == Votes(1, 149, 150)


def test_the_only_block_of_a_node_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert votes(monkeypatch, answers([("B", SIGNED)], {"A": 1, "B": 9}, "A", 5, 5)) == Votes(1, 9, 10)


def test_what_cannot_be_understood_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="gives no answer that can be understood"):
        votes(monkeypatch, {"status": {}})
