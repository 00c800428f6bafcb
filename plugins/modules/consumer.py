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
  - Without O(consumer_id) a new consumer is created each time; a chain_id does not identify a consumer.
  - With O(consumer_id) the options that are given are compared with the chain and changed where they differ.
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
    description: The consumer to update or to remove.
    type: str
  chain_id:
    description: Its chain_id, at most 50 bytes. Needed for a new consumer.
    type: str
  name:
    description: Name in its metadata, at most 50 bytes. Default is the chain_id.
    type: str
  description:
    description: Description in its metadata, at most 10000 bytes.
    type: str
  metadata:
    description: Further metadata, at most 255 bytes.
    type: str
  spawn_time:
    description:
      - When to launch it, RFC 3339 in UTC, or V(+60s) for that long after the newest block.
      - Without it a new consumer stays registered.
    type: str
  unbonding_period:
    description: Unbonding period of the consumer in seconds.
    type: int
    default: 1209600
  ccv_timeout_period:
    description: Timeout of CCV packets in seconds.
    type: int
    default: 2419200
  transfer_timeout_period:
    description: Timeout of reward transfers in seconds.
    type: int
    default: 1800
  historical_entries:
    description: Historical entries that the consumer keeps.
    type: int
    default: 10000
  blocks_per_distribution_transmission:
    description: Consumer blocks between two reward transfers.
    type: int
    default: 1000
  consumer_redistribution_fraction:
    description: Part of the rewards that stays on the consumer.
    type: str
    default: "0.75"
"""

EXAMPLES = r"""
- name: Create a consumer that launches in a minute
  interchain.security.consumer:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: owner.mnemonic
    chain_id: demo-1
    spawn_time: +60s
  register: created

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
  description: Its record on the provider after the change.
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
    spawn_time:
      description: When it is to launch, RFC 3339 in UTC; none when unset.
      type: str
      returned: always
    ports:
      description: Ports p2p, rpc and grpc that every validator offers it under.
      type: dict
      returned: always
tx_hash:
  description: Hash of the transaction; none when nothing was sent.
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
