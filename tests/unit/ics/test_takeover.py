# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which keys of a former monitor go over, and what forbids to take anything over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.takeover import (
    Facts,
    KeyStep,
    decide,
    decide_all,
)

FACTS = Facts("3", Phase.LAUNCHED, assigned_key="A", former_key="A")
ALIVE = [Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED]


@pytest.mark.parametrize("phase", ALIVE)
def test_the_assigned_key_goes_over(phase: Phase) -> None:
    decision = decide(replace(FACTS, phase=phase))
    assert (decision.step, decision.problem) == (KeyStep.COPY, "")


def test_a_key_that_is_held_here_stays() -> None:
    assert decide(replace(FACTS, held_key="A")).step is KeyStep.HELD
    # The former Secret does not count then.
    assert decide(replace(FACTS, held_key="A", former_key="B")).step is KeyStep.HELD


@pytest.mark.parametrize("former_key", ["", "A"])
def test_the_provider_key_never_goes_over(former_key: str) -> None:
    decision = decide(replace(FACTS, assigned_key="", former_key=former_key))
    assert decision.step is KeyStep.OWN
    assert "provider's key" in decision.reason


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.DELETED])
def test_a_stopped_chain_needs_no_key(phase: Phase) -> None:
    assert decide(Facts("3", phase, former_fault="broken")).step is KeyStep.OVER


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(FACTS, former_key="B"), "former monitor has B, but A is assigned"),
        (replace(FACTS, former_key=""), "former monitor has none, but A is assigned"),
        (replace(FACTS, held_key="B"), "B is held here, but A is assigned"),
        (replace(FACTS, phase=None), "knows no such consumer"),
        (replace(FACTS, former_key="", former_fault="Secret x cannot be used"), "Secret x cannot be used"),
    ],
)
def test_what_does_not_fit_forbids_it(facts: Facts, words: str) -> None:
    decision = decide(facts)
    assert decision.step is None
    assert words in decision.problem


@pytest.mark.parametrize("assigned_key", ["A", ""])
def test_a_node_without_which_the_chain_stands_still_is_left_running(assigned_key: str) -> None:
    needed = replace(FACTS, assigned_key=assigned_key, own_power=1, total_power=3)
    assert "with 1 of 3 votes the chain stands still" in decide(needed).problem
    assert decide(needed, leave=["3"]).step is KeyStep.LEAVE
    assert not decide(replace(needed, total_power=4)).problem
    # Before the launch there is nothing to stand still.
    assert not decide(replace(needed, phase=Phase.INITIALIZED)).problem


def test_it_may_go_once_the_chain_has_another_key() -> None:
    replaced = replace(FACTS, assigned_key="B", held_key="B", own_power=1, total_power=1)
    assert decide(replaced).step is KeyStep.HELD
    # A key that somebody copied by hand is no other key.
    assert "stands still" in decide(replace(replaced, former_key="B")).problem


def test_a_lost_key_may_be_given_up_by_name() -> None:
    lost = [replace(FACTS, former_key="", former_fault="broken"), replace(FACTS, consumer_id="12", former_key="")]
    first, second = decide_all(lost, without=["3"])
    assert first.step is KeyStep.WITHOUT
    assert second.problem
    # What signs here with another key is no lost key.
    assert decide(replace(FACTS, held_key="B"), without=["3"]).problem
