# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the genesis of a launched consumer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import Launch, launch_of

GENESIS_OPTIONS: dict[str, Any] = {
    "genesis_profile": {"type": "str", "choices": list(genesis.PROFILES), "default": "relayers"},
    "address_prefix": {"type": "str", "default": "consumer"},
    "denom": {"type": "str", "default": "stake"},
    "relayer_amount": {"type": "str", "default": "100000000"},
}
ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **GENESIS_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "base_genesis": {"type": "str"},
    "base_genesis_file": {"type": "path"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the genesis as canonical text with its content hash."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    text, source = _base(params)
    settings = genesis.GenesisSettings.of(params)
    launch = launch_of(connection.provider_client(params), consumer_id)
    built = build(launch, text, source, settings)
    return {
        "changed": False,
        "consumer_id": consumer_id,
        "chain_id": launch.consumer.chain_id,
        "launch_height": launch.height,
        "genesis": built.text,
        "content_hash": built.content_hash,
        "validators": [
            {
                "operator_address": validator.operator_address,
                "consensus_public_key": validator.consumer_public_key,
                "power": validator.power,
            }
            for validator in launch.validators
        ],
    }


def build(launch: Launch, base: str, source: str, settings: genesis.GenesisSettings) -> genesis.ConsumerGenesis:
    """Build the genesis of a launched consumer from the text of its base genesis; ``source`` says where that is from."""
    consumer = launch.consumer
    if consumer.spawn_time is None:
        raise QueryFailed(f"consumer {consumer.consumer_id} is launched but the provider names no spawn_time")
    checked = genesis.checked_base(base, source, consumer.initialization.genesis_hash.hex())
    return genesis.merge(
        checked,
        launch.ccv_genesis,
        chain_id=consumer.chain_id,
        spawn_time=consumer.spawn_time,
        initial_height=max(1, consumer.initial_height[1]),
        accounts=genesis.accounts_of(settings.profile, launch.validators, settings.address_prefix, checked),
        # With the other monitor's profile its amount counts, whatever the metadata says.
        funding=genesis.Funding()
        if settings.profile == genesis.ICS_OPERATOR
        else genesis.funding_of(consumer.metadata, settings.funding),
    )


def _base(params: dict[str, Any]) -> tuple[str, str]:
    if bool(params["base_genesis"]) == bool(params["base_genesis_file"]):
        raise InvalidInput("give exactly one of base_genesis and base_genesis_file")
    if params["base_genesis"]:
        return params["base_genesis"], "base_genesis"
    try:
        path = params["base_genesis_file"]
        return Path(path).read_text(encoding="utf-8"), f"the file {path}"
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"base_genesis_file {params['base_genesis_file']} cannot be read: {error}") from error
