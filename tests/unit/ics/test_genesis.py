# SPDX-License-Identifier: GPL-3.0-or-later
"""Building a consumer's genesis."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import address, genesis
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import ConsumerValidator
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import (
    ICS_OPERATOR_ACCOUNT,
    ICS_OPERATOR_MNEMONIC,
    LARGEST_PLAIN,
    MOST_PARTS,
    PART_SIZE,
    ConsumerGenesis,
    Funding,
    accounts_of,
    checked_base,
    funding_of,
    joined,
    merge,
    parts,
    relayer_accounts,
)

ROOT = Path(__file__).parents[3]
CCV = json.loads((Path(__file__).parents[1] / "fixtures/provider/ccv_genesis_consumer_0.json").read_text())
BASE_OF_BINARY = (Path(__file__).parents[1] / "fixtures/consumer/base_genesis.json").read_text()
ALICE = "cosmosvaloper1wsyhyljzxq2qx4xls6hevhm2u04gux4nylaxsz"
BOB = "cosmosvaloper13cax2wqhq9g4xdqvcrc2x5aygr4fuzvv0x7pfu"
ALICE_ON_CONSUMER = "consumer1wsyhyljzxq2qx4xls6hevhm2u04gux4n"
SPAWN = datetime(2026, 11, 23, 6, 45, 34, 968712, tzinfo=UTC)


def base() -> dict[str, Any]:
    return {
        "app_name": "x",
        "genesis_time": "2001-01-01T00:00:00Z",
        "chain_id": "base",
        "initial_height": 1,
        "app_state": {
            "auth": {"params": {}, "accounts": []},
            "bank": {"balances": [], "supply": []},
            "ccvconsumer": {"params": {}},
        },
    }


def built(**changes: Any) -> ConsumerGenesis:
    members = [ConsumerValidator(BOB, "b", 400, ""), ConsumerValidator(ALICE, "a", 600, "")]
    arguments: dict[str, Any] = {
        "chain_id": "consumer-1",
        "spawn_time": SPAWN,
        "initial_height": 1,
        "accounts": relayer_accounts(members, "consumer"),
        "funding": Funding(),
        **changes,
    }
    return merge(base(), CCV, **arguments)


def test_merge() -> None:
    genesis = json.loads(built().text)
    assert genesis["app_state"]["ccvconsumer"] == CCV
    assert genesis["chain_id"] == "consumer-1"
    assert genesis["genesis_time"] == "2026-11-23T06:45:34Z"
    accounts = genesis["app_state"]["auth"]["accounts"]
    assert [account["account_number"] for account in accounts] == ["0", "1"]
    assert all(account["address"].startswith("consumer1") for account in accounts)
    # In operator address order: bob's 13... comes before alice's 1w...
    assert accounts[1]["address"].startswith(ALICE_ON_CONSUMER[:30])
    assert genesis["app_state"]["bank"]["supply"] == [{"denom": "stake", "amount": "200000000"}]
    assert "validators" not in genesis


def test_text_and_hash_depend_on_content_alone() -> None:
    shuffled = dict(reversed(list(base().items())))
    again = merge(
        shuffled,
        json.loads(json.dumps(CCV, indent=3)),
        chain_id="consumer-1",
        spawn_time=SPAWN,
        initial_height=1,
        accounts=[],
        funding=Funding(),
    )
    assert again == built(accounts=[])
    assert built(chain_id="consumer-2").content_hash != built().content_hash


def test_injections_stay_data() -> None:
    hostile = "{{ lookup('pipe','touch x') }}/../$(id)\n\"-1"
    assert json.loads(built(chain_id=hostile).text)["chain_id"] == hostile


@pytest.mark.parametrize(
    "broken", [{}, {"app_state": {}}, {"app_state": {"ccvconsumer": {}}}, {"app_state": {"auth": 3, "ccvconsumer": {}}}]
)
def test_a_base_of_another_kind_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="base genesis"):
        merge(broken, CCV, chain_id="c", spawn_time=SPAWN, initial_height=1, accounts=[], funding=Funding())


def test_a_validator_announces_its_relayer_else_its_own_account_is_funded() -> None:
    announced = ConsumerValidator(ALICE, "a", 1, "relayer=cosmos1wsyhyljzxq2qx4xls6hevhm2u04gux4nptfnu3 p2p=192.0.2.1")
    silent = ConsumerValidator(ALICE, "a", 1, "")
    bad_checksum = ConsumerValidator(
        ALICE, "a", 1, "relayer=cosmos1wsyhyljzxq2qx4xls6hevhm2u04gux4nptfnu4 p2p=192.0.2.1"
    )
    expected = relayer_accounts([silent], "consumer")
    assert relayer_accounts([announced], "consumer") == expected  # the same account, under another prefix
    assert relayer_accounts([bad_checksum], "consumer") == expected
    assert relayer_accounts([announced, silent], "consumer") == expected  # once


@pytest.mark.parametrize("name", ["fee_collector", "bonded_tokens_pool", "cons_redistribute", "ccvconsumer"])
def test_an_account_of_a_module_is_never_a_relayers(name: str) -> None:
    """The chain's node would panic: the account is not a module account."""
    announced = ConsumerValidator(ALICE, "a", 600, f"relayer={address.module_account(name, 'cosmos')} p2p=192.0.2.1")
    silent = ConsumerValidator(ALICE, "a", 600, "")
    accounts = accounts_of("relayers", [announced], "consumer", base())
    assert accounts == accounts_of("relayers", [silent], "consumer", base())


