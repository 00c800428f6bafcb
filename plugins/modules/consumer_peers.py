#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_peers
short_description: Keep the peers of a validator's running consumer nodes current
version_added: 0.1.0
description:
  - Reads at one height of the provider which validators take part in each consumer and what they announce, and writes the peers that follow
    into the ConfigMap C(config) of the node. Nothing else in its C(config.toml) changes, and the running node is not disturbed.
  - A node with a gate before its RPC (C(consumer_hybrid_peer_updates) of the role consumer) is then told the peers, which it dials at once.
  - Then asks the node whom it is connected to. Which side has dialled does not matter; a validator that has moved mostly dials the others itself.
  - With O(restart=fallback) a node that could not be told is restarted for a validator whose new address it does not know and that is not connected after
    O(connect_timeout), one node after the other, the next one only when the last one is ready and has a new block.
  - Such a restart is put off, and RV(consumers[].reason) says why, unless it is the validator's turn (two minutes by the clock for each bonded member of the
    consumer, in the order of operator addresses) and more than two thirds of the chain's power sign without it. For a node with a third of the power or
    more it never comes; the peers count from its next start on.
  - Validators that have gone are taken out of the ConfigMap; a connection to them that is open stays.
  - Only nodes that run are looked at, those of launched consumers with a namespace of the validator and a StatefulSet that wants a pod.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.cluster
attributes:
  check_mode:
    description: Says what would be done, a restart by whom the node is connected to at this moment.
    support: full
  diff_mode:
    description: Returns the objects that change.
    support: full
options:
  consumer_id:
    description: Only this consumer.
    type: str
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  operator_address:
    description: Operator address of the validator.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the monitor. The default is O(validator) followed by C(-monitor).
    type: str
  ask:
    description:
      - Whether every node is asked whom it is connected to, or only one with an address that it does not know or that was restarted for one lately
        (V(changed)).
    type: str
    choices: [changed, always]
    default: always
  restart:
    description: Whether a node may be restarted as the last resort.
    type: str
    choices: [never, fallback]
    default: never
  connect_timeout:
    description: Seconds that new peers have to be connected without a restart.
    type: int
    default: 30
  restart_timeout:
    description: Seconds until a restarted node must be back. When it is not, no other one is restarted.
    type: int
    default: 180
  restart_pause:
    description:
      - Seconds in which a node is not restarted again for the same validator, wherever that one moves; a week when it was not connected since.
        Whoever it is for, a node is not restarted twice within ten minutes, or within this time when that is shorter.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Bring the peers of all running nodes of alice up to date
  interchain.security.consumer_peers:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
    operator_address: cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz
    restart: fallback
"""

RETURN = r"""
consumers:
  description: One entry for each running node.
  type: list
  elements: dict
  returned: success
  contains:
    consumer_id:
      description: The consumer.
      type: str
      returned: always
    wanted:
      description: The peers that follow from the announcements, as C(node id@host:port).
      type: list
      elements: str
      returned: always
    configured:
      description: Those that were in the ConfigMap before.
      type: list
      elements: str
      returned: always
    connected:
      description: Those of the wanted ones that the node is connected to; empty when it was not asked.
      type: list
      elements: str
      returned: always
    missing:
      description: Those that it is not connected to; empty when it was not asked.
      type: list
      elements: str
      returned: always
    asked:
      description: Whether the node was asked.
      type: bool
      returned: always
    in_sync:
      description: Whether the ConfigMap held what is wanted before, and, as far as the node was asked, all are connected.
      type: bool
      returned: always
    skipped:
      description: Validators without a usable announcement, with C(operator_address) and C(reason).
      type: list
      elements: dict
      returned: always
    peers:
      description:
        - All of these side by side, as C(peer) with C(wanted), C(configured) (before) and C(connected) (null when not asked), then the operator
          addresses of the validators that are skipped, with the C(reason).
      type: list
      elements: dict
      returned: always
    action:
      description: V(nothing), V(configured) (the ConfigMap was written), V(dialled) (the node was told as well) or V(restarted).
      type: str
      returned: always
    reason:
      description: Why, or why not more.
      type: str
      returned: always
height:
  description: The provider height that was read.
  type: int
  returned: success
problems:
  description: What could not be looked at or done, and why.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_peers as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
