# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node may sign."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.signing import (
    LATE_SECONDS,
    Facts,
    Mode,
    Sighting,
    decide,
    fence_name,
    key_in_use,
    owner_mark,
)

FIRST_START = Facts(
    consumer_id="3",
    chain_id="demo-1",
    provider_chain_id="provider-1",
    provider_key="PROVIDER",
    initial_key="OWN",
    assigned_key="OWN",
    held_key="OWN",
    has_node_key=True,
    volume="volume-1",
    own_power=10,
    total_power=100,
)
RESTART = replace(
    FIRST_START,
    started_before=True,
    recorded_key="OWN",
    recorded_volume="volume-1",
    fence_holder="volume-1",
)
ROTATED = replace(RESTART, assigned_key="ROTATED")


def test_the_first_start_signs_with_the_key_of_the_initial_set() -> None:
    decision = decide(FIRST_START, 10)
    assert decision.mode is Mode.SIGN
    assert decision.double_sign_check_height == 10
    assert not decision.assign_key
    assert "initial set of the chain with the key held here" in decision.reasons[0]


def test_a_restart_signs_again() -> None:
    assert decide(RESTART, 10).mode is Mode.SIGN


@pytest.mark.parametrize(("own", "check"), [(33, 10), (34, 0), (100, 0)])
def test_with_a_third_of_the_power_there_is_no_look_back(own: int, check: int) -> None:
    assert decide(replace(FIRST_START, own_power=own), 10).double_sign_check_height == check
    for initially in (0, 10, 100):  # what counts is the power that it has by now
        grown = replace(RESTART, own_power=initially, own_power_now=own, total_power_now=100)
        assert decide(grown, 10).double_sign_check_height == check


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({}, 0),
        ({"look_back_off": False}, 10),
        # Only where the sign state is known to be.
        ({"recorded_key": ""}, 10),
        ({"recorded_volume": ""}, 10),
        ({"fence_holder": ""}, 10),
    ],
)
def test_a_node_that_cannot_start_for_its_own_signature_starts_on_its_volume(
    change: dict[str, Any], check: int
) -> None:
    decision = decide(replace(RESTART, **{"look_back_off": True, **change}), 10)
    assert (decision.mode, decision.double_sign_check_height) == (Mode.SIGN, check)
    assert any("the sign state on its volume" in reason for reason in decision.reasons) is (check == 0)


def test_a_node_that_signs_goes_on_while_the_provider_names_another_key() -> None:
    decision = decide(ROTATED, 10)
    assert decision.mode is Mode.SIGN
    assert "until the chain's own validator set holds that one" in decision.reasons[0]
    # With the new key, that one signs.
    assert decide(replace(ROTATED, held_key="ROTATED", fence_holder="", retired_keys=["OWN"]), 10).mode is Mode.SIGN


