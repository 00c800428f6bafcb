# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the module ``consumer`` that say what a consumer is to be; what is not given stays as it is."""

from __future__ import annotations

import binascii
import dataclasses
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import consumer_rules
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer_record import ConsumerRecord

_SLASH_JAIL: dict[str, Any] = {
    "type": "dict",
    "options": {
        "slash_fraction": {"type": "str"},
        "jail_duration": {"type": "str"},
        "tombstone": {"type": "bool"},
    },
}
_METADATA: dict[str, Any] = {
    "name": {"type": "str"},
    "description": {"type": "str"},
    "metadata": {"type": "str"},
}
_HEIGHT: dict[str, Any] = {
    "initial_height": {"type": "int"},
    "initial_revision_number": {"type": "int"},
}
_HASHES: dict[str, Any] = {
    "genesis_hash": {"type": "str"},
    "binary_hash": {"type": "str"},
}
_PERIODS: dict[str, Any] = {
    "unbonding_period": {"type": "int"},
    "ccv_timeout_period": {"type": "int"},
    "transfer_timeout_period": {"type": "int"},
}
_FURTHER_INITIALIZATION: dict[str, Any] = {
    "consumer_redistribution_fraction": {"type": "str"},
    "blocks_per_distribution_transmission": {"type": "int"},
    "historical_entries": {"type": "int"},
    "distribution_transmission_channel": {"type": "str"},
    "connection_id": {"type": "str"},
}
_POWER_SHAPING: dict[str, Any] = {
    "top_n": {"type": "int"},
    "validators_power_cap": {"type": "int"},
    "validator_set_cap": {"type": "int"},
    "allowlist": {"type": "list", "elements": "str"},
    "denylist": {"type": "list", "elements": "str"},
    "prioritylist": {"type": "list", "elements": "str"},
    "min_stake": {"type": "int"},
    "allow_inactive_vals": {"type": "bool"},
}
INITIALIZATION_OPTIONS = ("spawn_time", *_HEIGHT, *_HASHES, *_PERIODS, *_FURTHER_INITIALIZATION)
OPTIONS: dict[str, Any] = {
    "chain_id": {"type": "str"},
    "new_owner_address": {"type": "str"},
    **_METADATA,
    "spawn_time": {"type": "str"},
    **_HEIGHT,
    **_HASHES,
    **_PERIODS,
    **_FURTHER_INITIALIZATION,
    **_POWER_SHAPING,
    "infraction_parameters": {"type": "dict", "options": {"double_sign": _SLASH_JAIL, "downtime": _SLASH_JAIL}},
    "allowlisted_reward_denoms": {"type": "list", "elements": "str"},
}
UNSET = "unset"
_RELATIVE = re.compile(r"\+([0-9]{1,9})s")


@dataclass(frozen=True)
class SpawnTime:
    """A spawn time as it was given: a moment, seconds after the newest block, or neither to unset it."""

    moment: datetime | None = None
    seconds: int | None = None

    def resolve(self, current: datetime | None, newest_block: datetime) -> datetime | None:
        """Return the moment. One that was given in seconds leaves a spawn time that is set already as it is."""
        if self.seconds is None:
            return self.moment
        return current or newest_block.replace(microsecond=0) + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Given:
    """What the options say, by the names of the record's fields."""

    chain_id: str | None = None
    new_owner_address: str | None = None
    texts: dict[str, str] = field(default_factory=dict)
    spawn_time: SpawnTime | None = None
    initial_height: int | None = None
    initial_revision_number: int | None = None
    initialization: dict[str, Any] = field(default_factory=dict)
    power_shaping: dict[str, Any] = field(default_factory=dict)
    infraction: dict[str, dict[str, Any]] | None = None
    reward_denoms: tuple[str, ...] | None = None

    def applied_to(self, record: ConsumerRecord, newest_block: datetime) -> ConsumerRecord:
        """Return the record as it is wanted; ``newest_block`` is the time of the provider's newest block."""
        chain_id = self.chain_id or record.chain_id
        number, height = record.initialization.initial_height
        if chain_id != record.chain_id:
            number = consumer_rules.revision_of(chain_id)
        if self.initial_revision_number is not None:
            number = self.initial_revision_number
        if self.initial_height is not None:
            height = self.initial_height
        spawn_time = record.initialization.spawn_time
        if self.spawn_time is not None:
            spawn_time = self.spawn_time.resolve(spawn_time, newest_block)
        infraction = record.infraction
        if self.infraction is not None:
            infraction = InfractionParameters(
                double_sign=dataclasses.replace(infraction.double_sign, **self.infraction.get("double_sign", {})),
                downtime=dataclasses.replace(infraction.downtime, **self.infraction.get("downtime", {})),
            )
        return dataclasses.replace(
            record,
            chain_id=chain_id,
            owner_address=self.new_owner_address or record.owner_address,
            **self.texts,
            initialization=dataclasses.replace(
                record.initialization,
                initial_height=(number, height),
                spawn_time=spawn_time,
                **self.initialization,
            ),
            power_shaping=dataclasses.replace(record.power_shaping, **self.power_shaping),
            infraction=infraction,
            reward_denoms=record.reward_denoms if self.reward_denoms is None else self.reward_denoms,
        )


