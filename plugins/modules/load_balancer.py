#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: load_balancer
short_description: Keep the load balancer of a validator's nodes, with a port for each of them
version_added: 0.1.0
description:
  - Keeps the Service C(p2p) of type LoadBalancer in the monitor's namespace, through which the peers of all nodes of one validator come in. It has a port
    for the validator's node of the provider chain and one for each consumer.
  - A port is claimed by an EndpointSlice of its own. A port that another node has is refused, and names that node. Ports of consumers whose namespace has gone
    are freed.
  - Where the ports lead to is the matter of M(interchain.security.node_routes).
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it. Then nothing is waited for.
    support: full
  diff_mode:
    description: Returns the objects before and after.
    support: full
options:
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the Service, which exists already. The default is that of the validator's monitor.
    type: str
  state:
    description: Whether the Service is kept, with the port of O(consumer_id) when it is named; or that port is freed.
    type: str
    choices: [present, absent]
    default: present
  consumer_id:
    description: The consumer whose port is claimed or freed.
    type: str
  port:
    description: Its port at the address. Given together with O(consumer_id), and not needed to free it.
    type: int
  provider_port:
    description: Port of the node of the provider chain at the address. The Service has it whether there is such a node in the cluster or not.
    type: int
    default: 26656
  annotations:
    description: Annotations of the Service, which tell the implementation of load balancers what to do.
    type: dict
    default: {}
  load_balancer_ip:
    description: The field C(loadBalancerIP) of the Service, for implementations that read the wanted address there.
    type: str
    default: ''
  wait_timeout:
    description:
      - Seconds until the Service must have its address; 0 does not wait.
      - When it does not get it, a Service that had one before goes back to it, without the port that was asked for.
    type: int
    default: 0
  wait_address:
    description: The address that is waited for. Empty for any.
    type: str
    default: ''
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Claim the port of a consumer
  interchain.security.load_balancer:
    validator: alice
    consumer_id: "0"
    port: 27346
    annotations:
      metallb.io/loadBalancerIPs: 192.0.2.1

- name: Free it
  interchain.security.load_balancer:
    validator: alice
    consumer_id: "0"
    state: absent
"""

RETURN = r"""
address:
  description: The address or the DNS name that the Service has been given; empty when it has none yet.
  type: str
  returned: success
ports:
  description: The ports that the Service has, by their names.
  type: dict
  returned: success
  sample: {"provider": 26656, "consumer-0": 27346}
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import load_balancer as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
