# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that others have started, to kill them as a machine or a container does: all at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """All processes below one, read before it is killed: a playbook has a session of its own, and so has each of its workers."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, [])]
        found += new
    return found


def end(pid: int) -> None:
    """Kill one process."""
    with contextlib.suppress(ProcessLookupError):  # it may have ended with its parent
        os.kill(pid, signal.SIGKILL)


def state(pid: int) -> str:
    """Tell for a report what a process is, its state, its age, the time that it had a processor, and what it waits for; empty when it has ended."""
    process = Path(f"/proc/{pid}")
    try:
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        used, started = (int(fields[11]) + int(fields[12])) / TICKS, int(fields[19]) / TICKS
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        return f"{command[:60]}: {fields[0]}, {age:.0f} s old, {used:.1f} s used, in {(process / 'wchan').read_text()}"
    except OSError:
        return ""
