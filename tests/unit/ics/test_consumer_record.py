# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a consumer differs from what its owner wants."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics import consumer_record
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import ConsumerRecord, difference

SPAWN = datetime(2026, 12, 1, 12, tzinfo=UTC)
RECORD = ConsumerRecord(
    chain_id="demo-1",
    owner_address="cosmos1owner",
    name="demo-1",
    description="-",
    metadata="-",
    initialization=InitializationParameters(initial_height=(1, 1), spawn_time=SPAWN, genesis_hash=b"\xaa"),
    power_shaping=PowerShapingParameters(allowlist=("b", "a")),
    infraction=InfractionParameters(
        SlashJailParameters(Decimal("0.05"), Decimal("9223372036.854775807"), tombstone=True),
        SlashJailParameters(Decimal(0), Decimal(600)),
    ),
    reward_denoms=("y", "x"),
)


@pytest.mark.parametrize(
    "same",
    [
        RECORD,
        replace(RECORD, power_shaping=PowerShapingParameters(allowlist=("a", "b", "a"))),
        replace(RECORD, reward_denoms=("x", "y")),
        replace(
            RECORD,
            initialization=replace(
                RECORD.initialization,
                consumer_redistribution_fraction="0.750",
                unbonding_period=Decimal("1209600.0"),
                spawn_time=SPAWN.astimezone(timezone(timedelta(hours=2))),
            ),
        ),
    ],
)
def test_what_means_the_same_is_no_difference(same: ConsumerRecord) -> None:
    found = difference(RECORD, same)
    assert (found.before, found.after, found.groups) == ({}, {}, frozenset())


@pytest.mark.parametrize(
    ("changed", "group", "before", "after"),
    [
        (replace(RECORD, chain_id="x"), consumer_record.CHAIN_ID, {"chain_id": "demo-1"}, {"chain_id": "x"}),
        (replace(RECORD, metadata=""), consumer_record.METADATA, {"metadata": "-"}, {"metadata": ""}),
        (
            replace(RECORD, initialization=replace(RECORD.initialization, genesis_hash=b"", spawn_time=None)),
            consumer_record.INITIALIZATION,
            {"genesis_hash": "aa", "spawn_time": "2026-12-01T12:00:00Z"},
            {"genesis_hash": "", "spawn_time": None},
        ),
        (
            replace(RECORD, power_shaping=PowerShapingParameters(allowlist=("a",))),
            consumer_record.POWER_SHAPING,
            {"allowlist": ["a", "b"]},
            {"allowlist": ["a"]},
        ),
        (
            replace(RECORD, reward_denoms=()),
            consumer_record.REWARD_DENOMS,
            {"allowlisted_reward_denoms": ["x", "y"]},
            {"allowlisted_reward_denoms": []},
        ),
    ],
)
def test_a_difference_is_shown_by_the_names_of_the_options(
    changed: ConsumerRecord, group: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = difference(RECORD, changed)
    assert (found.before, found.after, found.groups) == (before, after, frozenset({group}))


def test_infraction_parameters_are_shown_exactly() -> None:
    shown = consumer_record.infraction_as_options(RECORD.infraction)
    assert shown["double_sign"] == {
        "slash_fraction": "0.05",
        "jail_duration": "9223372036.854775807",
        "tombstone": True,
    }
    assert shown["downtime"] == {"slash_fraction": "0", "jail_duration": "600", "tombstone": False}
