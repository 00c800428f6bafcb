#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ccv_channel_info
short_description: Tell how far the CCV channels of a validator's consumers are
version_added: 0.1.0
description:
  - Asks both chains of each launched consumer that the validator runs a node of about clients, connections, channels, VSC packets and the
    account of the relayer, and looks at the pod of Hermes.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.relayer
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
options:
  consumer_id:
    description: Only this consumer.
    type: str
  stuck_blocks:
    description: Blocks of the provider after which a VSC packet that was not delivered counts as stuck.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Look at the channel of a consumer
  interchain.security.ccv_channel_info:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
    operator_address: cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz
    consumer_id: "0"
  register: found
"""

RETURN = r"""
channels:
  description: One entry for each consumer.
  type: list
  elements: dict
  returned: success
  contains:
    consumer_id:
      description: The consumer.
      type: str
    state:
      description: V(open), or the next step of the handshake, V(unknown) when the chains could not be asked.
      type: str
    reason:
      description: What was found.
      type: str
    consumer_connection:
      description: Connection on the consumer, empty while there is none. C(provider_connection) is the one on the provider.
      type: str
    consumer_channel:
      description: Channel on the consumer, empty while there is none. C(provider_channel) is the one on the provider.
      type: str
    vsc_sent:
      description: Number of the last VSC packet that the provider sent on the open channel. C(vsc_received) is the last that the consumer has.
      type: int
    vsc_pending:
      description: How many VSC packets are on their way.
      type: int
    wallets:
      description: What the relayer's account holds on both chains.
      type: list
      elements: dict
    clients:
      description: The light clients on both chains, with their status and when they expire unless somebody updates them.
      type: list
      elements: dict
    restarts:
      description: How often Hermes was started again in its pod.
      type: int
    well:
      description: Whether all that was looked at is as it should be.
      type: bool
    summary:
      description: The first thing that is not, empty when there is none.
      type: str
    conditions:
      description: The conditions Relayer, Channel, Wallets, Clients and Packets, each with status, reason, message and since.
      type: list
      elements: dict
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import ccv_channel_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
