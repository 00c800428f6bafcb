# SPDX-License-Identifier: GPL-3.0-or-later
"""A validator on a real provider: opt-in, keys, commission and endpoint, their cycles and their refusals.

What is refused is tried twice: by the module, which tells it beforehand, and past its checks, where the provider has to say
the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Puts the modules of the Cosmos SDK on sys.path.
import cosmpy.protos  # noqa: F401  pylint: disable=unused-import
import pytest
from cosmos.crypto.ed25519 import keys_pb2 as ed25519_pb2
from cosmos.gov.v1 import query_pb2 as gov_query_pb2
from cosmos.gov.v1 import tx_pb2 as gov_tx_pb2

from ansible_collections.interchain.security.plugins.module_utils.ics import address, consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import derived_node_id
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Standing
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_health import standing_of
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.integration.provider_operations import EPOCH, MIN_COMMISSION, UNBONDING, Account, Provider, provider
from tests.integration.single_node import CHAIN_ID

pytestmark = pytest.mark.timeout(300)
NODE_ID = "f42037be88df876cd27dd60dc225b1afa90c4d75"
STAKE = "1000000"  # of a validator of little power


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("validator") / "provider") as running:
        yield running


@pytest.fixture(scope="module")
def consumer(chain: Provider) -> str:
    """A consumer that is never launched."""
    return chain.create("waiting-1")


def new_validator(chain: Provider, moniker: str, least: int = 1) -> tuple[Account, ConsensusKey]:
    """Make a validator of little power; it is jailed when its own stake falls below the least one."""
    account, key = chain.new_account(), consensus_key.generate()
    message = messages.staking_tx_pb2.MsgCreateValidator(validator_address=account.operator)
    message.min_self_delegation = str(least)
    message.description.moniker = moniker
    message.commission.rate = message.commission.max_rate = message.commission.max_change_rate = str(10**17)
    message.pubkey.Pack(ed25519_pb2.PubKey(key=key.public_key), type_url_prefix="/")
    message.value.denom, message.value.amount = "stake", STAKE
    chain.send_message(message, "cosmos.staking.v1beta1.MsgCreateValidator", account)
    return account, key


@pytest.fixture(scope="module")
def bob(chain: Provider) -> tuple[Account, ConsensusKey]:
    """A second validator of little power, with its key on the provider."""
    return new_validator(chain, "bob")


def key_fields(account: Account, consumer_id: str, key: str = "") -> dict[str, str]:
    fields = {"provider_addr": account.operator, "signer": account.address, "consumer_id": consumer_id}
    return {**fields, "consumer_key": consensus_key.consumer_key_json(key)} if key else fields


def public_key(key_file: Path) -> str:
    return str(json.loads(key_file.read_text())["pub_key"]["value"])


def assigned(chain: Provider, consumer_id: str) -> str | None:
    return chain.client.consumer_keys(consumer_id).get(chain.consensus_address(chain.alice))


def is_opted_in(chain: Provider, consumer_id: str) -> bool:
    return chain.consensus_address(chain.alice) in chain.client.opted_in(consumer_id)


def test_endpoint_cycle(chain: Provider) -> None:
    """Announce, repeat, change, repeat, take back, repeat; each in check mode first. The own text stays as it is."""
    own_text = "We run nodes.\n\n  See example.org"
    message = messages.staking_tx_pb2.MsgEditValidator(validator_address=chain.alice.operator)
    for field in ("moniker", "identity", "website", "security_contact"):
        setattr(message.description, field, "[do-not-modify]")
    message.description.details = own_text
    chain.send_message(message, "cosmos.staking.v1beta1.MsgEditValidator")

    made = chain.change("validator_endpoint", p2p="192.0.2.1", node=NODE_ID)
    assert made["details"] == f"{own_text}\nnode={NODE_ID} p2p=192.0.2.1"
    made = chain.change("validator_endpoint", p2p="2001:db8::1")
    assert made["details"] == f"{own_text}\np2p=2001:db8::1"
    (seen,) = chain.run("validator_info", operator_address=chain.alice.operator)["validators"]
    assert seen["endpoint"] == {"node": "", "relayer": "", "p2p": "2001:db8::1"}
    assert seen["moniker"] == "alice"
    made = chain.change("validator_endpoint", state="absent")
    assert made["details"] == own_text

    message.description.details = "é" * 137  # 274 bytes
    chain.send_message(message, "cosmos.staking.v1beta1.MsgEditValidator")
    words = "invalid details length; got: 288, max: 280"
    assert words in chain.failure("validator_endpoint", p2p="192.0.2.1")
    message.description.details += "\np2p=192.0.2.1"
    with pytest.raises(Exception, match=words):
        chain.send_message(message, "cosmos.staking.v1beta1.MsgEditValidator")
    assert "p2p is missing" in chain.failure("validator_endpoint")
    assert "not an IP address or DNS name" in chain.failure("validator_endpoint", p2p="$(id)")


def test_peers_at_a_height(chain: Provider) -> None:
    """Whom a node dials by what was announced then and what is now, and why another one is left out."""
    chain_id = "dialled-1"
    consumer_id = chain.create(chain_id)
    (carol, _key), (dave, _other) = new_validator(chain, "carol"), new_validator(chain, "dave", least=int(STAKE))
    for account in (chain.alice, carol, dave):
        assert chain.run("opt_in", by=account, consumer_id=consumer_id, key_source="none")["changed"]

    def announce(p2p: str, **options: Any) -> int:
        """Announce carol's address; return a height at which the provider has it."""
        made = chain.run("validator_endpoint", by=carol, p2p=p2p, **options)
        chain.wait_for_transaction(made["tx_hash"])
        return chain.client.status().latest_height

    def found(height: int = 0) -> tuple[list[str], dict[str, str]]:
        seen = chain.run(
            "consumer_peers_info", consumer_id=consumer_id, operator_address=chain.alice.operator, height=height
        )
        assert not seen["changed"]
        return seen["peers"], {one["operator_address"]: one["reason"] for one in seen["skipped"]}

    port = ports_of(chain_id).p2p
    first = announce("192.0.2.1", node=NODE_ID)
    second = announce("p2p.example.org")
    silent = {dave.operator: "its details announce no p2p="}
    then, now = f"{NODE_ID}@192.0.2.1:{port}", f"{derived_node_id('carol', chain_id)}@p2p.example.org:{port}"
    assert found(first) == ([then], silent)
    assert found(second) == found() == ([now], silent)
    everyone = chain.run("consumer_peers_info", consumer_id=consumer_id, height=first)
    assert {one["operator_address"] for one in everyone["skipped"]} == {chain.alice.operator, dave.operator}

    leave = messages.staking_tx_pb2.MsgUndelegate(delegator_address=dave.address, validator_address=dave.operator)
    leave.amount.denom, leave.amount.amount = "stake", "1"
    chain.send_message(leave, "cosmos.staking.v1beta1.MsgUndelegate", dave)
    chain.wait_for("dave to be jailed", lambda: found()[1] != silent)
    assert found() == ([now], {dave.operator: "it is jailed"})
    assert found(first) == ([then], silent)

    words = "the provider knows no consumer 7777 at height latest"
    assert words in chain.failure("consumer_peers_info", consumer_id="7777")
    words = f"the provider knows no consumer {consumer_id} at height 1"
    assert words in chain.failure("consumer_peers_info", consumer_id=consumer_id, height=1)
    for height, words in (
        (10**9, "cannot query with height in the future"),
        (-1, "height must be a height of the provider chain"),
    ):
        assert words in chain.failure("consumer_peers_info", consumer_id=consumer_id, height=height)


