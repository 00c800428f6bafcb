# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that name where a key is kept."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by the modules that handle keys."""

    DOCUMENTATION = r"""
options:
  kind:
    description:
      - The key of an account (secp256k1), the consensus key of a validator or the P2P key of a node (both ed25519).
      - >-
        Account keys are kept in a keyring. Consensus and node keys are kept as the files of CometBFT, C(priv_validator_key.json) and
        C(node_key.json), at O(key_file) or as an entry of that name in a Secret of O(namespace).
    type: str
    choices: [account, consensus, node]
    default: account
  keyring_backend:
    description:
      - Where account keys are kept. V(file), V(test) and V(os) are the keyrings of the Cosmos SDK; its binaries open them too.
      - >-
        V(os) is the Secret Service of a desktop session; without a session it is the encrypted files that the SDK then keeps in
        O(keyring_dir) itself.
      - V(kubernetes) is one Secret for each key in O(namespace), with the entries C(private_key) and, when known, C(mnemonic).
      - V(test) does not protect its keys.
    type: str
    choices: [file, test, os, kubernetes]
    default: file
  keyring_dir:
    description:
      - Folder of the keyring, as C(--keyring-dir) or C(--home) of the chain's binary names it.
    type: path
  keyring_passphrase:
    description:
      - Passphrase of the keyring, 8 to 72 bytes; the first key that is stored sets it. Prefer O(keyring_passphrase_file).
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
  key_file:
    description:
      - The file of a consensus or node key.
    type: path
  namespace:
    description:
      - Namespace of the Secrets that hold keys.
    type: str
  kubeconfig:
    description:
      - Kubeconfig of the cluster of the Secrets. Default is that of E(K8S_AUTH_KUBECONFIG) or E(KUBECONFIG), or the pod's service account.
      - Without it, E(K8S_AUTH_HOST) and E(K8S_AUTH_API_KEY) count first, as AWX sets them.
    type: path
  account_prefix:
    description:
      - Prefix of the account addresses that are returned.
    type: str
    default: cosmos
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it.
    support: full
requirements:
  - bcrypt
  - bech32
  - cosmpy >= 0.12
  - cryptography >= 45
  - httpx
  - jwcrypto
  - kubernetes
  - protobuf
  - pynacl
  - secretstorage with the keyring backend V(os) in a desktop session
  - tenacity
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""
