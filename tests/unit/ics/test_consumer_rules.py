# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider's conditions on a consumer, and its words for them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import address, consumer_rules
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)

OWNER = "cosmos1n69y2anvdwk48yqhz0wllquv0fc5rkhk7qe5zh"
CONSENSUS = address.with_prefix(OWNER, "cosmosvalcons")
GOV = "cosmos10d07y265gmmuvt4z0w9aw880jnsr700j6zn9kn"  # known of every chain with this prefix


@pytest.mark.parametrize(
    ("chain_id", "revision"),
    [
        ("demo-1", 1),
        ("demo-12", 12),
        ("demo", 0),
        ("demo-0", 0),
        ("demo-01", 0),
        ("demo--1", 0),
        ("a-b-3", 3),
        ("-1", 0),
        ("demo-1 ", 0),
        ("two\nlines-1", 0),  # a dot of Go's expression matches no line break
        ("{{ 1 }}-7", 7),
        (f"demo-{2**64}", 2**64),
    ],
)
def test_the_revision_number_is_read_as_ibc_reads_it(chain_id: str, revision: int) -> None:
    assert consumer_rules.revision_of(chain_id) == revision


def words(problems: Any) -> list[str]:
    return [f"{problem.option}: {problem.words}" for problem in problems]


@pytest.mark.parametrize(
    ("chain_id", "expected"),
    [
        ("x" * 50, []),
        ("x" * 51, ["chain_id: ChainId is too long; got: 51, max: 50"]),
        ("é" * 26, ["chain_id: ChainId is too long; got: 52, max: 50"]),
        (" \t", ["chain_id: ChainId cannot be empty"]),
        ("stride-1", ["chain_id: cannot use a reserved chain id"]),
        ("stride-2", []),
        ("x-99999999999999999999", ["chain_id: its revision number does not fit into 64 bits"]),
        ("\udcff", ["chain_id: is not UTF-8"]),
    ],
)
def test_chain_id(chain_id: str, expected: list[str]) -> None:
    assert words(consumer_rules.chain_id_problems(chain_id)) == expected


def test_metadata_has_limits_in_bytes() -> None:
    assert not words(consumer_rules.metadata_problems("n" * 50, "d" * 10_000, "m" * 255))
    assert words(consumer_rules.metadata_problems("n" * 51, "", "é" * 128)) == [
        "name: name is too long; got: 51, max: 50",
        "description: description cannot be empty",
        "metadata: metadata is too long; got: 256, max: 255",
    ]


GOOD = InitializationParameters(initial_height=(1, 1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"initial_height": (1, 0)}, []),
        (
            {"initial_height": (2, 1)},
            ["initial_revision_number: chain ID (demo-1) doesn't match revision number (2)"],
        ),
        ({"genesis_hash": b"x" * 64}, []),
        ({"binary_hash": b"x" * 65}, ["binary_hash: BinaryHash: hash is too long; got: 65, max: 64"]),
        (
            {"consumer_redistribution_fraction": "1.000000000000000001"},
            [
                "consumer_redistribution_fraction: ConsumerRedistributionFraction: "
                "param cannot be greater than 1, got 1.000000000000000001"
            ],
        ),
        (
            {"consumer_redistribution_fraction": "-0.1"},
            ["consumer_redistribution_fraction: ConsumerRedistributionFraction: param cannot be negative, got -0.1"],
        ),
        (
            {"consumer_redistribution_fraction": "half"},
            ["consumer_redistribution_fraction: ConsumerRedistributionFraction: not a decimal number: 'half'"],
        ),
        (
            {"blocks_per_distribution_transmission": -1},
            ["blocks_per_distribution_transmission: BlocksPerDistributionTransmission: int must be positive"],
        ),
        (
            {"transfer_timeout_period": Decimal("-0.5")},
            ["transfer_timeout_period: TransferTimeoutPeriod: duration must be positive"],
        ),
        (
            {"unbonding_period": Decimal(9_223_372_037)},
            ["unbonding_period: UnbondingPeriod: is longer than 9223372036.854775807 seconds"],
        ),
        (
            {"connection_id": "conn"},
            [
                "connection_id: ConnectionId: identifier conn has invalid length: 4, must be between 10-64 characters",
            ],
        ),
        ({"connection_id": "connection-0"}, []),
        (
            {"distribution_transmission_channel": "channel/0"},
            [
                "distribution_transmission_channel: DistributionTransmissionChannel: "
                "identifier channel/0 cannot contain separator '/'"
            ],
        ),
        (
            {"distribution_transmission_channel": "channel 0!"},
            [
                "distribution_transmission_channel: DistributionTransmissionChannel: "
                "identifier channel 0! must contain only alphanumeric or the following characters"
            ],
        ),
    ],
)
def test_initialization(change: dict[str, Any], expected: list[str]) -> None:
    assert words(consumer_rules.initialization_problems(replace(GOOD, **change), "demo-1")) == expected


