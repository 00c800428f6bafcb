# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which peers a node of a launched consumer should dial."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import peers_of
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import members_of

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "operator_address": {"type": "str"},
    "height": {"type": "int", "default": 0},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return ``node id@host:port`` of each validator of the consumer but the own one, with a reason for each left out."""
    consumer_id, height = checked_consumer_id(params["consumer_id"]), params["height"]
    if height < 0:
        raise InvalidInput("height must be a height of the provider chain, 0 for the newest one")
    client = connection.provider_client(params)
    consumer = client.consumer(consumer_id, height)
    members = members_of(client, consumer_id, client.validators(height), height)
    found = peers_of(members, consumer.chain_id, params["operator_address"])
    return {
        "changed": False,
        "consumer_id": consumer_id,
        "peers": list(found.addresses),
        "skipped": [{"operator_address": operator, "reason": reason} for operator, reason in found.skipped.items()],
    }
