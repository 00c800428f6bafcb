# SPDX-License-Identifier: GPL-3.0-or-later
"""The selection rule."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.selection import select, top_n_members
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator


def validator(name: str, tokens: int, status: BondStatus = BondStatus.BONDED) -> Validator:
    return Validator(name, name, tokens, False, status, "", b"")


@pytest.mark.parametrize(
    ("tokens", "selected"),
    [
        ({"alice": 600, "bob": 400, "charlie": 200}, ["alice", "bob"]),
        ({"alice": 66, "bob": 34}, ["alice"]),  # exactly 66 % is enough
        ({"alice": 65, "bob": 35}, ["alice", "bob"]),
        ({"a": 1, "b": 1, "c": 1}, ["a", "b"]),  # a tie goes by operator address
        ({"only": 1}, ["only"]),
        # 66 % is no whole number: 2.64 of 4 tokens need 3.
        ({"a": 2, "b": 1, "c": 1}, ["a", "b"]),
        # Floating point would take 0.66 * total for a whole number here and stop too early.
        ({"a": 65_999_999_999_999_999_999, "b": 1, "c": 34_000_000_000_000_000_000}, ["a", "c"]),
    ],
)
def test_selects_the_largest_until_66_percent(tokens: dict[str, int], selected: list[str]) -> None:
    chosen = select([validator(name, amount) for name, amount in tokens.items()])
    assert [entry.operator_address for entry in chosen.selected] == selected


def test_validators_that_are_not_bonded_do_not_count() -> None:
    chosen = select([validator("a", 10), validator("gone", 1000, BondStatus.UNBONDING), validator("b", 5)])
    assert chosen.total_tokens == 15
    assert not chosen.includes("gone")
    assert chosen.reason("gone") == "not a bonded validator at that height"


def test_an_empty_set_is_an_error_and_not_a_refusal() -> None:
    with pytest.raises(InvalidInput, match="pruned"):
        select([])


def test_the_reason_tells_rank_and_tokens() -> None:
    chosen = select([validator("alice", 600), validator("bob", 400), validator("charlie", 200)])
    assert chosen.reason("charlie") == (
        "rank 3 of 3: the validators before it already hold 1000 tokens, at least the 792 that make 66 % of 1200"
    )
    assert chosen.reason("bob").startswith("rank 2 of 3: the validators before it hold 600 of the 792 tokens")


@given(st.lists(st.integers(min_value=1, max_value=10**24), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_selection_is_minimal_and_does_not_depend_on_order(tokens: list[int], order: random.Random) -> None:
    validators = [validator(f"v{number:03}", amount) for number, amount in enumerate(tokens)]
    chosen = select(validators)
    held = [entry.tokens for entry in chosen.selected]
    assert sum(held) * 100 >= sum(tokens) * 66
    assert sum(held[:-1]) * 100 < sum(tokens) * 66
    order.shuffle(validators)
    assert select(validators) == chosen
    assert all(chosen.includes(entry.operator_address) == (entry in chosen.selected) for entry in validators)


@pytest.mark.parametrize(
    ("top_n", "most_active", "members"),
    [
        (0, 10, ""),
        (50, 10, "a"),  # exactly 50 % is enough
        (51, 10, "abc"),  # b and c have the same power, so both
        (90, 10, "abc"),
        (91, 10, "abcd"),
        (100, 10, "abcd"),
        (100, 1, "a"),  # only active validators count
        (84, 2, "ab"),
    ],
)
def test_who_has_to_validate_a_top_n_consumer(top_n: int, most_active: int, members: str) -> None:
    million = 1_000_000
    tokens = {"a": 500 * million, "c": 200 * million, "b": 200 * million + 1, "d": 100 * million}
    everybody = [validator(name, amount) for name, amount in tokens.items()]
    everybody.append(validator("e", 900 * million, BondStatus.UNBONDING))
    assert top_n_members(everybody, top_n, most_active) == frozenset(members)
