# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Validators of the provider chain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BondStatus(Enum):
    """Bond status of a validator (staking module)."""

    UNBONDED = "unbonded"
    UNBONDING = "unbonding"
    BONDED = "bonded"


class Standing(Enum):
    """Why a validator has no power on the provider and, with its next epoch, on no consumer. NORMAL: it has."""

    NORMAL = "Normal"
    UNBONDED = "Unbonded"
    JAILED = "Jailed"
    TOMBSTONED = "Tombstoned"


@dataclass(frozen=True)
class Validator:
    """A validator at one height.

    ``tokens`` are in utoken, ``details`` is the free text of its description, ``consensus_public_key`` the raw 32 bytes of
    the provider's ed25519 key.
    """

    operator_address: str
    moniker: str
    tokens: int
    jailed: bool
    status: BondStatus
    details: str
    consensus_public_key: bytes
