# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the provider chain itself: where it is, its epochs, parameters and throttle."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import decimal_text
from ansible_collections.interchain.security.plugins.module_utils.ics.events import rfc3339
from ansible_collections.interchain.security.plugins.module_utils.operations import connection

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "height": {"type": "int", "default": 0},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return what the provider says of itself, all of its state read at one height."""
    client = connection.provider_client(params)
    status = client.status()
    height = params["height"] or status.latest_height
    throttle = client.throttle_state(height)
    candidate = throttle.next_replenish_candidate
    return {
        "changed": False,
        "provider_chain_id": status.chain_id,
        "height": height,
        "earliest_height": int(client.rpc("status")["sync_info"]["earliest_block_height"]),
        "latest_height": status.latest_height,
        "latest_block_time": rfc3339(status.latest_block_time),
        "catching_up": status.catching_up,
        "parameters": _plain(client.parameters(height)),
        "slashing_parameters": _plain(client.slashing_parameters(height)),
        "blocks_until_next_epoch": client.blocks_until_next_epoch(height),
        "registered_reward_denoms": client.registered_reward_denoms(height),
        "throttle": {
            "slash_meter": throttle.slash_meter,
            "slash_meter_allowance": throttle.slash_meter_allowance,
            "next_replenish_candidate": None if candidate is None else rfc3339(candidate),
        },
    }


def _plain(values: Any) -> dict[str, Any]:
    """Return a dataclass as a result; exact numbers become text."""
    return {
        name: decimal_text(value) if isinstance(value, Decimal) else value
        for name, value in dataclasses.asdict(values).items()
    }
