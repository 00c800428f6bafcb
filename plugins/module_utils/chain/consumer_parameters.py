# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parameters of a consumer between the provider module's messages and the domain's values, without loss either way."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)

ZERO_TIME_SECONDS = -62135596800  # 0001-01-01T00:00:00Z, how the chain writes "no spawn time"
DEC_DIGITS = 18  # a LegacyDec is its value times 1e18, as the text of an integer
NANOSECONDS = 1_000_000_000


def read_initialization(message: Any) -> InitializationParameters:
    """Read a ConsumerInitializationParameters."""
    return InitializationParameters(
        initial_height=(message.initial_height.revision_number, message.initial_height.revision_height),
        genesis_hash=message.genesis_hash,
        binary_hash=message.binary_hash,
        spawn_time=read_moment(message.spawn_time),
        unbonding_period=read_duration(message.unbonding_period),
        ccv_timeout_period=read_duration(message.ccv_timeout_period),
        transfer_timeout_period=read_duration(message.transfer_timeout_period),
        consumer_redistribution_fraction=message.consumer_redistribution_fraction,
        blocks_per_distribution_transmission=message.blocks_per_distribution_transmission,
        historical_entries=message.historical_entries,
        distribution_transmission_channel=message.distribution_transmission_channel,
        connection_id=message.connection_id,
    )


def write_initialization(message: Any, parameters: InitializationParameters) -> None:
    """Fill a ConsumerInitializationParameters."""
    message.initial_height.revision_number, message.initial_height.revision_height = parameters.initial_height
    if parameters.spawn_time is None:
        message.spawn_time.seconds = ZERO_TIME_SECONDS
    else:
        message.spawn_time.FromDatetime(parameters.spawn_time)
    for name in ("unbonding_period", "ccv_timeout_period", "transfer_timeout_period"):
        write_duration(getattr(message, name), getattr(parameters, name))
    for name in (
        "genesis_hash",
        "binary_hash",
        "consumer_redistribution_fraction",
        "blocks_per_distribution_transmission",
        "historical_entries",
        "distribution_transmission_channel",
        "connection_id",
    ):
        setattr(message, name, getattr(parameters, name))


def read_power_shaping(message: Any) -> PowerShapingParameters:
    """Read a PowerShapingParameters."""
    return PowerShapingParameters(
        top_n=message.top_N,
        validators_power_cap=message.validators_power_cap,
        validator_set_cap=message.validator_set_cap,
        allowlist=tuple(message.allowlist),
        denylist=tuple(message.denylist),
        prioritylist=tuple(message.prioritylist),
        min_stake=message.min_stake,
        allow_inactive_vals=message.allow_inactive_vals,
    )


def write_power_shaping(message: Any, parameters: PowerShapingParameters) -> None:
    """Fill a PowerShapingParameters; one without any limit is there too, empty."""
    message.SetInParent()
    message.top_N = parameters.top_n
    for name in ("allowlist", "denylist", "prioritylist"):
        getattr(message, name).extend(getattr(parameters, name))
    for name in ("validators_power_cap", "validator_set_cap", "min_stake", "allow_inactive_vals"):
        setattr(message, name, getattr(parameters, name))


def read_infraction(message: Any) -> InfractionParameters:
    """Read an InfractionParameters."""
    return InfractionParameters(_read_slash_jail(message.double_sign), _read_slash_jail(message.downtime))


def write_infraction(message: Any, parameters: InfractionParameters) -> None:
    """Fill an InfractionParameters."""
    for target, source in (
        (message.double_sign, parameters.double_sign),
        (message.downtime, parameters.downtime),
    ):
        target.slash_fraction = write_dec(source.slash_fraction).encode()
        write_duration(target.jail_duration, source.jail_duration)
        target.tombstone = source.tombstone


def _read_slash_jail(message: Any) -> SlashJailParameters:
    return SlashJailParameters(
        slash_fraction=read_dec(message.slash_fraction),
        jail_duration=read_duration(message.jail_duration),
        tombstone=message.tombstone,
    )


def read_dec(wire: bytes | str) -> Decimal:
    """Read a LegacyDec: the text of an integer, the value times 1e18; an empty one is zero."""
    text = wire.decode("ascii", "replace") if isinstance(wire, bytes) else wire
    if not text:
        return Decimal(0)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise QueryFailed(f"the node sent a fraction in an unknown form: {text[:40]!r}")
    return Decimal(int(text)).scaleb(-DEC_DIGITS).normalize() + 0


def write_dec(value: Decimal) -> str:
    """Return the wire form of a LegacyDec; what is finer than 1e-18 is cut."""
    return str(int(value.scaleb(DEC_DIGITS)))


def read_duration(message: Any) -> Decimal:
    """Return a Duration in seconds, exact to the nanosecond."""
    return Decimal(message.seconds) + Decimal(message.nanos) / NANOSECONDS


def write_duration(message: Any, seconds: Decimal) -> None:
    """Fill a Duration; what is finer than a nanosecond is cut."""
    nanoseconds = int(seconds * NANOSECONDS)
    message.seconds, message.nanos = nanoseconds // NANOSECONDS, nanoseconds % NANOSECONDS


def read_moment(message: Any) -> datetime | None:
    """Read a Timestamp; None for the chain's "no time"."""
    if message.seconds in (0, ZERO_TIME_SECONDS):
        return None
    return datetime.fromtimestamp(message.seconds, UTC).replace(microsecond=message.nanos // 1000)
