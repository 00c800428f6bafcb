# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the consumer nodes are to be looked at: at regular times, and never a second time while the first still waits or runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ansible_collections.interchain.security.plugins.module_utils.errors import StateError

logger = logging.getLogger("interchain.security.ccv")

LOOK_SECONDS = 1.0  # between looks whether the last check has ended, and whether the next one is due


class Checks:
    """Asks for a check every ``interval`` seconds.

    ``ask`` sends the event and returns its uuid; ``waits`` tells whether an event has not left yet; ``ended`` gives the uuid in the receipt
    of the check that ended last. One without a receipt ``timeout`` seconds after it left counts as lost.
    """

    def __init__(
        self,
        interval: float,
        timeout: float,
        *,
        ask: Callable[[], str],
        waits: Callable[[str], bool],
        ended: Callable[[], Awaitable[str]],
    ) -> None:
        self._interval, self._timeout = interval, timeout
        self._ask, self._waits, self._ended = ask, waits, ended
        self._uuid = ""  # of the check that is not known to have ended
        self._left = 0.0  # loop time at which it left, or at which the first one could have

    async def run(self) -> None:
        """Ask for ever. Begun again after a failure it still knows of the check that is outstanding."""
        if not self._left:
            self._left = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._interval))
            now = asyncio.get_running_loop().time()
            if self._uuid and self._waits(self._uuid):
                self._left = now
                continue
            if now - self._left < self._interval or (self._uuid and not await self._is_over(now)):
                continue
            self._uuid, self._left = self._ask(), now

    async def _is_over(self, now: float) -> bool:
        try:
            if await self._ended() == self._uuid:
                return True
        except StateError as error:
            logger.warning("whether the check of the consumers has ended cannot be read: %s", error)
        if now - self._left < self._timeout:
            return False
        logger.warning("the check of the consumers has not ended within %.0f s: another one is sent", self._timeout)
        return True