@pytest.mark.parametrize(
    ("recorded", "recorded_here", "counting", "assigned", "held"),
    [
        ("", True, "", "", "FIRST"),  # nothing has signed yet
        ("", True, "", "NEXT", "NEXT"),  # and what is assigned before it does is the key
        ("", True, "", "ELSEWHERE", "FIRST"),
        ("FIRST", True, "", "FIRST", "FIRST"),
        ("FIRST", True, "", "NEXT", "FIRST"),  # the chain has not heard of it
        ("FIRST", True, "NEXT", "NEXT", "NEXT"),  # it has
        ("FIRST", True, "ELSEWHERE", "ELSEWHERE", "FIRST"),
        ("NEXT", True, "NEXT", "NEXT", "NEXT"),  # the next one has signed
        ("NEXT", True, "NEXT", "THIRD", "NEXT"),
        ("NEXT", True, "THIRD", "THIRD", "THIRD"),
        ("FIRST", False, "", "FIRST", "FIRST"),  # its volume is gone: another key is the way out
        ("FIRST", False, "", "NEXT", "NEXT"),
    ],
)
def test_the_key_that_counts_on_the_chain_is_held(
    recorded: str, recorded_here: bool, counting: str, assigned: str, held: str
) -> None:
    kept = {"FIRST", "NEXT", "THIRD"}
    facts = {"recorded": recorded, "recorded_here": recorded_here, "counting": counting, "assigned": assigned}
    assert key_in_use(kept, "FIRST", initial="", age=0, **facts) == held  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("initial", "age", "recorded", "assigned", "held"),
    [
        ("SECOND", 60, "", "NEXT", "SECOND"),  # replaced between the launch and the first start
        ("SECOND", 61, "", "NEXT", "NEXT"),  # launched long ago: the chain may count the next one by now
        ("", 0, "", "NEXT", "NEXT"),
        ("SECOND", 0, "", "ELSEWHERE", "FIRST"),  # somebody else goes on with a key of his
        ("ELSEWHERE", 0, "", "NEXT", "NEXT"),
        ("SECOND", 0, "FIRST", "NEXT", "FIRST"),
    ],
)
def test_the_key_of_the_initial_set_is_held_by_who_starts_at_the_launch(
    initial: str, age: float, recorded: str, assigned: str, held: str
) -> None:
    facts = {"recorded": recorded, "initial": initial, "assigned": assigned}
    assert key_in_use({"FIRST", "SECOND", "NEXT"}, "FIRST", recorded_here=True, counting="", age=age, **facts) == held


def test_a_key_that_was_replaced_since_the_launch_begins_to_sign() -> None:
    replaced = replace(FIRST_START, assigned_key="NEXT", assigned_key_kept=True)
    assert decide(replaced, 10).mode is Mode.SIGN
    assert "until the chain's own validator set holds that one" in decide(replaced, 10).reasons[0]
    for change in (
        {"assigned_key_kept": False},
        {"age": 61.0},
        {"recorded_key": "FIRST"},
        {"fence_holder": "volume-9"},
        {"retired_keys": ["OWN"]},
        {"provider_old": "it is catching up"},
    ):
        assert decide(replace(replaced, **change), 10).mode is Mode.FOLLOW


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chain_id": "provider-1"}, "its chain_id is the provider's own"),
        ({"initial_key": "", "assigned_key": ""}, "not in the chain's initial set"),
        ({"has_node_key": False}, "P2P identity is missing"),
        ({"volume": ""}, "volume for the chain's data is missing"),
    ],
)
def test_there_is_no_node(change: dict[str, Any], reason: str) -> None:
    decision = decide(replace(FIRST_START, **change), 10)
    assert decision.mode is Mode.STAY_OUT
    assert any(reason in given for given in decision.reasons), decision.reasons


@pytest.mark.parametrize(
    ("facts", "change", "reason"),
    [
        (FIRST_START, {"held_key": ""}, "no consensus key for this consumer is held here"),
        (FIRST_START, {"held_key": "PROVIDER", "initial_key": "PROVIDER", "assigned_key": ""}, "is the provider's own"),
        (FIRST_START, {"assigned_key": "OTHER", "initial_key": "OTHER"}, "expects another consensus key"),
        (FIRST_START, {"assigned_key": "", "initial_key": "OTHER"}, "expects another consensus key"),
        # A key goes on signing only where it is known to sign already: with its record, on that volume, behind that fence.
        (ROTATED, {"recorded_key": ""}, "expects another consensus key"),
        (ROTATED, {"recorded_key": "OTHER"}, "expects another consensus key"),
        (ROTATED, {"recorded_volume": ""}, "expects another consensus key"),
        (ROTATED, {"fence_holder": ""}, "expects another consensus key"),
        (ROTATED, {"volume": "volume-2"}, "expects another consensus key"),
        (ROTATED, {"remote_signer": True}, "expects another consensus key"),
        (RESTART, {"retired_keys": ["OWN"]}, "was replaced by another one"),
        (ROTATED, {"retired_keys": ["OWN"]}, "was replaced by another one"),
        (FIRST_START, {"same_key_chains": {"7": "demo-1"}}, "consumer 7 has the same chain_id"),
        (RESTART, {"volume": "volume-2", "fence_holder": ""}, "the volume with the sign state of this key is gone"),
        (FIRST_START, {"fence_holder": "volume-9"}, "volume volume-9 holds the fence"),
    ],
)
def test_the_node_follows_without_signing(facts: Facts, change: dict[str, Any], reason: str) -> None:
    decision = decide(replace(facts, **change), 10)
    assert decision.mode is Mode.FOLLOW
    assert any(reason in given for given in decision.reasons), decision.reasons
    assert not decision.assign_key


