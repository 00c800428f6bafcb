# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration of Hermes for one consumer: its two chains in, the content of config.toml out.

Chain ids are strangers' text. They are values of a data structure that a TOML library writes, and nothing else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import CONSUMER_PORT, PROVIDER_PORT
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import DENOM

KEY_NAME = "relayer"
GRPC_PORT = 9090
REST_PORT, TELEMETRY_PORT = 3000, 3001
POLL = "1s"  # how often the chains are asked for new blocks
# How often overlooked packets are looked for; well below the blocks after which the monitor calls a packet stuck, and starts Hermes anew.
CLEAR_BLOCKS = 20
CHAIN_ID = re.compile(
    r"[A-Za-z0-9._-]{1,50}"
)  # tendermint-rs, chain/id.rs: Hermes does not start with another one in its configuration
TRANSFER_PORT = "transfer"  # a consumer sends its rewards through a channel of that port, which it begins itself


@dataclass(frozen=True)
class Endpoint:
    """Where one chain is asked: RPC and gRPC, http or https."""

    rpc: str
    grpc: str


@dataclass(frozen=True)
class Chain:
    """One of the two chains; ``gas_price`` is an amount of ``gas_denom`` for one unit of gas."""

    chain_id: str
    endpoint: Endpoint
    address_prefix: str
    gas_price: Decimal
    gas_denom: str
    port: str
    is_consumer: bool


def refusal(chain_id: str, provider_chain_id: str) -> str:
    """Return why Hermes cannot relay for a consumer of that chain_id, empty when it can. Keys lie in a folder of the chain's name."""
    if not CHAIN_ID.fullmatch(chain_id) or chain_id in (".", ".."):
        return "Hermes takes no chain_id with other characters than letters, digits, dot, hyphen and underscore"
    if chain_id == provider_chain_id:
        return "the consumer has the chain_id of the provider, and Hermes cannot tell them apart"
    return ""


def endpoint(rpc: str, grpc: str = "") -> Endpoint:
    """Return the endpoint of an RPC address; without a gRPC address it is port 9090 of the same host. InvalidInput when one cannot be used."""
    rpc_parts = _address("RPC", rpc)
    if not grpc:
        host = rpc_parts.hostname or ""
        grpc = f"{rpc_parts.scheme}://{f'[{host}]' if ':' in host else host}:{GRPC_PORT}"
    _address("gRPC", grpc)
    return Endpoint(rpc.rstrip("/"), grpc.rstrip("/"))


def _address(kind: str, text: str) -> Any:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(f"not a {kind} address: {text[:80]!r}; expected e.g. https://provider.example:443")
    return parts


def gas_price(text: str) -> tuple[Decimal, str]:
    """Read a price such as ``0.01stake``; InvalidInput when it is none."""
    digits = len(text) - len(text.lstrip("0123456789."))
    try:
        amount = Decimal(text[:digits])
    except InvalidOperation as error:
        raise InvalidInput(f"not a gas price such as 0.01stake: {text[:60]!r}") from error
    if not DENOM.fullmatch(text[digits:]):
        raise InvalidInput(f"not a gas price such as 0.01stake: {text[:60]!r}")
    return amount, text[digits:]


def config(provider: Chain, consumer: Chain) -> dict[str, Any]:
    """Return the content of config.toml."""
    return {
        "global": {"log_level": "info"},
        "mode": {
            # ibc-go 10 leaves the header out of its events: the search for misbehaviour gives up, and Hermes 1.10 ends the refreshing of that client with it.
            "clients": {"enabled": True, "refresh": True, "misbehaviour": False},
            "connections": {"enabled": True},
            "channels": {"enabled": True},
            "packets": {
                "enabled": True,
                "clear_interval": CLEAR_BLOCKS,
                "clear_on_start": True,
                "tx_confirmation": False,
            },
        },
        "rest": {"enabled": True, "host": "0.0.0.0", "port": REST_PORT},
        "telemetry": {"enabled": True, "host": "0.0.0.0", "port": TELEMETRY_PORT},
        "chains": [_chain(chain) for chain in (provider, consumer)],
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "id": chain.chain_id,
        "type": "CosmosSdk",
        "rpc_addr": chain.endpoint.rpc,
        "grpc_addr": chain.endpoint.grpc,
        "event_source": {"mode": "pull", "interval": POLL},
        "rpc_timeout": "10s",
        "trusted_node": False,
        "account_prefix": chain.address_prefix,
        "key_name": KEY_NAME,
        "key_store_type": "Test",
        "store_prefix": "ibc",
        "default_gas": 200_000,
        "max_gas": 10_000_000,
        "gas_price": {"price": float(chain.gas_price), "denom": chain.gas_denom},
        "gas_multiplier": 1.5,
        "max_msg_num": 30,
        "clock_drift": "10s",
        "max_block_time": "30s",
        "trust_threshold": {"numerator": "1", "denominator": "3"},
        "ccv_consumer_chain": chain.is_consumer,
        "address_type": {"derivation": "cosmos"},
        # Other channels between the two chains are not this validator's business to pay for.
        "packet_filter": {"policy": "allow", "list": [[chain.port, "*"], [TRANSFER_PORT, "*"]]},
    }


def provider_of(chain_id: str, where: Endpoint, address_prefix: str, price: str) -> Chain:
    """Return the provider's side."""
    return Chain(chain_id, where, address_prefix, *gas_price(price), PROVIDER_PORT, is_consumer=False)


def consumer_of(chain_id: str, where: Endpoint, address_prefix: str, price: str) -> Chain:
    """Return the consumer's side."""
    return Chain(chain_id, where, address_prefix, *gas_price(price), CONSUMER_PORT, is_consumer=True)


def egress_to(where: Endpoint) -> list[dict[str, Any]]:
    """Return the rules of a network policy that let a pod reach an endpoint, as narrow as its form allows.

    A Service's name is its namespace, an address that address and port. A policy cannot name a host outside: then only the ports are bound.
    """
    rules: list[dict[str, Any]] = []
    for text in (where.rpc, where.grpc):
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        ports = [{"port": port, "protocol": "TCP"}]
        rule: dict[str, Any]
        if namespace := _service_namespace(host):
            # The port of a Service may lead to another one of its pods, and the policy sees that one.
            rule = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]}
        else:
            rule = {"to": [{"ipBlock": _block(host)}], "ports": ports}
        if rule not in rules:
            rules.append(rule)
    return rules


def _service_namespace(host: str) -> str:
    labels = host.rstrip(".").split(".")
    return labels[1] if len(labels) >= 3 and labels[2] == "svc" else ""


def _block(host: str) -> Mapping[str, Any]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}
    return {"cidr": f"{address}/{address.max_prefixlen}"}
