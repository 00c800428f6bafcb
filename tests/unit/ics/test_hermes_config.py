# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of Hermes as data, and whom its pod may reach."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.hermes_config import (
    Endpoint,
    config,
    consumer_of,
    egress_to,
    endpoint,
    gas_price,
    provider_of,
    refusal,
)

HOSTILE = "{{ lookup('pipe','touch x') }}/../$(id)\n[chains]\"-1"


def made(chain_id: str = "demo-1") -> dict[str, Any]:
    provider = provider_of(
        "provider-1", endpoint("https://rpc.example", "https://grpc.example:443"), "cosmos", "0.025uatom"
    )
    consumer = consumer_of(chain_id, endpoint("http://node.alice-consumer-0.svc:26657"), "consumer", "0.01stake")
    return config(provider, consumer)


def test_both_chains_stand_in_it() -> None:
    provider, consumer = made()["chains"]
    assert (provider["rpc_addr"], provider["grpc_addr"]) == ("https://rpc.example", "https://grpc.example:443")
    assert (provider["ccv_consumer_chain"], consumer["ccv_consumer_chain"]) == (False, True)
    assert provider["gas_price"] == {"price": 0.025, "denom": "uatom"}
    assert consumer["grpc_addr"] == "http://node.alice-consumer-0.svc:9090"
    assert (provider["account_prefix"], consumer["account_prefix"]) == ("cosmos", "consumer")


def test_clients_are_refreshed_and_not_searched_for_misbehaviour() -> None:
    # Switched on, it ends the refreshing on chains whose events have no header.
    assert made()["mode"]["clients"] == {"enabled": True, "refresh": True, "misbehaviour": False}


def test_only_ccv_and_rewards_are_relayed() -> None:
    filters = [chain["packet_filter"] for chain in made()["chains"]]
    assert filters == [
        {"policy": "allow", "list": [["provider", "*"], ["transfer", "*"]]},
        {"policy": "allow", "list": [["consumer", "*"], ["transfer", "*"]]},
    ]


def test_a_strangers_chain_id_stays_one_value() -> None:
    read = tomllib.loads(tomli_w.dumps(made(HOSTILE)))
    assert read == made(HOSTILE)
    assert [chain["id"] for chain in read["chains"]] == ["provider-1", HOSTILE]


@pytest.mark.parametrize(
    ("rpc", "grpc"),
    [
        ("http://node.alice-provider.svc:26657", "http://node.alice-provider.svc:9090"),
        ("https://rpc.example", "https://rpc.example:9090"),
        ("http://[fd00::1]:26657", "http://[fd00::1]:9090"),
    ],
)
def test_the_grpc_address_is_that_of_the_rpc(rpc: str, grpc: str) -> None:
    assert endpoint(rpc) == Endpoint(rpc, grpc)


@pytest.mark.parametrize("text", ["", "node:26657", "tcp://node:26657", "http://", "http://node:99999"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="RPC address"):
        endpoint(text)


@pytest.mark.parametrize("text", ["", "stake", "0.01", "x0.01stake", "0..1stake", "0.01$"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="gas price"):
        gas_price(text)


def test_a_service_is_reached_by_its_namespace() -> None:
    rules = egress_to(endpoint("http://node.alice-provider.svc:26657"))
    assert rules == [
        {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "alice-provider"}}}]}
    ]


def test_an_address_is_reached_alone() -> None:
    rules = egress_to(endpoint("http://192.0.2.7:26657", "https://192.0.2.7"))
    assert [rule["to"] for rule in rules] == [[{"ipBlock": {"cidr": "192.0.2.7/32"}}]] * 2
    assert [rule["ports"][0]["port"] for rule in rules] == [26657, 443]


def test_a_host_outside_is_bound_to_its_ports() -> None:
    (rule,) = egress_to(endpoint("https://rpc.example", "https://grpc.example"))
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert rule["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]


@pytest.mark.parametrize("chain_id", [HOSTILE, "", "..", "a/b", "a" * 51, "ünicode-1", "provider-1"])
def test_a_chain_id_that_hermes_cannot_use_has_a_reason(chain_id: str) -> None:
    assert refusal(chain_id, "provider-1")


@pytest.mark.parametrize("chain_id", ["demo-1", "-x", "a.b_c", "a" * 50])
def test_other_chain_ids_have_none(chain_id: str) -> None:
    assert refusal(chain_id, "provider-1") == ""
