# SPDX-License-Identifier: GPL-3.0-or-later
"""A consumer's owner on a real provider: the whole cycle, each parameter, and each refusal in the provider's own words.

What is refused is tried twice: by the module, which tells it beforehand, and past its checks, where the provider has to say
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics import address, consumer_rules
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer as operation
from tests.integration.provider_operations import Provider, provider

pytestmark = pytest.mark.timeout(300)
HASH = "ab" * 32
IBC_DENOM = "ibc/" + "AB" * 32


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("owner") / "provider") as running:
        yield running


def test_cycle(chain: Provider, tmp_path: Path) -> None:
    """Create, repeat, change, repeat, remove, repeat; each in check mode first."""
    wanted: dict[str, Any] = {
        "chain_id": "cycle-3",
        "name": "Cycle",
        "genesis_hash": HASH,
        "validators_power_cap": 50,
        "allowlisted_reward_denoms": ["stake"],
        "infraction_parameters": {"downtime": {"slash_fraction": "0.001", "jail_duration": "60"}},
    }
    count = len(chain.client.consumers())
    made = chain.change("consumer", **wanted)
    consumer_id = made["consumer_id"]
    assert len(chain.client.consumers()) == count + 1
    assert made["consumer"]["phase"] == "registered"
    assert made["missing_initialization_parameters"] == ["spawn_time"]
    assert made["consumer"]["initial_revision_number"] == 3
    downtime = {"slash_fraction": "0.001", "jail_duration": "60", "tombstone": False}
    assert made["consumer"]["infraction_parameters"]["downtime"] == downtime
    # What is not given is the provider's own.
    assert made["consumer"]["infraction_parameters"]["double_sign"] == {
        "slash_fraction": "0.05",
        "jail_duration": "9223372036.854775807",
        "tombstone": True,
    }

    assert chain.run("opt_in", consumer_id=consumer_id, key_file=str(tmp_path / "key")).get("changed")
    changed = chain.change("consumer", **{**wanted, "description": "another", "spawn_time": "+600s"})
    assert changed["consumer_id"] == consumer_id
    assert changed["diff"]["before"]["description"] == "-"
    assert changed["diff"]["after"]["description"] == "another"
    assert changed["consumer"]["phase"] == "initialized"
    assert changed["missing_initialization_parameters"] == []
    chain.launch(consumer_id)
    # Nor does the launch leave anything to change.
    assert not chain.run("consumer", **{**wanted, "description": "another", "spawn_time": "+600s"})["changed"]

    removed = chain.change("consumer", consumer_id=consumer_id, state="absent")
    assert removed["consumer"]["phase"] == "stopped"
    assert removed["diff"] == {"before": {"phase": "launched"}, "after": {"phase": "stopped"}}
    assert len(chain.client.consumers()) == count + 1


@pytest.fixture(scope="module")
def registered(chain: Provider) -> str:
    return chain.create("registered-1")


VALCONS = address.encode("cosmosvalcons", b"\x01" * 20)  # of no validator, which the provider does not ask


@pytest.mark.parametrize(
    "change",
    [
        {"name": "n", "description": "d", "metadata": "m"},
        {"chain_id": "renamed-2"},
        {"spawn_time": "2036-01-01T00:00:00.5Z"},
        {"spawn_time": "unset"},
        {
            "initial_height": 7,
            "genesis_hash": HASH,
            "binary_hash": HASH,
            "unbonding_period": 60,
            "ccv_timeout_period": 61,
            "transfer_timeout_period": 62,
            "consumer_redistribution_fraction": "0.5",
            "blocks_per_distribution_transmission": 63,
            "historical_entries": 64,
            "distribution_transmission_channel": "channel-77",
            "connection_id": "connection-77",
        },
        {"genesis_hash": "", "binary_hash": "", "distribution_transmission_channel": "", "connection_id": ""},
        {
            "validators_power_cap": 33,
            "validator_set_cap": 10,
            "min_stake": 5,
            "allow_inactive_vals": True,
            "allowlist": ["ALICE"],
            "denylist": [VALCONS],
            "prioritylist": ["ALICE", VALCONS],
        },
        {"allowlist": [], "denylist": [], "prioritylist": [], "allow_inactive_vals": False, "min_stake": 0},
        {"allowlisted_reward_denoms": ["stake", IBC_DENOM]},
        {"allowlisted_reward_denoms": []},
        {
            "infraction_parameters": {
                "double_sign": {"slash_fraction": "1", "jail_duration": "0.000000001", "tombstone": False},
                "downtime": {"slash_fraction": "0.000000000000000001"},
            }
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_parameter_comes_back(chain: Provider, registered: str, change: dict[str, Any]) -> None:
    alice = chain.consensus_address(chain.alice)
    for name in ("allowlist", "prioritylist"):
        if name in change:
            change = {**change, name: [alice if entry == "ALICE" else entry for entry in change[name]]}
    made = chain.change("consumer", consumer_id=registered, **change)
    assert change.keys() <= made["diff"]["after"].keys()
    record = made["consumer"]
    for name in change.keys() & record.keys() - {"infraction_parameters", "spawn_time"}:
        assert record[name] == change[name], name
    if "spawn_time" in change:
        assert record["phase"] == ("registered" if change["spawn_time"] == "unset" else "initialized")
    if "chain_id" in change:
        assert record["initial_revision_number"] == 2
    if "allowlisted_reward_denoms" in change:
        assert sorted(chain.client.reward_denoms(registered)) == sorted(change["allowlisted_reward_denoms"])
    if "infraction_parameters" in change:
        assert record["infraction_parameters"] == {
            "double_sign": {"slash_fraction": "1", "jail_duration": "0.000000001", "tombstone": False},
            "downtime": {"slash_fraction": "0.000000000000000001", "jail_duration": "600", "tombstone": False},
        }


def test_another_consumer_of_the_chain_id_is_made_on_request_only(chain: Provider) -> None:
    first = chain.create("twin-1")
    assert chain.run("consumer", chain_id="twin-1")["consumer_id"] == first
    second = chain.create("twin-1")
    assert second != first
    message = chain.failure("consumer", chain_id="twin-1")
    assert f"the consumers {first}, {second} of this account all have that chain_id" in message


def test_two_writers_create_one_consumer(chain: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run of the same owner is faster, at the worst moment: after this one saw that there is no such consumer."""
    look = operation._own_consumer
    made: list[str] = []

    def look_and_be_overtaken(*arguments: Any) -> str | None:
        found = look(*arguments)
        if found is None and len(looks) == 1:  # the second look, from which the signature follows
            made.append(chain.create("race-1"))
        looks.append(found)
        return found

    looks: list[str | None] = []
    monkeypatch.setattr(operation, "_own_consumer", look_and_be_overtaken)
    result = chain.run("consumer", chain_id="race-1")
    assert not result.get("changed"), result
    assert [result["consumer_id"]] == made
    assert [entry.chain_id for entry in chain.client.consumers()].count("race-1") == 1


