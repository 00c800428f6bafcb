#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_restart
short_description: Let a consumer's node run with what is written for it
version_added: 0.1.0
description:
  - Restarts the node of a consumer when its pod is another one than its StatefulSet describes, or when it runs with other settings than are in
    the ConfigMap C(config). Other peers alone are no reason.
  - The StatefulSet's controller may be faster. Then that restart is waited for, and no second one is made unless the pod began with former settings.
  - A restart deletes the pod with its grace period; the next one comes when the kubelet has said that it is gone, on the same volume with the same
    sign state.
  - For other settings it is restarted only while more than two thirds of the power of the chain's nodes in this cluster stays up, as
    M(interchain.security.consumer_local_nodes_info) tells it; otherwise the module fails. A pod that its StatefulSet describes otherwise goes anyway.
  - Then waits until the pod is ready and the chain has a new block, and fails when that does not come. A node that is as it should be only has to be ready.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it, from what is written by then.
    support: full
  diff_mode:
    description: Returns the pod that is removed.
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
  former_pod:
    description:
      - The uid of the pod that ran before anything was written, as M(interchain.security.consumer_local_nodes_info) tells it.
      - With it a restart by the StatefulSet's controller is told too when it is over already.
    type: str
    default: ''
  former_height:
    description: The height before anything was written. The node is back with a block above it; without it, above the one that it has now.
    type: int
  timeout:
    description: Seconds until the node must be back.
    type: int
    default: 300
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Let the node run with its new settings
  interchain.security.consumer_restart:
    consumer_id: "0"
    validator: alice
"""

RETURN = r"""
restarted:
  description: Whether the node was restarted, here or by its StatefulSet's controller.
  type: bool
  returned: success
reason:
  description: Why; empty when nothing was to be done.
  type: str
  returned: success
height:
  description: Its height afterwards.
  type: int
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_restart as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
