#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: opt_in
short_description: Opt a validator in to a consumer chain or out of it
version_added: 0.1.0
description:
  - Opts the validator of the signing account in with a consensus key for that consumer, of its own by default.
  - The private half is stored in a Secret or file before the transaction is sent; a stored key is used again and never replaced.
  - A key that the provider has assigned already is not sent again, since the provider would refuse it.
  - When the chain already knows another key of this validator than the wanted one, the module fails and changes nothing.
  - Opting out is possible only while the consumer is launched, and not for a validator that has to validate a Top N chain. The
    stored key is kept; the node has to run on as long as RV(has_to_validate) is true.
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
  state:
    description: Whether the validator is to be opted in.
    type: str
    choices: [present, absent]
    default: present
  key_source:
    description:
      - Which key to opt in with.
      - V(own) is the key of O(key_secret) or O(key_file), made first where there is none.
      - V(given) is O(consumer_public_key), whose private half is kept elsewhere.
      - V(none) sends no key. The key counts that is assigned on the provider already, or else the provider's own consensus key, which
        should never sign for two chains; assign a key with M(interchain.security.consumer_key_assignment) before the launch.
    type: str
    choices: [own, given, none]
    default: own
"""

EXAMPLES = r"""
- name: Opt in with a fresh key that is kept in a Secret
  interchain.security.opt_in:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    consumer_id: "0"
    key_namespace: alice-monitor
    key_secret: consumer-0-key

- name: Opt out
  interchain.security.opt_in:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    consumer_id: "0"
    state: absent
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
  description:
    - The public half (base64) of the key that the provider knows for this validator on the consumer.
    - None when it knows no other than the provider's own, when opting out, and in check mode before there is a key.
  type: str
  returned: success
has_to_validate:
  description: Whether the provider still counts on this validator's node, which lasts until the next epoch.
  type: bool
  returned: when O(state=absent)
tx_hash:
  description: Hash of the transaction; none when nothing was sent.
  type: str
  returned: success
height:
  description: Provider height of the transaction; none when nothing was sent.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
