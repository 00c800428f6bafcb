# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module consumer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import ConsumerRecord
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_options

NOW = datetime(2026, 12, 1, 12, 0, 0, 123456, tzinfo=UTC)
RECORD = ConsumerRecord(
    "demo-1",
    "cosmos1owner",
    "demo",
    "-",
    "-",
    InitializationParameters(initial_height=(1, 5)),
    PowerShapingParameters(min_stake=7),
    InfractionParameters(SlashJailParameters(Decimal("0.05"), Decimal(9), tombstone=True), SlashJailParameters()),
    ("stake",),
)


def applied(record: ConsumerRecord = RECORD, /, **given: Any) -> ConsumerRecord:
    return consumer_options.parse({**dict.fromkeys(consumer_options.OPTIONS), **given}).applied_to(record, NOW)


def test_what_is_not_given_stays() -> None:
    assert applied() == RECORD


def test_each_option_changes_its_own_value_only() -> None:
    assert applied(genesis_hash="00ff").initialization == InitializationParameters(
        initial_height=(1, 5), genesis_hash=b"\x00\xff"
    )
    assert applied(allowlist=[], validator_set_cap=3).power_shaping == PowerShapingParameters(
        min_stake=7, validator_set_cap=3
    )
    assert applied(allowlisted_reward_denoms=[]).reward_denoms == ()
    changed = applied(infraction_parameters={"double_sign": {"jail_duration": "60s", "tombstone": False}})
    assert changed.infraction.double_sign == SlashJailParameters(Decimal("0.05"), Decimal(60), tombstone=False)
    assert changed.infraction.downtime == SlashJailParameters()


def test_a_new_chain_id_brings_its_revision_number() -> None:
    assert applied(chain_id="demo-2").initialization.initial_height == (2, 5)
    assert applied(chain_id="demo").initialization.initial_height == (0, 5)
    assert applied(chain_id="demo-2", initial_revision_number=9).initialization.initial_height == (9, 5)


def test_a_spawn_time_after_the_newest_block_is_set_once() -> None:
    soon = applied(spawn_time="+60s")
    assert soon.initialization.spawn_time == NOW.replace(microsecond=0) + timedelta(seconds=60)
    assert applied(soon, spawn_time="+90s") == soon
    assert applied(soon, spawn_time="2026-12-02T00:00:00+02:00").initialization.spawn_time == datetime(
        2026, 12, 1, 22, tzinfo=UTC
    )
    assert applied(soon, spawn_time="unset").initialization.spawn_time is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spawn_time": "tomorrow"}, "spawn_time must be RFC 3339"),
        ({"spawn_time": "2026-12-01T12:00:00"}, "spawn_time must be RFC 3339"),
        ({"spawn_time": "+1h"}, "spawn_time must be RFC 3339"),
        ({"genesis_hash": "xyz"}, "genesis_hash must be a hash in hexadecimal digits"),
        ({"binary_hash": "abc"}, "binary_hash must be a hash in hexadecimal digits"),
        ({"initial_height": -1}, "initial_height must be a number that is not negative"),
        ({"chain_id": ""}, "chain_id: ChainId cannot be empty"),
        (
            {"infraction_parameters": {"downtime": {"slash_fraction": "5%"}}},
            "infraction_parameters.downtime.slash_fraction must be a decimal number",
        ),
        (
            {"infraction_parameters": {"double_sign": {"jail_duration": "ever"}}},
            "infraction_parameters.double_sign.jail_duration must be a decimal number",
        ),
    ],
)
def test_what_cannot_be_read_is_told_by_the_name_of_its_option(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace(".", r"\.")):
        applied(**given)
