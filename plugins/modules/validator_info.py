#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: validator_info
short_description: Read validators of a provider chain
version_added: 0.1.0
description:
  - Returns validators with their tokens, state and the endpoint that they announce in their details.
extends_documentation_fragment:
  - interchain.security.provider
options:
  operator_address:
    description: Only the validator of this operator address.
    type: str
  moniker:
    description: Only validators of this moniker. It is free text and not unique.
    type: str
  height:
    description: Provider height to read at; V(0) is the newest.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Read all validators
  interchain.security.validator_info:
    provider_rpc_url: http://127.0.0.1:26657
"""

RETURN = r"""
validators:
  description: The validators, in operator address order; empty when none matches.
  type: list
  elements: dict
  returned: success
  contains:
    operator_address:
      description: Operator address.
      type: str
      returned: always
    account_address:
      description: Account of the operator.
      type: str
      returned: always
    consensus_address:
      description: Consensus address on the provider, by which consumers' lists name it.
      type: str
      returned: always
    moniker:
      description: Its name; free text.
      type: str
      returned: always
    tokens:
      description: Bonded tokens in utoken, as text.
      type: str
      returned: always
    jailed:
      description: Whether it is in jail.
      type: bool
      returned: always
    details:
      description: The details of its description; free text.
      type: str
      returned: always
    status:
      description: One of bonded, unbonding and unbonded.
      type: str
      returned: always
    endpoint:
      description: The announced C(node), C(relayer) and C(p2p); empty text for what is absent.
      type: dict
      returned: always
    endpoint_fault:
      description: Why other validators' nodes cannot dial it; empty when they can.
      type: str
      returned: always
height:
  description: The provider height that was read.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import validator_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
