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
    peers,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import infraction_as_options
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
        **initialization_result(consumer),
        **power_shaping_result(consumer),
        "infraction_parameters": infraction_as_options(consumer.infraction),
        "ports": dataclasses.asdict(ports_of(consumer.chain_id)),
    }


def initialization_result(consumer: Consumer) -> dict[str, Any]:
    """Return what a consumer starts with; hashes in lower-case hex, periods in whole seconds."""
    parameters = consumer.initialization
    return {
        "initial_height": parameters.initial_height[1],
        "initial_revision_number": parameters.initial_height[0],
        "genesis_hash": parameters.genesis_hash.hex(),
        "binary_hash": parameters.binary_hash.hex(),
        "unbonding_period": int(parameters.unbonding_period),
        "ccv_timeout_period": int(parameters.ccv_timeout_period),
        "transfer_timeout_period": int(parameters.transfer_timeout_period),
        "consumer_redistribution_fraction": parameters.consumer_redistribution_fraction,
        "blocks_per_distribution_transmission": parameters.blocks_per_distribution_transmission,
        "historical_entries": parameters.historical_entries,
        "distribution_transmission_channel": parameters.distribution_transmission_channel,
        "connection_id": parameters.connection_id,
    }


def power_shaping_result(consumer: Consumer) -> dict[str, Any]:
    """Return who may validate a consumer; zero and empty mean no limit."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(consumer.power_shaping).items()
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
        "endpoint_fault": peers.fault(validator),
    }


def consensus_address(validator: Validator) -> str:
    """Return the provider consensus address of a validator (``...valcons1...``)."""
    prefix = address.decode(validator.operator_address)[0].removesuffix(address.OPERATOR_SUFFIX)
    return address.encode(f"{prefix}valcons", address.consensus_bytes(validator.consensus_public_key))
