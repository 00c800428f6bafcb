# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the account that signs a transaction."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by every module that sends a transaction."""

    DOCUMENTATION = r"""
options:
  mnemonic:
    description:
      - The mnemonic of the signing account. Prefer O(mnemonic_file).
      - >-
        Exactly one of O(mnemonic), O(mnemonic_file), O(private_key), O(private_key_file), O(key_name) and O(account_secret)
        is needed.
    type: str
  mnemonic_file:
    description:
      - A file that holds the mnemonic, such as a mounted Secret. Others than its owner and its group may not read it.
    type: path
  private_key:
    description:
      - The private key of the signing account as 64 hexadecimal digits. Prefer O(private_key_file).
    type: str
  private_key_file:
    description:
      - A file that holds the private key as 64 hexadecimal digits.
    type: path
  key_name:
    description:
      - Name of the signing key in the keyring that O(keyring_backend) and O(keyring_dir) name.
    type: str
  account_secret:
    description:
      - Name of a Secret with the signing key, in its entry C(mnemonic) or C(private_key) (64 hexadecimal digits).
    type: str
  account_namespace:
    description:
      - Namespace of O(account_secret), or of the Secret O(key_name) with O(keyring_backend=kubernetes).
    type: str
  kubeconfig:
    description:
      - Kubeconfig of the cluster of the Secrets. Default is that of E(K8S_AUTH_KUBECONFIG) or E(KUBECONFIG), or the pod's service account.
      - Without it, E(K8S_AUTH_HOST) and E(K8S_AUTH_API_KEY) count first, as AWX sets them.
    type: path
  bip39_passphrase_file:
    description:
      - A file that holds the passphrase of BIP-39 that belongs to the mnemonic, where it has one.
    type: path
  hd_path:
    description:
      - Path by which the key is derived from the mnemonic. Default is V(m/44'/COIN_TYPE'/0'/0/0) with O(coin_type).
    type: str
  coin_type:
    description:
      - Coin type of BIP-44 by which the key is derived from the mnemonic.
    type: int
    default: 118
  account_prefix:
    description:
      - Prefix of account addresses on the provider chain.
    type: str
    default: cosmos
  keyring_backend:
    description:
      - Where O(key_name) is kept. V(file), V(test) and V(os) are the keyrings of the Cosmos SDK.
      - >-
        V(os) is the Secret Service of a desktop session; without a session it is the encrypted files that the SDK then keeps in
        O(keyring_dir) itself.
      - V(kubernetes) is a Secret of that name in O(account_namespace).
    type: str
    choices: [file, test, os, kubernetes]
    default: file
  keyring_dir:
    description:
      - Folder of the keyring, as C(--keyring-dir) or C(--home) of the chain's binary names it.
    type: path
  keyring_passphrase:
    description:
      - Passphrase of the keyring. Prefer O(keyring_passphrase_file).
    type: str
  keyring_passphrase_file:
    description:
      - A file that holds the passphrase of the keyring. Others than its owner and its group may not read it.
    type: path
  keyring_service:
    description:
      - Name of the collection of the Secret Service with O(keyring_backend=os). Some chains use the name of their binary.
    type: str
    default: cosmos
  gas_prices:
    description:
      - Price of one unit of gas with its denom, for example V(0.01stake).
      - V(auto) is the node's minimum gas price, and where the node does not tell it 0.01 of the denom that is staked.
    type: str
    default: auto
  gas_adjustment:
    description:
      - The gas of a transaction is what its simulation used times this. A transaction that runs out of gas is sent once more with twice as much.
    type: float
    default: 1.5
  max_fee:
    description:
      - The most that one transaction may cost, for example V(50000stake). One that would cost more is not sent.
    type: str
  fee_budget:
    description:
      - The most that the account may pay for transactions within 24 hours, for example V(1000000stake), counted on the chain.
      - It needs a node that indexes transactions and keeps the blocks of a day.
    type: str
  tx_timeout:
    description:
      - Seconds to wait for each next block while a transaction waits for its block, at most until its timeout height 20 blocks on.
    type: float
    default: 60.0
  retries:
    description:
      - How often a transaction is handed over again when no node says that it took it, and how often another one is signed when the
        first can have no effect any more and state still asks for it.
    type: int
    default: 5
  retry_delay:
    description:
      - Seconds before the first of O(retries); they double each time up to 30, with jitter.
    type: float
    default: 1.0
"""
