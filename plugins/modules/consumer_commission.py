#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_commission
short_description: Set the commission of a validator on a consumer chain
version_added: 0.1.0
description:
  - Sets what the validator of the signing account charges on the rewards of a consumer.
  - A rate that counts already, be it set for the consumer or the validator's rate on the provider, is left as it is.
  - The provider keeps a rate once it is set; it can be changed but not taken away.
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
  rate:
    description: The rate, from 0 to 1 and not less than the least rate of the staking module.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Charge a tenth of the rewards
  interchain.security.consumer_commission:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    consumer_id: "0"
    rate: "0.1"
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
rate:
  description: The rate.
  type: str
  returned: success
  sample: "0.1"
tx_hash:
  description: Hash of the transaction; none when nothing was sent.
  type: str
  returned: success
height:
  description: Provider height of the transaction; none when nothing was sent.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_commission as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
