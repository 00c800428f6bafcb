#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_receipt_info
short_description: Read how the playbook of a consumer's last event ended
version_added: 0.1.0
description:
  - Reads the receipt that M(interchain.security.event_receipt) wrote last for a consumer.
extends_documentation_fragment:
  - interchain.security.state
attributes:
  diff_mode:
    description: Changes nothing.
    support: none
options:
  consumer_id:
    description: The consumer.
    type: str
    required: true
  event_uuid:
    description: Return the receipt only when it is that event's.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Read the last receipt
  interchain.security.event_receipt_info:
    state_namespace: alice-monitor
    consumer_id: "0"
"""

RETURN = r"""
receipts:
  description: At most one receipt.
  type: list
  elements: dict
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

from ansible_collections.interchain.security.plugins.module_utils.operations import event_receipt_info as operation
from ansible_collections.interchain.security.plugins.module_utils.runner import run_module


def main() -> None:
    """Run the module."""
    run_module(operation)


if __name__ == "__main__":
    main()
