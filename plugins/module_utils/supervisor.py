# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rule engine running: ``python -m …module_utils.supervisor [options] -- ansible-rulebook …``.

ansible-rulebook ends for many reasons, some with exit code 0. The supervisor starts it again, for ever, and says why it ended:
in the log, in /dev/termination-log, in the environment of the next one (from which the event source makes figures), and in
the state document ``monitor``. It uses Python's own library only, so that it costs little memory; the document is written
by a short-lived process.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import moment, one_line

if TYPE_CHECKING:
    from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import StateStore

logger = logging.getLogger("interchain.security.supervisor")

MODULE = "ansible_collections.interchain.security.plugins.module_utils.supervisor"
RESTARTS_VARIABLE = "INTERCHAIN_MONITOR_RESTARTS"
LAST_END_VARIABLE = "INTERCHAIN_MONITOR_LAST_END"
TERMINATION_LOG = Path("/dev/termination-log")
DOCUMENT = "monitor"

STEADY_SECONDS = 300.0  # a program that ran so long counts as well again: the next delay is the first one
RECORD_SECONDS = 10.0  # that writing the state document may take
KILL_SECONDS = 10.0  # for killed processes to be gone
LONGEST_LINE = 64 * 1024  # bytes of one line of the program's log
CONFLICTS = 5  # tries to write a document that others write too

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_SET_CHILD_SUBREAPER = 36  # prctl(2)

# What ansible-rulebook logs of its own end, the most telling first. Errors of playbooks are logged too and are no reason to end.
_OWN_ERRORS = (
    re.compile(rb" - ansible_rulebook\.engine - ERROR - Source error: .*?error message: '(.+)'$"),
    re.compile(rb" - ansible_rulebook\.engine - ERROR - (Source error: .+)$"),
    re.compile(rb" - ansible_rulebook\.\w+ - ERROR - Terminating: (.+)$"),
)


@dataclass(frozen=True)
class Settings:
    """Seconds; state_options are those of the process that writes the document, empty for none."""

    first_delay: float = 1.0
    longest_delay: float = 30.0
    grace: float = 250.0
    state_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class End:
    """How a program ended: code is negative for a signal; told is what it said itself."""

    code: int
    told: str
    at: datetime

    @property
    def reason(self) -> str:
        """One line."""
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        told = f": {self.told}" if self.told else ""
        return one_line(f"ended with exit code {self.code}{told}")


def backoff(failures: int, settings: Settings) -> float:
    """Seconds to wait after so many ends in a row (from 1)."""
    doubled: float = settings.first_delay * 2.0 ** min(failures - 1, 30)
    return min(settings.longest_delay, doubled)


# -- processes ------------------------------------------------------------------------------------------------------------


def adopt_orphans() -> None:
    """Become the parent of what the program leaves behind, as the first process of a container is already."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        logger.warning("processes that outlive the program will not be found: prctl failed")


def children(parent: int) -> Iterator[int]:
    """The processes whose parent that is."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended meanwhile
        # The name in parentheses may hold anything; state and parent follow it.
        if int(text.rpartition(")")[2].split()[1]) == parent:
            yield int(entry.parent.name)


def kill_orphans() -> int:
    """End every process that the program left behind and return how many there were.

    A playbook that goes on without its rule engine would run beside the one that is started in its place.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + KILL_SECONDS
    while found := set(children(os.getpid())):
        for process in found:
            os.kill(process, signal.SIGKILL)  # its own children become ours, and come next
        reaped = dict(reap())
        ended |= set(reaped)
        if not reaped:
            if time.monotonic() > deadline:
                logger.error("processes %s cannot be ended", ", ".join(map(str, sorted(found))))
                break
            time.sleep(0.01)
    return len(ended)


def reap() -> Iterator[tuple[int, int]]:
    """Take note of all processes that have ended: pid and exit code, negative for a signal."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        yield process, os.waitstatus_to_exitcode(status)


