# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a validator is to a consumer, in one word."""

from __future__ import annotations

import enum


class Role(enum.Enum):
    """The part that a validator has in a consumer; the values are names of groups."""

    SIGNS = "signs"
    FOLLOWS = "follows"
    OPTED_IN = "opted_in"
    STAYS_OUT = "stays_out"
    UNDECIDED = "undecided"


def role_of(*, is_opted_in: bool, decision: str = "", node_mode: str = "") -> Role:
    """Return the role by what the chain says, what the monitor decided, and what its node does.

    ``decision`` is ``opt_in``, ``stay_out`` or empty, ``node_mode`` is ``sign``, ``follow``, ``stay_out`` or empty: what was never
    written. A node counts more than a decision, since it runs until nobody asks for it any more.
    """
    if node_mode == "sign":
        return Role.SIGNS
    if node_mode == "follow":
        return Role.FOLLOWS
    if is_opted_in:
        return Role.OPTED_IN
    if "stay_out" in (decision, node_mode):
        return Role.STAYS_OUT
    return Role.UNDECIDED
