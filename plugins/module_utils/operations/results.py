# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Domain values in the form in which modules return them."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics import (
    address,
    announcement,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.events import rfc3339
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator


def consumer_result(consumer: Consumer) -> dict[str, Any]:
    """Return a consumer as a module result."""
    return {
        "consumer_id": consumer.consumer_id,
        "chain_id": consumer.chain_id,
        "phase": consumer.phase.value,
        "owner_address": consumer.owner_address,
        "client_id": consumer.client_id,
        "name": consumer.name,
        "description": consumer.description,
        "metadata": consumer.metadata,
        "spawn_time": None if consumer.spawn_time is None else rfc3339(consumer.spawn_time),
        "initial_height": consumer.initial_height[1],
        "connection_id": consumer.connection_id,
        "unbonding_seconds": consumer.unbonding_seconds,
        "top_n": consumer.top_n,
        "ports": dataclasses.asdict(ports_of(consumer.chain_id)),
    }


def validator_result(validator: Validator) -> dict[str, Any]:
    """Return a validator as a module result."""
    return {
        "operator_address": validator.operator_address,
        "account_address": address.account_of(validator.operator_address),
        "consensus_address": consensus_address(validator),
        "moniker": validator.moniker,
        "tokens": str(validator.tokens),
        "jailed": validator.jailed,
        "status": validator.status.value,
        "details": validator.details,
        "endpoint": dataclasses.asdict(announcement.parse(validator.details)),
    }


def consensus_address(validator: Validator) -> str:
    """Return the provider consensus address of a validator (``...valcons1...``)."""
    prefix = address.decode(validator.operator_address)[0].removesuffix(address.OPERATOR_SUFFIX)
    return address.encode(f"{prefix}valcons", address.consensus_bytes(validator.consensus_public_key))
