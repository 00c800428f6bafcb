# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users have it: the tarball of the checkout, installed by ansible-galaxy on a path of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from . import cache
from .progress import run

PROJECT = Path(__file__).parents[2]
PLACE = Path("ansible_collections/interchain/security")
# What of the collection runs; the rest are documents and tests.
RUNS = ("galaxy.yml", "requirements.txt", "extensions/eda", "meta", "playbooks", "plugins", "roles")
# What an installed collection has in the place of galaxy.yml.
DESCRIPTION = ("MANIFEST.json", "FILES.json")
# The collections beside it, as the set-up has fetched them.
OTHERS = ("kubernetes", "awx")
# Builds that stay in the cache; tests run from one for an hour while others are made.
KEPT_BUILDS = 10


def files() -> Iterator[Path]:
    """Yield the files of the checkout that run, sorted, below PROJECT."""
    for name in RUNS:
        top = PROJECT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(PROJECT)


def key() -> str:
    """Return a digest of what runs."""
    return cache.digest(part for file in files() for part in (str(file).encode(), (PROJECT / file).read_bytes()))


def installed() -> Path:
    """Return a collections path with the collection as its tarball installs it and those that it uses, and nothing of the checkout."""

    def build(directory: Path) -> None:
        log = cache.log("collection")
        galaxy = [str(Path(sys.executable).parent / "ansible-galaxy"), "collection"]
        # On the checkout's path the collection would count as installed already.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(directory)
        run("collection", [*galaxy, "build", "--output-path", directory, PROJECT], log, env=environment)
        (tarball,) = directory.glob("interchain-security-*.tar.gz")
        run(
            "collection",
            [*galaxy, "install", "--offline", "--no-deps", "-p", directory, tarball],
            log,
            env=environment,
        )
        for name in OTHERS:
            source = PROJECT / ".build/collections/ansible_collections" / name
            shutil.copytree(source, directory / "ansible_collections" / name)

    path = cache.ensure("collection", key(), build)
    cache.remove_older("collection", path, KEPT_BUILDS)
    return path


def copy_for_image(directory: Path) -> None:
    """Make the build context of the monitor's image in `directory`, out of what the tarball installs."""
    source = installed() / PLACE
    for name in (*RUNS[1:], *DESCRIPTION):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, target)
