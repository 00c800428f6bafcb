# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that all modules share, and what is made of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator

PROVIDER_OPTIONS: dict[str, Any] = {
    "provider_rpc_url": {"type": "list", "elements": "str", "required": True},
    "provider_chain_id": {"type": "str"},
    "request_timeout": {"type": "float", "default": 10.0},
}
SIGNER_OPTIONS: dict[str, Any] = {
    "mnemonic": {"type": "str", "no_log": True},
    "mnemonic_file": {"type": "path"},
    "gas_prices": {"type": "str", "default": "0.01stake"},
    "tx_timeout": {"type": "float", "default": 60.0},
}


def provider_client(params: dict[str, Any]) -> ProviderClient:
    """Return a client of the provider chain that the options name."""
    if params["request_timeout"] <= 0:
        raise InvalidInput("request_timeout must be a positive number of seconds")
    return ProviderClient(
        params["provider_rpc_url"],
        params["provider_chain_id"],
        params["request_timeout"],
    )


def signer(params: dict[str, Any]) -> Signer:
    """Return the signing account that the options name."""
    if params["tx_timeout"] <= 0:
        raise InvalidInput("tx_timeout must be a positive number of seconds")
    mnemonic = account_key.read_mnemonic(params["mnemonic"], params["mnemonic_file"])
    return Signer(
        account_key.from_mnemonic(mnemonic),
        GasPrice.parse(params["gas_prices"]),
        params["tx_timeout"],
    )


def own_validator(client: ProviderClient, signing: Signer) -> Validator:
    """Return the validator that the signing account operates; InvalidInput when it is none."""
    operator = address.operator_of(signing.key.account_address)
    for validator in client.validators():
        if validator.operator_address == operator:
            return validator
    raise InvalidInput(f"{operator}, the operator of the given key, is no validator of the provider chain")
