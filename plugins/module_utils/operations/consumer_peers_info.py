# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which peers a node of a launched consumer should dial."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics import announcement
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import launch_of

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "operator_address": {"type": "str"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return ``node id@host:port`` of each initial validator but the own one, with a reason for each left out.

    Members come from the launch height, their announcements from the newest one.
    """
    client = connection.provider_client(params)
    launch = launch_of(client, checked_consumer_id(params["consumer_id"]))
    port = ports_of(launch.consumer.chain_id).p2p
    newest = {validator.operator_address: validator.details for validator in client.validators()}
    peers, skipped = [], []
    for member in sorted(launch.validators, key=lambda entry: entry.operator_address):
        if member.operator_address == params["operator_address"]:
            continue
        announced = announcement.parse(newest.get(member.operator_address, member.details))
        missing = [name for name, value in (("p2p", announced.p2p), ("node", announced.node)) if not value]
        if missing:
            reason = f"its details announce no usable {' and no usable '.join(f'{name}=' for name in missing)}"
            skipped.append({"operator_address": member.operator_address, "reason": reason})
            continue
        host = f"[{announced.p2p}]" if ":" in announced.p2p else announced.p2p
        peers.append(f"{announced.node}@{host}:{port}")
    return {
        "changed": False,
        "consumer_id": params["consumer_id"],
        "peers": peers,
        "skipped": skipped,
    }
