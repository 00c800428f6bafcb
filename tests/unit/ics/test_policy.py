# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decisions: what the policy says to what is known."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import (
    Action,
    Candidate,
    Coin,
    Decision,
    Facts,
    Mode,
    OnViolation,
    Policy,
    decide,
)

FOR_EVER = Decimal("9223372036.854775807")
OWN = InfractionParameters(
    SlashJailParameters(Decimal("0.05"), FOR_EVER, tombstone=True), SlashJailParameters(Decimal("0.01"), Decimal(600))
)
USUAL = InfractionParameters(
    SlashJailParameters(Decimal("0.05"), FOR_EVER, tombstone=True), SlashJailParameters(Decimal(0), Decimal(600))
)
HARSH = InfractionParameters(SlashJailParameters(Decimal(1), FOR_EVER), SlashJailParameters(Decimal(1), Decimal(601)))
CANDIDATE = Candidate("7", "demo-1", "cosmos1owner", Phase.INITIALIZED, 27346, USUAL)
RANK = "rank 1 of 3: the validators before it hold 0"
FACTS = Facts(CANDIDATE, 100, OWN, is_selected=True, selection_reason=RANK)


def candidate(**changes: Any) -> Candidate:
    return replace(CANDIDATE, **changes)


def facts(**changes: Any) -> Facts:
    return replace(FACTS, **changes)


def opted_in(number: int, **changes: Any) -> Memory:
    return replace(Memory(str(number), "opt_in", ("because",), 5, Phase.LAUNCHED, 20000 + number), **changes)


# -- parsing ---------------------------------------------------------------------------------------------------------------


def test_nothing_given_is_the_rule_alone() -> None:
    assert Policy.parse(None) == Policy.parse({}) == Policy()
    assert Policy().mode is Mode.SELECTED


def test_every_option_is_read() -> None:
    policy = Policy.parse(
        {
            "mode": "all",
            "allow": {"consumer_id": [1, "2"], "owner": ["cosmos1a"]},
            "deny": {"chain_id": ["{{ x }}"]},
            "max_double_sign_slash_fraction": 0.05,
            "max_downtime_slash_fraction": "0.0001",
            "max_double_sign_jail": 1,
            "max_downtime_jail": "600",
            "max_consumers": 3,
            "max_storage": "100Gi",
            "fee_budget": "500stake",
            "on_violation": "opt_out",
        }
    )
    assert policy.mode is Mode.ALL
    assert policy.allow.consumer_id == {"1", "2"}
    assert policy.allow.owner == {"cosmos1a"}
    assert policy.deny.chain_id == {"{{ x }}"}
    assert policy.max_double_sign_slash_fraction == Decimal("0.05")
    assert policy.max_downtime_slash_fraction == Decimal("0.0001")
    assert (policy.max_double_sign_jail, policy.max_downtime_jail, policy.max_consumers) == (1, 600, 3)
    assert policy.max_storage == 100 * 2**30
    assert policy.fee_budget == Coin(500, "stake")
    assert policy.on_violation is OnViolation.OPT_OUT


@pytest.mark.parametrize(
    ("given_policy", "message"),
    [
        ("selected", "interchain_policy must be a dictionary, not str"),
        ({"modus": "all"}, "interchain_policy has no option modus; there are mode, allow,"),
        ({1: 2}, "interchain_policy has no option 1;"),
        ({"mode": "some"}, "interchain_policy.mode must be one of selected, all, none, not 'some'"),
        ({"mode": ""}, "interchain_policy.mode must be one of"),
        ({"on_violation": "leave"}, "interchain_policy.on_violation must be one of alarm, opt_out"),
        ({"allow": ["7"]}, "interchain_policy.allow must be a dictionary of lists with the keys consumer_id, owner"),
        (
            {"deny": {"name": ["x"]}},
            "interchain_policy.deny has no option name; there are consumer_id, owner, chain_id",
        ),
        ({"deny": {"owner": "cosmos1a"}}, "interchain_policy.deny.owner must be a list"),
        ({"deny": {"owner": [True]}}, "interchain_policy.deny.owner must hold texts only"),
        ({"deny": {"consumer_id": ["../1"]}}, "interchain_policy.deny.consumer_id: consumer_id must be a decimal"),
        ({"max_downtime_slash_fraction": "5%"}, "interchain_policy.max_downtime_slash_fraction must be a fraction"),
        ({"max_downtime_slash_fraction": "1.01"}, "between 0 and 1"),
        ({"max_downtime_slash_fraction": "-0.01"}, "between 0 and 1"),
        ({"max_downtime_slash_fraction": "nan"}, "between 0 and 1"),
        ({"max_downtime_slash_fraction": True}, "between 0 and 1"),
        ({"max_downtime_jail": "10m"}, "interchain_policy.max_downtime_jail must be a number of seconds"),
        ({"max_consumers": -1}, "interchain_policy.max_consumers must be a number of consumers"),
        ({"max_consumers": 1.5}, "interchain_policy.max_consumers must be a number of consumers"),
        ({"max_storage": "much"}, "interchain_policy.max_storage must be a quantity of storage such as 100Gi"),
        ({"fee_budget": "500"}, "interchain_policy.fee_budget must be an amount for a day such as 500000stake"),
    ],
)
def test_bad_options_are_refused_by_name(given_policy: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Policy.parse(given_policy)
    assert message in str(caught.value)


@given(
    st.dictionaries(
        st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()), max_size=3
    )
)
def test_no_dictionary_breaks_the_parser(given_policy: dict[str, Any]) -> None:
    if given_policy:
        with pytest.raises(InvalidInput, match="interchain_policy has no option"):
            Policy.parse({**given_policy, "unknown": 1})
    with contextlib.suppress(InvalidInput):  # nothing else comes out
        assert isinstance(Policy.parse(given_policy), Policy)


