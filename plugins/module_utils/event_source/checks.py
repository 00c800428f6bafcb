# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When all consumer nodes, or all announcements, are to be looked at: never a second time while the first look still waits or runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ansible_collections.interchain.security.plugins.module_utils.errors import StateError

logger = logging.getLogger("interchain.security.ccv")

SETTLE_SECONDS = 3.0  # in which changes of announcements become one
AGAIN_SECONDS = 60.0  # until announcements are looked at again that could not be
LOOK_SECONDS = 1.0  # between looks whether the last check has ended, and whether the next one is due
PUT_OFF_INTERVALS = 2  # that a check leaves the processors to playbooks of consumers


class Checks:
    """Asks for a check every ``interval`` seconds, when one is ``wanted`` then.

    ``ask`` sends the event and returns its uuid; ``waits`` tells whether an event has not left yet; ``ended`` gives uuid and outcome in the
    receipt of the check that ended last. One without a receipt ``timeout`` seconds after it left counts as lost. ``settled`` is told
    how each ended, with an empty text for a lost one. While consumers' events are dealt with (``busy``), the next check is put off, by
    PUT_OFF_INTERVALS intervals at most: an opt-in has a spawn time to meet, and a check has not.
    """

    def __init__(
        self,
        interval: float,
        timeout: float,
        *,
        ask: Callable[[], str],
        waits: Callable[[str], bool],
        ended: Callable[[], Awaitable[tuple[str, str]]],
        wanted: Callable[[], bool] = lambda: True,
        settled: Callable[[str], None] = lambda outcome: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._interval, self._timeout = interval, timeout
        self._ask, self._waits, self._ended = ask, waits, ended
        self._wanted, self._settled, self._busy = wanted, settled, busy
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
            self._uuid = ""
            if self._busy() and now - self._left < (1 + PUT_OFF_INTERVALS) * self._interval:
                continue
            if self._wanted():
                self._uuid, self._left = self._ask(), now

    async def _is_over(self, now: float) -> bool:
        try:
            uuid, outcome = await self._ended()
            if uuid == self._uuid:
                self._settled(outcome)
                return True
        except StateError as error:
            logger.warning("whether a check has ended cannot be read: %s", error)
        if now - self._left < self._timeout:
            return False
        logger.warning("a check has not ended within %.0f s: it is given up", self._timeout)
        self._settled("")
        return True


class Announcements:
    """Whether validators may have changed what they announce since that was looked at last."""

    def __init__(self) -> None:
        self._look_at: float | None = None  # loop time
        self._looks = False

    @property
    def pending(self) -> bool:
        """Tell whether a look is wanted, or has not ended well yet."""
        return self._looks or self._look_at is not None

    def changed(self, delay: float | None = None) -> None:
        """Note a change. It waits for others that come with it."""
        if self._look_at is None:
            self._look_at = asyncio.get_running_loop().time() + (SETTLE_SECONDS if delay is None else delay)

    def wanted(self) -> bool:
        """Tell whether it is time to look."""
        return self._look_at is not None and self._look_at <= asyncio.get_running_loop().time()

    def asked(self) -> None:
        """Note that somebody looks."""
        self._look_at, self._looks = None, True

    def settled(self, outcome: str) -> None:
        """Note how the look ended; one that did not end well is done again."""
        self._looks = False
        if outcome != "done":
            self.changed(AGAIN_SECONDS)
