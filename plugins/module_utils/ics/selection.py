# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which validators opt in to a consumer: the largest ones that together hold 66 % of the bonded tokens; and which have to validate it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import POWER_REDUCTION
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import (
    BondStatus,
    Validator,
)

NUMERATOR = 66
DENOMINATOR = 100


@dataclass(frozen=True)
class Selection:
    """The outcome at one height; ``selected`` and ``bonded`` are in order of rank, tokens in utoken."""

    selected: tuple[Validator, ...]
    bonded: tuple[Validator, ...]
    total_tokens: int
    threshold_tokens: int

    def includes(self, operator_address: str) -> bool:
        """Return whether this validator is to opt in."""
        return any(validator.operator_address == operator_address for validator in self.selected)

    def reason(self, operator_address: str) -> str:
        """Return one sentence that explains the outcome for one validator."""
        for rank, validator in enumerate(self.bonded, start=1):
            if validator.operator_address == operator_address:
                before = sum(larger.tokens for larger in self.bonded[: rank - 1])
                if before < self.threshold_tokens:
                    return (
                        f"rank {rank} of {len(self.bonded)}: the validators before it hold {before} of the "
                        f"{self.threshold_tokens} tokens that make {NUMERATOR} % of {self.total_tokens}"
                    )
                return (
                    f"rank {rank} of {len(self.bonded)}: the validators before it already hold {before} tokens, at least the "
                    f"{self.threshold_tokens} that make {NUMERATOR} % of {self.total_tokens}"
                )
        return "not a bonded validator at that height"


def select(validators: Sequence[Validator]) -> Selection:
    """Select from all validators of one height: bonded ones, tokens descending, then operator address.

    The threshold is the smallest whole number of tokens that is at least 66/100 of the total. An empty set raises
    InvalidInput: some nodes answer a pruned height that way, so it must never read as "not selected".
    """
    bonded = sorted(
        (validator for validator in validators if validator.status is BondStatus.BONDED),
        key=lambda validator: (-validator.tokens, validator.operator_address),
    )
    total = sum(validator.tokens for validator in bonded)
    if total <= 0:
        raise InvalidInput(
            "the chain names no bonded validator with tokens at that height; the node may have pruned it"
        )
    threshold = -(-total * NUMERATOR // DENOMINATOR)
    selected: list[Validator] = []
    held = 0
    for validator in bonded:
        if held >= threshold:
            break
        selected.append(validator)
        held += validator.tokens
    return Selection(tuple(selected), tuple(bonded), total, threshold)


def top_n_members(validators: Sequence[Validator], top_n: int, most_active: int) -> frozenset[str]:
    """Return the operator addresses of the validators that have to validate a Top N consumer; empty for ``top_n`` 0.

    The provider's own rule: of the ``most_active`` largest bonded validators, all with at least the power of the one with which the largest
    together reach ``top_n`` percent. It is in force from the launch on, and computed anew at the end of each epoch.
    """
    bonded = sorted(
        (entry for entry in validators if entry.status is BondStatus.BONDED), key=lambda entry: -entry.tokens
    )
    powers = [entry.tokens // POWER_REDUCTION for entry in bonded[:most_active]]
    if top_n == 0:
        return frozenset()
    total, held = sum(powers), 0
    for least in powers:
        held += least
        if held * 100 >= total * top_n:
            return frozenset(
                entry.operator_address for entry, power in zip(bonded, powers, strict=False) if power >= least
            )
    return frozenset()
