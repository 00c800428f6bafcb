# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read how the playbooks of a consumer's last event ended."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX
from ansible_collections.interchain.security.plugins.module_utils.ics import receipt
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.operations import state
from ansible_collections.interchain.security.plugins.module_utils.operations.event_receipt import checked_uuid

ARGUMENT_SPEC: dict[str, Any] = {
    **state.STATE_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "event_uuid": {"type": "str", "default": ""},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the receipt as a list of at most one; with event_uuid only that event's."""
    name = CONSUMER_PREFIX + checked_consumer_id(params["consumer_id"])
    wanted = checked_uuid(params["event_uuid"])
    with closing(state.opened(params)) as store:
        document = store.read(name)
    found = receipt.parse(document.data) if document else None
    if found is None or (wanted and found.event_uuid != wanted):
        return {"changed": False, "receipts": []}
    return {"changed": False, "receipts": [found.data()]}
