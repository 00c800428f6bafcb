#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: provider_info
short_description: Read the provider chain's parameters, epochs and throttle
version_added: 0.1.0
description:
  - Returns what a provider chain says of itself, all of its state read at one height.
extends_documentation_fragment:
  - interchain.security.provider
options:
  height:
    description: Provider height to read at; V(0) is the newest.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Read the provider
  interchain.security.provider_info:
    provider_rpc_url: http://127.0.0.1:26657
  register: provider
"""

RETURN = r"""
provider_chain_id:
  description: The chain_id of the provider.
  type: str
  returned: success
height:
  description: The provider height that was read.
  type: int
  returned: success
earliest_height:
  description: Height of the oldest block that the node has kept.
  type: int
  returned: success
latest_height:
  description: The newest height of the node.
  type: int
  returned: success
latest_block_time:
  description: Time of the newest block, RFC 3339 in UTC.
  type: str
  returned: success
catching_up:
  description: Whether the node is still behind the chain.
  type: bool
  returned: success
blocks_until_next_epoch:
  description: Blocks until changes of validator sets are sent to the consumers.
  type: int
  returned: success
parameters:
  description: Parameters of the modules provider and staking; fractions and seconds are text that keeps them exact.
  type: dict
  returned: success
  contains:
    blocks_per_epoch:
      description: Blocks between two times at which changes of validator sets are sent.
      type: int
      returned: always
    ccv_timeout_period:
      description: Seconds after which an unanswered CCV packet stops a consumer.
      type: str
      returned: always
      sample: "2419200"
    trusting_period_fraction:
      description: Part of the unbonding period for which clients trust a validator set.
      type: str
      returned: always
      sample: "0.66"
    slash_meter_replenish_period:
      description: Seconds between two replenishments of the slash meter.
      type: str
      returned: always
    slash_meter_replenish_fraction:
      description: Part of the total power by which the slash meter is replenished.
      type: str
      returned: always
    consumer_reward_denom_registration_fee:
      description: Fee to register a reward denom.
      type: str
      returned: always
      sample: 10000000stake
    number_of_epochs_to_start_receiving_rewards:
      description: Epochs that a validator has to validate before it gets rewards.
      type: int
      returned: always
    max_provider_consensus_validators:
      description: Largest number of validators of the provider itself.
      type: int
      returned: always
    unbonding_time:
      description: Seconds that unbonding takes; also the time from the stop of a consumer to its deletion.
      type: str
      returned: always
    max_validators:
      description: Largest number of bonded validators.
      type: int
      returned: always
    bond_denom:
      description: The denom that is staked.
      type: str
      returned: always
      sample: stake
    min_commission_rate:
      description: Least commission rate of a validator.
      type: str
      returned: always
slashing_parameters:
  description: What an infraction on the provider itself costs; fractions and seconds are text that keeps them exact.
  type: dict
  returned: success
  contains:
    slash_fraction_double_sign:
      description: Part of the stake that is slashed for signing two blocks of one height.
      type: str
      returned: always
      sample: "0.05"
    slash_fraction_downtime:
      description: Part of the stake that is slashed for downtime.
      type: str
      returned: always
    downtime_jail_duration:
      description: Seconds in jail for downtime.
      type: str
      returned: always
      sample: "600"
    signed_blocks_window:
      description: Blocks over which downtime is measured.
      type: int
      returned: always
    min_signed_per_window:
      description: Part of that window that a validator has to sign.
      type: str
      returned: always
registered_reward_denoms:
  description: Denoms in which every consumer may pay rewards.
  type: list
  elements: str
  returned: success
throttle:
  description: How much power may still be jailed by slash packets of consumers.
  type: dict
  returned: success
  contains:
    slash_meter:
      description: Power that may still be jailed now; negative when none may.
      type: int
      returned: always
    slash_meter_allowance:
      description: Power by which the meter is replenished, and at most holds.
      type: int
      returned: always
    next_replenish_candidate:
      description: When it is replenished next, RFC 3339 in UTC.
      type: str
      returned: always
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import provider_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
