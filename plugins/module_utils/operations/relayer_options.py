# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that all modules about a consumer's relayer share, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_account import Question
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.hermes_config import gas_price
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_validator_name
from ansible_collections.interchain.security.plugins.module_utils.operations import connection

RELAYER_OPTIONS: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "validator": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "provider_gas_price": {"type": "str", "default": "0.01stake"},
    "least_balance": {"type": "int", "default": 100_000},
    "kubeconfig": {"type": "path"},
}


def question(params: Mapping[str, Any], consumer: Consumer) -> Question:
    """Return whose relayer of a consumer is looked at; InvalidInput for an option that cannot be used."""
    validator = checked_validator_name(params["validator"])
    if params["least_balance"] < 0:
        raise InvalidInput("least_balance must be an amount of at least 0")
    return Question(
        consumer=consumer,
        validator=validator,
        operator_address=params["operator_address"],
        monitor_namespace=params["monitor_namespace"] or f"{validator}-monitor",
        provider_denom=gas_price(params["provider_gas_price"])[1],
        least=params["least_balance"],
    )
