#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: validator_selection_info
short_description: Tell which validators the selection rule names
version_added: 0.1.0
description:
  - Bonded validators are ranked by tokens, then operator address; the first ones that together hold 66 % of all tokens are selected.
  - Every monitor gets the same answer for the same height.
extends_documentation_fragment:
  - interchain.security.provider
options:
  operator_address:
    description: Also tell whether this validator is selected, and why.
    type: str
  height:
    description: Provider height to read at; V(0) is the newest.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: See who opts in
  interchain.security.validator_selection_info:
    provider_rpc_url: http://127.0.0.1:26657
    height: 1200
"""

RETURN = r"""
selected:
  description: The selected validators in order of rank.
  type: list
  elements: dict
  returned: success
  contains:
    operator_address:
      description: Operator address.
      type: str
      returned: always
    moniker:
      description: Free text by the validator.
      type: str
      returned: always
    tokens:
      description: Bonded tokens in utoken, as text.
      type: str
      returned: always
    rank:
      description: Position, counted from 1.
      type: int
      returned: always
total_tokens:
  description: Bonded tokens of all validators, in utoken, as text.
  type: str
  returned: success
threshold_tokens:
  description: The fewest tokens that make 66 % of the total, as text.
  type: str
  returned: success
is_selected:
  description: Whether O(operator_address) is selected.
  type: bool
  returned: when O(operator_address) is given
reason:
  description: One sentence that explains RV(is_selected).
  type: str
  returned: when O(operator_address) is given
height:
  description: The provider height that was read.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import (
    validator_selection_info as operation,
)
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