def test_opt_in_cycle(chain: Provider, tmp_path: Path) -> None:
    """Opt in, repeat, out, repeat, and in again with the key that the provider still knows; each in check mode first."""
    consumer_id = chain.create("cycle-1")
    key_file = tmp_path / "key"
    opting: dict[str, Any] = {"consumer_id": consumer_id, "key_file": str(key_file)}
    assert chain.run("opt_in", check=True, **opting)["changed"]
    assert not key_file.exists()
    made = chain.change("opt_in", **opting)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert made["consumer_public_key"] == public_key(key_file) == assigned(chain, consumer_id)
    assert is_opted_in(chain, consumer_id)

    words = f"opting out of a consumer chain not yet launched, consumerId({consumer_id})"
    assert words in chain.failure("opt_in", consumer_id=consumer_id, state="absent")
    assert words in chain.answer("MsgOptOut", **key_fields(chain.alice, consumer_id))

    chain.launch(consumer_id)
    leaving: dict[str, Any] = {"consumer_id": consumer_id, "state": "absent"}
    assert chain.run("opt_in", check=True, **leaving)["has_to_validate"] is True
    chain.change("opt_in", **leaving)
    assert not is_opted_in(chain, consumer_id)
    chain.wait_for("the next epoch", lambda: chain.run("opt_in", **leaving)["has_to_validate"] is False)
    assert assigned(chain, consumer_id) == public_key(key_file)

    # The provider refuses a key that it knows already, so it is not sent again.
    words = "a validator has or had assigned this consumer key already"
    fields = key_fields(chain.alice, consumer_id, public_key(key_file))
    assert words in chain.answer("MsgOptIn", **fields)
    again = chain.change("opt_in", **opting)
    assert again["consumer_public_key"] == public_key(key_file)
    assert is_opted_in(chain, consumer_id)

    message = chain.failure("opt_in", consumer_id=consumer_id, key_file=str(tmp_path / "another"))
    assert f"knows key {public_key(key_file)} of this validator but the key store holds none" in message
    assert not (tmp_path / "another").exists()

    assert chain.run("consumer", consumer_id=consumer_id, state="absent")["changed"]
    words = "cannot opt in to a consumer chain that is not in the registered, initialized, or launched phase"
    assert words in chain.failure("opt_in", **opting)
    assert words in chain.answer("MsgOptIn", **key_fields(chain.alice, consumer_id))
    words = "cannot assign a key to a consumer chain that is not in the registered, initialized, or launched phase"
    other = {"consumer_id": consumer_id, "key_file": str(tmp_path / "other"), "rotate": True}
    assert words in chain.failure("consumer_key_assignment", **other)
    fields = key_fields(chain.alice, consumer_id, consensus_key.generate().public_key_base64)
    assert words in chain.answer("MsgAssignConsumerKey", **fields)
    words = f"unknown consumer chain, with id: {consumer_id}"
    assert words in chain.failure("consumer_commission", consumer_id=consumer_id, rate="0.2")
    rate = {**key_fields(chain.alice, consumer_id), "rate": str(2 * 10**17)}
    assert words in chain.answer("MsgSetConsumerCommissionRate", **rate)


