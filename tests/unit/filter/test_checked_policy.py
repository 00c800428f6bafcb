# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policy is checked before a monitor gets it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.filter.checked_policy import checked_policy


def test_a_policy_passes_as_it_is() -> None:
    policy = {"mode": "all", "deny": {"chain_id": ["{{ 1/0 }}"]}}
    assert checked_policy(policy) == policy


def test_the_option_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="interchain_policy has no option modus"):
        checked_policy({"modus": "all"})
