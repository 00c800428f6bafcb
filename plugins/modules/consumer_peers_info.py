#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_peers_info
short_description: Tell which peers a node of a consumer chain should dial
version_added: 0.1.0
description:
  - Returns the P2P addresses that the initial validators of a launched consumer announce on the provider.
extends_documentation_fragment:
  - interchain.security.provider
options:
  consumer_id:
    description: The consumer; it must be launched.
    type: str
    required: true
  operator_address:
    description: The own validator, which is left out.
    type: str
"""

EXAMPLES = r"""
- name: Find peers
  interchain.security.consumer_peers_info:
    provider_rpc_url: http://127.0.0.1:26657
    consumer_id: "0"
"""

RETURN = r"""
peers:
  description: Addresses in CometBFT's form, in operator address order.
  type: list
  elements: str
  returned: success
  sample: ["f42037be88df876cd27dd60dc225b1afa90c4d75@192.0.2.1:27346"]
skipped:
  description: Validators without a usable announcement, each with C(operator_address) and C(reason).
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_peers_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