def test_opt_in_with_a_given_key_or_none(chain: Provider) -> None:
    given = consensus_key.generate()
    first, second = chain.create("given-1"), chain.create("none-1")
    wanted = {"key_source": "given", "consumer_public_key": f"PubKeyEd25519{{{given.public_key.hex().upper()}}}"}
    made = chain.change("opt_in", consumer_id=first, **wanted)
    assert made["consumer_public_key"] == assigned(chain, first) == given.public_key_base64
    other = {**wanted, "consumer_public_key": consensus_key.generate().public_key_base64}
    assert "is the one to be used here" in chain.failure("opt_in", consumer_id=first, **other)

    made = chain.change("opt_in", consumer_id=second, key_source="none")
    assert made["consumer_public_key"] is None is assigned(chain, second)
    assert is_opted_in(chain, second)
    assert "opted in to consumer" in chain.failure("opt_in", consumer_id=second, key_file="/nonexistent/key")
    assert "needs consumer_public_key" in chain.failure("opt_in", consumer_id=second, key_source="given")
    mixed = {"key_file": "key", "consumer_public_key": given.public_key_base64}
    assert "not both" in chain.failure("opt_in", consumer_id=second, **mixed)
    assert "leave out key_file" in chain.failure("opt_in", consumer_id=second, key_source="none", key_file="key")


def test_key_assignment_cycle(chain: Provider, tmp_path: Path) -> None:
    """Assign, repeat, replace, repeat; each in check mode first. A launched consumer hears of it at the next epoch."""
    consumer_id = chain.create("keys-1")
    first, second = tmp_path / "first", tmp_path / "second"
    made = chain.change("consumer_key_assignment", consumer_id=consumer_id, key_file=str(first))
    assert made["consumer_public_key"] == public_key(first) == assigned(chain, consumer_id)
    assert made["previous_consumer_public_key"] is None
    assert made["opted_in"] is False
    # An opt-in finds the key assigned and does not send it again.
    opted = chain.change("opt_in", consumer_id=consumer_id, key_file=str(first))
    assert opted["consumer_public_key"] == public_key(first)
    chain.launch(consumer_id)

    message = chain.failure("consumer_key_assignment", consumer_id=consumer_id, key_file=str(second))
    assert "or replace it with rotate" in message
    assert not second.exists()
    rotation: dict[str, Any] = {"consumer_id": consumer_id, "key_file": str(second), "rotate": True}
    made = chain.change("consumer_key_assignment", **rotation)
    assert made["previous_consumer_public_key"] == public_key(first)
    assert made["consumer_public_key"] == public_key(second) == assigned(chain, consumer_id)
    assert 0 <= made["blocks_until_next_epoch"] <= EPOCH
    assert made["opted_in"] is True
    # The first one signed blocks of the consumer: it may not come back.
    words = "a validator has or had assigned this consumer key already"
    back = {**rotation, "key_file": str(first)}
    assert words in chain.failure("consumer_key_assignment", **back)
    fields = key_fields(chain.alice, consumer_id, public_key(first))
    assert words in chain.answer("MsgAssignConsumerKey", **fields)


