# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a validator is to a consumer."""

from __future__ import annotations

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.role import Role, role_of


@pytest.mark.parametrize(
    ("is_opted_in", "decision", "node_mode", "role"),
    [
        (True, "opt_in", "sign", Role.SIGNS),
        (False, "stay_out", "sign", Role.SIGNS),  # opted out, and the node runs until nobody asks for it
        (True, "opt_in", "follow", Role.FOLLOWS),
        (True, "", "", Role.OPTED_IN),
        (True, "stay_out", "stay_out", Role.OPTED_IN),  # opted in by hand
        (False, "stay_out", "", Role.STAYS_OUT),
        (False, "", "stay_out", Role.STAYS_OUT),
        (False, "opt_in", "", Role.UNDECIDED),  # the transaction is on its way
        (False, "", "", Role.UNDECIDED),
    ],
)
def test_what_counts_most(is_opted_in: bool, decision: str, node_mode: str, role: Role) -> None:
    assert role_of(is_opted_in=is_opted_in, decision=decision, node_mode=node_mode) is role