class Log:
    """Passes the program's stderr on, line by line, and keeps the most telling error of its own."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._errors: dict[int, str] = {}  # by place in _OWN_ERRORS
        self._source, self._target = source, target
        self._thread = threading.Thread(target=self._copy, name="log", daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        while line := self._source.readline(LONGEST_LINE):
            for place, pattern in enumerate(_OWN_ERRORS):
                if found := pattern.search(line.rstrip()):
                    self._errors[place] = one_line(found.group(1).decode("utf-8", "replace"))
                    break
            try:
                self._target.write(line)
                self._target.flush()
            except OSError:
                pass  # nobody reads our log; the program must not stand still for it
        self._source.close()

    def end(self) -> str:
        """Wait for the last lines and return what the program said of its end; empty for nothing."""
        self._thread.join(KILL_SECONDS)
        return self._errors[min(self._errors)] if self._errors else ""


class Supervisor:
    """Runs one program again and again."""

    def __init__(self, command: Sequence[str], settings: Settings = Settings()) -> None:
        self._command, self._settings = list(command), settings
        self._restarts = 0
        self._last_reason = ""
        self._stopping = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code for that."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they are waited for
        adopt_orphans()
        failures = 0
        while True:
            began = time.monotonic()
            end = self._run_once()
            ran = time.monotonic() - began
            if self._stopping:
                logger.info("the end was asked for: %s after %.0f s", end.reason, ran)
                write_termination_log(f"stopped as asked; {end.reason}")
                return 0 if end.code in (0, -signal.SIGTERM) else 1
            failures = 1 if ran >= STEADY_SECONDS else failures + 1
            delay = backoff(failures, self._settings)
            self._restarts += 1
            self._last_reason = end.reason
            logger.error("%s %s after %.0f s; starting it again in %.1f s", self._command[0], end.reason, ran, delay)
            write_termination_log(f"{self._command[0]} {end.reason}")
            self._record(end)
            if self._stop_wanted_within(delay):
                return 0

    def _run_once(self) -> End:
        reader, writer = os.pipe()
        try:
            child = os.posix_spawnp(
                self._command[0],
                self._command,
                self._environment(),
                file_actions=[(os.POSIX_SPAWN_DUP2, writer, 2)],
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except OSError as error:
            os.close(reader)
            return End(127, f"cannot be started: {error.strerror}", datetime.now(UTC))
        finally:
            os.close(writer)
        log = Log(os.fdopen(reader, "rb"), sys.stderr.buffer)
        logger.info("%s runs as process %d", self._command[0], child)
        code = self._wait_for(child)
        at = datetime.now(UTC)
        if left := kill_orphans():  # one of them may hold the log open
            logger.warning("%d processes that it had left behind were ended", left)
        return End(code, log.end(), at)

    def _environment(self) -> Mapping[str, str]:
        # Without -Xrs the JVM takes SIGTERM and the running playbooks are cut.
        java = os.environ.get("JAVA_TOOL_OPTIONS", "")
        return {
            **os.environ,
            "JAVA_TOOL_OPTIONS": java if "-Xrs" in java.split() else f"{java} -Xrs".strip(),
            RESTARTS_VARIABLE: str(self._restarts),
            LAST_END_VARIABLE: self._last_reason,
        }

    def _wait_for(self, child: int) -> int:
        """Wait for the end of the program, pass the wish to end on, and return the exit code."""
        deadline: float | None = None
        while True:
            for process, code in reap():
                if process == child:
                    return code
            received = _wait_for_signal(None if deadline is None else deadline - time.monotonic())
            if received in (signal.SIGTERM, signal.SIGINT) and not self._stopping:
                self._stopping = True
                deadline = time.monotonic() + self._settings.grace
                logger.info("asked to end: running playbooks have %.0f s to finish", self._settings.grace)
                os.kill(child, signal.SIGTERM)
            elif received is None and deadline is not None and time.monotonic() >= deadline:
                logger.error("%s did not end within %.0f s and is killed", self._command[0], self._settings.grace)
                os.kill(child, signal.SIGKILL)
                deadline = None

    def _stop_wanted_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for _process, _code in reap():
                pass
            if _wait_for_signal(left) in (signal.SIGTERM, signal.SIGINT):
                return True
        return False

    def _record(self, end: End) -> None:
        """Write the state document from a process of its own; a cluster that does not answer only costs the document."""
        if not self._settings.state_options:
            return
        command = [sys.executable, "-m", MODULE, "--record", end.reason, "--at", moment(end.at)]
        try:
            done = subprocess.run(
                [*command, *self._settings.state_options], stdin=subprocess.DEVNULL, timeout=RECORD_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            logger.warning("state document %s could not be written within %.0f s", DOCUMENT, RECORD_SECONDS)
            return
        if done.returncode != 0:
            logger.warning("state document %s could not be written", DOCUMENT)


def _wait_for_signal(seconds: float | None) -> signal.Signals | None:
    """The next of SIGNALS; None when none comes in that time."""
    if seconds is None:
        return signal.Signals(signal.sigwaitinfo(SIGNALS).si_signo)
    received = signal.sigtimedwait(SIGNALS, max(seconds, 0.0))
    return None if received is None else signal.Signals(received.si_signo)


# -- telling --------------------------------------------------------------------------------------------------------------


def write_termination_log(text: str) -> None:
    """Tell Kubernetes; it shows the text once the container has ended."""
    if TERMINATION_LOG.is_file():
        try:
            TERMINATION_LOG.write_text(text[:4000] + "\n", encoding="utf-8")
        except OSError as error:
            logger.warning("%s cannot be written: %s", TERMINATION_LOG, error)


def record(reason: str, at: str, store: StateStore) -> None:
    """Count one more restart in the state document ``monitor``."""
    from ansible_collections.interchain.security.plugins.module_utils.errors import StateConflict

    for tries_left in reversed(range(CONFLICTS)):
        document = store.read(DOCUMENT)
        data = dict(document.data) if document else {}
        count = data.get("restarts", "0")
        data |= {"restarts": str(int(count) + 1 if count.isdigit() else 1), "last_end": at, "last_reason": reason}
        try:
            store.write(DOCUMENT, data, document.version if document else None)
            return
        except StateConflict:
            if not tries_left:
                raise


def _record_from_arguments(arguments: argparse.Namespace) -> int:
    """What the short-lived process does."""
    from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import open_state_store
    from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError

    try:
        store = open_state_store(arguments.state_directory, arguments.state_namespace, arguments.kubeconfig)
        if store is not None:
            record(one_line(arguments.record), arguments.at, store)
    except InterchainError as error:
        logger.error("%s", error)
        return 1
    return 0


# -- command line ---------------------------------------------------------------------------------------------------------


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise ValueError
    return seconds


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Check the command line; the program and its arguments follow ``--``."""
    parser = argparse.ArgumentParser(prog="supervisor", description="Run a program and start it again when it ends.")
    seconds = {"type": _seconds, "metavar": "SECONDS"}
    parser.add_argument("--first-delay", default=1.0, help="before the first restart; doubled each time", **seconds)  # type: ignore[arg-type]
    parser.add_argument("--longest-delay", default=30.0, help="before any restart", **seconds)  # type: ignore[arg-type]
    parser.add_argument("--grace", default=250.0, help="that the program has to end after SIGTERM", **seconds)  # type: ignore[arg-type]
    parser.add_argument("--state-directory", help="where the state document monitor is written, a directory")
    parser.add_argument("--state-namespace", help="the same as ConfigMaps of a namespace")
    parser.add_argument("--kubeconfig", help="kubeconfig for that namespace, outside of a pod")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    parser.add_argument("--at", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="the program and its arguments")
    found = parser.parse_args(arguments)
    if found.state_directory and found.state_namespace:
        parser.error("give either --state-directory or --state-namespace, not both")
    if not found.command and found.record is None:
        parser.error("name the program to run after --")
    return found


def main() -> int:
    """Entry point; the exit code is 0 when the end was asked for and came in time."""
    arguments = parse(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it writes a line for each request
    if arguments.record is not None:
        return _record_from_arguments(arguments)
    options = {"--state-directory": arguments.state_directory, "--state-namespace": arguments.state_namespace}
    options["--kubeconfig"] = arguments.kubeconfig
    state_options = tuple(part for name, value in options.items() if value for part in (name, value))
    settings = Settings(arguments.first_delay, arguments.longest_delay, arguments.grace, state_options)
    return Supervisor(arguments.command, settings).run()


if __name__ == "__main__":
    raise SystemExit(main())
