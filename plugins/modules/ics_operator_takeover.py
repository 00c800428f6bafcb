#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ics_operator_takeover
short_description: Take keys over from the Go monitor and stop it
version_added: 0.1.0
description:
  - Takes over from an installation of the Go monitor, C(sourcenetwork/ics-operator), in the same cluster.
  - First copies the consensus keys that it has assigned into Secrets of the namespace of this monitor, and the mnemonic of the validator's account. Then scales
    its monitor to no pod, then the nodes and relayers of its consumers, and waits until all their pods are gone.
  - Does nothing at all when a key does not fit the one that is assigned on the provider chain, or when a chain would stand still. When a pod stays, it fails,
    and nothing may be started.
  - The Go monitor's nodes have no volume, so their sign state ends with their pods. Whatever is started with the keys has to watch the chain first, as
    this collection's monitor does. That they are gone is written down for it with each consumer, since their signatures are in the chain still.
  - Its Deployments, Secrets and the provider's node stay. Running it again changes nothing.
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.cluster
options:
  validator:
    description: Name of the validator here, which its namespaces begin with.
    type: str
    required: true
  operator_address:
    description: Operator address of the validator.
    type: str
    required: true
  monitor_namespace:
    description: Namespace of this monitor. The default is O(validator) followed by C(-monitor).
    type: str
  former_namespace:
    description: Namespace of the Go monitor's release.
    type: str
    default: provider
  former_validator:
    description: Name that the validator has there (C(validator.name) of the chart). The default is O(validator).
    type: str
  without_key:
    description:
      - Consumers whose assigned key nobody has any more. Their nodes follow the chain without signing, until the validator is assigned another key.
    type: list
    elements: str
    default: []
  leave_running:
    description:
      - Consumers whose former node and relayer go on. Their keys are not copied.
      - Needed for a launched chain on which the validator has a third or more of the votes. It stands still without the former node, and then nothing may sign
        with that key that does not know what was signed last.
      - Give the chain another key meanwhile, and take over again without the consumer in this list when the chain's set holds it.
    type: list
    elements: str
    default: []
  needs_account:
    description: Whether the mnemonic of the validator's account must be found, in a Secret of O(former_namespace) or in the Secret C(validator) here.
    type: bool
    default: true
  timeout:
    description: Seconds until the pods of a Deployment must be gone.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: Take over
  interchain.security.ics_operator_takeover:
    provider_rpc_url: http://127.0.0.1:26657
    validator: alice
    operator_address: cosmosvaloper1rhqk6kfe5gqpf4rye7a4h7gpwh3z7mee4cs9vv
"""

RETURN = r"""
consumers:
  description:
    - The consumers of the former monitor, with C(consumer_id), C(key) and C(reason).
    - C(key) is V(copy) (it goes over), V(held) (it is here already), V(own) (this monitor assigns one of its own), V(leave) (its node goes on),
      V(without) (nobody has it) or V(over) (the chain has stopped).
  type: list
  elements: dict
  returned: success
stopped:
  description: The Deployments that are scaled to no pod.
  type: list
  elements: str
  returned: success
  sample: [Deployment provider/monitor, Deployment demo-1/demo-1]
account_copied:
  description: Whether the mnemonic of the validator's account goes over into the Secret C(validator).
  type: bool
  returned: success
hd_path:
  description: How the account's key comes out of that mnemonic; empty when there is none.
  type: str
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import ics_operator_takeover as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
