# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the testbed: what they are made from, and the Debian packages they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .errors import TestbedError
from .progress import run

MODULES = Path(__file__).parent / "go"

# Commands of Debian packages (bindep.txt) that the embedded cluster and the image builds call.
DEBIAN_COMMANDS = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "busybox": "busybox-static",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "cc": "gcc",
}


class Part(ABC):
    """Programs that are built once and kept in the cache, under a key of what they are made from."""

    name: str

    @property
    @abstractmethod
    def key(self) -> str: ...

    @abstractmethod
    def build(self, directory: Path) -> None:
        """Build all programs of this part into `directory`."""

    def ensure(self) -> Path:
        """Return the directory with the programs, built when they are not in the cache."""
        return cache.ensure(self.name, self.key, self.build)


@dataclass(frozen=True)
class GoPart(Part):
    """Programs built by `go build tool` in the module of the same name below go/."""

    name: str
    module: str  # the module whose version names the part
    linker_flags: str = "-s -w"

    @property
    def directory(self) -> Path:
        return MODULES / self.name

    @property
    def version(self) -> str:
        """The version of `module` that go.mod pins."""
        text = (self.directory / "go.mod").read_text()
        found = re.search(rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise TestbedError(f"{self.directory / 'go.mod'} does not require {self.module}")
        return found.group(1)

    @property
    def key(self) -> str:
        own = sorted(self.directory.rglob("*.go"))
        inputs = [file.read_bytes() for file in (self.directory / "go.mod", self.directory / "go.sum", *own)]
        return f"{self.version}-{cache.digest([*inputs, self.linker_flags.encode()])}"

    def build(self, directory: Path) -> None:
        if shutil.which("go") is None:
            raise TestbedError("the command go is missing; install Go 1.26 or newer (https://go.dev/dl)")
        run(
            self.name,
            ["go", "build", "-trimpath", "-ldflags", self.linker_flags, "-o", f"{directory}/", "tool"],
            cache.log(self.name),
            cwd=self.directory,
            env={**os.environ, "CGO_ENABLED": "0", **_GO_SETTINGS},
        )


@dataclass(frozen=True)
class RustPart(Part):
    """The programs of a published crate, static ones, built with the versions of its own lock file."""

    name: str
    crate: str
    version: str
    features: tuple[str, ...] = ()

    @property
    def _options(self) -> list[str]:
        return ["--locked", f"--version={self.version}", f"--features={','.join(self.features)}"]

    @property
    def key(self) -> str:
        inputs = (self.crate, *self._options, *map(str, _RUST_SETTINGS.items()))
        return f"{self.version}-{cache.digest(text.encode() for text in inputs)}"

    def build(self, directory: Path) -> None:
        if shutil.which("cargo") is None:
            raise TestbedError("the command cargo is missing; install Rust 1.85 or newer (https://rustup.rs)")
        work = directory / "work"
        run(
            self.name,
            # With a target that is named, what is only for the build itself stays dynamic, as it must.
            ["cargo", "install", *self._options, f"--target={_rust_host()}", f"--root={work}", self.crate],
            cache.log(self.name),
            env={**os.environ, **_RUST_SETTINGS, "CARGO_TARGET_DIR": str(work / "target")},
        )
        for program in (work / "bin").iterdir():
            program.rename(directory / program.name)
        shutil.rmtree(work)


# Collecting garbage less often, the compiler takes an eighth less processor time, and up to 1.3 GB.
_GO_SETTINGS = {"GOGC": "400"}

# Static, so that they run in an image that holds nothing else. Quickly built counts more than quick: they wait for others. Without optimization
# the relayer takes a third of the processor time to build.
_RUST_SETTINGS = {
    "RUSTFLAGS": "-C target-feature=+crt-static",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_STRIP": "true",
}


def _rust_host() -> str:
    """Return the name that Rust gives to this kind of machine."""
    lines = subprocess.run(["rustc", "--version", "--verbose"], capture_output=True, text=True, check=True).stdout
    return next(line.partition(": ")[2] for line in lines.splitlines() if line.startswith("host: "))


CHAIN = GoPart("chain", "github.com/cosmos/interchain-security/v7")
KUBERNETES = GoPart(
    "kubernetes",
    "k8s.io/kubernetes",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4",
)
METALLB = GoPart("metallb", "go.universe.tf/metallb")
KUBE_ROUTER = GoPart("kube-router", "github.com/cloudnativelabs/kube-router/v2")
ADDONS = GoPart("addons", "github.com/coredns/coredns")
HERMES = RustPart("hermes", "ibc-relayer-cli", "1.10.5")
TMKMS = RustPart("tmkms", "tmkms", "0.15.0", ("softsign",))
# Those that take longest come first.
PARTS: tuple[Part, ...] = (CHAIN, KUBERNETES, HERMES, ADDONS, KUBE_ROUTER, METALLB, TMKMS)


def missing_packages() -> list[str]:
    """Return the Debian packages of which a command is not on this machine, sorted."""
    return sorted({package for command, package in DEBIAN_COMMANDS.items() if shutil.which(command) is None})


def require_packages() -> None:
    """Raise TestbedError naming the missing Debian packages, if any."""
    missing = missing_packages()
    if missing:
        raise TestbedError(f"missing Debian packages: {', '.join(missing)}; run `make setup` as root to install them")
