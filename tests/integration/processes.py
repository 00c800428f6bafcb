# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that others have started, to kill them as a machine or a container does: all at once."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


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
    """Tell what a process is, and what it waits for in the kernel, for a report; empty when it has ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{command[:80]} in {Path(f'/proc/{pid}/wchan').read_text()}"
    except OSError:
        return ""
