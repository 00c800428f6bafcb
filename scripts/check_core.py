# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run with another ansible-core what does not need the testbed: ansible-test sanity, the unit tests, and those of the built collection.

Usage: python scripts/check_core.py CORE PYTHON, such as 2.20 python3.12. The set-up must have run.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import run_stages


def make_venv(directory: Path, core: str, python: str) -> Path:
    """Make a virtual environment with the packages of the set-up, but that core; return its programs."""
    programs = directory / "venv/bin"
    if not programs.exists():
        subprocess.run([python, "-m", "venv", directory / "venv"], check=True)
    lines = [(run_stages.ROOT / name).read_text() for name in ("requirements.txt", "requirements-dev.txt")]
    text = re.sub(r"^-r .*\n", "", "".join(lines), flags=re.MULTILINE)
    wanted = directory / "requirements.txt"
    wanted.write_text(re.sub(r"^ansible-core.*$", f"ansible-core=={core}.*", text, flags=re.MULTILINE))
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
    return programs


def main(core: str, python: str) -> int:
    """Run all of them; return how many failed."""
    directory = run_stages.BUILD / f"core-{core}"
    programs = make_venv(directory, core, python)
    environment = run_stages.environment()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    answer = subprocess.run([programs / "python", "--version"], check=True, capture_output=True, text=True).stdout
    version = ".".join(answer.split()[1].split(".")[:2])
    commands = (
        (run_stages.sanity_command(version), run_stages.copy_for_sanity(directory / "sanity")),
        (("python", "-m", "pytest", "tests/unit", "tests/build"), run_stages.ROOT),
    )
    failed = 0
    for command, folder in commands:
        done = subprocess.run([programs / command[0], *command[1:]], cwd=folder, env=environment, check=False)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