def test_a_chain_that_launched_with_the_providers_key_is_signed_with_an_own_one_later() -> None:
    late = replace(FIRST_START, initial_key="PROVIDER", assigned_key="")
    decision = decide(late, 10)
    assert decision.mode is Mode.SIGN
    assert decision.assign_key
    assert "validator set change" in decision.reasons[0]
    without_any = decide(replace(late, held_key=""), 10)
    assert without_any.mode is Mode.FOLLOW
    assert without_any.assign_key
    again = decide(replace(late, assigned_key="OWN"), 10)
    assert again.mode is Mode.SIGN
    assert not again.assign_key


JOINED = replace(FIRST_START, initial_key="", opted_in=True, own_power=0, age=500.0)


def test_who_joins_late_follows_watches_and_then_holds_the_key() -> None:
    watching = decide(JOINED, 10)
    assert (watching.mode, watching.watch, watching.assign_key) == (Mode.FOLLOW, True, False)
    joined = decide(replace(JOINED, sighting=Sighting.NOBODY), 10)
    assert joined.mode is Mode.SIGN
    assert joined.double_sign_check_height == 10
    assert "joined the chain late" in joined.reasons[0]
    assert decide(replace(JOINED, assigned_key="OTHER"), 10).mode is Mode.FOLLOW


@pytest.mark.parametrize("held", ["", "OWN"])
def test_who_joins_late_without_a_key_of_his_own_gets_one_first(held: str) -> None:
    decision = decide(replace(JOINED, assigned_key="", held_key=held), 10)
    assert decision.mode is Mode.FOLLOW
    assert decision.assign_key
    watched = decide(replace(JOINED, assigned_key="", sighting=Sighting.NOBODY), 10)
    assert (watched.mode, watched.assign_key) == (Mode.SIGN, True)
    assert "joins the chain late" in watched.reasons[0]
    # Whoever left again needs none.
    assert not decide(replace(JOINED, assigned_key="", started_before=True, opted_in=False), 10).assign_key


def test_who_left_and_joins_again_signs_on_his_old_volume() -> None:
    assert decide(replace(RESTART, initial_key="", opted_in=True, age=500.0), 10).mode is Mode.SIGN
    other = replace(RESTART, initial_key="", opted_in=True, age=500.0, volume="volume-2", fence_holder="")
    assert decide(other, 10).mode is Mode.FOLLOW


def test_a_new_key_may_sign_on_a_new_volume() -> None:
    rotated = replace(RESTART, held_key="NEW", assigned_key="NEW", volume="volume-2", fence_holder="")
    assert decide(rotated, 10).mode is Mode.SIGN


def test_the_same_key_on_another_chain_id_is_no_reason() -> None:
    assert decide(replace(FIRST_START, same_key_chains={"7": "other-1"}), 10).mode is Mode.SIGN


def test_a_remote_signer_keeps_its_own_state() -> None:
    moved = replace(RESTART, volume="volume-2", fence_holder="volume-1", remote_signer=True)
    assert decide(moved, 10).mode is Mode.SIGN
    assert decide(replace(moved, assigned_key="OTHER"), 10).mode is Mode.FOLLOW


