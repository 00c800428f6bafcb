# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis
from ansible_collections.interchain.security.plugins.module_utils.ics import hermes_config as rules

Made = TypeVar("Made")


def hermes_config(
    record: Mapping[str, Any], provider: Mapping[str, Any], consumer: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Content of Hermes' config.toml for a consumer, as it was returned by consumer_info."""

    def make() -> dict[str, Any]:
        default = genesis.Funding(int(settings["relayer_amount"]), str(settings["denom"]))
        funding = genesis.funding_of(str(record.get("metadata", "")), default)
        return rules.config(
            rules.provider_of(
                str(provider["chain_id"]),
                rules.endpoint(str(provider["rpc"]), str(provider.get("grpc") or "")),
                str(provider["address_prefix"]),
                str(provider["gas_price"]),
            ),
            rules.consumer_of(
                str(record["chain_id"]),
                rules.endpoint(str(consumer["rpc"]), str(consumer.get("grpc") or "")),
                str(settings["address_prefix"]),
                f"{Decimal(str(consumer['gas_price'])):f}{funding.denom}",
            ),
        )

    return _checked("hermes_config", make)


def hermes_egress(rpc: str, grpc: str = "") -> list[dict[str, Any]]:
    """Rules of a NetworkPolicy that let a pod reach the provider."""
    return _checked("hermes_egress", lambda: rules.egress_to(rules.endpoint(str(rpc), str(grpc or ""))))


def mnemonic(seed: str) -> str:
    """24 words of BIP-39 for a secret seed of 32 bytes, written as 64 hexadecimal digits."""
    try:
        return account_key.mnemonic_of(bytes.fromhex(seed))
    except (TypeError, ValueError, InvalidInput):
        # The cause may quote the seed: it is left out of the message on purpose.
        raise AnsibleFilterError("mnemonic needs a seed of 64 hexadecimal digits") from None


def account_address(words: str, prefix: str = account_key.PREFIX) -> str:
    """Account address of a mnemonic."""
    return _checked("account_address", lambda: account_key.from_mnemonic(str(words), str(prefix)).account_address)


def _checked(name: str, make: Callable[[], Made]) -> Made:
    if not account_key.HAS_COSMPY:
        raise AnsibleFilterError(f"{name} needs the Python package cosmpy")
    try:
        return make()
    except InvalidInput as error:
        raise AnsibleFilterError(f"{name}: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "hermes_config": hermes_config,
            "hermes_egress": hermes_egress,
            "mnemonic": mnemonic,
            "account_address": account_address,
        }
