# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A consumer chain as the provider's record of it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


@dataclass(frozen=True)
class ConsumerSummary:
    """A consumer as a listing of all consumers shows it. ``chain_id`` is a stranger's free text and not unique."""

    consumer_id: str
    chain_id: str
    phase: Phase


@dataclass(frozen=True)
class Consumer:
    """A consumer at one height.

    ``spawn_time`` is None when it is unset; ``initial_height`` is (revision number, revision height). All of ``chain_id``,
    ``name``, ``description`` and ``metadata`` is free text written by strangers.
    """

    consumer_id: str
    chain_id: str
    phase: Phase
    owner_address: str
    client_id: str
    name: str
    description: str
    metadata: str
    spawn_time: datetime | None
    initial_height: tuple[int, int]
    connection_id: str
    unbonding_seconds: int
    top_n: int


@dataclass(frozen=True)
class ConsumerValidator:
    """A member of a consumer's initial validator set: who it is on the provider, and the key it signs with there."""

    operator_address: str
    consumer_public_key: str
    power: int
    details: str