def test_an_account_of_the_base_is_funded_as_it_is() -> None:
    account = relayer_accounts([ConsumerValidator(ALICE, "a", 600, "")], "consumer")[0]
    own = base()
    vesting = {
        "@type": "/cosmos.vesting.v1beta1.DelayedVestingAccount",
        "base_vesting_account": {"base_account": {"address": account}},
    }
    own["app_state"]["auth"]["accounts"] = [vesting]
    own["app_state"]["bank"]["balances"] = [{"address": account, "coins": [{"denom": "gold", "amount": "5"}]}]
    own["app_state"]["bank"]["supply"] = [{"denom": "gold", "amount": "5"}]
    merged = merge(own, CCV, chain_id="c", spawn_time=SPAWN, initial_height=1, accounts=[account], funding=Funding(7))
    state = json.loads(merged.text)["app_state"]
    coins = [{"denom": "gold", "amount": "5"}, {"denom": "stake", "amount": "7"}]
    assert state["auth"]["accounts"] == [vesting]
    assert state["bank"]["balances"] == [{"address": account, "coins": coins}]
    assert state["bank"]["supply"] == coins


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", Funding()),
        ("{}", Funding()),
        ("[" * 200, Funding()),
        ('{"interchain_security": {"relayer_amount": 5, "relayer_denom": "utoken"}}', Funding(5, "utoken")),
        ('{"interchain_security": {"relayer_amount": "7"}}', Funding(7)),
        ('{"interchain_security": {"relayer_amount": -1}}', Funding()),
        ('{"interchain_security": {"relayer_amount": true}}', Funding()),
        ('{"interchain_security": {"relayer_denom": "$(id)"}}', Funding()),
        ('{"interchain_security": {"relayer_amount": "9999999999999999999999999999999"}}', Funding()),
        ('{"interchain_security": 3}', Funding()),
    ],
)
def test_funding_comes_from_metadata_only_within_bounds(metadata: str, expected: Funding) -> None:
    assert funding_of(metadata, Funding()) == expected


def test_the_profile_of_the_other_monitor_gives_its_genesis() -> None:
    """The check value is that of the other monitor's own code, out of `jq -S -c '.app_state|del(.ccvconsumer)'`."""
    built_genesis = merge(
        checked_base(BASE_OF_BINARY, "init", ""),
        CCV,
        chain_id="testchain-0",
        spawn_time=SPAWN,
        initial_height=1,
        accounts=accounts_of("ics-operator", [ConsumerValidator(ALICE, "a", 600, "")], "consumer", {}),
        funding=Funding(),
    )
    state = json.loads(built_genesis.text)["app_state"]
    del state["ccvconsumer"]
    text = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "eada66c9102fbb0c12b3c8407a1110f9cb00dbd038a60b5061c2453f47478bbb"
    )


def test_our_own_profile_funds_each_validator() -> None:
    members = [ConsumerValidator(BOB, "b", 400, ""), ConsumerValidator(ALICE, "a", 600, "")]
    assert accounts_of("relayers", members, "consumer", base()) == relayer_accounts(members, "consumer")


def test_the_base_is_held_to_the_hash_on_chain() -> None:
    right = hashlib.sha256(BASE_OF_BINARY.encode()).hexdigest()
    assert checked_base(BASE_OF_BINARY, "init", right.upper()) == json.loads(BASE_OF_BINARY)
    wrong = "ab" * 32
    with pytest.raises(InvalidInput, match=f"(?s)https://x.*{right}.*{wrong}.*catalogue"):
        checked_base(BASE_OF_BINARY, "https://x", wrong)


@pytest.mark.parametrize(
    ("text", "complaint"), [("{", "not JSON"), ("[]", "not a JSON object"), ("[" * 9999, "not JSON")]
)
def test_a_base_that_is_no_genesis_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=f"from the file /x is {complaint}"):
        checked_base(text, "the file /x", "")


def test_a_genesis_over_the_limit_of_a_config_map_goes_in_parts() -> None:
    small = "x" * LARGEST_PLAIN
    assert parts(small) == []
    generator = random.Random(7)
    large = json.dumps([generator.random() for _unused in range(200_000)])
    pieces = parts(large)
    assert len(pieces) > 1
    assert all(0 < len(piece) <= PART_SIZE for piece in pieces)
    assert parts(large) == pieces
    assert joined(pieces) == large
    with pytest.raises(InvalidInput, match="do not belong together"):
        joined(pieces[:-1])
    with pytest.raises(InvalidInput, match="do not belong together"):
        joined(pieces[1:])


def test_a_genesis_of_more_parts_than_a_node_mounts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genesis, "MOST_PARTS", 2)
    noise = base64.b85encode(random.Random(7).randbytes(2 * PART_SIZE)).decode()
    assert len(parts(noise[: len(noise) // 2])) == 2
    with pytest.raises(InvalidInput, match=r"the genesis has 20[0-9]{5} bytes compressed; 2000000 are the most"):
        parts(noise)


def test_a_node_mounts_as_many_parts_as_are_made() -> None:
    variables = yaml.safe_load((ROOT / "roles/node/vars/main.yml").read_text())
    assert variables["node_genesis_parts"] == MOST_PARTS
    assert variables["node_more_genesis_sources"].startswith("{{ range(1, node_genesis_parts) ")


def test_the_public_account_is_that_of_the_public_mnemonic() -> None:
    assert account_key.from_mnemonic(ICS_OPERATOR_MNEMONIC, "consumer").account_address == ICS_OPERATOR_ACCOUNT