def test_missing_parameters_are_listed_together() -> None:
    empty = InitializationParameters((0, 0), b"", b"", None, Decimal(0), Decimal(0), Decimal(0), "", 0, 0)
    names = [
        "initial_height",
        "unbonding_period",
        "ccv_timeout_period",
        "transfer_timeout_period",
        "blocks_per_distribution_transmission",
        "historical_entries",
        "consumer_redistribution_fraction",
    ]
    assert consumer_rules.missing_initialization(empty) == [*names, "spawn_time"]
    found = words(consumer_rules.initialization_problems(empty, "demo"))
    assert found[0] == f"{', '.join(names)}: missing initialization parameters"
    assert "initial_height: InitialHeight cannot be zero" in found
    assert consumer_rules.missing_initialization(GOOD) == ["spawn_time"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (PowerShapingParameters(top_n=50, validators_power_cap=100, allowlist=(CONSENSUS,)), []),
        (PowerShapingParameters(top_n=49), ["top_n: Top N can either be 0 or in the range [50, 100]"]),
        (PowerShapingParameters(top_n=101), ["top_n: Top N can either be 0 or in the range [50, 100]"]),
        (
            PowerShapingParameters(validators_power_cap=101),
            ["validators_power_cap: ValidatorsPowerCap has to be in the range [0, 100]"],
        ),
        (
            PowerShapingParameters(validator_set_cap=-1, min_stake=2**64),
            [
                "validator_set_cap: must be a number of validators, 0 for no limit",
                "min_stake: must be an amount of utoken, 0 for no limit",
            ],
        ),
        (
            PowerShapingParameters(denylist=(OWNER,)),
            [
                f"denylist: Denylist: invalid address {OWNER}: invalid Bech32 prefix; expected cosmosvalcons, got cosmos",
            ],
        ),
        (
            PowerShapingParameters(prioritylist=("$(id)",)),
            ["prioritylist: Prioritylist: invalid address $(id): decoding bech32 failed"],
        ),
        (
            PowerShapingParameters(allowlist=(CONSENSUS,) * 1001),
            ["allowlist: Allowlist: consensus address list too long;  got: 1001, max: 1000"],
        ),
    ],
)
def test_power_shaping(parameters: PowerShapingParameters, expected: list[str]) -> None:
    assert words(consumer_rules.power_shaping_problems(parameters, "cosmosvalcons")) == expected


def test_top_n_belongs_to_the_gov_module() -> None:
    assert address.module_account("gov", "cosmos") == GOV
    top_n = PowerShapingParameters(top_n=60)
    assert not words(consumer_rules.owner_problems(top_n, GOV, GOV, GOV))
    assert not words(consumer_rules.owner_problems(PowerShapingParameters(), OWNER, GOV, GOV))
    (one,) = words(consumer_rules.owner_problems(top_n, OWNER, OWNER, GOV))
    assert one == "top_n: an update to a Top N chain can only be done if chain is owner is the gov module"
    (other,) = words(consumer_rules.owner_problems(top_n, GOV, OWNER, GOV))
    assert other.startswith("new_owner_address: a move to a new owner address that is not the gov module")
    (new,) = words(consumer_rules.new_top_n_problems(top_n))
    assert "cannot create a Top N chain through `MsgCreateConsumer`" in new


@pytest.mark.parametrize("given", ["", "cosmos1", CONSENSUS, OWNER[:-1] + "q", OWNER.upper()])
def test_a_wrong_new_owner_is_told(given: str) -> None:
    (found,) = words(consumer_rules.new_owner_problems(given, "cosmos"))
    assert found == f"new_owner_address: invalid new owner address {given}"
    assert not words(consumer_rules.new_owner_problems(OWNER, "cosmos"))


def test_infraction_parameters() -> None:
    hostile = SlashJailParameters(Decimal(1), Decimal("9223372036.854775807"), tombstone=True)
    assert not words(consumer_rules.infraction_problems(InfractionParameters(hostile, hostile)))
    assert words(
        consumer_rules.infraction_problems(
            InfractionParameters(
                SlashJailParameters(Decimal("1.5"), Decimal("-1")),
                SlashJailParameters(Decimal("-0.5"), Decimal("9223372036.854775808")),
            )
        )
    ) == [
        "infraction_parameters.double_sign: DoubleSign.JailDuration cannot be negative",
        "infraction_parameters.double_sign: DoubleSign.SlashFraction: "
        "param cannot be greater than 1, got 1.500000000000000000",
        "infraction_parameters.downtime: Downtime.JailDuration is longer than 9223372036.854775807 seconds, for ever",
        "infraction_parameters.downtime: Downtime.SlashFraction: param cannot be negative, got -0.500000000000000000",
    ]


@pytest.mark.parametrize(
    ("denoms", "expected"),
    [
        (("stake", "ibc/" + "0aF" * 21 + "1", "transfer/channel-0/atom"), []),
        (("aaa", "bbb", "ccc", "ddd"), ["allowlisted_reward_denoms: More than 3 denoms"]),
        (("x y",), ["allowlisted_reward_denoms: Invalid denom (x y): invalid denom: x y"]),
        (("ibc/12",), ["allowlisted_reward_denoms: Invalid denom (ibc/12): not ibc/ and a hash in hex"]),
    ],
)
def test_reward_denoms(denoms: tuple[str, ...], expected: list[str]) -> None:
    assert words(consumer_rules.reward_denom_problems(denoms)) == expected


def test_commission() -> None:
    least = Decimal("0.05")
    assert not words(consumer_rules.commission_problems(least, least))
    assert words(consumer_rules.commission_problems(Decimal("1.1"), least)) == [
        "rate: consumer commission rate should be in the range [0, 1]"
    ]
    assert words(consumer_rules.commission_problems(Decimal("0.04"), least)) == [
        "rate: commission rate cannot be less than 0.050000000000000000"
    ]


@pytest.mark.parametrize("text", ["", "1e3", "0.0000000000000000001", ".5", "1.", "NaN", "١"])
def test_a_number_is_read_as_the_chain_reads_it(text: str) -> None:
    with pytest.raises(InvalidInput, match="rate must be a decimal number"):
        consumer_rules.checked_decimal("rate", text)


def test_all_problems_are_told_at_once() -> None:
    problems = list(consumer_rules.metadata_problems("", "", "x"))
    with pytest.raises(InvalidInput, match=r"name cannot be empty; description: description cannot be empty$"):
        consumer_rules.refuse(problems, "it")
    consumer_rules.refuse([], "it")
