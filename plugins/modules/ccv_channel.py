#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ccv_channel
short_description: Open the CCV channel of a consumer
version_added: 0.1.0
description:
  - Looks at what both chains hold between the two clients of a launched consumer, uses or waits for what exists, and takes the first step of the
    connection or of the channel when there is none and it is this validator's turn. Hermes makes the other steps.
  - Validators take turns by their tokens. Each may begin a step 90 seconds of the provider's block time after the one before it.
  - The steps are transactions of the relayer's account on the consumer, sent through the node's pod.
  - With the genesis profile V(ics-operator) only an account that everybody has the key of is funded there, so the steps are its transactions. Once the
    consumer has its first VSC packet, and with it takes payments, the validator's own account is sent its share of what that account holds.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.relayer
  - interchain.security.cluster
attributes:
  check_mode:
    description: Says whether a step would be taken, and what share sent.
    support: full
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  consumer_gas_price:
    description: Price of a unit of gas on the consumer, in the denom that its genesis gives to relayers.
    type: float
    default: 0.01
  wait_timeout:
    description: Seconds to wait until the channel is open, when it is this validator's turn.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Open the channel
  interchain.security.ccv_channel:
    provider_rpc_url: http://127.0.0.1:26657
    consumer_id: "0"
    validator: alice
    operator_address: cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz
    wait_timeout: 120
"""

RETURN = r"""
consumer_id:
  description: The consumer.
  type: str
  returned: success
provider_chain_id:
  description: The chain_id of the provider.
  type: str
  returned: success
step:
  description: V(open), the next step of the handshake, or V(none) when the consumer is not launched or Hermes cannot relay for its chain_id.
  type: str
  returned: success
reason:
  description: What was found.
  type: str
  returned: success
may_begin:
  description: Whether it is this validator's turn.
  type: bool
  returned: success
began:
  description: The steps that were taken.
  type: list
  elements: str
  returned: success
account:
  description: Address on the consumer of the account that Hermes is to sign with; empty when RV(step) is V(none).
  type: str
  returned: success
public_mnemonic:
  description: The mnemonic of that account when everybody has it, empty when it is the validator's own.
  type: str
  returned: success
share:
  description: What the validator's own account on the consumer was sent of the public account's money, in the denom of the consumer's genesis.
  type: int
  returned: success
problem:
  description: Why it was not sent its share, empty when nothing went wrong.
  type: str
  returned: success
consumer_connection:
  description: Connection on the consumer, empty while there is none.
  type: str
  returned: success
provider_connection:
  description: Connection on the provider, empty while there is none.
  type: str
  returned: success
consumer_channel:
  description: Channel on the consumer, empty while there is none.
  type: str
  returned: success
provider_channel:
  description: Channel on the provider, empty while there is none.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import ccv_channel as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
