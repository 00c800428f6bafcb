# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell which validators the selection rule names at a height."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.selection import select
from ansible_collections.interchain.security.plugins.module_utils.operations import connection

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "operator_address": {"type": "str"},
    "height": {"type": "int", "default": 0},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the selection at a height and, for one validator, whether and why it is in it."""
    client = connection.provider_client(params)
    height = params["height"] or client.status().latest_height
    selection = select(client.validators(height))
    result: dict[str, Any] = {
        "changed": False,
        "height": height,
        "total_tokens": str(selection.total_tokens),
        "threshold_tokens": str(selection.threshold_tokens),
        "selected": [
            {
                "operator_address": validator.operator_address,
                "moniker": validator.moniker,
                "tokens": str(validator.tokens),
                "rank": rank,
            }
            for rank, validator in enumerate(selection.selected, start=1)
        ],
    }
    operator = params["operator_address"]
    if operator is not None:
        result.update(is_selected=selection.includes(operator), reason=selection.reason(operator))
    return result