# -- before the opt-in -----------------------------------------------------------------------------------------------------


def test_a_selected_validator_opts_in() -> None:
    assert decide(Policy(), FACTS) == Decision("opt_in", (RANK,), 100, Action.OPT_IN)


def test_one_that_is_not_selected_stays_out_unless_the_policy_takes_all() -> None:
    outside = facts(is_selected=False, selection_reason="rank 3 of 3")
    assert decide(Policy(), outside) == Decision("stay_out", ("rank 3 of 3",), 100)
    assert decide(Policy(mode=Mode.ALL), outside).action is Action.OPT_IN


def test_the_height_is_explained() -> None:
    late = facts(height_note="read at height 100, the oldest that the node has")
    assert decide(Policy(), late).reasons == (RANK, "read at height 100, the oldest that the node has")


@pytest.mark.parametrize(
    ("given_policy", "known", "reason"),
    [
        ({"mode": "none"}, FACTS, "the policy takes part in no consumer"),
        ({"deny": {"consumer_id": [7]}}, FACTS, "the policy denies its consumer_id"),
        ({"deny": {"owner": ["cosmos1owner"]}}, FACTS, "the policy denies its owner"),
        ({"deny": {"chain_id": ["demo-1"]}}, FACTS, "the policy denies its chain_id"),
        ({"allow": {"consumer_id": [8]}}, FACTS, "the policy allows other consumers only"),
        (
            {},
            facts(consumer=candidate(infraction=HARSH)),
            "slash fraction for double sign 1 is over the provider's own 0.05",
        ),
        (
            {"max_double_sign_slash_fraction": "0.01"},
            FACTS,
            "slash fraction for double sign 0.05 is over the policy's 0.01",
        ),
        ({"max_downtime_jail": 60}, FACTS, "jail time for downtime 600 s is over the policy's 60 s"),
        ({"max_double_sign_jail": 60}, FACTS, f"jail time for double sign {FOR_EVER} s is over the policy's 60 s"),
        (
            {},
            facts(consumer=candidate(queued_infraction=HARSH)),
            "queued slash fraction for downtime 1 is over the provider's own 0.01",
        ),
        (
            {"max_consumers": 1},
            facts(memories=(opted_in(1),)),
            "1 consumers run here already, the policy's most is 1",
        ),
        (
            {"max_storage": "10Gi"},
            facts(memories=(opted_in(1, phase=Phase.STOPPED),), storage_size=6 * 2**30),
            "its volume would make 12884901888 bytes of storage, the policy's most is 10737418240",
        ),
        (
            {},
            facts(memories=(opted_in(1, p2p_port=27346), opted_in(2, p2p_port=27346))),
            "port 27346 is already used by consumer 1, 2",
        ),
        (
            {"fee_budget": "10stake"},
            facts(fees_spent=10),
            "fees of the last day are 10stake, the fee budget is 10stake",
        ),
        ({"fee_budget": "10stake"}, FACTS, "what was spent on fees in the last day is not known"),
    ],
)
def test_what_makes_a_selected_validator_stay_out(given_policy: dict[str, Any], known: Facts, reason: str) -> None:
    decision = decide(Policy.parse(given_policy), known)
    assert decision.decision == "stay_out"
    assert decision.action is Action.NONE
    assert any(reason in entry for entry in decision.reasons)
    assert decide(Policy(), FACTS).decision == "opt_in"


