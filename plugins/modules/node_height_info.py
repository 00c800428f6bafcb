#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_height_info
short_description: Tell the height of a node in a pod, or wait for one
version_added: 0.1.0
description:
  - Asks the node of the role C(node) in a namespace through the API server, so that no network policy is in the way.
  - A node that does not answer is not an error.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
options:
  namespace:
    description: Namespace of the node.
    type: str
    required: true
  wait_height:
    description: Height to wait for.
    type: int
    default: 0
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 0
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Wait for the first block
  interchain.security.node_height_info:
    namespace: alice-consumer-0
    wait_height: 1
    wait_timeout: 60
  register: found
"""

RETURN = r"""
height:
  description: Height of the newest block; -1 when the node has not answered.
  type: int
  returned: success
reason:
  description: Why it has not answered, empty when it has.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import node_height_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
