# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image and settings a consumer takes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.catalogue import (
    BaseGenesis,
    Entry,
    RemoteSigner,
    find,
)

OWNER = "cosmos1wsyhyljzxq2qx4xls6hevhm2u04gux4nptfnu3"
HASH = "ab" * 32
KEY = base64.b64encode(bytes(32)).decode()
SIGNER: dict[str, Any] = {"public_key": KEY, "from": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]}


def entry(*catalogue: Any, **changes: str) -> Entry:
    facts = {"consumer_id": "3", "owner": OWNER, "binary_hash": HASH, **changes}
    return find(list(catalogue), **facts)


def test_without_a_catalogue_it_is_the_demo_chain() -> None:
    assert entry() == Entry()
    assert entry().binary == "interchain-security-cd"
    assert entry().base_genesis == BaseGenesis("", "", None)


@pytest.mark.parametrize(
    "match", [{"consumer_id": 3}, {"consumer_id": "3"}, {"binary_hash": HASH.upper()}, {"owner": OWNER}]
)
def test_a_consumer_is_matched(match: dict[str, Any]) -> None:
    wanted = {**match, "image": "registry.example/neutron:v5", "binary": "/bin/neutrond", "address_prefix": "neutron"}
    found = entry(wanted)
    assert (found.image, found.binary, found.address_prefix) == (
        "registry.example/neutron:v5",
        "/bin/neutrond",
        "neutron",
    )
    other = entry(wanted, consumer_id="4", binary_hash="", owner="cosmos1" + "q" * 38)
    assert other == Entry()


