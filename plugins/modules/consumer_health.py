#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_health
short_description: Check the nodes of a validator's consumer chains, keep how they are, and repair them
version_added: 0.1.0
description:
  - Looks at the nodes as M(interchain.security.consumer_health_info) does, at all of the validator's or at one.
  - Writes the conditions into the monitor's document of each consumer whose conditions have changed. A node that stays as it is costs no write.
  - Without O(consumer_id) it also compares what the cluster holds with what the provider says, as M(interchain.security.consumer_leftovers_info)
    does, and keeps that in the monitor's document C(check).
  - With O(repair=safe) it restarts a node that hangs, that stands still while its peers do not, or that has lost all its peers. A restart
    deletes the pod with its grace period; the next one comes when the kubelet has said that it is gone, on the same volume with the same sign state.
    When and why is kept with the consumer before it is done.
  - With O(operator_address) it asks the provider for which consumers the validator has to run a node, and names in RV(joining) those of them that are
    launched and never had one here, and in RV(unwanted) those whose node is not asked for any more.
  - Objects that somebody removed are named in RV(converge); the role C(consumer) makes them again. So is a node that started five times and found its own
    signature in the newest blocks each time, as when the chain stands still without it; its launch then lets it start without looking back.
  - Where the chain's own validator set holds another key that is kept for the node in the place of the one that it has, as after
    M(interchain.security.consumer_key_assignment) with O(interchain.security.consumer_key_assignment#module:rotate), it keeps which, and names the
    consumer in RV(switching).
  - Never removes a pod by force, a volume, a sign state or a key, and never starts a node that was scaled to 0.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.cluster
attributes:
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
  monitor_namespace:
    description: Namespace of the monitor. The default is O(validator) followed by C(-monitor).
    type: str
  operator_address:
    description:
      - The validator's operator address. Without it, nobody is told to join or to leave, and a node whose key the chain's validator set does not hold is
        V(NotInSet), also when the validator is jailed (V(Jailed)), tombstoned (V(Tombstoned)) or not bonded (V(Unbonded)) on the provider.
    type: str
  fence_namespace:
    description: Namespace of the fences. The default is O(monitor_namespace).
    type: str
  commits:
    description: How many of the newest commits are looked at for the node's signature.
    type: int
    default: 20
  repair:
    description: Whether anything is done (V(safe)), or only said (V(report)).
    type: str
    choices: [safe, report]
    default: report
  repair_after:
    description: Seconds that something must be wrong before it is repaired. Three times as long for a node that has no peer.
    type: int
    default: 180
  repair_pause:
    description: Seconds after a repair in which the same node is not repaired again; twice as long after each that did not help, up to six hours.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Check all nodes of alice, and restart those that hang
  interchain.security.consumer_health:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
    repair: safe
  register: found

- name: Say who is not well
  ansible.builtin.debug:
    msg: "{{ found.health | rejectattr('healthy') | map(attribute='consumer_id') | list }}"
"""

RETURN = r"""
health:
  description:
    - One entry for each node, as M(interchain.security.consumer_health_info) returns it, with what follows from it.
    - C(repair) is V(nothing), V(restart), V(converge) or V(look_back_off), C(repair_reason) why, and C(repaired) whether it was done or, for the last two,
      asked for.
  type: list
  elements: dict
  returned: success
leftovers:
  description: As M(interchain.security.consumer_leftovers_info) returns them; empty with O(consumer_id).
  type: list
  elements: dict
  returned: success
endpoint:
  description:
    - How what the validator announces fits the address that its load balancer has been given, in a few words, such as V(announced) or
      V(192.0.2.1 is not announced). Empty without O(operator_address).
  type: str
  returned: success
  sample: announced
converge:
  description: The consumers whose objects are to be made again, which is for the caller to do.
  type: list
  elements: str
  returned: success
watching:
  description: The consumers whose node only follows until their launch, run again, has seen that nobody else signs with its key.
  type: list
  elements: str
  returned: success
switching:
  description: The consumers whose node is to start with another key, since that one counts on the chain by now. Launching is for the caller.
  type: list
  elements: str
  returned: success
joining:
  description: The launched consumers that the validator has to validate and that never had a node here, as after a late opt-in. Launching is for the caller.
  type: list
  elements: str
  returned: success
unwanted:
  description:
    - The launched consumers that the validator has left and that neither the provider nor the chain's own validator set asks for any more, whose node
      runs. Stopping it is for the caller.
  type: list
  elements: str
  returned: success
problems:
  description: What could not be looked at or done, and why.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_health as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
