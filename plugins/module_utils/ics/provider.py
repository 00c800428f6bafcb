# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider chain's own parameters, as far as they matter to consumers and their validators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    SlashJailParameters,
)

# Jailing that the chain means to last for ever: the longest time that Go can express, in seconds.
FOR_EVER = Decimal("9223372036.854775807")
POWER_REDUCTION = 1_000_000  # tokens (utoken) of one unit of consensus power, the Cosmos SDK's default


@dataclass(frozen=True)
class ProviderParameters:
    """Parameters of the modules provider and staking. Periods in seconds, fractions in 0..1 (text where the chain keeps text)."""

    blocks_per_epoch: int
    ccv_timeout_period: Decimal
    trusting_period_fraction: str
    slash_meter_replenish_period: Decimal
    slash_meter_replenish_fraction: str
    consumer_reward_denom_registration_fee: str
    number_of_epochs_to_start_receiving_rewards: int
    max_provider_consensus_validators: int
    unbonding_time: Decimal
    max_validators: int
    bond_denom: str
    min_commission_rate: Decimal


@dataclass(frozen=True)
class SlashingParameters:
    """Parameters of the module slashing: what an infraction on the provider costs. Durations in seconds, fractions in 0..1."""

    slash_fraction_double_sign: Decimal
    slash_fraction_downtime: Decimal
    downtime_jail_duration: Decimal
    signed_blocks_window: int
    min_signed_per_window: Decimal

    def consumer_default(self) -> InfractionParameters:
        """Return what the provider gives a consumer whose owner states no infraction parameters."""
        return InfractionParameters(
            double_sign=SlashJailParameters(self.slash_fraction_double_sign, FOR_EVER, tombstone=True),
            downtime=SlashJailParameters(Decimal(0), self.downtime_jail_duration, tombstone=False),
        )


@dataclass(frozen=True)
class ThrottleState:
    """How much consensus power consumers' slash packets may still jail, and when that is replenished."""

    slash_meter: int
    slash_meter_allowance: int
    next_replenish_candidate: datetime | None
