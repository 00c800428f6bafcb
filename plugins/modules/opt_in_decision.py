#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: opt_in_decision
short_description: Decide whether a validator takes part in a consumer chain, and why
version_added: 0.1.0
description:
  - Evaluates the validator's policy with what the provider chain and the monitor's memory say, and returns the decision with every reason.
  - The decision is written into the state store, where one is given; nothing else is changed. RV(action) says what is to be done on the chain.
  - Use it in check mode to look only.
  - An opt-in that was decided stays decided. What breaks the policy afterwards is told by RV(alarm_reasons).
extends_documentation_fragment:
  - interchain.security.provider
  - interchain.security.state
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  operator_address:
    description: Operator address of the validator.
    type: str
    required: true
  policy:
    description:
      - The validator's policy. An option that is not given sets no limit, unless it says otherwise.
      - V(mode) is V(selected) (the default; the rule of M(interchain.security.validator_selection_info) must name the validator), V(all) or
        V(none).
      - V(deny) and V(allow) name consumers by lists V(consumer_id), V(owner) and V(chain_id) (exact). A denied one is refused; when V(allow)
        names any, all others are refused.
      - V(max_double_sign_slash_fraction), V(max_downtime_slash_fraction) (0 to 1), V(max_double_sign_jail) and V(max_downtime_jail) (seconds)
        bound what an infraction may cost. The default is what it costs on the provider.
      - V(max_consumers) bounds the nodes that run at once, V(max_storage) (such as V(100Gi)) their volumes.
      - V(fee_budget) (such as V(500000stake)) bounds the fees of a day.
      - V(on_violation) is V(alarm) (the default) or V(opt_out), for a consumer that was accepted and breaks the policy later.
    type: dict
    default: {}
  height:
    description:
      - Provider height of the event that made one look; V(0) when there was none.
    type: int
    default: 0
  previous_phase:
    description:
      - Phase before that event. With V(none) the consumer was not known, and the selection rule is asked at the height of its creation.
    type: str
    choices: [none, registered, initialized, launched, stopped, deleted]
    default: none
  storage_size:
    description: Size of the volume of one node.
    type: str
    default: 10Gi
"""

EXAMPLES = r"""
- name: Decide about a consumer
  interchain.security.opt_in_decision:
    provider_rpc_url: http://127.0.0.1:26657
    consumer_id: "0"
    operator_address: cosmosvaloper1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu
    state_namespace: alice-monitor
    policy:
      deny:
        owner: [cosmos1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5z5tpwx]
      max_downtime_slash_fraction: "0.01"
      max_consumers: 5
  register: decided
"""

RETURN = r"""
consumer_id:
  description: The consumer.
  type: str
  returned: success
decision:
  description: V(opt_in) or V(stay_out).
  type: str
  returned: success
reasons:
  description: Every reason of the decision.
  type: list
  elements: str
  returned: success
height:
  description: Provider height that the decision rests on.
  type: int
  returned: success
action:
  description: What is to be done on the chain now, one of V(none), V(opt_in), V(assign_key) and V(opt_out).
  type: str
  returned: success
alarm_reasons:
  description: What a consumer that was accepted breaks of the policy; empty when it breaks nothing.
  type: list
  elements: str
  returned: success
is_opted_in:
  description: Whether the chain says that the validator is opted in, of itself or by the Top N.
  type: bool
  returned: success
is_in_top_n:
  description: Whether the validator has to validate the consumer.
  type: bool
  returned: success
launch_failed:
  description: Whether the consumer's last launch failed.
  type: bool
  returned: success
memory:
  description: The entries of the consumer's document in the state store that follow from the decision, all of them text.
  type: dict
  returned: success
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in_decision as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