@pytest.mark.parametrize(
    ("given_policy", "known"),
    [
        ({"allow": {"owner": ["cosmos1owner"]}}, FACTS),
        ({"allow": {"chain_id": ["demo-1"]}}, FACTS),
        ({"deny": {"chain_id": ["demo"]}}, FACTS),  # exact, no prefix
        ({"deny": {"consumer_id": []}, "allow": {}, "max_storage": ""}, FACTS),
        (
            {"max_double_sign_slash_fraction": 1, "max_downtime_slash_fraction": 1, "max_downtime_jail": 700},
            facts(consumer=candidate(infraction=HARSH)),
        ),
        ({"max_consumers": 1}, facts(memories=(opted_in(1, phase=Phase.STOPPED), opted_in(2, decision="stay_out")))),
        ({"max_storage": "12Gi"}, facts(memories=(opted_in(1),), storage_size=6 * 2**30)),
        ({"max_storage": "6Gi"}, facts(memories=(opted_in(1, phase=Phase.DELETED),), storage_size=6 * 2**30)),
        ({}, facts(memories=(opted_in(1, p2p_port=27346, phase=Phase.STOPPED),))),
        ({}, facts(memories=(Memory("7", "stay_out", ("before",), 9, Phase.REGISTERED, 27346),))),
        ({"fee_budget": "10stake"}, facts(fees_spent=9)),
    ],
)
def test_what_does_not_keep_it_out(given_policy: dict[str, Any], known: Facts) -> None:
    assert decide(Policy.parse(given_policy), known).action is Action.OPT_IN


def test_every_reason_is_told() -> None:
    known = facts(
        consumer=candidate(infraction=HARSH),
        is_selected=False,
        selection_reason="rank 3 of 3",
        memories=(opted_in(1, p2p_port=27346),),
    )
    policy = Policy.parse({"deny": {"consumer_id": ["7"]}, "max_consumers": 0})
    assert len(decide(policy, known).reasons) == 7


# -- afterwards ------------------------------------------------------------------------------------------------------------

DECIDED = facts(memories=(Memory("7", "opt_in", ("as decided",), 50, Phase.REGISTERED, 27346),))
MEMBER = replace(DECIDED, is_opted_in=True, has_own_key=True)
LAUNCHED = replace(MEMBER, consumer=candidate(phase=Phase.LAUNCHED))
LEAVE = Policy(on_violation=OnViolation.OPT_OUT)


def test_an_opt_in_stays_decided_whatever_the_selection_says_now() -> None:
    outside = replace(DECIDED, is_selected=False, selection_reason="rank 3 of 3")
    assert decide(Policy(), outside) == Decision("opt_in", ("as decided",), 50, Action.OPT_IN)
    assert decide(Policy(), replace(outside, is_opted_in=True, has_own_key=True)) == Decision(
        "opt_in", ("as decided",), 50
    )
    # Limits are asked before, not afterwards.
    assert decide(Policy(max_consumers=0), MEMBER).alarm_reasons == ()


def test_one_that_was_not_sent_yet_is_taken_back_when_the_policy_forbids_it() -> None:
    harsh = replace(DECIDED, consumer=candidate(infraction=HARSH))
    assert decide(Policy(), harsh).decision == "stay_out"


@pytest.mark.parametrize("phase", [Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED])
def test_a_member_that_breaks_the_policy_later_is_an_alarm(phase: Phase) -> None:
    for costs in ({"infraction": HARSH}, {"queued_infraction": HARSH}):
        decision = decide(Policy(), replace(MEMBER, consumer=candidate(phase=phase, **costs)))
        assert decision.decision == "opt_in"
        assert decision.action is Action.NONE
        assert any("slash fraction for double sign 1 is over" in reason for reason in decision.alarm_reasons)


def test_it_opts_out_where_the_chain_lets_it() -> None:
    harsh = replace(LAUNCHED, consumer=candidate(phase=Phase.LAUNCHED, queued_infraction=HARSH))
    decision = decide(LEAVE, harsh)
    assert (decision.decision, decision.action) == ("stay_out", Action.OPT_OUT)
    assert decision.alarm_reasons
    early = decide(LEAVE, replace(MEMBER, consumer=candidate(infraction=HARSH)))
    assert (early.decision, early.action) == ("opt_in", Action.NONE)
    assert "opting out is possible from the launch on" in early.alarm_reasons[-1]
    bound = decide(LEAVE, replace(harsh, is_in_top_n=True, top_n=60))
    assert (bound.decision, bound.action) == ("opt_in", Action.NONE)
    assert bound.alarm_reasons[-1] == "the Top 60 % cannot opt out"
    assert decide(LEAVE, LAUNCHED) == Decision("opt_in", ("as decided",), 50)


def test_top_n_and_hand_made_members_are_served_with_a_key_of_their_own() -> None:
    top = decide(Policy(), facts(is_in_top_n=True, top_n=60, is_selected=False))
    assert top == Decision("opt_in", ("it is in the Top 60 % and has to validate",), 100, Action.ASSIGN_KEY)
    assert decide(Policy(), facts(is_opted_in=True)).action is Action.ASSIGN_KEY
    hand = decide(Policy(), facts(is_opted_in=True, has_own_key=True))
    assert hand == Decision("opt_in", ("it has opted in already, not by this monitor",), 100)
    refused = decide(Policy(mode=Mode.NONE), facts(is_in_top_n=True, top_n=60))
    assert (refused.decision, refused.action) == ("opt_in", Action.ASSIGN_KEY)
    assert refused.alarm_reasons == ("the policy takes part in no consumer",)


