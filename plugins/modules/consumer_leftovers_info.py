#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_leftovers_info
short_description: Find what is left in the cluster of consumer chains
version_added: 0.1.0
description:
  - Compares what the cluster holds of a validator's consumers with what the provider chain says of them.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.cluster
options:
  validator:
    description: Name of the validator, which its namespaces begin with.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of the monitor. The default is O(validator) followed by C(-monitor).
    type: str
  fence_namespace:
    description: Namespace of the fences. The default is O(monitor_namespace).
    type: str
"""

EXAMPLES = r"""
- name: Find what is left
  interchain.security.consumer_leftovers_info:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
  register: found
"""

RETURN = r"""
leftovers:
  description:
    - What is wrong, with C(consumer_id), C(kind), C(remedy) and C(reason).
    - C(kind) is V(unknown) (the provider knows no such consumer), V(deleted) (the objects of a deleted one are there), V(stopped) (the node of a stopped one
      runs), V(half_made) (a deployment was cut) or V(expired_key) (the key of a deleted one may go).
    - C(remedy) is what may be done when it is asked for. V(remove) its objects, V(stop) its node, V(remove_key), or V(repair) for a node that should run.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_leftovers_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