def test_the_key_of_a_remote_signer_is_assigned_late_too() -> None:
    without = replace(FIRST_START, initial_key="PROVIDER", assigned_key="", remote_signer=True)
    assert (decide(without, 10).mode, decide(without, 10).assign_key) == (Mode.SIGN, True)
    assert not decide(replace(without, assigned_key="OWN"), 10).assign_key


LATE = replace(FIRST_START, age=61.0)


def test_who_comes_late_watches_before_he_signs() -> None:
    decision = decide(LATE, 10)
    assert decision.mode is Mode.FOLLOW
    assert decision.watch
    assert "launched 61 s ago, and the chain was never signed from here" in decision.reasons[0]
    assert decide(replace(LATE, sighting=Sighting.NOBODY), 10).mode is Mode.SIGN
    seen = decide(replace(LATE, sighting=Sighting.SOMEBODY), 10)
    assert seen.mode is Mode.FOLLOW
    assert not seen.watch
    assert "another node signs the chain with the key held here" in seen.reasons[0]


def test_who_knows_that_the_other_one_is_gone_waits_until_it_is_silent() -> None:
    gone = replace(LATE, taken_over=True)
    assert decide(gone, 10).watch
    seen = decide(replace(gone, sighting=Sighting.SOMEBODY), 10)
    assert (seen.mode, seen.watch) == (Mode.FOLLOW, True)
    assert decide(replace(gone, sighting=Sighting.NOBODY), 10).mode is Mode.SIGN


def test_the_reason_tells_how_to_take_a_key_over() -> None:
    (reason,) = decide(replace(LATE, sighting=Sighting.SOMEBODY), 10).reasons
    assert reason.endswith(
        "gone for good, run the playbook repair_consumer with consumer_id=3 and consumer_take_over_key=3"
    )


ELSEWHERE = replace(FIRST_START, announced_elsewhere="192.0.2.1")


def test_who_is_not_where_the_validator_announces_its_nodes_looks_first() -> None:
    """A second cluster with a copy of the key is launched in the same minute."""
    decision = decide(ELSEWHERE, 10)
    assert (decision.mode, decision.watch) == (Mode.FOLLOW, True)
    assert (
        "the validator announces its nodes at 192.0.2.1, which is not this cluster's load balancer"
        in decision.reasons[0]
    )
    assert decide(replace(ELSEWHERE, sighting=Sighting.NOBODY), 10).mode is Mode.SIGN
    assert decide(replace(ELSEWHERE, sighting=Sighting.SOMEBODY), 10).mode is Mode.FOLLOW
    alone = replace(ELSEWHERE, own_power=10, total_power=10)
    assert decide(alone, 10).mode is Mode.SIGN  # nobody to hear it from
    assert decide(replace(RESTART, announced_elsewhere="192.0.2.1"), 10).mode is Mode.SIGN


def test_who_is_elsewhere_looks_until_the_announced_one_would_have_to_look_too() -> None:
    """That one begins within a minute of the launch without a look, and its first vote comes when its pod runs."""

    def look(age: float) -> float:
        return decide(replace(ELSEWHERE, age=age), 10).look_seconds

    assert [look(age) for age in (0, 15, LATE_SECONDS, 9999)] == [120, 105, 60, 60]
    assert decide(LATE, 10).look_seconds == 10


OLD = replace(FIRST_START, provider_old="the provider node is at block 7 and catching up")


@pytest.mark.parametrize("alone", [{}, {"own_power": 100}])
def test_what_may_be_old_lets_nobody_sign_for_the_first_time_without_a_watch(alone: dict[str, Any]) -> None:
    facts = replace(OLD, **alone)
    decision = decide(facts, 10)
    assert (decision.mode, decision.watch) == (Mode.FOLLOW, True)
    assert decision.reasons[0].startswith("the provider node is at block 7 and catching up, and the chain was never")
    assert decide(replace(facts, sighting=Sighting.NOBODY), 10).mode is Mode.SIGN
    # The provider chain may have halted: who signs goes on.
    for signed in ({"fence_holder": "volume-1"}, {"recorded_key": "OWN", "recorded_volume": "volume-1"}):
        assert decide(replace(facts, **signed), 10).mode is Mode.SIGN
    assert decide(replace(facts, remote_signer=True), 10).mode is Mode.SIGN