def test_an_owner_hands_over_and_has_no_say_any_more(chain: Provider) -> None:
    heir = chain.new_account()
    consumer_id = chain.create("legacy-1")
    made = chain.change("consumer", consumer_id=consumer_id, new_owner_address=heir.address)
    assert made["consumer"]["owner_address"] == heir.address
    words = f"expected owner address {heir.address}, got {chain.alice.address}"
    assert words in chain.failure("consumer", consumer_id=consumer_id, name="other")
    assert words in chain.failure("consumer", consumer_id=consumer_id, state="absent")
    owner = {"owner": chain.alice.address, "consumer_id": consumer_id}
    assert words in chain.answer("MsgUpdateConsumer", **owner)
    assert words in chain.answer("MsgRemoveConsumer", **owner)
    by_heir = chain.run("consumer", by=heir, consumer_id=consumer_id, name="other")
    assert by_heir["consumer"]["name"] == "other"
    # In one go: a consumer is always created for its submitter, so that takes two transactions.
    given = chain.change("consumer", chain_id="gift-1", new_owner_address=heir.address, description="d")
    assert given["consumer"]["owner_address"] == heir.address
    assert given["consumer"]["description"] == "d"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("chain_id", "x" * 51, "ChainId is too long; got: 51, max: 50"),
        ("chain_id", " ", "ChainId cannot be empty"),
        ("chain_id", "neutron-1", "cannot use a reserved chain id"),
        ("name", "n" * 51, "name is too long; got: 51, max: 50"),
        ("description", "\n", "description cannot be empty"),
        ("description", "é" * 5001, "description is too long; got: 10002, max: 10000"),
        ("metadata", "m" * 256, "metadata is too long; got: 256, max: 255"),
        ("initial_revision_number", 4, "chain ID (refused-1) doesn't match revision number (4)"),
        ("genesis_hash", "00" * 65, "GenesisHash: hash is too long; got: 65, max: 64"),
        ("binary_hash", "00" * 65, "BinaryHash: hash is too long; got: 65, max: 64"),
        ("unbonding_period", 0, "UnbondingPeriod: duration must be positive"),
        ("ccv_timeout_period", -1, "CcvTimeoutPeriod: duration must be positive"),
        ("transfer_timeout_period", 0, "TransferTimeoutPeriod: duration must be positive"),
        (
            "consumer_redistribution_fraction",
            "1.01",
            "ConsumerRedistributionFraction: param cannot be greater than 1, got 1.01",
        ),
        (
            "consumer_redistribution_fraction",
            "-0.5",
            "ConsumerRedistributionFraction: param cannot be negative, got -0.5",
        ),
        (
            "consumer_redistribution_fraction",
            "",
            "ConsumerRedistributionFraction: decimal string cannot be empty",
        ),
        ("blocks_per_distribution_transmission", 0, "BlocksPerDistributionTransmission: int must be positive"),
        ("historical_entries", -5, "HistoricalEntries: int must be positive"),
        (
            "distribution_transmission_channel",
            "channel",
            "DistributionTransmissionChannel: identifier channel has invalid length: 7, must be between 8-64 characters",
        ),
        (
            "connection_id",
            "connection/0",
            "ConnectionId: identifier connection/0 cannot contain separator '/'",
        ),
        (
            "connection_id",
            "connection 0",
            "ConnectionId: identifier connection 0 must contain only alphanumeric or the following characters",
        ),
        ("top_n", 49, "Top N"),
        ("top_n", 50, "cannot create a Top N chain"),
        ("validators_power_cap", 101, "ValidatorsPowerCap has to be in the range [0, 100]"),
        ("allowlist", ["x"], "Allowlist: invalid address x: decoding bech32 failed"),
        ("denylist", [""], "Denylist: invalid address : empty address string is not allowed"),
        ("prioritylist", [VALCONS.upper() + "q"], "Prioritylist: invalid address"),
        ("allowlist", [VALCONS] * 1001, "Allowlist: consensus address list too long;  got: 1001, max: 1000"),
        ("allowlisted_reward_denoms", ["aaa", "bbb", "ccc", "ddd"], "More than 3 denoms"),
        ("allowlisted_reward_denoms", ["a b"], "Invalid denom (a b): invalid denom: a b"),
        ("allowlisted_reward_denoms", ["ibc/00"], "Invalid denom (ibc/00)"),
        (
            "infraction_parameters",
            {"double_sign": {"slash_fraction": "1.1"}},
            "DoubleSign.SlashFraction: param cannot be greater than 1, got 1.100000000000000000",
        ),
        (
            "infraction_parameters",
            {"downtime": {"slash_fraction": "-1"}},
            "Downtime.SlashFraction: param cannot be negative, got -1.000000000000000000",
        ),
        ("infraction_parameters", {"downtime": {"jail_duration": "-1"}}, "Downtime.JailDuration cannot be negative"),
        (
            "infraction_parameters",
            {"double_sign": {"jail_duration": "-1"}},
            "DoubleSign.JailDuration cannot be negative",
        ),
    ],
)
def test_what_the_provider_refuses_of_a_new_consumer(
    chain: Provider, monkeypatch: pytest.MonkeyPatch, option: str, value: Any, words: str
) -> None:
    wanted = {"chain_id": "refused-1", option: value}
    told = chain.failure("consumer", **wanted)
    assert told.startswith("the provider would refuse the new consumer, nothing was sent: ")
    assert words in told
    assert f"{option}: " in told or f"{option}." in told
    monkeypatch.setattr(consumer_rules, "refuse", lambda *_unused: None)
    assert words in chain.run("consumer", **wanted)["msg"]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("chain_id", "stride-1", "cannot use a reserved chain id"),
        ("name", " ", "name cannot be empty"),
        ("initial_revision_number", 9, "doesn't match revision number (9)"),
        ("unbonding_period", 0, "UnbondingPeriod: duration must be positive"),
        ("top_n", 30, "Top N can either be 0 or in the range [50, 100]"),
        ("top_n", 60, "an update to a Top N chain can only be done if chain is owner is the gov module"),
        ("denylist", ["cosmos1x"], "Denylist: invalid address cosmos1x: decoding bech32 failed"),
        ("new_owner_address", "cosmos1nobody", "invalid new owner address cosmos1nobody"),
        ("allowlisted_reward_denoms", ["!"], "Invalid denom (!): invalid denom: !"),
        (
            "infraction_parameters",
            {"downtime": {"slash_fraction": "2"}},
            "Downtime.SlashFraction: param cannot be greater than 1, got 2.000000000000000000",
        ),
    ],
)
def test_what_the_provider_refuses_of_a_change(
    chain: Provider, monkeypatch: pytest.MonkeyPatch, registered: str, option: str, value: Any, words: str
) -> None:
    told = chain.failure("consumer", consumer_id=registered, **{option: value})
    assert told.startswith(f"the provider would refuse this change of consumer {registered}, nothing was sent: ")
    assert words in told
    monkeypatch.setattr(consumer_rules, "refuse", lambda *_unused: None)
    assert words in chain.run("consumer", consumer_id=registered, **{option: value})["msg"]


