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
  - Opts the validator of the signing account in with a consensus key of its own for that consumer.
  - The private half is stored in a Secret or file before the transaction is sent; a stored key is used again and never replaced.
  - When the chain already knows another key of this validator than the stored one, the module fails and changes nothing.
  - Opting out is possible only while the consumer is launched. The stored key is kept.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.signer
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
  key_namespace:
    description: Namespace of the Secret that keeps the consumer key. Needed with O(state=present) unless O(key_file) is given.
    type: str
  key_secret:
    description: Name of the Secret; its entry C(priv_validator_key.json) is the key file of CometBFT.
    type: str
  key_file:
    description: A file that keeps the consumer key instead of a Secret.
    type: path
  kubeconfig:
    description: Kubeconfig of the cluster of the Secret. Default is the usual one, or the pod's service account.
    type: path
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
operator_address:
  description: Operator address of the validator.
  type: str
  returned: success
consumer_public_key:
  description: The public half (base64) of the consumer key; none in check mode before there is one.
  type: str
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

from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
