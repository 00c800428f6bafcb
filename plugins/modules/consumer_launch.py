#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_launch
short_description: Start the node of a launched consumer chain
version_added: 0.1.0
description:
  - Decides whether the validator's node signs the chain, follows it without signing, or is not started, and says why.
  - Writes the genesis, the node's keys and its settings into its namespace, and what was decided into the monitor's; then lets the node run.
    What needs no genesis is there already, made by the role C(consumer).
  - The consensus key gets into the node's namespace only while the node's volume holds the fence of that key and chain, a Lease.
  - A chain that launched more than a minute ago and was never signed from here is followed first, see O(watch_timeout). So is one of which no node of
    O(provider_rpc_url) can say that, since each is catching up or its newest block is more than a minute old.
  - Of several keys that are kept for the consumer, in Secrets with its label, the node gets the one that signed before. Another one takes its place when
    M(interchain.security.consumer_health) has seen it in the chain's own validator set, and what was replaced never signs again. Before anything
    was signed the assigned one counts.
  - A genesis that is there is kept.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.cluster
attributes:
  diff_mode:
    description: Returns the objects that change, without the values of Secrets.
    support: full
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  operator_address:
    description: Operator address of the validator.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the monitor, which holds the keys. The default is O(validator) followed by C(-monitor).
    type: str
  fence_namespace:
    description:
      - Namespace of the fences. All monitors that run for the validator in this cluster must share it. The default is O(monitor_namespace).
    type: str
  wait_timeout:
    description: Seconds to wait for the launch of a consumer that is initialized.
    type: int
    default: 0
  watch_timeout:
    description:
      - Seconds until the node has to follow the chain that is looked at, when one launched a while ago and was never signed from here. The look itself
        takes ten seconds more, and up to two minutes more where the load balancer is not at the address that the validator announces. The node
        signs once nobody was seen to sign with its key, and nobody did in the newest 1000 blocks, as far as the node has them. With 0 it follows,
        until the module runs again with a longer time.
    type: int
    default: 0
  take_over_key:
    description:
      - You know that whoever else signed the chain with the key held here is gone for good. That is kept for this key and consumer. The node signs once
        nobody was seen to, and nobody did in the newest 20 blocks.
    type: bool
    default: false
  sweep:
    description: Whether all other nodes of the validator are started too that are staged and whose chains have launched.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Start the node
  interchain.security.consumer_launch:
    provider_rpc_url: http://127.0.0.1:26657
    consumer_id: "0"
    validator: alice
    operator_address: cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz
  register: launch
"""

RETURN = r"""
launched:
  description: Whether the consumer is launched. When it is not, nothing was done.
  type: bool
  returned: success
phase:
  description: Phase of the consumer.
  type: str
  returned: success
staged:
  description: Whether everything that needs no genesis is there. When it is not, nothing was done.
  type: bool
  returned: when launched
missing:
  description: What staging has yet to make.
  type: list
  elements: str
  returned: when launched
mode:
  description: What the node does, V(sign), V(follow) (without signing) or V(stay_out) (there is none).
  type: str
  returned: when staged
reasons:
  description: Why.
  type: list
  elements: str
  returned: when staged
watching:
  description: Whether the node follows until it was seen that nobody else signs with the key.
  type: bool
  returned: when staged
look_seconds:
  description: For how long nobody has to be seen to sign with the key before a node that watches may.
  type: float
  returned: when staged
taken_over:
  description: Whether it is known that whoever else signed with the key held here is gone for good.
  type: bool
  returned: when staged
assign_key:
  description: Whether the key held here has yet to be assigned on the provider.
  type: bool
  returned: unless mode is stay_out
consensus_public_key:
  description: Public key (base64) that the node or its remote signer holds.
  type: str
  returned: unless mode is stay_out
double_sign_check_height:
  description:
    - Blocks to look back for an own signature. 0 with a third of the chain's power or more by the provider's last epoch, and for a node that
      found its own signature again and again and starts on the volume with its sign state.
  type: int
  returned: unless mode is stay_out
genesis_hash:
  description: SHA-256 of the genesis, in hex.
  type: str
  returned: unless mode is stay_out
external_address:
  description: IP address and port of the load balancer that the node calls its own; empty while there is none, and where it is known by a DNS name.
  type: str
  returned: unless mode is stay_out
p2p_peers:
  description: Peers to dial, as C(node id@host:port).
  type: list
  elements: str
  returned: unless mode is stay_out
skipped_peers:
  description: Validators without a usable announcement, with C(operator_address) and C(reason).
  type: list
  elements: dict
  returned: unless mode is stay_out
volume:
  description: uid of the volume's claim.
  type: str
  returned: unless mode is stay_out
swept:
  description: The other nodes that were started or could not be, with C(consumer_id), C(changed) and C(reason).
  type: list
  elements: dict
  returned: when O(sweep) is true and the consumer is launched
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_launch as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
