# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroup below which the kubelet puts all pods, in cgroup version 1 and 2."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .progress import wait_until

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """Return the root of every cgroup hierarchy that can have members."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted({path.resolve() for path in ROOT.iterdir() if (path / "cgroup.procs").exists()})


def create(name: str) -> None:
    """Make the cgroup `name` in every hierarchy."""
    for hierarchy in hierarchies():
        directory = hierarchy / name
        directory.mkdir(exist_ok=True)
        # A new cpuset of version 1 has no processors and no memory until it is given some.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (directory / "cgroup.clone_children").exists() and (directory / file).exists():
                (directory / file).write_text((hierarchy / file).read_text())


def remove(name: str) -> None:
    """End what still runs in the cgroup `name` and remove it in every hierarchy."""
    directories = [hierarchy / name for hierarchy in hierarchies() if (hierarchy / name).is_dir()]
    wait_until(
        f"cgroup {name} to be empty",
        lambda: not sum(_end_members(directory) for directory in directories),
        seconds=30,
        where=f"{ROOT}/*/{name}",
    )
    for directory in directories:
        for parent, _folders, _files in os.walk(directory, topdown=False):
            Path(parent).rmdir()


def _end_members(directory: Path) -> bool:
    """Send SIGKILL to every process below `directory`; return whether there was one."""
    found = False
    for file in directory.rglob("cgroup.procs"):
        for pid in file.read_text().split():
            found = True
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
    return found
