# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many entries to ask for in one page of a listing whose entries differ in size by a factor of a hundred."""

from __future__ import annotations

TARGET_BYTES = 1024 * 1024
FIRST_LIMIT = 20  # the largest entries possible then stay below the usual 4 MB of a gRPC answer
LARGEST_LIMIT = 5000
FASTEST_GROWTH = 8


class PageLimit:
    """A limit that follows the size of the answers, towards about 1 MB each."""

    def __init__(self) -> None:
        self.limit = FIRST_LIMIT

    def answered(self, entries: int, size: int) -> None:
        """Note an answer of that many entries and bytes. A short page says little of the ones to come."""
        if entries >= self.limit:
            fitting = TARGET_BYTES * entries // max(size, 1)
            self.limit = max(1, min(fitting, self.limit * FASTEST_GROWTH, LARGEST_LIMIT))

    def refused(self) -> bool:
        """Note an answer that was too large to be read; tell whether a smaller page is possible."""
        possible = self.limit > 1
        self.limit = max(1, self.limit // 4)
        return possible
