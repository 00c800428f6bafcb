#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: key_info
short_description: Show keys of accounts, consensus and nodes
version_added: 0.1.0
description:
  - Returns what may be shown of keys, never their secrets.
extends_documentation_fragment:
  - interchain.security.keyring
options:
  name:
    description: Name of the key, or of its Secret. Without it all keys are returned; of Secrets those that this collection made.
    type: str
seealso:
  - module: interchain.security.key
"""

EXAMPLES = r"""
- name: List the account keys of a keyring
  interchain.security.key_info:
    keyring_dir: ~/.interchain-security-p
    keyring_passphrase_file: /run/secrets/keyring-passphrase

- name: Show the id of a node
  interchain.security.key_info:
    kind: node
    key_file: ~/.interchain-security-p/config/node_key.json
"""

RETURN = r"""
keys:
  description: The keys, in order of their names; empty when there is none.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    kind:
      description: V(account), V(consensus) or V(node).
      type: str
    type:
      description: V(local) when its private half is kept there, else V(ledger), V(multi) or V(offline).
      type: str
    backend:
      description: Where it is kept.
      type: str
    address:
      description: Address of the account, hexadecimal address of the consensus key, or id of the node.
      type: str
    public_key:
      description: Public half with its type, as the chain writes it.
      type: dict
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import key_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
