# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of kubectl for one cluster."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError


@dataclass(frozen=True)
class Kubectl:
    """kubectl at `program`, for the cluster of `kubeconfig`."""

    program: str
    kubeconfig: Path

    def answer(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl and return its exit code and output."""
        command = [self.program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl and return its output; raise TestbedError when it fails."""
        done = self.answer(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise TestbedError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout

    def succeeds(self, *arguments: str, stdin: str | None = None) -> bool:
        """Ask something that the server answers at once; one that is gone is given up after ten seconds."""
        return self.answer("--request-timeout=10s", *arguments, stdin=stdin).returncode == 0

    def apply(self, manifest: str) -> None:
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