@pytest.mark.parametrize(
    "change",
    [
        {"age": 60.0},  # nobody can be much quicker than this
        {"fence_holder": "volume-1"},  # it signed from here
        {"recorded_key": "OLD", "recorded_volume": "volume-1"},  # another key did
        {"own_power": 100},  # there is nobody to hear of others from
        {"remote_signer": True},  # it keeps its own state
    ],
)
def test_who_need_not_watch(change: dict[str, Any]) -> None:
    assert decide(replace(LATE, **change), 10).mode is Mode.SIGN


def test_a_reason_not_to_sign_goes_before_the_watch() -> None:
    assert not decide(replace(LATE, held_key=""), 10).watch
    assert not decide(replace(LATE, chain_id="provider-1"), 10).watch


KEYS = st.sampled_from(["", "OWN", "OTHER", "PROVIDER"])
VOLUMES = st.sampled_from(["", "volume-1", "volume-2"])


@given(
    st.builds(
        Facts,
        consumer_id=st.just("3"),
        chain_id=st.sampled_from(["demo-1", "provider-1"]),
        provider_chain_id=st.just("provider-1"),
        provider_key=st.just("PROVIDER"),
        initial_key=KEYS,
        assigned_key=KEYS,
        held_key=KEYS,
        has_node_key=st.booleans(),
        volume=VOLUMES,
        recorded_key=KEYS,
        recorded_volume=VOLUMES,
        fence_holder=VOLUMES,
        started_before=st.booleans(),
        same_key_chains=st.sampled_from([{}, {"7": "demo-1"}]),
        own_power=st.sampled_from([0, 1]),
        total_power=st.just(3),
        retired_keys=st.sampled_from([[], ["OWN"]]),
        age=st.sampled_from([0.0, 1000.0]),
        opted_in=st.booleans(),
        sighting=st.sampled_from(Sighting),
        provider_old=st.sampled_from(["", "it lags"]),
        taken_over=st.booleans(),
    )
)
def test_no_facts_let_a_node_sign_that_must_not(facts: Facts) -> None:
    decision = decide(facts, 10)
    assert decision.reasons
    if decision.mode is Mode.SIGN:
        assert facts.held_key not in ("", facts.provider_key)
        assert facts.volume
        assert facts.fence_holder in ("", facts.volume)
        assert facts.recorded_key != facts.held_key or facts.recorded_volume in ("", facts.volume)
        assert facts.held_key not in facts.retired_keys
        goes_on = facts.held_key == facts.recorded_key and facts.fence_holder == facts.recorded_volume == facts.volume
        expected = facts.assigned_key or facts.initial_key or facts.held_key
        assert expected in (facts.held_key, facts.provider_key) or goes_on
        assert not facts.same_key_chains
        assert facts.chain_id != facts.provider_chain_id
        signed_here = facts.fence_holder or facts.recorded_key
        in_time = facts.age < 60 and not facts.provider_old
        assert in_time or signed_here or facts.sighting is Sighting.NOBODY


def test_names_show_nothing_of_a_strangers_text() -> None:
    hostile = "{{ 1 }}/../$(id)-1"
    assert fence_name("KEY", hostile).removeprefix("signer-").isalnum()
    assert len(fence_name("KEY", hostile)) < 63
    assert fence_name("KEY", hostile) != fence_name("KEY", "demo-1") != fence_name("OTHER", "demo-1")
    assert owner_mark("3", hostile).replace("-", "").isalnum()
    assert owner_mark("3", "demo-1") != owner_mark("4", "demo-1")