def test_after_the_launch_nobody_is_opted_in_by_itself() -> None:
    late = facts(consumer=candidate(phase=Phase.LAUNCHED))
    assert decide(Policy(), late).reasons == ("the consumer was launched without it",)
    left = decide(Policy(), replace(LAUNCHED, is_opted_in=False))
    assert left.decision == "stay_out"
    assert "not opted in although that was decided" in left.reasons[0]
    # Whoever stayed out, or opted out because of the policy, still knows why.
    memory = Memory("7", "stay_out", ("rank 3 of 3",), 50, Phase.INITIALIZED)
    assert decide(Policy(), replace(late, memories=(memory,))) == Decision("stay_out", ("rank 3 of 3",), 50)


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.DELETED])
def test_a_consumer_that_ended_is_left(phase: Phase) -> None:
    assert decide(Policy(), replace(MEMBER, consumer=candidate(phase=phase))).decision == "stay_out"


FRACTIONS = st.decimals(0, 1, places=4)
SECONDS = st.decimals(0, FOR_EVER, places=0)
COSTS = st.builds(
    InfractionParameters, *(st.builds(SlashJailParameters, FRACTIONS, SECONDS, st.booleans()) for _unused in "ab")
)
MEMORIES = st.builds(
    Memory,
    st.integers(0, 9).map(str),
    st.sampled_from(["", "opt_in", "stay_out"]),
    st.just(("before",)),
    st.integers(0, 50),
    st.none() | st.sampled_from(Phase),
    st.sampled_from([27346, 1]),
)
ANY_FACTS = st.builds(
    Facts,
    st.builds(
        Candidate, st.just("7"), st.text(), st.text(), st.sampled_from(Phase), st.just(27346), COSTS, st.none() | COSTS
    ),
    st.integers(1, 10**9),
    st.just(OWN),
    is_selected=st.booleans(),
    selection_reason=st.just("rank"),
    top_n=st.just(60),
    is_in_top_n=st.booleans(),
    is_opted_in=st.booleans(),
    has_own_key=st.booleans(),
    memories=st.lists(MEMORIES, max_size=4, unique_by=lambda entry: entry.consumer_id).map(tuple),
    storage_size=st.integers(0, 10**12),
    fees_spent=st.none() | st.integers(0, 100),
)
ANY_POLICY = st.builds(
    Policy,
    st.sampled_from(Mode),
    max_downtime_slash_fraction=st.none() | FRACTIONS,
    max_consumers=st.none() | st.integers(0, 3),
    max_storage=st.none() | st.integers(0, 10**12),
    fee_budget=st.none() | st.just(Coin(50, "stake")),
    on_violation=st.sampled_from(OnViolation),
)


@given(ANY_POLICY, ANY_FACTS)
def test_whatever_is_known_the_decision_is_sound(policy: Policy, known: Facts) -> None:
    decision = decide(policy, known)
    assert decision == decide(policy, known)
    assert decision.reasons
    assert all(decision.reasons)
    assert decision.decision in ("opt_in", "stay_out")
    phase = known.consumer.phase
    if decision.action is Action.OPT_OUT:
        assert known.is_opted_in
        assert phase is Phase.LAUNCHED
        assert not known.is_in_top_n
        assert policy.on_violation is OnViolation.OPT_OUT
        assert decision.alarm_reasons
    if decision.action is Action.OPT_IN:
        assert not known.is_opted_in
        assert phase in (Phase.REGISTERED, Phase.INITIALIZED)
        assert policy.mode is not Mode.NONE
    if decision.action is Action.ASSIGN_KEY:
        assert not known.has_own_key
    if decision.decision == "opt_in" and phase in (Phase.REGISTERED, Phase.INITIALIZED):
        # It never comes to signing with the provider's key.
        assert known.has_own_key or decision.action in (Action.OPT_IN, Action.ASSIGN_KEY)
    if known.is_in_top_n and phase is not Phase.STOPPED and phase is not Phase.DELETED:
        assert decision.decision == "opt_in"


@given(ANY_POLICY, ANY_FACTS, COSTS)
def test_harsher_terms_never_turn_a_refusal_into_an_opt_in(
    policy: Policy, known: Facts, costs: InfractionParameters
) -> None:
    if decide(policy, known).decision == "stay_out" and known.consumer.queued_infraction is None:
        queued = replace(known, consumer=replace(known.consumer, queued_infraction=costs))
        assert decide(policy, queued).decision == "stay_out"
