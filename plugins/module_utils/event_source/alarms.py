# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the source is worried about: each alarm is logged, shown in the figures, and some of them stop all events."""

from __future__ import annotations

import logging
import time

from ansible_collections.interchain.security.plugins.module_utils.event_source.telemetry import Telemetry

logger = logging.getLogger("interchain.security.ccv")

# While one of these holds, nothing is announced. What was found before the last endpoint failed is true all the same.
HOLDING_BACK = frozenset({"wrong_chain", "fork", "state_conflict"})
REPEAT_SECONDS = 30.0  # an alarm that stays is logged again


class Alarms:
    """The alarms that hold now, each with its reason."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._reasons: dict[str, str] = {}
        self._logged: dict[str, float] = {}

    def raised(self, kind: str, reason: str) -> None:
        """Note that something is wrong; log it when it is news, or was not told of for a while."""
        now = time.monotonic()
        if self._reasons.get(kind) != reason or now - self._logged[kind] >= REPEAT_SECONDS:
            logger.error("ALARM: %s", reason)
            self._logged[kind] = now
        self._reasons[kind] = reason
        self._telemetry.alarm(kind, True)

    def cleared(self, kind: str) -> None:
        """Note that it is right again."""
        if self._reasons.pop(kind, None) is not None:
            logger.warning("the alarm %s is over", kind)
        self._telemetry.alarm(kind, False)

    def holds(self, kind: str) -> bool:
        """Tell whether an alarm of that kind holds."""
        return kind in self._reasons

    def stopping(self) -> str:
        """Return why nothing may be announced now, empty when something may."""
        return next((reason for kind, reason in self._reasons.items() if kind in HOLDING_BACK), "")
