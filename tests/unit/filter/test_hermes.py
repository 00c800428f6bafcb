# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that the role hermes and the relayer's key use."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.filter.hermes import (
    account_address,
    hermes_config,
    hermes_egress,
    mnemonic,
)

PROVIDER = {
    "chain_id": "provider-1",
    "rpc": "http://node.alice-provider.svc:26657",
    "grpc": "",
    "address_prefix": "cosmos",
    "gas_price": "0.01stake",
}
CONSUMER = {"rpc": "http://node.alice-consumer-0.svc:26657", "grpc": "", "gas_price": 0.00001}
SETTINGS = {"address_prefix": "consumer", "denom": "ustake", "relayer_amount": "1000"}
# The vector of BIP-39 for 32 bytes 7f.
WORDS = (
    "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner "
    "thank year wave sausage worth title"
)


def fee_denom(metadata: str) -> object:
    record = {"chain_id": "demo-1", "metadata": metadata}
    return hermes_config(record, PROVIDER, CONSUMER, SETTINGS)["chains"][1]["gas_price"]


def test_fees_are_paid_in_the_denom_that_the_genesis_gives() -> None:
    assert fee_denom("") == {"price": 0.00001, "denom": "ustake"}
    stated = json.dumps({"interchain_security": {"relayer_denom": "ugas"}})
    assert fee_denom(stated) == {"price": 0.00001, "denom": "ugas"}


def test_an_endpoint_that_cannot_be_used_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="hermes_config: not a RPC address"):
        hermes_config({"chain_id": "demo-1"}, {**PROVIDER, "rpc": "alice"}, CONSUMER, SETTINGS)
    with pytest.raises(AnsibleFilterError, match="hermes_egress: not a gRPC address"):
        hermes_egress("http://alice", "bob")


def test_words_are_those_of_the_standard_and_have_an_address() -> None:
    assert mnemonic("7f" * 32) == WORDS
    assert account_address(WORDS).startswith("cosmos1")
    assert account_address(WORDS, "consumer").startswith("consumer1")


def test_a_seed_or_mnemonic_that_is_none_is_never_quoted() -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        mnemonic("7f7f secret")
    assert "secret" not in str(refused.value)
    with pytest.raises(AnsibleFilterError) as refused:
        account_address("secret words")
    assert "secret words" not in str(refused.value)
