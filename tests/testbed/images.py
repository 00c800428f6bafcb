# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the testbed, built here and named as the published ones, kept as archives in the cache."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import cache, collection
from .components import HELPER_IMAGE, PAUSE_IMAGE
from .errors import TestbedError
from .parts import CHAIN, HERMES, MODULES
from .progress import run

PROJECT = Path(__file__).parents[2]
OWN_CONTAINERFILES = Path(__file__).parent / "containers"
CHAIN_IMAGE = "ghcr.io/cosmos/interchain-security:v7.0.1"
HERMES_IMAGE = "docker.io/informalsystems/hermes:1.10.5"
DEBIAN_IMAGE = "docker.io/library/debian:bookworm-slim"
DEBIAN_RELEASE = "bookworm"
DEBIAN_MIRROR = "http://deb.debian.org/debian"
# The packages that containers/monitor/Containerfile asks for; with them in the base image, it needs no mirror.
DEBIAN_PACKAGES = ("ca-certificates", "openjdk-17-jre-headless", "python3", "python3-venv")
# Builds of the monitor's image that stay in the cache.
KEPT_BUILDS = 3


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
    key = cache.digest([containerfile.read_bytes(), CHAIN.key.encode(), base.file.parent.name.encode()])

    def build(directory: Path) -> None:
        _into_storage("chain-image", base)
        _build("chain-image", CHAIN_IMAGE, containerfile, CHAIN.ensure(), directory / "image.tar")

    return ImageFile(CHAIN_IMAGE, cache.ensure("chain-image", key, build) / "image.tar")


def hermes() -> ImageFile:
    """Return the image of the relayer Hermes."""
    containerfile = OWN_CONTAINERFILES / "hermes" / "Containerfile"
    base = busybox()
    key = cache.digest([containerfile.read_bytes(), HERMES.key.encode(), base.file.parent.name.encode()])

    def build(directory: Path) -> None:
        _into_storage("hermes-image", base)
        _build("hermes-image", HERMES_IMAGE, containerfile, HERMES.ensure(), directory / "image.tar")

    return ImageFile(HERMES_IMAGE, cache.ensure("hermes-image", key, build) / "image.tar")


def _mirror() -> str:
    """Return the Debian mirror that this machine uses itself, else the public one."""
    if shutil.which("apt-get") is None:
        return DEBIAN_MIRROR
    repositories = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for repository in repositories.splitlines():
        address, *rest = repository.split()
        if rest == [DEBIAN_RELEASE, "main"]:
            return address
    return DEBIAN_MIRROR


def debian() -> ImageFile:
    """Return a small Debian with the packages of the monitor, made by debootstrap."""
    key = f"{DEBIAN_RELEASE}-{cache.digest(package.encode() for package in DEBIAN_PACKAGES)}"

    def build(directory: Path) -> None:
        label, log = "debian-image", cache.log("debian-image")
        downloads = cache.root() / "debian-packages"
        downloads.mkdir(exist_ok=True)
        root = directory / "root"
        packages = ",".join(DEBIAN_PACKAGES)
        options = ["--variant=minbase", f"--include={packages}", f"--cache-dir={downloads}"]
        run(label, ["debootstrap", *options, DEBIAN_RELEASE, root, _mirror()], log)
        (root / "etc/apt/sources.list").write_text(f"deb {DEBIAN_MIRROR} {DEBIAN_RELEASE} main\n")
        (root / "etc/resolv.conf").write_text("")
        (root / "etc/hostname").write_text("")
        for left in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(root / left)
            (root / left).mkdir()
        containerfile = directory / "Containerfile"
        containerfile.write_text('FROM scratch\nCOPY . /\nCMD ["bash"]\n')
        _build(label, DEBIAN_IMAGE, containerfile, root, directory / "image.tar")
        shutil.rmtree(root)

    return ImageFile(DEBIAN_IMAGE, cache.ensure("debian-image", key, build) / "image.tar")


def monitor_image() -> str:
    """Return the name of the monitor's image; its tag is the version of the collection."""
    version = yaml.safe_load((PROJECT / "galaxy.yml").read_text())["version"]
    return f"ghcr.io/interchain-security-monitor/monitor:{version}"


def _pip_secrets(directory: Path) -> list[str]:
    """Write down this machine's settings of pip for the time of a build; return the build's options."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = {}
    for line in listed.splitlines():
        name, _equals, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'")
    kept = {name: settings[name] for name in ("index-url", "extra-index-url", "trusted-host") if name in settings}
    authorities = (
        settings.get("cert") or ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().openssl_cafile
    )
    shutil.copy(authorities, directory / "ca.crt")
    lines = [
        "[global]",
        "cert = /etc/pip-ca.crt",
        "timeout = 120",
        *(f"{name} = {value}" for name, value in kept.items()),
    ]
    (directory / "pip.conf").write_text("\n".join(lines) + "\n")
    return [
        f"--secret=id=pip_conf,src={directory}/pip.conf",
        f"--secret=id=ca_bundle,src={directory}/ca.crt",
    ]


def monitor() -> ImageFile:
    """Return the monitor's image of the checkout as it is now; only the changed layers are made again."""
    containerfile = PROJECT / "containers" / "monitor" / "Containerfile"
    base = debian()
    name = monitor_image()
    key = cache.digest(
        [containerfile.read_bytes(), base.file.parent.name.encode(), name.encode(), collection.key().encode()]
    )

    def build(directory: Path) -> None:
        label = "monitor-image"
        _into_storage(label, base)
        context, secrets = directory / "context", directory / "secrets"
        context.mkdir()
        secrets.mkdir(mode=0o700)
        collection.copy_for_image(context)
        _build(label, name, containerfile, context, directory / "image.tar", *_pip_secrets(secrets))
        shutil.rmtree(secrets)
        shutil.rmtree(context)

    file = cache.ensure("monitor-image", key, build) / "image.tar"
    cache.remove_older("monitor-image", file.parent, KEPT_BUILDS)
    return ImageFile(name, file)
