#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: validator_endpoint
short_description: Announce on chain where a validator's nodes are reached
version_added: 0.1.0
description:
  - Puts C(node=), C(relayer=) and C(p2p=) on one line into the details of the validator of the signing account.
  - The other text of the details is kept; in all it may have 280 bytes, as many characters when they are of ASCII.
  - An announcement that is there is replaced where it stands; own text behind its host is put before it, since the host ends its line.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.signer
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  state:
    description: Whether an endpoint is to be announced; V(absent) takes the announcement out of the details.
    type: str
    choices: [present, absent]
    default: present
  p2p:
    description: Host under which other validators reach the nodes, an IP address or DNS name without port. Needed with O(state=present).
    type: str
  node:
    description: P2P node id of the validator's consumer nodes, 40 hexadecimal digits.
    type: str
    default: ""
  relayer:
    description: Account of the validator's relayer, bech32 with any prefix.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Announce the endpoint
  interchain.security.validator_endpoint:
    provider_rpc_url: http://127.0.0.1:26657
    mnemonic_file: /run/secrets/validator/mnemonic
    p2p: 192.0.2.1
    node: f42037be88df876cd27dd60dc225b1afa90c4d75
"""

RETURN = r"""
operator_address:
  description: Operator address of the validator.
  type: str
  returned: success
details:
  description: The details as they are after the change.
  type: str
  returned: success
tx_hash:
  description: Hash of the transaction; none when nothing was sent.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import validator_endpoint as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
