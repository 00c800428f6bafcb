# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testbed calls, the set-up installs."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.parts import DEBIAN_COMMANDS


def test_every_package_of_the_testbed_is_in_bindep() -> None:
    lines = (Path(__file__).resolve().parents[2] / "bindep.txt").read_text().splitlines()
    installed = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert set(DEBIAN_COMMANDS.values()) <= installed