def parse(params: dict[str, Any]) -> Given:
    """Read the options; InvalidInput that names the one that cannot be read."""
    initialization: dict[str, Any] = {
        name: params[name] for name in _FURTHER_INITIALIZATION if params[name] is not None
    }
    for name in _HASHES:
        if params[name] is not None:
            initialization[name] = _hash(name, params[name])
    for name in _PERIODS:
        if params[name] is not None:
            initialization[name] = Decimal(params[name])
    power_shaping: dict[str, Any] = {name: params[name] for name in _POWER_SHAPING if params[name] is not None}
    for name in consumer_rules.VALIDATOR_LISTS:
        if name in power_shaping:
            power_shaping[name] = tuple(power_shaping[name])
    for name in ("initial_height", "initial_revision_number"):
        if params[name] is not None and not 0 <= params[name] < 2**64:
            raise InvalidInput(f"{name} must be a number that is not negative, not {params[name]}")
    if params["chain_id"] == "":
        raise InvalidInput("chain_id: ChainId cannot be empty")
    denoms = params["allowlisted_reward_denoms"]
    return Given(
        chain_id=params["chain_id"],
        new_owner_address=params["new_owner_address"],
        texts={name: params[name] for name in _METADATA if params[name] is not None},
        spawn_time=None if params["spawn_time"] is None else _spawn_time(params["spawn_time"]),
        initial_height=params["initial_height"],
        initial_revision_number=params["initial_revision_number"],
        initialization=initialization,
        power_shaping=power_shaping,
        infraction=_infraction(params["infraction_parameters"]),
        reward_denoms=None if denoms is None else tuple(denoms),
    )


def _hash(name: str, text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput(f"{name} must be a hash in hexadecimal digits, not {text[:80]!r}") from error


def _spawn_time(text: str) -> SpawnTime:
    if text == UNSET:
        return SpawnTime()
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return SpawnTime(seconds=int(relative[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            f"spawn_time must be RFC 3339 such as 2026-12-01T12:00:00Z, or +60s, or {UNSET}, not {text[:40]!r}"
        )
    return SpawnTime(moment=moment.astimezone(UTC))


def _infraction(given: dict[str, Any] | None) -> dict[str, dict[str, Any]] | None:
    if given is None:
        return None
    found: dict[str, dict[str, Any]] = {}
    for name in (entry.name for entry in dataclasses.fields(InfractionParameters)):
        values = given.get(name) or {}
        found[name] = {key: value for key, value in values.items() if value is not None}
        for key in ("slash_fraction", "jail_duration"):
            if key in found[name]:
                text = found[name][key].removesuffix("s") if key == "jail_duration" else found[name][key]
                found[name][key] = consumer_rules.checked_decimal(f"infraction_parameters.{name}.{key}", text)
    return found
