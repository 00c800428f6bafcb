# SPDX-License-Identifier: GPL-3.0-or-later
"""The per-user cache of built parts: each is built once, atomically, under a key of its inputs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .progress import say


def root() -> Path:
    """Return the directory of all built parts (INTERCHAIN_CACHE, else below XDG_CACHE_HOME)."""
    own = os.environ.get("INTERCHAIN_CACHE")
    if own:
        return Path(own).absolute()
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(general).absolute() / "interchain-security"


def digest(inputs: Iterable[bytes]) -> str:
    """Return a short digest of the inputs of a part, in their order."""
    total = hashlib.sha256()
    for item in inputs:
        total.update(hashlib.sha256(item).digest())
    return total.hexdigest()[:12]


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock `name` of this cache; a second process waits until the first is done."""
    locks = root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the directory of part `name` with `key`, building it first when it is not there.

    `build` fills a directory of its own, which gets its final name only when all of it is made.
    """
    final = root() / f"{name}-{key}"
    if final.is_dir():
        return final
    with lock(name):
        if final.is_dir():
            return final
        partial = root() / f"{name}-{key}.partial"
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        say(f"{name}: building {key}")
        started = time.monotonic()
        build(partial)
        partial.rename(final)
        say(f"{name}: built in {time.monotonic() - started:.0f} s")
    return final


def remove_older(name: str, current: Path, keep: int) -> None:
    """Remove all but the newest builds of part `name`; another process may just be reading the last ones."""
    with lock(name):
        builds = [path for path in root().glob(f"{name}-*") if not path.name.endswith(".partial")]
        builds.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for build in builds[keep:]:
            if build != current:
                shutil.rmtree(build)


def log(name: str) -> Path:
    """Return the log file of the builds of part `name`."""
    return root() / "logs" / f"{name}.log"
