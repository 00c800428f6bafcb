#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: key
short_description: Make, import, export, rename and delete keys
version_added: 0.1.0
description:
  - Brings a key of an account, of consensus or of a node into the wanted state. A key that is there is never replaced.
  - A new account key is derived from a new mnemonic unless a source is given. Secrets never appear in the result.
  - Files that are written have mode 0600.
extends_documentation_fragment:
  - interchain.security.keyring
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  name:
    description: Name of the key. For a key in a Secret it is the name of the Secret.
    type: str
    required: true
  state:
    description: Whether the key is to be there.
    type: str
    choices: [present, absent]
    default: present
  mnemonic:
    description: Recover the account key from this mnemonic. Prefer O(mnemonic_file).
    type: str
  mnemonic_file:
    description: Recover the account key from the mnemonic in this file.
    type: path
  new_mnemonic_file:
    description:
      - Write the mnemonic of a new account key to this file, before the key is stored. Without it the mnemonic is kept nowhere, or in the
        Secret with O(keyring_backend=kubernetes).
      - A file that is there already is used as O(mnemonic_file) would be.
    type: path
  private_key:
    description: The private key as 64 hexadecimal digits; of a consensus or node key it is the seed. Prefer O(private_key_file).
    type: str
  private_key_file:
    description: A file that holds the private key as 64 hexadecimal digits.
    type: path
  import_file:
    description: An armored account key as C(keys export) writes it, or the key file of a consensus or node key.
    type: path
  import_passphrase_file:
    description: A file that holds the passphrase of an armored key.
    type: path
  source_secret:
    description: An existing Secret of O(namespace) with an entry C(mnemonic) or C(private_key) to take the account key from.
    type: str
  bip39_passphrase_file:
    description: A file that holds the passphrase of BIP-39 that belongs to the mnemonic, where it has one.
    type: path
  hd_path:
    description: >-
      Path by which the key is derived from a mnemonic. Default is C(m/44'/COIN_TYPE'/ACCOUNT'/0/ADDRESS_INDEX) of O(coin_type),
      O(account) and O(address_index).
    type: str
  coin_type:
    description: Coin type of BIP-44.
    type: int
    default: 118
  account:
    description: Account number of BIP-44.
    type: int
    default: 0
  address_index:
    description: Address index of BIP-44.
    type: int
    default: 0
  export_file:
    description:
      - Write the key to this file, an account key armored as C(keys import) reads it, others as the key file of CometBFT.
      - A file that is there already is left alone when it holds the same key; with another one the module fails.
    type: path
  export_passphrase_file:
    description: A file that holds the passphrase to encrypt the armored key with, 8 to 72 bytes.
    type: path
  rename_from:
    description: Give the account key of this name the name O(name), unless that was done already.
    type: str
  confirm:
    description: Has to be true for O(state=absent) to remove a key, because that is for ever.
    type: bool
    default: false
seealso:
  - module: interchain.security.key_info
"""

EXAMPLES = r"""
- name: Make an account key in the encrypted keyring of the chain's binary
  interchain.security.key:
    name: validator
    keyring_dir: ~/.interchain-security-p
    keyring_passphrase_file: /run/secrets/keyring-passphrase
    new_mnemonic_file: /etc/interchain/validator.mnemonic

- name: Recover an account key as a Secret
  interchain.security.key:
    name: validator-account
    keyring_backend: kubernetes
    namespace: alice-monitor
    mnemonic_file: /etc/interchain/validator.mnemonic

- name: Export it, armored
  interchain.security.key:
    name: validator
    keyring_dir: ~/.interchain-security-p
    keyring_passphrase_file: /run/secrets/keyring-passphrase
    export_file: /etc/interchain/validator.armor
    export_passphrase_file: /run/secrets/export-passphrase

- name: Make the P2P key of the validator's nodes
  interchain.security.key:
    name: node-key
    kind: node
    namespace: alice-monitor

- name: Remove a key for ever
  interchain.security.key:
    name: old
    keyring_backend: test
    keyring_dir: ~/.interchain-security-p
    state: absent
    confirm: true
"""

RETURN = r"""
key:
  description: The key without its secrets; none when it is absent, or new in check mode.
  type: dict
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

from ansible_collections.interchain.security.plugins.module_utils.operations import key as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
