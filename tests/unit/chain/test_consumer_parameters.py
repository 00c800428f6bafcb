# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a consumer on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.chain import consumer_parameters
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.proto.messages import provider_message

UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(0, 2**63 - 1)
SECONDS = st.integers(0, 2**63 - 1).map(lambda nanoseconds: Decimal(nanoseconds) / 10**9)
FRACTION = st.integers(0, 10**18).map(lambda scaled: Decimal(scaled) / 10**18)
TEXTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)


@given(
    st.builds(
        InitializationParameters,
        initial_height=st.tuples(UINT64, UINT64),
        genesis_hash=st.binary(max_size=64),
        binary_hash=st.binary(max_size=64),
        spawn_time=st.none()
        | st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC)),
        unbonding_period=SECONDS,
        ccv_timeout_period=SECONDS,
        transfer_timeout_period=SECONDS,
        consumer_redistribution_fraction=st.text(max_size=5),
        blocks_per_distribution_transmission=INT64,
        historical_entries=INT64,
        distribution_transmission_channel=st.text(max_size=5),
        connection_id=st.text(max_size=5),
    )
)
def test_initialization_comes_back_as_it_was(parameters: InitializationParameters) -> None:
    message = provider_message("ConsumerInitializationParameters")()
    consumer_parameters.write_initialization(message, parameters)
    sent = type(message).FromString(message.SerializeToString())
    assert consumer_parameters.read_initialization(sent) == parameters


@given(
    st.builds(
        PowerShapingParameters,
        top_n=st.integers(0, 100),
        validators_power_cap=st.integers(0, 100),
        validator_set_cap=st.integers(0, 2**32 - 1),
        allowlist=TEXTS,
        denylist=TEXTS,
        prioritylist=TEXTS,
        min_stake=UINT64,
        allow_inactive_vals=st.booleans(),
    )
)
def test_power_shaping_comes_back_as_it_was(parameters: PowerShapingParameters) -> None:
    message = provider_message("PowerShapingParameters")()
    consumer_parameters.write_power_shaping(message, parameters)
    sent = type(message).FromString(message.SerializeToString())
    assert consumer_parameters.read_power_shaping(sent) == parameters


SLASH_JAIL = st.builds(SlashJailParameters, FRACTION, SECONDS, st.booleans())


@given(st.builds(InfractionParameters, SLASH_JAIL, SLASH_JAIL))
def test_infractions_come_back_as_they_were(parameters: InfractionParameters) -> None:
    message = provider_message("InfractionParameters")()
    consumer_parameters.write_infraction(message, parameters)
    sent = type(message).FromString(message.SerializeToString())
    assert consumer_parameters.read_infraction(sent) == parameters


def test_a_fraction_is_an_integer_times_ten_to_the_eighteenth() -> None:
    assert consumer_parameters.write_dec(Decimal("0.05")) == "50000000000000000"
    assert consumer_parameters.read_dec(b"50000000000000000") == Decimal("0.05")
    assert consumer_parameters.read_dec("") == 0
    with pytest.raises(QueryFailed, match="a fraction in an unknown form"):
        consumer_parameters.read_dec(b"0.05")
