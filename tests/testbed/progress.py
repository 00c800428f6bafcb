# SPDX-License-Identifier: GPL-3.0-or-later
"""Run long commands with their output in a log file and a line of progress on the terminal."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import TestbedError

REPORT_EVERY_SECONDS = 15.0


def say(message: str) -> None:
    """Print one line at once, so that it is seen through pipes as well."""
    print(message, flush=True)


def run(
    label: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run `command` to its end, appending its output to `log`; raise TestbedError when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("ab") as output:
        output.write(f"$ {' '.join(map(str, command))}\n".encode())
        output.flush()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while True:
            try:
                code = process.wait(timeout=REPORT_EVERY_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"  {label}: running for {time.monotonic() - started:.0f} s (log: {log})")
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise TestbedError(f"{label} failed with exit code {code}; the log {log} ends with\n{tail}")


def wait_until(what: str, condition: Callable[[], bool], *, seconds: float, where: str, poll: float = 0.1) -> None:
    """Look every `poll` seconds whether `condition` holds; raise TestbedError naming `where` to look after `seconds`."""
    started = reported = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - started > seconds:
            raise TestbedError(f"{what}: not after {seconds:.0f} s; see {where}")
        if now - reported > REPORT_EVERY_SECONDS:
            reported = now
            say(f"  waiting for {what}: {now - started:.0f} s")
        time.sleep(poll)
