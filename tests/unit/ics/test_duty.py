# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is to join a launched chain yet, and whose node may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics import duty
from ansible_collections.interchain.security.plugins.module_utils.ics.health import Seen

SEEN = Seen(datetime(2026, 11, 23, tzinfo=UTC), in_validator_set=False, catching_up=False)


@pytest.mark.parametrize(
    ("memory", "joins"),
    [
        ({}, True),  # it opted in while nobody looked
        ({"decision": "stay_out", "phase": "launched"}, True),
        ({"decision": "opt_in", "phase": "launched"}, True),
        ({"decision": "stay_out", "phase": "initialized"}, True),
        ({"decision": "opt_in", "phase": "initialized"}, False),  # its launch is on its way
        ({"decision": "opt_in", "phase": "launched", "node_mode": "sign"}, False),
        ({"decision": "stay_out", "phase": "launched", "node_mode": ""}, True),  # it left, and joins again
        ({"decision": "stay_out", "phase": "launched", "launch_refused": "true"}, False),
        ({"decision": "opt_in", "phase": "launched", "launch_refused": "false"}, True),
    ],
)
def test_who_joins(memory: dict[str, str], joins: bool) -> None:
    assert duty.joins(memory) is joins


@pytest.mark.parametrize(
    ("change", "may_end"),
    [
        ({}, True),
        ({"in_validator_set": True}, False),  # the chain counts on it
        ({"in_validator_set": None}, False),  # it may
        ({"catching_up": True}, False),
        ({"in_validator_set": None, "mode": "follow"}, True),
        ({"wanted": False}, False),
    ],
)
def test_which_node_may_go(change: dict[str, Any], may_end: bool) -> None:
    assert duty.may_end(replace(SEEN, **change)) is may_end


@pytest.mark.parametrize(
    ("change", "kept", "counts"),
    [
        ({}, ["OLD", "NEW"], "NEW"),  # the node has OLD
        ({}, ["OLD"], ""),
        ({}, [], ""),
        ({"in_validator_set": True}, ["OLD", "NEW"], ""),  # its own one counts yet
        ({"in_validator_set": None}, ["OLD", "NEW"], ""),
        ({"catching_up": True}, ["OLD", "NEW"], ""),  # it does not know the newest set
        ({"catching_up": None}, ["OLD", "NEW"], ""),
        ({"mode": "follow"}, ["OLD", "NEW"], ""),
        ({"validator_keys": frozenset({"NEW", "THIRD"})}, ["NEW", "THIRD"], ""),  # nobody has two
        ({"validator_keys": frozenset()}, ["OLD", "NEW"], ""),
    ],
)
def test_another_key_counts_when_the_set_holds_it_and_not_the_nodes_own(
    change: dict[str, Any], kept: list[str], counts: str
) -> None:
    seen = replace(SEEN, validator_keys=frozenset({"NEW", "SOMEBODYS"}))
    assert duty.counts_instead(replace(seen, **change), kept) == counts


@pytest.mark.parametrize(
    ("seen", "known", "written"),
    [
        (None, "7", None),
        (0, None, None),
        (0, "0", None),
        (0, "7", "0"),
        (7, None, "7"),
        (7, "0", "7"),
        (7, "7", None),
    ],
)
def test_a_promotion_is_written_once(seen: int | None, known: str | None, written: str | None) -> None:
    memory = {} if known is None else {duty.PROMOTED: known}
    found = duty.promotion(replace(SEEN, promoted_height=seen), memory)
    assert found == ({} if written is None else {duty.PROMOTED: written})
