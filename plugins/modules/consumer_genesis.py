#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_genesis
short_description: Build the genesis of a launched consumer chain
version_added: 0.1.0
description:
  - Merges the provider's CCV genesis into the base genesis made by the consumer's binary, sets chain_id and genesis_time and
    funds the relayer accounts of all initial validators.
  - The content is the same on every validator's monitor, whenever it is built.
  - When the consumer's owner states a genesis_hash on chain, it must be the SHA-256 of the base genesis.
extends_documentation_fragment:
  - interchain.security.provider
options:
  consumer_id:
    description: The consumer; it must be launched.
    type: str
    required: true
  base_genesis:
    description: The base genesis as JSON text. Exactly one of O(base_genesis) and O(base_genesis_file) is needed.
    type: str
  base_genesis_file:
    description: A file with the base genesis.
    type: path
  genesis_profile:
    description:
      - Which accounts hold what their relayer needs. With V(relayers) it is one for each initial validator; what each holds is stated in the consumer's
        metadata, else by O(relayer_amount) and O(denom).
      - With V(ics-operator) it is the one, publicly known account of the monitor C(ics-operator), for a chain that is shared with it.
    type: str
    choices: [relayers, ics-operator]
    default: relayers
  address_prefix:
    description: Bech32 prefix of accounts on the consumer.
    type: str
    default: consumer
  denom:
    description: Denom of the relayer accounts, unless the consumer's metadata states one.
    type: str
    default: stake
  relayer_amount:
    description: Amount that each relayer account holds, unless the consumer's metadata states one.
    type: str
    default: "100000000"
"""

EXAMPLES = r"""
- name: Build the genesis
  interchain.security.consumer_genesis:
    provider_rpc_url: http://127.0.0.1:26657
    consumer_id: "0"
    base_genesis_file: base.json
  register: built
"""

RETURN = r"""
genesis:
  description: The genesis as canonical JSON text.
  type: str
  returned: success
content_hash:
  description: SHA-256 of RV(genesis), hex.
  type: str
  returned: success
chain_id:
  description: The chain_id of the consumer.
  type: str
  returned: success
launch_height:
  description: Provider height of the launch.
  type: int
  returned: success
validators:
  description: The initial validators with C(operator_address), C(consensus_public_key) (base64) and C(power).
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_genesis as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
