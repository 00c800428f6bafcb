#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_key_assignment
short_description: Assign a validator's consensus key for a consumer chain
version_added: 0.1.0
description:
  - Makes the key of the given Secret or file the one that the provider knows for the validator of the signing account on a consumer.
  - A Secret or file without a key gets a fresh one, durably, before the transaction is sent. A key that is there is never replaced.
  - Works without an opt-in too, such as for a validator that has to validate a Top N chain.
  - Refused are the provider's own consensus key, a key that another validator uses, one that was assigned on this consumer before,
    and one that is in use on another consumer.
  - Fails when each node of O(provider_rpc_url) is catching up or has a newest block that is more than a minute old.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.signer
  - interchain.security.consumer_key
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  rotate:
    description:
      - Replace another key of this validator that the provider knows. Without it such a key is an error.
      - Give a new Secret or file for the new key. A launched chain counts on the old one until the provider's next epoch has come to it.
      - A Secret in the monitor's namespace is all that its node needs. The node goes on with the old key, and starts with the new one once
        M(interchain.security.consumer_health) has seen that in the chain's own validator set. With another store that is for the caller to do.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Assign a fresh key that is kept in a Secret
  interchain.security.consumer_key_assignment:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    consumer_id: "0"
    key_namespace: alice-monitor
    key_secret: consumer-0-key

- name: Replace it by another one
  interchain.security.consumer_key_assignment:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    consumer_id: "0"
    key_namespace: alice-monitor
    key_secret: consumer-0-key-2
    rotate: true
"""

RETURN = r"""
consumer_id:
  description: The consumer.
  type: str
  returned: success
operator_address:
  description: Operator address of the validator.
  type: str
  returned: success
consumer_public_key:
  description: The public half (base64) of the key; none in check mode before there is one.
  type: str
  returned: success
previous_consumer_public_key:
  description: The key that was assigned before; none when the provider's own key counted.
  type: str
  returned: success
opted_in:
  description: Whether the validator is opted in to the consumer.
  type: bool
  returned: success
blocks_until_next_epoch:
  description: Provider blocks until the change is sent to a launched consumer; none before the launch and without a change.
  type: int
  returned: success
tx_hash:
  description: Hash of the transaction; none when nothing was sent.
  type: str
  returned: success
height:
  description: Provider height of the transaction; none when nothing was sent.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_key_assignment as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
