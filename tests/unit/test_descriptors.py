# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.proto.messages import provider_message

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/generate_descriptors.py"


def test_descriptors_equal_a_fresh_generation() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equals a fresh generation" in done.stdout


def test_field_numbers_are_those_of_the_wire() -> None:
    message = provider_message("MsgOptIn")(consumer_id="7", consumer_key="k", provider_addr="v", signer="s")
    # provider_addr = 2, consumer_key = 3, signer = 4, consumer_id = 5, all of length 1.
    assert message.SerializeToString() == b'\x12\x01v\x1a\x01k"\x01s*\x017'
