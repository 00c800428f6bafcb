#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_local_nodes_info
short_description: Tell which nodes of a consumer run in this cluster, and whether one may be taken down
version_added: 0.1.0
description:
  - Looks at the nodes of a consumer of all validators in the cluster, as far as they may be read, and asks them for the chain's newest validator set.
  - Says whether the node of one validator may be taken down for an update while more than two thirds of the power of these nodes stays up. A node
    with a third of it or more may go while all others are up.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Changes nothing anyway.
    support: full
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  validator:
    description: Name of the validator whose node is to be updated.
    type: str
    required: true
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: See whether alice's node may be updated now
  interchain.security.consumer_local_nodes_info:
    consumer_id: "0"
    validator: alice
  register: found

- name: Stop here when it may not
  ansible.builtin.assert:
    that: found.refusal | length == 0
    fail_msg: "{{ found.refusal }}"
"""

RETURN = r"""
nodes:
  description: The nodes that are to run.
  type: list
  elements: dict
  returned: success
  contains:
    validator:
      description: Whose it is.
      type: str
      returned: always
    power:
      description: Power of its key in the chain's set; 0 outside of it, and of all when no node is up.
      type: int
      returned: always
    up:
      description: Whether its pod is ready, it answers, and it has a block.
      type: bool
      returned: always
    pod_uid:
      description: Its pod's uid; empty when it has none, or could not be looked at.
      type: str
      returned: always
    rising_height:
      description: Its height while the chain makes blocks; null when its newest block is old, and when it is not up.
      type: int
      returned: always
refusal:
  description: Why the node of O(validator) may not be taken down now, empty when it may.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import (
    consumer_local_nodes_info as operation,
)
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
