# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of the testbed: a message that says what failed and what to do."""

from __future__ import annotations


class TestbedError(Exception):
    """Something the testbed needs is missing or failed; the message is for the user."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
