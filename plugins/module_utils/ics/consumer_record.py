# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that a consumer's owner decides about it, and where what is differs from what is wanted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
    SlashJailParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import rfc3339


@dataclass(frozen=True)
class ConsumerRecord:
    """What a consumer's owner decides, in the groups in which the provider changes it."""

    chain_id: str
    owner_address: str
    name: str
    description: str
    metadata: str
    initialization: InitializationParameters
    power_shaping: PowerShapingParameters
    infraction: InfractionParameters
    reward_denoms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What is to change: before and after, by the names of the module's options, and the groups they belong to."""

    before: dict[str, Any]
    after: dict[str, Any]
    groups: frozenset[str]


METADATA = "metadata"
INITIALIZATION = "initialization"
POWER_SHAPING = "power_shaping"
INFRACTION = "infraction"
REWARD_DENOMS = "reward_denoms"
OWNER = "owner"
CHAIN_ID = "chain_id"
CHANGEABLE = frozenset({CHAIN_ID, METADATA, INITIALIZATION, POWER_SHAPING, INFRACTION, REWARD_DENOMS, OWNER})


def as_options(record: ConsumerRecord) -> dict[str, tuple[str, Any]]:
    """Return each value under the module's option, with its group, in a form in which equal values compare equal."""
    shown: dict[str, tuple[str, Any]] = {
        "chain_id": (CHAIN_ID, record.chain_id),
        "new_owner_address": (OWNER, record.owner_address),
        "name": (METADATA, record.name),
        "description": (METADATA, record.description),
        "metadata": (METADATA, record.metadata),
    }
    start = record.initialization
    for name, value in dataclasses.asdict(start).items():
        shown[name] = (INITIALIZATION, _plain(value))
    shown["initial_revision_number"] = (INITIALIZATION, start.initial_height[0])
    shown["initial_height"] = (INITIALIZATION, start.initial_height[1])
    shown["consumer_redistribution_fraction"] = (
        INITIALIZATION,
        _plain_fraction(start.consumer_redistribution_fraction),
    )
    for name, value in dataclasses.asdict(record.power_shaping).items():
        shown[name] = (POWER_SHAPING, sorted(set(value)) if isinstance(value, tuple) else value)
    shown["allowlisted_reward_denoms"] = (REWARD_DENOMS, sorted(set(record.reward_denoms)))
    shown["infraction_parameters"] = (INFRACTION, infraction_as_options(record.infraction))
    return shown


def infraction_as_options(parameters: InfractionParameters) -> dict[str, Any]:
    """Return infraction parameters in the form of the module's option; fraction and seconds as text, which keeps them exact."""
    return {"double_sign": _slash_jail(parameters.double_sign), "downtime": _slash_jail(parameters.downtime)}


def difference(before: ConsumerRecord, after: ConsumerRecord) -> Difference:
    """Return where two records differ."""
    old, new = as_options(before), as_options(after)
    names = [name for name in new if old[name] != new[name]]
    return Difference(
        before={name: old[name][1] for name in names},
        after={name: new[name][1] for name in names},
        groups=frozenset(new[name][0] for name in names),
    )


def decimal_text(value: Decimal) -> str:
    """Return a decimal number in its shortest form without an exponent."""
    return format(value.normalize() + 0, "f")


def _slash_jail(parameters: SlashJailParameters) -> dict[str, Any]:
    return {
        "slash_fraction": decimal_text(parameters.slash_fraction),
        "jail_duration": decimal_text(parameters.jail_duration),
        "tombstone": parameters.tombstone,
    }


def _plain_fraction(text: str) -> str:
    try:
        return decimal_text(Decimal(text))
    except InvalidOperation:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    return value