def test_keys_that_are_refused(
    chain: Provider, consumer: str, bob: tuple[Account, ConsensusKey], tmp_path: Path
) -> None:
    account, bobs_key = bob
    (alice,) = [entry for entry in chain.client.validators() if entry.operator_address == chain.alice.operator]
    bobs_other = tmp_path / "bob"
    assert chain.run("consumer_key_assignment", by=account, consumer_id=consumer, key_file=str(bobs_other))["changed"]
    in_use = tmp_path / "elsewhere"
    other = chain.create("other-1")
    assert chain.run("consumer_key_assignment", consumer_id=other, key_file=str(in_use))["changed"]

    own = consensus_key.public_key_base64(alice.consensus_public_key)
    refused = {
        own: "a validator cannot assign the default key assignment",
        bobs_key.public_key_base64: "a different validator already uses the consumer key",
        public_key(bobs_other): "a validator has or had assigned this consumer key already",
    }
    for key, words in refused.items():
        assert words in chain.failure("consumer_key_assignment", consumer_id=consumer, consumer_public_key=key)
        given = {"key_source": "given", "consumer_public_key": key}
        assert words in chain.failure("opt_in", consumer_id=consumer, **given)
        fields = key_fields(chain.alice, consumer, key)
        assert words in chain.answer("MsgAssignConsumerKey", **fields)
        assert words in chain.answer("MsgOptIn", **fields)
    # The provider would take these two; signing two chains with one key is not safe all the same.
    message = chain.failure("consumer_key_assignment", consumer_id=consumer, key_file=str(in_use))
    assert f"is in use on consumer {other}: each consumer needs a key of its own" in message
    message = chain.failure("opt_in", consumer_id=consumer, key_file=str(in_use))
    assert f"is in use on consumer {other}" in message
    assert assigned(chain, consumer) is None
    assert not is_opted_in(chain, consumer)

    stranger = chain.new_account(1)
    message = chain.run("opt_in", by=stranger, consumer_id=consumer, key_file="key")["msg"]
    assert f"{stranger.operator}, the operator of the given key, is no validator" in message
    assert "validator does not exist" in chain.answer("MsgOptIn", stranger, **key_fields(stranger, consumer))


def test_commission_cycle(chain: Provider, consumer: str) -> None:
    """Set, repeat, change, repeat; each in check mode first. The provider has no way to take a rate away."""
    # What the validator charges on the provider counts until a rate is set.
    assert not chain.run("consumer_commission", consumer_id=consumer, rate="0.1")["changed"]
    made = chain.change("consumer_commission", consumer_id=consumer, rate="0.25")
    assert made["diff"] == {"before": {"rate": "0.1"}, "after": {"rate": "0.25"}}
    chain.change("consumer_commission", consumer_id=consumer, rate="1")
    refused = {
        "1.01": "consumer commission rate should be in the range [0, 1]",
        "-0.1": "consumer commission rate should be in the range [0, 1]",
        "0.049": f"commission rate cannot be less than {MIN_COMMISSION}",
    }
    for rate, words in refused.items():
        assert words in chain.failure("consumer_commission", consumer_id=consumer, rate=rate)
        wire = str(int(float(rate) * 1000)) + "0" * 15
        fields = {**key_fields(chain.alice, consumer), "rate": wire}
        assert words in chain.answer("MsgSetConsumerCommissionRate", **fields)
    assert "rate must be a decimal number" in chain.failure("consumer_commission", consumer_id=consumer, rate="10%")


def vote_in(chain: Provider, *proposed: Any) -> list[Any]:
    """Let the gov module run messages, each by a proposal of its own; return what became of the proposals."""
    numbers = []
    for message in proposed:
        submission = gov_tx_pb2.MsgSubmitProposal(proposer=chain.alice.address, title="t", summary="s")
        packed = submission.messages.add()
        packed.type_url, packed.value = f"/{messages.PROVIDER}.MsgUpdateConsumer", message.SerializeToString()
        submission.initial_deposit.add(denom="stake", amount="10000000")
        sent = chain.send_message(submission, "cosmos.gov.v1.MsgSubmitProposal")
        (number,) = {event.attributes["proposal_id"] for event in sent.events if "proposal_id" in event.attributes}
        vote = gov_tx_pb2.MsgVote(proposal_id=int(number), voter=chain.alice.address, option=1)
        chain.send_message(vote, "cosmos.gov.v1.MsgVote")
        numbers.append(int(number))

    def read(number: int) -> Any:
        request = gov_query_pb2.QueryProposalRequest(proposal_id=number)
        return chain.client.query(
            "/cosmos.gov.v1.Query/Proposal", request, gov_query_pb2.QueryProposalResponse
        ).proposal

    voting = 2
    chain.wait_for("the votes", lambda: all(read(number).status > voting for number in numbers))
    return [read(number) for number in numbers]


