#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_receipt
short_description: Write down how the playbook of an event ended
version_added: 0.1.0
description:
  - Writes a receipt into the state document C(consumer-<consumer_id>); everything else in the document stays.
  - The event source C(interchain.security.ccv) puts an event again until a receipt with its uuid says V(done).
  - Without O(consumer_id) it is the receipt of a C(check_due) or C(endpoint_changed), in the document C(check) or C(endpoints). The event source
    sends no second one before; after a V(failed) C(endpoint_changed) it sends one again.
  - A receipt with V(failed) of a consumer makes it put the event again after a pause that grows with each attempt.
extends_documentation_fragment:
  - interchain.security.state
attributes:
  diff_mode:
    description: Returns details of what has changed or would change.
    support: full
options:
  consumer_id:
    description: The consumer of the event; none for C(check_due) and C(endpoint_changed).
    type: str
  subject:
    description: The event without O(consumer_id), V(check) for C(check_due) and V(endpoints) for C(endpoint_changed).
    type: str
    choices: [check, endpoints]
    default: check
  event_uuid:
    description: The C(meta.uuid) of the event. Empty for a run by hand, which leaves that of the last event as it is.
    type: str
    default: ""
  attempt:
    description: The C(attempt) of the event.
    type: int
    default: 1
  outcome:
    description: How the playbook ended.
    type: str
    choices: [done, failed]
    required: true
  reason:
    description: Why. It is made one line of at most 500 characters.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Tell the event source that its event was dealt with
  interchain.security.event_receipt:
    state_namespace: alice-monitor
    consumer_id: "0"
    event_uuid: 6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c10
    outcome: done

- name: Tell it that the playbook failed
  interchain.security.event_receipt:
    state_directory: /var/lib/interchain
    consumer_id: "0"
    event_uuid: 6d0b7c2f-4f0e-5d0a-9d53-7b8a1a5f3c10
    attempt: 2
    outcome: failed
    reason: the cluster does not answer
"""

RETURN = r"""
receipt:
  description: The receipt as it is stored.
  type: dict
  returned: success
  contains:
    event_uuid:
      description: The event; empty for a run by hand.
      type: str
    event_outcome:
      description: V(done) or V(failed).
      type: str
    event_attempt:
      description: The attempt, digits.
      type: str
    event_at:
      description: When it was written, RFC 3339.
      type: str
    event_reason:
      description: Why.
      type: str
"""

from ansible_collections.interchain.security.plugins.module_utils.operations import event_receipt as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
