#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer
short_description: Create, update or remove a consumer chain as its owner
version_added: 0.1.0
description:
  - Without O(consumer_id) the consumer of that O(chain_id) which the signing account owns is brought to what is wanted, or created
    when there is none that is registered, initialized or launched. Other accounts may own consumers of the same chain_id.
  - With O(consumer_id) that consumer is updated.
  - Options that are not given stay as they are on the chain. A new consumer gets the defaults named here.
  - Whatever the provider would refuse is told before a transaction is sent, all of it at once and in the provider's own words.
  - Removing is possible only while the consumer is launched; one that is stopped or deleted already is left as it is.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.signer
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  state:
    description: Whether the consumer is to exist.
    type: str
    choices: [present, absent]
    default: present
  consumer_id:
    description: The consumer to update or to remove. Needed with O(state=absent).
    type: str
  allow_duplicate:
    description: Create another consumer even though the signing account owns one of that O(chain_id).
    type: bool
    default: false
  chain_id:
    description:
      - Its chain_id, at most 50 bytes. Needed for a new consumer.
      - With O(consumer_id) the consumer is renamed, which is possible until its launch.
    type: str
  new_owner_address:
    description:
      - The account that is to own the consumer; it may update and remove it from then on, and nobody else.
      - A new consumer is created for the signing account and handed over in a second transaction.
    type: str
  name:
    description: Name in its metadata, at most 50 bytes. Default of a new consumer is its chain_id.
    type: str
  description:
    description: Description in its metadata, at most 10000 bytes. Default of a new consumer is V(-).
    type: str
  metadata:
    description: Further metadata, at most 255 bytes. Default of a new consumer is V(-).
    type: str
  spawn_time:
    description:
      - When to launch it, RFC 3339 with a time zone. With a time that has passed the next block launches it.
      - V(+60s) means that long after the newest block; it sets a spawn time where there is none and leaves one that is set.
      - V(unset) takes the spawn time away, and an initialized consumer becomes registered again.
      - Without it a new consumer stays registered.
    type: str
  initial_height:
    description: Height of its first block. Default of a new consumer is 1.
    type: int
  initial_revision_number:
    description:
      - Revision number of its initial height, which has to be that of the chain_id, the number after its last hyphen, or 0 without one.
      - Default is the number that fits the chain_id.
    type: int
  genesis_hash:
    description: Hash of its genesis file without the CCV part, in hexadecimal digits, at most 64 bytes; empty to take it away.
    type: str
  binary_hash:
    description: Hash of its binary, in hexadecimal digits, at most 64 bytes; empty to take it away.
    type: str
  unbonding_period:
    description: Unbonding period of the consumer in seconds. Default of a new consumer is 1209600.
    type: int
  ccv_timeout_period:
    description: Timeout of CCV packets in seconds. Default of a new consumer is 2419200.
    type: int
  transfer_timeout_period:
    description: Timeout of reward transfers in seconds. Default of a new consumer is 1800.
    type: int
  consumer_redistribution_fraction:
    description: Part of the rewards that stays on the consumer, from 0 to 1. Default of a new consumer is 0.75.
    type: str
  blocks_per_distribution_transmission:
    description: Consumer blocks between two reward transfers. Default of a new consumer is 1000.
    type: int
  historical_entries:
    description: Historical entries that the consumer keeps. Default of a new consumer is 10000.
    type: int
  distribution_transmission_channel:
    description: An existing channel of the consumer for reward transfers; empty for a new one.
    type: str
  connection_id:
    description: An existing connection of the provider to the consumer, for a chain that becomes a consumer; empty for a new one.
    type: str
  top_n:
    description:
      - The percentage of the provider's power that has to validate the consumer, 0 or from 50 to 100.
      - The provider takes more than 0 only from the gov module as the owner.
    type: int
  validators_power_cap:
    description: Largest percentage of the power that one validator may have, 0 for no limit.
    type: int
  validator_set_cap:
    description: Largest number of validators, 0 for no limit.
    type: int
  allowlist:
    description: Provider consensus addresses of the only validators that may validate; empty for all.
    type: list
    elements: str
  denylist:
    description: Provider consensus addresses of validators that may not validate.
    type: list
    elements: str
  prioritylist:
    description: Provider consensus addresses of validators that come first when O(validator_set_cap) leaves some out.
    type: list
    elements: str
  min_stake:
    description: Tokens (utoken) that a validator needs at least.
    type: int
  allow_inactive_vals:
    description: Whether validators outside of the provider's active set may validate.
    type: bool
  infraction_parameters:
    description:
      - What an infraction on the consumer costs its validators on the provider.
      - Suboptions that are not given stay as they are; a new consumer gets the provider's own.
      - The provider changes them for a launched consumer only when its unbonding time is over.
    type: dict
    suboptions:
      double_sign:
        description: For signing two blocks of one height.
        type: dict
        suboptions: &slash_jail
          slash_fraction:
            description: Part of the stake that is slashed, from 0 to 1.
            type: str
          jail_duration:
            description: Seconds in jail; V(9223372036.854775807) is for ever.
            type: str
          tombstone:
            description: Whether the validator may never come back. Has no effect for downtime.
            type: bool
      downtime:
        description: For missing too many blocks.
        type: dict
        suboptions: *slash_jail
  allowlisted_reward_denoms:
    description: At most three denoms, besides those registered on the provider, in which the consumer may pay rewards.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Create a consumer that launches in a minute
  interchain.security.consumer:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: owner.mnemonic
    chain_id: demo-1
    spawn_time: +60s
  register: created

- name: Limit the power of each of its validators
  interchain.security.consumer:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: owner.mnemonic
    consumer_id: "{{ created.consumer_id }}"
    validators_power_cap: 33
    infraction_parameters:
      downtime:
        slash_fraction: "0.0001"
        jail_duration: "600"

- name: Hand it over
  interchain.security.consumer:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: owner.mnemonic
    consumer_id: "{{ created.consumer_id }}"
    new_owner_address: cosmos1dkas8mu4kyhl5jrh4nzvm65qz588hy9qcz08la

- name: Remove it
  interchain.security.consumer:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: owner.mnemonic
    consumer_id: "{{ created.consumer_id }}"
    state: absent
"""

RETURN = r"""
consumer_id:
  description: The consumer; none for one that check mode would create.
  type: str
  returned: success
consumer:
  description: Its record on the provider after the change; none for one that check mode would create.
  type: dict
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
missing_initialization_parameters:
  description: What has to be set before the consumer can launch, by the names of this module's options.
  type: list
  elements: str
  returned: success
  sample: [spawn_time]
tx_hash:
  description: Hash of the transaction, of the last one when there were two; none when nothing was sent.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
