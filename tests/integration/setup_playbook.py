# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the playbooks that set a controller up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run(
    playbook: str, variables: Mapping[str, Any], environment: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on this machine; of the user's environment nothing counts that names a controller."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AAP_", "CONTROLLER_"))}
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", "localhost,"),
            f"interchain.security.{playbook}",
            *options,
            *("-e", json.dumps({**local, **variables})),
        ],
        env={
            **own,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_PIPELINING": "true",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
