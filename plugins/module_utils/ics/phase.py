# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a consumer chain, in the provider's own words."""

from __future__ import annotations

import enum

_CHAIN_PREFIX = "CONSUMER_PHASE_"


class Phase(enum.Enum):
    """Where a consumer is in its life; the values are what modules and events show."""

    REGISTERED = "registered"
    INITIALIZED = "initialized"
    LAUNCHED = "launched"
    STOPPED = "stopped"
    DELETED = "deleted"

    @classmethod
    def from_chain(cls, name: str) -> Phase:
        """Read the name of the chain's enum (``CONSUMER_PHASE_LAUNCHED``).

        Raises ValueError for any other text, CONSUMER_PHASE_UNSPECIFIED included.
        """
        if name.startswith(_CHAIN_PREFIX):
            member = cls.__members__.get(name.removeprefix(_CHAIN_PREFIX))
            if member is not None:
                return member
        raise ValueError(f"{name!r} is not a phase of a consumer chain")

    @property
    def chain_name(self) -> str:
        """The name in the chain's enum, for example ``CONSUMER_PHASE_LAUNCHED``."""
        return _CHAIN_PREFIX + self.name
