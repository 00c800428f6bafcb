# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A consumer chain as the provider's record of it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


@dataclass(frozen=True)
class ConsumerSummary:
    """A consumer as a listing of all consumers shows it. ``chain_id`` is a stranger's free text and not unique."""

    consumer_id: str
    chain_id: str
    phase: Phase


@dataclass(frozen=True)
class InitializationParameters:
    """What a consumer starts with. The defaults are those that this collection gives a new consumer.

    ``initial_height`` is (revision number, revision height); the hashes are raw bytes and may be empty; ``spawn_time`` is None
    when it is unset; periods are in seconds, exact to the nanosecond as the chain keeps them; the fraction is the chain's text.
    """

    initial_height: tuple[int, int] = (0, 1)
    genesis_hash: bytes = b""
    binary_hash: bytes = b""
    spawn_time: datetime | None = None
    unbonding_period: Decimal = Decimal(1_209_600)
    ccv_timeout_period: Decimal = Decimal(2_419_200)
    transfer_timeout_period: Decimal = Decimal(1800)
    consumer_redistribution_fraction: str = "0.75"
    blocks_per_distribution_transmission: int = 1000
    historical_entries: int = 10_000
    distribution_transmission_channel: str = ""
    connection_id: str = ""


@dataclass(frozen=True)
class PowerShapingParameters:
    """Who may validate a consumer and with how much power. Zero and empty mean: no limit.

    ``top_n`` and ``validators_power_cap`` are percentages; ``min_stake`` is in utoken; the lists hold provider consensus
    addresses (``...valcons1...``).
    """

    top_n: int = 0
    validators_power_cap: int = 0
    validator_set_cap: int = 0
    allowlist: tuple[str, ...] = ()
    denylist: tuple[str, ...] = ()
    prioritylist: tuple[str, ...] = ()
    min_stake: int = 0
    allow_inactive_vals: bool = False


@dataclass(frozen=True)
class SlashJailParameters:
    """What an infraction on a consumer costs its validator on the provider.

    ``slash_fraction`` lies in 0..1; ``jail_duration`` is in seconds, exact to the nanosecond (the chain's "for ever" is
    9223372036.854775807); ``tombstone`` counts for double signing only.
    """

    slash_fraction: Decimal = Decimal(0)
    jail_duration: Decimal = Decimal(0)
    tombstone: bool = False


@dataclass(frozen=True)
class InfractionParameters:
    """What double signing and downtime on a consumer cost."""

    double_sign: SlashJailParameters = SlashJailParameters()
    downtime: SlashJailParameters = SlashJailParameters()


@dataclass(frozen=True)
class Consumer:
    """A consumer at one height.

    All of ``chain_id``, ``name``, ``description`` and ``metadata`` is free text written by strangers.
    """

    consumer_id: str
    chain_id: str
    phase: Phase
    owner_address: str
    client_id: str
    name: str
    description: str
    metadata: str
    initialization: InitializationParameters = InitializationParameters()
    power_shaping: PowerShapingParameters = PowerShapingParameters()
    infraction: InfractionParameters = InfractionParameters()

    @property
    def spawn_time(self) -> datetime | None:
        """When it is to launch; None when that is unset."""
        return self.initialization.spawn_time

    @property
    def initial_height(self) -> tuple[int, int]:
        """(revision number, revision height) of its first block."""
        return self.initialization.initial_height


@dataclass(frozen=True)
class ConsumerValidator:
    """A member of a consumer's initial validator set: who it is on the provider, and the key it signs with there."""

    operator_address: str
    consumer_public_key: str
    power: int
    details: str
