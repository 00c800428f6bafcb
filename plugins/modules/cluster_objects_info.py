#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_objects_info
short_description: Read Kubernetes objects
version_added: 0.1.0
description:
  - Reads what M(kubernetes.core.k8s_info) reads, with the client of that collection and within Ansible's own process, so that a task takes some
    milliseconds and not most of a second. The monitor does it with every look at its nodes.
  - Secrets are returned with their values. Set C(no_log) where they are read.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Nothing is changed in any mode.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
options:
  kind:
    description: The kind of the objects, such as V(Secret).
    type: str
    required: true
  api_version:
    description: Its group and version.
    type: str
    default: v1
  namespace:
    description: Where to look. The default is everywhere, or nowhere for objects that are in no namespace.
    type: str
  name:
    description: The one object to read.
    type: str
  label_selectors:
    description: Which objects to read when O(name) is not given, such as V(app=node) or V(app); they have to fit all of these.
    type: list
    elements: str
    default: []
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Read the nodes of all consumers
  interchain.security.cluster_objects_info:
    api_version: apps/v1
    kind: StatefulSet
    label_selectors:
      - interchain-security/consumer-id
  register: nodes
"""

RETURN = r"""
resources:
  description: The objects as the server has them. Empty when there are none.
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import cluster_objects_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
