# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the testbed: what they are made from, and the Debian packages they need."""

from __future__ import annotations

import os
import re
import shutil
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
}


@dataclass(frozen=True)
class GoPart:
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
        inputs = [(self.directory / file).read_bytes() for file in ("go.mod", "go.sum")]
        return f"{self.version}-{cache.digest([*inputs, self.linker_flags.encode()])}"

    def build(self, directory: Path) -> None:
        """Build all programs of this part into `directory`."""
        if shutil.which("go") is None:
            raise TestbedError("the command go is missing; install Go 1.26 or newer (https://go.dev/dl)")
        run(
            self.name,
            ["go", "build", "-trimpath", "-ldflags", self.linker_flags, "-o", f"{directory}/", "tool"],
            cache.log(self.name),
            cwd=self.directory,
            env={**os.environ, "CGO_ENABLED": "0"},
        )

    def ensure(self) -> Path:
        """Return the directory with the programs, built when they are not in the cache."""
        return cache.ensure(self.name, self.key, self.build)


CHAIN = GoPart("chain", "github.com/cosmos/interchain-security/v7")
KUBERNETES = GoPart(
    "kubernetes",
    "k8s.io/kubernetes",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4",
)
METALLB = GoPart("metallb", "go.universe.tf/metallb")
KUBE_ROUTER = GoPart("kube-router", "github.com/cloudnativelabs/kube-router/v2")
ADDONS = GoPart("addons", "github.com/coredns/coredns")
GO_PARTS = (KUBERNETES, METALLB, KUBE_ROUTER, ADDONS, CHAIN)


def missing_packages() -> list[str]:
    """Return the Debian packages of which a command is not on this machine, sorted."""
    return sorted({package for command, package in DEBIAN_COMMANDS.items() if shutil.which(command) is None})


def require_packages() -> None:
    """Raise TestbedError naming the missing Debian packages, if any."""
    missing = missing_packages()
    if missing:
        raise TestbedError(f"missing Debian packages: {', '.join(missing)}; run `make setup` as root to install them")
