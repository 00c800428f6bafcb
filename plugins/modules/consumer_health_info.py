#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_health_info
short_description: Tell whether the nodes of consumer chains are well
version_added: 0.1.0
description:
  - Looks at the nodes' pods and asks the nodes through the API server, so that no network policy is in the way. A few are asked at a time, and each
    has twenty seconds to answer.
  - Says whether a node runs, its height rises, it has caught up, has peers, signs the newest blocks, and has room on its volume. Each is a condition with a
    reason and the time since which it holds. That time is known when M(interchain.security.consumer_health) has kept the conditions, and so is how the
    validator stands on the provider, which is not asked here.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
options:
  consumer_id:
    description: The consumer. Without it, all that the validator has a node of.
    type: str
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the monitor. The default is O(validator) followed by C(-monitor).
    type: str
  commits:
    description: How many of the newest commits are looked at for the node's signature.
    type: int
    default: 20
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Look at the node of consumer 0
  interchain.security.consumer_health_info:
    consumer_id: "0"
    validator: alice
  register: found
"""

RETURN = r"""
health:
  description: One entry for each node.
  type: list
  elements: dict
  returned: success
  contains:
    consumer_id:
      description: The consumer.
      type: str
    healthy:
      description: Whether all conditions are V(True).
      type: bool
    summary:
      description: The first condition that is not V(True), with its reason, since when, and its message; empty when there is none.
      type: str
    height:
      description: Height of the newest block.
      type: int
    peers:
      description: Number of peers.
      type: int
    catching_up:
      description: Whether the node still reads old blocks.
      type: bool
    signed:
      description: How many of the newest commits hold the node's signature.
      type: int
    commits:
      description: How many commits were looked at.
      type: int
    disk_used:
      description: Used part of the volume, 0 to 1.
      type: float
    restarts:
      description: How often the node's container was started again.
      type: int
    conditions:
      description: The conditions with C(type), C(status) (V(True), V(False), V(Unknown)), C(reason), C(message) and C(since).
      type: list
      elements: dict
problems:
  description: Which nodes could not be looked at, and why. Of the one in O(consumer_id) it is an error.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_health_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
