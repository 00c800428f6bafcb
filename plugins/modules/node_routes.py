#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_routes
short_description: Send the ports of a validator's load balancer to where its nodes are
version_added: 0.1.0
description:
  - Writes the address of each node's pod into the EndpointSlice that claims the node's port of the load balancer, and takes it out when there is no pod.
  - Nothing is sent to a pod that has not the labels of that very node, in a namespace that has them too.
  - Starts and restarts nothing.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it. Then nothing is waited for.
    support: full
  diff_mode:
    description: Returns the EndpointSlices before and after.
    support: full
options:
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the load balancer's Service. The default is that of the validator's monitor.
    type: str
  nodes:
    description: The nodes to look at, by consumer_id, V(provider) for that of the provider chain. The default is all that have a port.
    type: list
    elements: str
    default: []
  wait_timeout:
    description: Seconds to wait for the pods that are wanted to have their addresses. A pod that has none by then is no failure.
    type: int
    default: 0
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Follow all pods that have moved
  interchain.security.node_routes:
    validator: alice

- name: Follow a node that was just started
  interchain.security.node_routes:
    validator: alice
    nodes: ["0"]
    wait_timeout: 20
"""

RETURN = r"""
routes:
  description: Where each node's port leads to.
  type: list
  elements: dict
  returned: success
  contains:
    node:
      description: The consumer_id, or V(provider).
      type: str
    port:
      description: Its port at the load balancer's address.
      type: int
    address:
      description: The address of its pod; empty when it leads nowhere.
      type: str
    reason:
      description: Why it leads nowhere.
      type: str
problems:
  description: What could not be looked at or written, and why.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import node_routes as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
