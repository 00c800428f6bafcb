# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read validators from the provider chain."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    results,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "operator_address": {"type": "str"},
    "moniker": {"type": "str"},
    "height": {"type": "int", "default": 0},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the validators that match, in operator address order."""
    client = connection.provider_client(params)
    height = params["height"] or client.status().latest_height
    found = [
        results.validator_result(validator)
        for validator in sorted(client.validators(height), key=lambda entry: entry.operator_address)
        if params["operator_address"] in (None, validator.operator_address)
        and params["moniker"] in (None, validator.moniker)
    ]
    return {"changed": False, "validators": found, "height": height}
