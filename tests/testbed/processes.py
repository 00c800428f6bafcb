# SPDX-License-Identifier: GPL-3.0-or-later
"""Name a process by id and start time, so that a reused id is never mistaken for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of this machine."""

    pid: int
    start_time: int  # clock ticks since boot, field 22 of /proc/PID/stat

    @staticmethod
    def of(pid: int) -> Process | None:
        """Return the process that has `pid` now, None when there is none or it has ended."""
        fields = _stat(pid)
        if fields is None or fields[0] in ("Z", "X"):
            return None
        return Process(pid, int(fields[19]))

    @staticmethod
    def read(file: Path) -> Process | None:
        """Return the process that `file` names if it is still that one."""
        if not file.exists():
            return None
        words = file.read_text().split()
        if len(words) != 2:  # its writer was ended before it could do anything else
            return None
        named = Process(int(words[0]), int(words[1]))
        return named if named.runs() else None

    def write(self, file: Path) -> None:
        file.write_text(f"{self.pid} {self.start_time}\n")

    def runs(self) -> bool:
        return Process.of(self.pid) == self

    def children(self) -> list[int]:
        """Return the ids of the children of this process."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                fields = _stat(int(entry.name))
                if fields is not None and int(fields[1]) == self.pid:
                    found.append(int(entry.name))
        return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the command name: state, parent, ..."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
