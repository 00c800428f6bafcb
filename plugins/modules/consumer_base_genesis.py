#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: consumer_base_genesis
short_description: Keep the base genesis of a consumer chain in its namespace
version_added: 0.1.0
description:
  - Keeps the base genesis in the ConfigMap C(base-genesis), compressed and in several ConfigMaps when it is too large for one.
  - Until the chain has its genesis, one that is kept is replaced when its SHA-256 is not O(genesis_hash), or, without one, when it was made from another
    source, image or binary. A file and a ConfigMap are read again each time; an address is not.
  - Once the chain has its genesis, nothing is changed.
extends_documentation_fragment:
  - interchain.security.cluster
attributes:
  check_mode:
    description: Reads the source, and writes nothing.
    support: full
  diff_mode:
    description: Returns the ConfigMaps that are made or replaced.
    support: full
options:
  namespace:
    description: Namespace of the consumer's node.
    type: str
    required: true
  source:
    description: Where the base genesis comes from. Exactly one of its options is given.
    type: dict
    default: {init: true}
    suboptions:
      init:
        description: From the log of the job C(stage) in the same namespace, which ran C(init) of the chain's binary.
        type: bool
      url:
        description: From this address.
        type: str
      file:
        description: From this file on the machine of the playbook.
        type: path
      config_map:
        description: From a ConfigMap.
        type: dict
        suboptions:
          namespace:
            description: Its namespace.
            type: str
            required: true
          name:
            description: Its name.
            type: str
            required: true
          key:
            description: The key in it.
            type: str
            default: genesis.json
  image:
    description: The image whose C(init) the job ran.
    type: str
    default: ''
  binary:
    description: The command that ran it.
    type: str
    default: ''
  genesis_hash:
    description:
      - The genesis_hash that the consumer's owner states on chain, in hex. When there is one, it must be the SHA-256 of the base genesis.
    type: str
    default: ''
  labels:
    description: Labels of the ConfigMaps.
    type: dict
    default: {}
requirements:
  - httpx
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""

EXAMPLES = r"""
- name: Keep the base genesis that the owner published
  interchain.security.consumer_base_genesis:
    namespace: alice-consumer-0
    source:
      url: https://example.org/demo-1/genesis.json
    genesis_hash: "{{ consumer.genesis_hash }}"
"""

RETURN = r"""
source:
  description: Where it comes from, in words.
  type: str
  returned: success
sha256:
  description:
    - SHA-256 of the base genesis, in hex. Empty in check mode when the job that makes it has not run yet, and when the chain has its genesis and no base
      genesis is kept any more.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_base_genesis as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