def test_the_closest_match_wins_over_the_changed_default() -> None:
    catalogue = [
        {"owner": OWNER, "binary": "of-owner"},
        {"consumer_id": "3", "binary": "of-id", "config": {"mempool": {"size": 5}}},
        {"binary_hash": HASH, "binary": "of-hash"},
        {"denom": "utoken", "config": {"mempool": {"size": 1, "recheck": False}}},
    ]
    found = entry(*catalogue)
    assert found.binary == "of-id"
    assert found.denom == "utoken"
    assert found.config == {"mempool": {"size": 5, "recheck": False}}
    assert entry(*catalogue, consumer_id="9").binary == "of-hash"
    assert entry(*catalogue, consumer_id="9", binary_hash="").binary == "of-owner"
    assert entry(*catalogue, consumer_id="9", binary_hash="", owner="").binary == "interchain-security-cd"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"init": True}, BaseGenesis()),
        ({"url": "https://example.org/genesis.json"}, BaseGenesis(url="https://example.org/genesis.json")),
        ({"file": "/etc/genesis.json"}, BaseGenesis(file="/etc/genesis.json")),
        ({"config_map": {"namespace": "a", "name": "b"}}, BaseGenesis(config_map=("a", "b", "genesis.json"))),
        ({"config_map": {"namespace": "a", "name": "b", "key": "g"}}, BaseGenesis(config_map=("a", "b", "g"))),
    ],
)
def test_sources_of_the_base_genesis(given: dict[str, Any], wanted: BaseGenesis) -> None:
    assert entry({"base_genesis": given}).base_genesis == wanted


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ("x", r"catalogue\[0\] must be a dictionary"),
        ({"imgae": "x"}, r"catalogue\[0\] has an unknown key 'imgae'; known are consumer_id"),
        ({"chain_id": "demo-1"}, "unknown key 'chain_id'"),
        ({"consumer_id": "x"}, r"catalogue\[0\].consumer_id cannot be 'x'"),
        ({"consumer_id": "1", "owner": OWNER}, "give one of"),
        ({"binary_hash": "abc"}, "binary_hash cannot be"),
        ({"image": "a b"}, r"catalogue\[0\].image must be"),
        ({"image": 5}, "image must be"),
        ({"binary": "$(id)"}, "binary must be"),
        ({"address_prefix": "Neutron"}, "address_prefix must be"),
        ({"denom": "x"}, "denom must be"),
        ({"relayer_amount": 0}, "relayer_amount must be"),
        ({"relayer_amount": True}, "relayer_amount must be"),
        ({"genesis_profile": "x"}, "genesis_profile must be one of relayers, ics-operator"),
        ({"resources": []}, "resources must be a dictionary"),
        ({"base_genesis": {}}, "exactly one of"),
        ({"base_genesis": {"init": True, "file": "x"}}, "exactly one of"),
        ({"base_genesis": {"init": False}}, "init can only be true"),
        ({"base_genesis": {"url": "ftp://x"}}, "url must begin with"),
        ({"base_genesis": {"url": "http://[x"}}, "url must begin with"),
        ({"base_genesis": {"config_map": {"name": "x"}}}, "needs namespace and name"),
        ({"base_genesis": {"config_map": {"name": "x", "namespace": "A"}}}, "config_map.namespace must be"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(item: Any, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        entry(item)


def test_a_remote_signer_is_that_of_one_consumer() -> None:
    assert entry().remote_signer == RemoteSigner()
    catalogue = [{"consumer_id": "3", "remote_signer": SIGNER}, {"denom": "utoken"}]
    assert entry(*catalogue).remote_signer == RemoteSigner(KEY, tuple(SIGNER["from"]), "ClusterIP")
    assert entry(*catalogue, consumer_id="4").remote_signer == RemoteSigner()
    shown = {**SIGNER, "public_key": f"PubKeyEd25519{{{'0' * 64}}}", "service_type": "LoadBalancer"}
    found = entry({"consumer_id": "3", "remote_signer": shown}).remote_signer
    assert (found.public_key, found.service_type) == (KEY, "LoadBalancer")
    for match in ({}, {"owner": OWNER}, {"binary_hash": HASH}):
        with pytest.raises(InvalidInput, match=r"catalogue\[0\].remote_signer is for one consumer"):
            entry({**match, "remote_signer": SIGNER})
    with pytest.raises(InvalidInput, match=r"catalogue\[1\].remote_signer.public_key is that of catalogue\[0\] too"):
        entry({"consumer_id": "3", "remote_signer": SIGNER}, {"consumer_id": "4", "remote_signer": shown})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"from": []}, "from must list who may connect to the node as its signer"),
        ({"from": None}, "from must list"),
        ({"from": "192.0.2.7/32"}, "from must list"),
        ({"from": [{}]}, "a peer of a network policy has ipBlock"),
        ({"from": ["192.0.2.7"]}, "from must be a dictionary"),
        ({"from": [{"cidr": "192.0.2.7/32"}]}, "a peer of a network policy has ipBlock"),
        ({"from": [{"ipBlock": "192.0.2.7/32"}]}, "from.ipBlock must be a dictionary"),
        ({"public_key": ""}, "public_key is not an ed25519 public key"),
        ({"service_type": "ExternalName"}, "service_type must be one of ClusterIP, NodePort, LoadBalancer"),
        ({"port": 26659}, "needs public_key and from"),
    ],
)
def test_a_remote_signer_that_cannot_be(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=rf"catalogue\[0\].remote_signer\.?.*{complaint}"):
        entry({"consumer_id": "3", "remote_signer": {**SIGNER, **changes}})
    with pytest.raises(InvalidInput, match="from must list"):
        entry({"consumer_id": "3", "remote_signer": {"public_key": KEY}})


def test_an_entry_of_another_consumer_is_checked_too() -> None:
    with pytest.raises(InvalidInput, match=r"catalogue\[1\]"):
        entry({"consumer_id": "3"}, {"consumer_id": "8", "image": ""})


def test_two_entries_for_the_same_are_refused() -> None:
    with pytest.raises(InvalidInput, match="a second entry for consumer_id 3"):
        entry({"consumer_id": "3"}, {"consumer_id": 3})
    with pytest.raises(InvalidInput, match="a second entry for all consumers"):
        entry({}, {})
