# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that say where a validator's key for a consumer is kept."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by the modules that give the provider a key for a consumer."""

    DOCUMENTATION = r"""
options:
  key_namespace:
    description: Namespace of the Secret that keeps the consumer key. Needed together with O(key_secret) unless O(key_file) is given.
    type: str
  key_secret:
    description: Name of the Secret; its entry C(priv_validator_key.json) is the key file of CometBFT.
    type: str
  key_file:
    description: A file that keeps the consumer key instead of a Secret.
    type: path
  kubeconfig:
    description: Kubeconfig of the cluster of the Secret. Default is that of E(K8S_AUTH_KUBECONFIG) or E(KUBECONFIG), or the pod's service account.
    type: path
  consumer_public_key:
    description:
      - A public key whose private half is kept elsewhere, such as in a remote signer, instead of a stored one.
      - Base64, or another form in which the chain's tools show an ed25519 key.
    type: raw
"""
