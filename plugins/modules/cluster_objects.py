#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_objects
short_description: Bring several Kubernetes objects into their state at once
version_added: 0.1.0
description:
  - Does for a list of objects what M(kubernetes.core.k8s) does for one, with the client of that collection and within Ansible's own process, so that a
    task takes some milliseconds for each object. The launch of a consumer chain waits for it.
  - The values of Secrets show in no diff.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: The server checks what would be written and writes nothing.
    support: full
  diff_mode:
    description: Returns the objects that change before and after, without the values of Secrets.
    support: full
options:
  definitions:
    description: The objects, in the order in which they are made; removed in the reverse order.
    type: list
    elements: dict
    required: true
  state:
    description: Whether the objects are to be there.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(apply) brings the fields that a definition names into their state (server-side apply).
      - V(create) leaves an object that is there as it is.
      - V(merge) sets the fields that a definition names and leaves what others have set beside them; an object that is not there is made.
      - V(patch) does the same in an object that is there, and nothing where there is none.
    type: str
    choices: [apply, create, merge, patch]
    default: apply
  wait_timeout:
    description:
      - Seconds to wait until the objects are gone, Jobs are complete, StatefulSets have the pods that they want, and Services of the type LoadBalancer have
        an address. V(0) does not wait.
      - A Job that fails ends the wait. One that has failed earlier, or that was made for another volume or program by its annotations
        C(interchain-security/volume) and C(interchain-security/program), is removed and made again. An annotation that is empty does not count.
    type: int
    default: 0
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Make a namespace that runs restricted pods only
  interchain.security.cluster_objects:
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: alice-consumer-0
          labels:
            pod-security.kubernetes.io/enforce: restricted
"""

RETURN = r"""
objects:
  description:
    - The objects that are there afterwards, without the values of Secrets and the server's own fields. After a wait they have their C(status) and
      C(metadata.uid).
  type: list
  elements: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import cluster_objects as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
