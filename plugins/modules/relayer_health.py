#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: relayer_health
short_description: Look at all relayers of a validator
version_added: 0.1.0
description:
  - Looks as M(interchain.security.ccv_channel_info) does, and keeps with each consumer what has changed.
  - Deletes the pod of a Hermes whose VSC packets are stuck, that does not update a client or that has given up a step of the handshake, when its
    account can pay and the clients are active. The next one looks for packets and handshakes that were overlooked.
  - Without the Secret C(relayer) in the monitor's namespace the validator has no relayers, and nothing is looked at.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.relayer
  - interchain.security.cluster
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Returns the objects that change.
    support: full
options:
  consumer_id:
    description: Only this consumer.
    type: str
  stuck_blocks:
    description: Blocks of the provider after which a VSC packet that was not delivered counts as stuck.
    type: int
    default: 60
  settings:
    description: Mark of the settings that a relayer is to run with. One that runs with another is to be deployed anew.
    type: str
    default: ''
  restart_pause:
    description: Seconds in which the same Hermes is not restarted again.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Look at all relayers of alice
  interchain.security.relayer_health:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
    operator_address: cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz
  register: found
"""

RETURN = r"""
relayers:
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
      description: Connection on the consumer, empty while there is none.
      type: str
    provider_connection:
      description: Connection on the provider, empty while there is none.
      type: str
    consumer_channel:
      description: Channel on the consumer, empty while there is none.
      type: str
    provider_channel:
      description: Channel on the provider, empty while there is none.
      type: str
    vsc_sent:
      description: Number of the last VSC packet that the provider sent on the open channel, null while there is none.
      type: int
    vsc_received:
      description: Number of the last VSC packet that the consumer has, null while there is no open channel.
      type: int
    vsc_pending:
      description: How many VSC packets are on their way, null while there is no open channel.
      type: int
    wallets:
      description: The accounts that Hermes signs with, one on each chain.
      type: list
      elements: dict
      contains:
        chain:
          description: V(provider) or V(consumer).
          type: str
        address:
          description: Address of the account.
          type: str
        denom:
          description: Denom of the fees.
          type: str
        amount:
          description: What it holds of that denom.
          type: int
        least:
          description: What it should hold at least.
          type: int
    clients:
      description: The light clients, one on each chain.
      type: list
      elements: dict
      contains:
        chain:
          description: V(provider) or V(consumer).
          type: str
        client_id:
          description: The client.
          type: str
        status:
          description: The chain's word for it, such as Active, Expired or Frozen.
          type: str
        expires:
          description: When it expires unless somebody updates it, as RFC 3339; null when that is not known.
          type: str
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
      contains:
        type:
          description: Relayer, Channel, Wallets, Clients or Packets.
          type: str
        status:
          description: V(True), V(False) or V(Unknown).
          type: str
        reason:
          description: One word for why.
          type: str
        message:
          description: The same in a sentence.
          type: str
        since:
          description: Since when it has that status, as RFC 3339.
          type: str
    restarted:
      description: Whether Hermes was restarted.
      type: bool
deploy:
  description: Consumers whose relayer is to be deployed, or whose channel needs a step that it is this validator's turn to take.
  type: list
  elements: str
  returned: success
problems:
  description: What could not be done.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import relayer_health as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