def test_missing_initialization_parameters_are_listed(chain: Provider) -> None:
    wanted = {"unbonding_period": 0, "historical_entries": 0, "consumer_redistribution_fraction": ""}
    told = chain.failure("consumer", chain_id="incomplete-1", spawn_time="+60s", **wanted)
    listed = "unbonding_period, historical_entries, consumer_redistribution_fraction"
    assert f"{listed}: missing initialization parameters" in told


def test_what_a_phase_does_not_allow(chain: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before the launch there is no removal; a launched chain keeps how it began; a stopped one is left alone."""
    consumer_id = chain.create("phases-1")
    owner = {"owner": chain.alice.address, "consumer_id": consumer_id}
    words = f"chain with consumer id: {consumer_id} has to be in its launched phase"
    assert words in chain.failure("consumer", consumer_id=consumer_id, state="absent")
    assert words in chain.answer("MsgRemoveConsumer", **owner)

    assert chain.run("opt_in", consumer_id=consumer_id, key_file=str(tmp_path / "key")).get("changed")
    chain.launch(consumer_id)
    refused = {
        "cannot update chain id of a non-prelaunched chain: CONSUMER_PHASE_LAUNCHED": {"chain_id": "other-1"},
        "cannot update the initialization parameters of an an already launched chain": {"historical_entries": 5},
    }
    for words, change in refused.items():
        assert words in chain.failure("consumer", consumer_id=consumer_id, **change)
        with monkeypatch.context() as past:
            past.setattr(operation, "_check_update", lambda *_unused: None)
            assert words in chain.run("consumer", consumer_id=consumer_id, **change)["msg"]

    # The provider keeps new infraction parameters of a launched consumer back; asking for them again changes nothing.
    costs = {"double_sign": {"slash_fraction": "0.5"}, "downtime": {"jail_duration": "5"}}
    queued = chain.change("consumer", consumer_id=consumer_id, infraction_parameters=costs)
    assert queued["consumer"]["infraction_parameters"]["double_sign"]["slash_fraction"] == "0.05"
    back = {"double_sign": {"slash_fraction": "0.05"}, "downtime": {"jail_duration": "600"}}
    chain.change("consumer", consumer_id=consumer_id, infraction_parameters=back)
    assert chain.client.queued_infraction(consumer_id) is None

    assert chain.run("consumer", consumer_id=consumer_id, state="absent")["consumer"]["phase"] == "stopped"
    words = "cannot update consumer chain that is not in the registered, initialized, or launched phase"
    assert words in chain.failure("consumer", consumer_id=consumer_id, name="other")
    assert words in chain.answer("MsgUpdateConsumer", **owner)


def test_a_consumer_that_is_not_there(chain: Provider) -> None:
    assert "the provider knows no consumer 99" in chain.failure("consumer", consumer_id="99", name="n")
    assert "the provider knows no consumer 99: nothing to remove" in chain.failure(
        "consumer", consumer_id="99", state="absent"
    )
    assert "cannot retrieve owner address" in chain.answer(
        "MsgRemoveConsumer", owner=chain.alice.address, consumer_id="99"
    )
    assert "state absent needs the consumer_id" in chain.failure("consumer", chain_id="x-1", state="absent")
    assert "a new consumer needs a chain_id" in chain.failure("consumer", name="n")
