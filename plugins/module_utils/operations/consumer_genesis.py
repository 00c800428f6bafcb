# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the genesis of a launched consumer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import launch_of

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "base_genesis": {"type": "str"},
    "base_genesis_file": {"type": "path"},
    "address_prefix": {"type": "str", "default": "consumer"},
    "denom": {"type": "str", "default": "stake"},
    "relayer_amount": {"type": "str", "default": "100000000"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the genesis as canonical text with its content hash."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    base = _base(params)
    if not re.fullmatch(r"[a-z]{1,20}", params["address_prefix"]):
        raise InvalidInput("address_prefix must be 1 to 20 lower-case letters, e.g. consumer")
    if not re.fullmatch(r"[0-9]{1,31}", params["relayer_amount"]):
        raise InvalidInput("relayer_amount must be a whole number of the denom, as text")
    default = genesis.Funding(int(params["relayer_amount"]), params["denom"])
    launch = launch_of(connection.provider_client(params), consumer_id)
    consumer = launch.consumer
    if consumer.spawn_time is None:
        raise QueryFailed(f"consumer {consumer_id} is launched but the provider names no spawn_time")
    built = genesis.merge(
        base,
        launch.ccv_genesis,
        chain_id=consumer.chain_id,
        spawn_time=consumer.spawn_time,
        initial_height=max(1, consumer.initial_height[1]),
        accounts=genesis.relayer_accounts(launch.validators, params["address_prefix"]),
        funding=genesis.funding_of(consumer.metadata, default),
    )
    return {
        "changed": False,
        "consumer_id": consumer_id,
        "chain_id": consumer.chain_id,
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


def _base(params: dict[str, Any]) -> dict[str, Any]:
    if bool(params["base_genesis"]) == bool(params["base_genesis_file"]):
        raise InvalidInput("give exactly one of base_genesis and base_genesis_file")
    text = params["base_genesis"]
    try:
        if text is None:
            text = Path(params["base_genesis_file"]).read_text(encoding="utf-8")
        base = json.loads(text)
    except OSError as error:
        raise InvalidInput(
            f"base_genesis_file {params['base_genesis_file']} cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise InvalidInput(f"the base genesis is not JSON: {error}") from error
    if not isinstance(base, dict):
        raise InvalidInput("the base genesis is not a JSON object")
    return base
