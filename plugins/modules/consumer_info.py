#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_info
short_description: Read consumer chains from a provider chain
version_added: 0.1.0
description:
  - Returns the consumers of a provider chain with their phase, times, ports and opted-in validators, all read at one height.
  - With a state store, also what the validator's monitor decided and why.
  - Text such as RV(consumers[].chain_id) is written by strangers; treat it as data.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.state
options:
  consumer_id:
    description: Only the consumer of this id.
    type: str
  phase:
    description: Only consumers in one of these phases.
    type: list
    elements: str
    choices: [registered, initialized, launched, stopped, deleted]
  height:
    description: Provider height to read at; V(0) is the newest.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Read all launched consumers
  interchain.security.consumer_info:
    provider_rpc_url: http://127.0.0.1:26657
    phase: [launched]
  register: launched
"""

RETURN = r"""
consumers:
  description: The consumers, in order of consumer_id; empty when none matches.
  type: list
  elements: dict
  returned: success
  contains:
    consumer_id:
      description: The identity of the consumer.
      type: str
      returned: always
      sample: "0"
    chain_id:
      description: Its chain_id; free text and not unique.
      type: str
      returned: always
    phase:
      description: One of registered, initialized, launched, stopped and deleted.
      type: str
      returned: always
      sample: launched
    owner_address:
      description: Account that may update and remove it.
      type: str
      returned: always
    client_id:
      description: The provider's client of the consumer; empty before the launch.
      type: str
      returned: always
      sample: 07-tendermint-0
    name:
      description: Name in its metadata; free text.
      type: str
      returned: always
    description:
      description: Description in its metadata; free text.
      type: str
      returned: always
    metadata:
      description: Further metadata; free text.
      type: str
      returned: always
    spawn_time:
      description: When it is to launch, RFC 3339 in UTC; none when unset.
      type: str
      returned: always
    initial_height:
      description: Height of its first block.
      type: int
      returned: always
    initial_revision_number:
      description: Revision number of its initial height.
      type: int
      returned: always
    genesis_hash:
      description: Hash of its genesis file in hexadecimal digits; empty when its owner states none.
      type: str
      returned: always
    binary_hash:
      description: Hash of its binary in hexadecimal digits; empty when its owner states none.
      type: str
      returned: always
    unbonding_period:
      description: Unbonding period in whole seconds.
      type: int
      returned: always
    ccv_timeout_period:
      description: Timeout of CCV packets in whole seconds.
      type: int
      returned: always
    transfer_timeout_period:
      description: Timeout of reward transfers in whole seconds.
      type: int
      returned: always
    consumer_redistribution_fraction:
      description: Part of the rewards that stays on the consumer.
      type: str
      returned: always
    blocks_per_distribution_transmission:
      description: Consumer blocks between two reward transfers.
      type: int
      returned: always
    historical_entries:
      description: Historical entries that the consumer keeps.
      type: int
      returned: always
    distribution_transmission_channel:
      description: Channel for reward transfers; empty for a new one.
      type: str
      returned: always
    connection_id:
      description: Connection that it brought along; empty for a new one.
      type: str
      returned: always
    top_n:
      description: Percentage of the provider's power that has to validate it; 0 for one that validators opt in to.
      type: int
      returned: always
    validators_power_cap:
      description: Largest percentage of the power that one validator may have, 0 for no limit.
      type: int
      returned: always
    validator_set_cap:
      description: Largest number of validators, 0 for no limit.
      type: int
      returned: always
    allowlist:
      description: Provider consensus addresses of the only validators that may validate; empty for all.
      type: list
      elements: str
      returned: always
    denylist:
      description: Provider consensus addresses of validators that may not validate.
      type: list
      elements: str
      returned: always
    prioritylist:
      description: Provider consensus addresses of validators that come first.
      type: list
      elements: str
      returned: always
    min_stake:
      description: Tokens (utoken) that a validator needs at least.
      type: int
      returned: always
    allow_inactive_vals:
      description: Whether validators outside of the provider's active set may validate.
      type: bool
      returned: always
    infraction_parameters:
      description: What infractions on it cost its validators, as C(double_sign) and C(downtime); numbers are text that keeps them exact.
      type: dict
      returned: always
      sample:
        double_sign:
          slash_fraction: "0.05"
          jail_duration: "9223372036.854775807"
          tombstone: true
        downtime:
          slash_fraction: "0"
          jail_duration: "600"
          tombstone: false
    ports:
      description: Ports p2p, rpc and grpc that every validator offers it under.
      type: dict
      returned: always
    opted_in:
      description: Operator addresses of the validators that are opted in; empty once the consumer is stopped.
      type: list
      elements: str
      returned: always
    node:
      description: The validator's node; none when there never was one.
      type: dict
      returned: when a state store is given that has a document of the consumer
      contains:
        mode:
          description: V(sign), V(follow) (a full node without a key) or V(stay_out).
          type: str
          returned: always
        reasons:
          description: Why.
          type: list
          elements: str
          returned: always
        conditions:
          description: How it was when the monitor looked at it last, see M(interchain.security.consumer_health_info).
          type: list
          elements: dict
          returned: always
        promoted_height:
          description: Since which height of its chain the validator set holds the node's key; none while it does not, or is not known to.
          type: int
          returned: always
        repair:
          description:
            - The monitor's last repair of it, with C(at), C(action), C(reason) and C(count), the number of repairs since it was well. None when there was none.
          type: dict
          returned: always
    relayer:
      description: How far the CCV channel and how the validator's relayer was when the monitor last looked; none when it has not.
      type: dict
      returned: when a state store is given that has a document of the consumer
      contains:
        channel:
          description: V(open), or the next step of the handshake.
          type: str
          returned: always
        conditions:
          description: The conditions of M(interchain.security.ccv_channel_info).
          type: list
          elements: dict
          returned: always
    opt_in:
      description: What the monitor decided; none when it has not looked at the consumer.
      type: dict
      returned: when a state store is given that has a document of the consumer
      contains:
        decision:
          description: V(opt_in) or V(stay_out).
          type: str
          returned: always
        reasons:
          description: Every reason of the decision.
          type: list
          elements: str
          returned: always
        height:
          description: Provider height that the decision rests on.
          type: int
          returned: always
        alarm:
          description: What the consumer breaks of the policy since; empty when it breaks nothing.
          type: str
          returned: always
height:
  description: The provider height that was read.
  type: int
  returned: success
block_time:
  description: Time of the block of that height, RFC 3339 in UTC. The chain's clock, by which consumers launch.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
