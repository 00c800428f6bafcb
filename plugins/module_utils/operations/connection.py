# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that all modules share, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils import secret_file
from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import Coin, GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import Secret
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    InvalidInput,
    KeyStoreError,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.keyring import keyring

PROVIDER_OPTIONS: dict[str, Any] = {
    "provider_rpc_url": {"type": "list", "elements": "str", "required": True},
    "provider_chain_id": {"type": "str"},
    "request_timeout": {"type": "float", "default": 10.0},
}
DERIVATION_OPTIONS: dict[str, Any] = {
    "bip39_passphrase_file": {"type": "path", "no_log": False},
    "hd_path": {"type": "str"},
    "coin_type": {"type": "int", "default": account_key.COIN_TYPE},
    "account_prefix": {"type": "str", "default": account_key.PREFIX},
}
KEYRING_OPTIONS: dict[str, Any] = {
    "keyring_backend": {"type": "str", "choices": ["file", "test", "os", "kubernetes"], "default": "file"},
    "keyring_dir": {"type": "path"},
    "keyring_passphrase": {"type": "str", "no_log": True},
    "keyring_passphrase_file": {"type": "path", "no_log": False},
    "keyring_service": {"type": "str", "no_log": False, "default": keyring.SERVICE},
}
SIGNER_OPTIONS: dict[str, Any] = {
    "mnemonic": {"type": "str", "no_log": True},
    "mnemonic_file": {"type": "path"},
    "private_key": {"type": "str", "no_log": True},
    "private_key_file": {"type": "path"},
    "key_name": {"type": "str", "no_log": False},
    "account_secret": {"type": "str", "no_log": False},
    "account_namespace": {"type": "str"},
    "kubeconfig": {"type": "path"},
    **DERIVATION_OPTIONS,
    **KEYRING_OPTIONS,
    "gas_prices": {"type": "str", "default": "auto"},
    "gas_adjustment": {"type": "float", "default": 1.5},
    "max_fee": {"type": "str"},
    "fee_budget": {"type": "str"},
    "tx_timeout": {"type": "float", "default": 60.0},
    "retries": {"type": "int", "default": 5},
    "retry_delay": {"type": "float", "default": 1.0},
}
KEY_SOURCES = ("mnemonic", "mnemonic_file", "private_key", "private_key_file", "key_name", "account_secret")


def provider_client(params: dict[str, Any]) -> ProviderClient:
    """Return a client of the provider chain that the options name."""
    if params["request_timeout"] <= 0:
        raise InvalidInput("request_timeout must be a positive number of seconds")
    return ProviderClient(
        params["provider_rpc_url"],
        params["provider_chain_id"],
        params["request_timeout"],
    )


def current_provider_client(params: dict[str, Any]) -> ProviderClient:
    """Return a client that asks only nodes that keep up with the provider chain; ChainUnreachable when none does.

    For what commits a validator: a node that lags does not know of a newer key, or that somebody else was quicker.
    """
    client = provider_client(params)
    why_old = client.use_current().why_old(datetime.now(UTC))
    if why_old:
        raise ChainUnreachable(
            f"{client.url}: {why_old}; nothing was sent, since what it knows may be old: wait until it has caught up, "
            "or give another node in provider_rpc_url"
        )
    return client


def signer(params: dict[str, Any]) -> Signer:
    """Return the signing account that the options name; InvalidInput for an option that cannot be used."""
    for name, lowest in (("tx_timeout", 0.001), ("gas_adjustment", 1), ("retries", 0), ("retry_delay", 0)):
        if params[name] < lowest:
            raise InvalidInput(f"{name} must be at least {lowest:g}")
    return Signer(
        _signing_key(params),
        None if params["gas_prices"] == "auto" else GasPrice.parse(params["gas_prices"]),
        params["tx_timeout"],
        Decimal(str(params["gas_adjustment"])),
        None if params["max_fee"] is None else Coin.parse("max_fee", params["max_fee"]),
        None if params["fee_budget"] is None else Coin.parse("fee_budget", params["fee_budget"]),
        params["retries"],
        params["retry_delay"],
    )


def derived_key(params: dict[str, Any], mnemonic: str) -> AccountKey:
    """Return the key of a mnemonic that hd_path or coin_type, account_prefix and bip39_passphrase_file choose."""
    passphrase = secret_file.one_of(params, "bip39_passphrase") or ""
    path = params["hd_path"] or account_key.hd_path(
        params["coin_type"], params.get("account") or 0, params.get("address_index") or 0
    )
    return account_key.from_mnemonic(mnemonic, params["account_prefix"], path, passphrase)


def open_keyring(params: dict[str, Any]) -> keyring.Keyring:
    """Return the keyring of the Cosmos SDK that the options name."""
    return keyring.open_keyring(
        params["keyring_backend"],
        params["keyring_dir"],
        secret_file.one_of(params, "keyring_passphrase"),
        params["keyring_service"],
    )


def account_of_secret(params: dict[str, Any], namespace: str, name: str) -> AccountKey:
    """Return the key of a Secret: its entry ``mnemonic`` or ``private_key`` (64 hexadecimal digits)."""
    entries = Secret(namespace, name, params["kubeconfig"]).read()
    if entries is None:
        raise KeyStoreError(f"there is no Secret {namespace}/{name} with the key of an account")
    return key_of_entries(params, entries, f"Secret {namespace}/{name}")


def key_of_entries(params: dict[str, Any], entries: Mapping[str, bytes], place: str) -> AccountKey:
    """Return the key in the entries of a Secret; KeyStoreError when there is none."""
    try:
        if "private_key" in entries:
            return account_key.from_hex(entries["private_key"].decode(), params["account_prefix"])
        if "mnemonic" in entries:
            return derived_key(params, entries["mnemonic"].decode())
    except UnicodeDecodeError:
        raise KeyStoreError(f"{place} holds no text") from None
    raise KeyStoreError(f"{place} has neither an entry mnemonic nor private_key")


def _signing_key(params: dict[str, Any]) -> AccountKey:
    given = [name for name in KEY_SOURCES if params[name]]
    if len(given) != 1:
        raise InvalidInput(
            f"give exactly one of {', '.join(KEY_SOURCES[:-1])} and {KEY_SOURCES[-1]}: the key that signs the transaction"
        )
    prefix = params["account_prefix"]
    if mnemonic := secret_file.one_of(params, "mnemonic"):
        return derived_key(params, mnemonic)
    if private_key := secret_file.one_of(params, "private_key"):
        return account_key.from_hex(private_key, prefix)
    if params["account_secret"] or params["keyring_backend"] == "kubernetes":
        if not params["account_namespace"]:
            raise InvalidInput("account_namespace is needed: the namespace of the Secret with the key of the account")
        return account_of_secret(params, params["account_namespace"], params["account_secret"] or params["key_name"])
    record = open_keyring(params).get(params["key_name"])
    if record is None:
        raise KeyStoreError(f"the keyring {params['keyring_backend']} has no key {params['key_name']!r}")
    return record.key(prefix)


def own_validator(client: ProviderClient, signing: Signer) -> Validator:
    """Return the validator that the signing account operates; InvalidInput when it is none."""
    operator = address.operator_of(signing.key.account_address)
    for validator in client.validators():
        if validator.operator_address == operator:
            return validator
    raise InvalidInput(f"{operator}, the operator of the given key, is no validator of the provider chain")
