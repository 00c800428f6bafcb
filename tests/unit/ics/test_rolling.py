# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node may be taken down for an update."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.rolling import (
    OTHER_POD,
    REPLACED,
    LocalNode,
    SeenPod,
    Step,
    Votes,
    halt,
    next_step,
    refusal,
)

UP, DOWN = True, False


def nodes(*found: tuple[int, bool]) -> dict[str, LocalNode]:
    return {f"v{number}": LocalNode(power, up) for number, (power, up) in enumerate(found)}


@pytest.mark.parametrize(
    ("found", "may"),
    [
        ([(100, UP)], True),  # it is all there is
        ([(100, DOWN)], True),
        ([(100, UP), (100, UP), (100, UP), (100, UP)], True),
        ([(100, UP), (100, UP), (100, UP), (100, DOWN)], False),  # half would be left
        ([(100, DOWN), (100, UP), (100, UP), (100, DOWN)], True),  # it is one of those that are down
        ([(100, UP), (300, UP), (300, UP), (50, DOWN)], True),  # 600 of 750 are left
        ([(600, UP), (400, UP), (200, UP)], True),  # half goes with it whenever it does
        ([(600, UP), (400, UP), (200, DOWN)], False),
        ([(100, UP), (100, UP), (100, UP), (0, DOWN)], True),  # two thirds exactly, but all that count are up
        ([(0, UP), (100, DOWN), (100, UP)], True),  # a node without power takes none away
        ([(100, UP), (100, UP), (1, DOWN)], False),
    ],
)
def test_who_may_go(found: list[tuple[int, bool]], may: bool) -> None:
    reason = refusal(nodes(*found), "v0")
    assert (reason == "") is may, reason


def test_the_reason_names_who_is_down() -> None:
    reason = refusal(nodes((100, UP), (100, UP), (100, DOWN), (70, DOWN)), "v0")
    assert "100 of the power 370" in reason
    assert reason.endswith("bring back first the node of v2, v3")


def test_one_that_is_not_wanted_here_may_go() -> None:
    assert refusal(nodes((100, UP), (100, DOWN)), "elsewhere") == ""


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1, max_size=6))
def test_the_majority_stays_whenever_it_can(found: list[tuple[int, bool]]) -> None:
    """Whatever is allowed leaves more than two thirds, or takes down a node that is down, has no power, or has a third by itself."""
    made = nodes(*found)
    if refusal(made, "v0"):
        return
    own, total = made["v0"], sum(power for power, _up in found)
    left = sum(power for power, up in found[1:] if up)
    counts = own.up and own.power and left * 3 <= total * 2
    assert not counts or all(up or not power for power, up in found)


@pytest.mark.parametrize(
    ("former", "pod", "step", "reason"),
    [
        ("one", SeenPod("one", "new", False), Step.KEEP, ""),
        ("", SeenPod("one", "new", False), Step.KEEP, ""),
        ("", None, Step.KEEP, ""),  # it never had one
        ("one", SeenPod("one", "old", False), Step.DELETE, OTHER_POD),
        ("", SeenPod("one", "old", False), Step.DELETE, OTHER_POD),
        # The controller was faster.
        ("one", SeenPod("one", "old", True), Step.AWAIT, OTHER_POD),
        ("one", None, Step.AWAIT, REPLACED),
        ("one", SeenPod("two", "new", False), Step.AWAIT, REPLACED),
        # Or somebody else was.
        ("one", SeenPod("one", "new", True), Step.AWAIT, REPLACED),
        ("", SeenPod("one", "new", True), Step.AWAIT, REPLACED),
        # The template was changed twice.
        ("one", SeenPod("two", "old", False), Step.DELETE, OTHER_POD),
    ],
)
def test_what_is_left_to_do_with_a_pod(former: str, pod: SeenPod | None, step: Step, reason: str) -> None:
    assert next_step(former, pod, "new") == (step, reason)


def test_without_a_revision_a_pod_stays() -> None:
    assert next_step("one", SeenPod("one", "old", leaving=False), "") == (Step.KEEP, "")


@pytest.mark.parametrize(
    ("votes", "rises", "why"),
    [
        (Votes(20, 80, 100), True, ""),
        (Votes(20, 60, 100), True, "60 of the chain's power 100 sign"),  # another one is away
        (Votes(33, 66, 99), True, "33 of the chain's power 99: without it there is no block"),
        (Votes(100, 0, 100), True, "there is no block"),
        (Votes(20, 80, 100), False, "makes no blocks"),
        (Votes(0, 60, 100), False, ""),
    ],
)
def test_a_node_that_the_chain_needs_is_not_restarted(votes: Votes, rises: bool, why: str) -> None:
    found = halt(votes, rises=rises)
    assert why in found
    assert bool(found) == bool(why)
