# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the testbed, built here and named as the published ones, kept as archives in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .components import HELPER_IMAGE, PAUSE_IMAGE
from .errors import TestbedError
from .parts import CHAIN, MODULES
from .progress import run

PROJECT = Path(__file__).parents[2]
OWN_CONTAINERFILES = Path(__file__).parent / "containers"
CHAIN_IMAGE = "ghcr.io/cosmos/interchain-security:v7.0.1"


@dataclass(frozen=True)
class ImageFile:
    """An image as a docker archive."""

    name: str
    file: Path


def _buildah(*arguments: str | Path) -> list[str]:
    storage = cache.root() / "buildah"
    places = [f"--root={storage}/root", f"--runroot={storage}/run", "--storage-driver=overlay"]
    return ["buildah", *places, *map(str, arguments)]


def _build(label: str, name: str, containerfile: Path, context: Path, archive: Path, *options: str) -> None:
    """Build the image `name` and write it to `archive`."""
    log = cache.log(label)
    run(
        label,
        [
            *_buildah("bud", "--isolation=chroot", "--pull-never", "--layers", "--format=docker"),
            *("--tag", name, "--file", str(containerfile), *options, str(context)),
        ],
        log,
    )
    _save(label, name, archive)


def _save(label: str, name: str, archive: Path) -> None:
    run(label, _buildah("push", name, f"docker-archive:{archive}:{name}"), cache.log(label))


def _into_storage(label: str, image: ImageFile) -> None:
    """Make `image` known to buildah, for images made from it."""
    known = subprocess.run(_buildah("inspect", "--type=image", image.name), capture_output=True, check=False)
    if known.returncode != 0:
        run(label, _buildah("pull", f"docker-archive:{image.file}"), cache.log(label))


def pause() -> ImageFile:
    source = MODULES / "pause"
    containerfile = OWN_CONTAINERFILES / "pause" / "Containerfile"
    key = cache.digest(path.read_bytes() for path in (source / "go.mod", source / "main.go", containerfile))

    def build(directory: Path) -> None:
        program = directory / "context" / "pause"
        run(
            "pause-image",
            ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "."],
            cache.log("pause-image"),
            cwd=source,
            env={**os.environ, "CGO_ENABLED": "0"},
        )
        _build("pause-image", PAUSE_IMAGE, containerfile, program.parent, directory / "image.tar")

    return ImageFile(PAUSE_IMAGE, cache.ensure("pause-image", key, build) / "image.tar")


def busybox() -> ImageFile:
    program = shutil.which("busybox")
    if program is None:
        raise TestbedError("busybox is missing; run `make setup` as root to install busybox-static")
    containerfile = OWN_CONTAINERFILES / "busybox" / "Containerfile"
    key = cache.digest([Path(program).read_bytes(), containerfile.read_bytes()])

    def build(directory: Path) -> None:
        root = directory / "context"
        (root / "bin").mkdir(parents=True)
        shutil.copy(program, root / "bin" / "busybox")
        applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc").mkdir()
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\n")
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        _build("busybox-image", HELPER_IMAGE, containerfile, root, directory / "image.tar")

    return ImageFile(HELPER_IMAGE, cache.ensure("busybox-image", key, build) / "image.tar")


def chain() -> ImageFile:
    containerfile = PROJECT / "containers" / "chain" / "Containerfile"
    base = busybox()
    key = cache.digest([containerfile.read_bytes(), CHAIN.key.encode(), str(base.file).encode()])

    def build(directory: Path) -> None:
        _into_storage("chain-image", base)
        _build("chain-image", CHAIN_IMAGE, containerfile, CHAIN.ensure(), directory / "image.tar")

    return ImageFile(CHAIN_IMAGE, cache.ensure("chain-image", key, build) / "image.tar")
