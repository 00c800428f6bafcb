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
  - Returns the P2P addresses of the validators that are opted in to a consumer, as they announce them on the provider.
  - A validator that announces a host and no node id is dialled under the id that the monitor ics-operator gives its node.
  - A validator that is jailed or not bonded, that announces no host or announces it in another form, is left out, with the reason.
extends_documentation_fragment:
  - interchain.security.provider
options:
  consumer_id:
    description: The consumer. One that was stopped has no peers.
    type: str
    required: true
  operator_address:
    description: The own validator, which is left out.
    type: str
  height:
    description: Height of the provider chain whose state counts; V(0) is the newest one.
    type: int
    default: 0
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
  description: Validators that are left out, each with C(operator_address) and C(reason).
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