def test_nobody_leaves_a_top_n_chain(chain: Provider, bob: tuple[Account, ConsensusKey], tmp_path: Path) -> None:
    """The gov module makes a consumer Top N; its validators are told so instead of being let out."""
    authority = address.module_account("gov", "cosmos")
    consumer_id = chain.launched("top-1", tmp_path / "key")
    account, _key = bob
    by_bob: dict[str, Any] = {"by": account, "consumer_id": consumer_id}
    assert chain.run("opt_in", key_file=str(tmp_path / "bob"), **by_bob)["changed"]
    assert chain.run("consumer", consumer_id=consumer_id, new_owner_address=authority)["changed"]
    update = messages.provider_message("MsgUpdateConsumer")
    top_n = update(owner=authority, consumer_id=consumer_id)
    top_n.power_shaping_parameters.top_N = 60
    leave = update(owner=authority, consumer_id=consumer_id, new_owner_address=chain.alice.address)
    passed, failed = vote_in(chain, top_n, leave)
    assert passed.failed_reason == ""
    words = "a move to a new owner address that is not the gov module can only be done if `Top N` is set to 0"
    assert words in failed.failed_reason
    assert chain.client.consumer(consumer_id).power_shaping.top_n == 60
    assert chain.client.minimum_power_in_top_n(consumer_id) == 600

    words = (
        f"validator with power (600) cannot opt out from Top N chain with consumer id ({consumer_id}) because all validators "
        "with at least 600 power have to validate"
    )
    assert words in chain.failure("opt_in", consumer_id=consumer_id, state="absent")
    assert words in chain.answer("MsgOptOut", **key_fields(chain.alice, consumer_id))
    assert is_opted_in(chain, consumer_id)
    # Bob has less power than the top needs, and may leave.
    assert chain.run("opt_in", state="absent", **by_bob)["changed"]


def test_provider_info(chain: Provider) -> None:
    found = chain.run("provider_info")
    assert not found["changed"]
    assert found["provider_chain_id"] == CHAIN_ID
    assert found["latest_height"] >= found["height"] > found["earliest_height"] == 1
    assert found["catching_up"] is False
    assert 0 <= found["blocks_until_next_epoch"] <= EPOCH
    assert found["parameters"]["blocks_per_epoch"] == EPOCH
    assert found["parameters"]["unbonding_time"] == UNBONDING
    assert found["parameters"]["min_commission_rate"] == "0.05"
    assert found["parameters"]["bond_denom"] == "stake"
    assert found["slashing_parameters"]["slash_fraction_double_sign"] == "0.05"
    assert found["slashing_parameters"]["downtime_jail_duration"] == "600"
    assert found["throttle"]["slash_meter"] <= found["throttle"]["slash_meter_allowance"]
    assert found["throttle"]["next_replenish_candidate"].endswith("Z")
    assert found["registered_reward_denoms"] == []
    assert chain.run("provider_info", height=2)["height"] == 2
    assert "cannot query with height < 0" in chain.failure("provider_info", height=-1)


def test_how_a_validator_stands(chain: Provider, bob: tuple[Account, ConsensusKey]) -> None:
    """One whose own stake falls below what it promised is jailed, by the chain itself."""

    def standing(account: Account) -> Standing:
        (own,) = [entry for entry in chain.client.validators() if entry.operator_address == account.operator]
        return standing_of(chain.client, own)

    account, _key = bob
    assert standing(chain.alice) is Standing.NORMAL
    assert standing(account) is Standing.NORMAL
    message = messages.staking_tx_pb2.MsgUndelegate(
        delegator_address=account.address, validator_address=account.operator
    )
    message.amount.denom, message.amount.amount = "stake", "1000000"
    chain.send_message(message, "cosmos.staking.v1beta1.MsgUndelegate", account)
    assert standing(account) is Standing.JAILED
    assert not chain.client.tombstoned(chain.consensus_address(account))
