# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor as a process of its own, with small programs in place of the rule engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.interchain.security.plugins.module_utils import supervisor as subject
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore
from ansible_collections.interchain.security.plugins.module_utils.ics import receipt
from ansible_collections.interchain.security.plugins.module_utils.supervisor import End, Settings, backoff

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
SECONDS = 30  # a hang ends here


class Supervised:
    """A supervisor over a program; the program writes a line to ``events`` for what it does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events = directory / "events"
        self._process: subprocess.Popen[str] | None = None

    def start(self, program: str, *options: str) -> None:
        script = self.directory / "program.py"
        script.write_text(
            "import os, signal, subprocess, sys, time\n"
            f"def tell(text):\n    with open({str(self.events)!r}, 'a') as file:\n        print(text, file=file)\n{program}"
        )
        command = [sys.executable, "-m", subject.MODULE, "--first-delay", "0.05", "--longest-delay", "0.1", *options]
        self._process = subprocess.Popen(
            [*command, "--", sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS), "JAVA_TOOL_OPTIONS": "-Da=b"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self) -> list[str]:
        return self.events.read_text().splitlines() if self.events.exists() else []

    def wait_for(self, condition: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + SECONDS
        while not condition(self.told()):
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.02)
        return self.told()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        assert self._process is not None
        self._process.send_signal(number)
        _out, log = self._process.communicate(timeout=SECONDS)
        return self._process.returncode, log

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    yield made
    made.kill()


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_an_end_with_exit_code_0_is_a_restart_too(supervised: Supervised) -> None:
    supervised.start(
        "tell(os.environ['INTERCHAIN_MONITOR_RESTARTS'] + ' ' + os.environ['INTERCHAIN_MONITOR_LAST_END'])\n"
    )
    told = supervised.wait_for(lambda told: len(told) >= 3)
    assert told[:3] == ["0 ", "1 ended with exit code 0", "2 ended with exit code 0"]


def test_the_reason_is_what_the_program_said_of_its_own_end(supervised: Supervised) -> None:
    """An error of a playbook is no reason of the end."""
    supervised.start(
        "tell(os.environ['INTERCHAIN_MONITOR_LAST_END'])\n"
        'print("""t - ansible_rulebook.engine - ERROR - Source error: <class \'ValueError: Source plugin failed with error '
        'message: \'sync_interval: x is no number\'""", file=sys.stderr)\n'
        "print('t - ansible_rulebook.cli - ERROR - Terminating: One of the source plugins failed', file=sys.stderr)\n"
        "print('t - ansible_rulebook.action.run_playbook - ERROR - a task failed', file=sys.stderr)\n"
        "sys.exit(1)\n"
    )
    told = supervised.wait_for(lambda told: len(told) >= 2)
    assert told[1] == "ended with exit code 1: sync_interval: x is no number"
    _code, log = supervised.stop()
    assert "a task failed" in log
    assert "starting it again in" in log


def test_what_a_killed_program_leaves_behind_ends_before_the_next_one(supervised: Supervised) -> None:
    """The one left behind is in a session of its own and ignores SIGHUP, as a playbook is."""
    supervised.start(
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "tell(f'{os.getpid()} {left.pid}')\n"
        "time.sleep(600)\n"
    )
    program, left = map(int, supervised.wait_for(lambda told: len(told) == 1)[0].split())
    assert alive(left)
    os.kill(program, signal.SIGKILL)
    supervised.wait_for(lambda told: len(told) == 2)
    assert not alive(left)
    code, log = supervised.stop()
    assert "ended by SIGKILL" in log
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wish_to_end_is_passed_on_and_waited_for(supervised: Supervised, number: signal.Signals) -> None:
    supervised.start(
        "def end(*_):\n    tell('asked'); time.sleep(0.5); tell('finished'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "tell(os.environ['JAVA_TOOL_OPTIONS'])\n"
        "time.sleep(600)\n"
    )
    supervised.wait_for(lambda told: len(told) == 1)
    code, log = supervised.stop(number)
    assert supervised.told() == ["-Da=b -Xrs", "asked", "finished"]
    assert code == 0
    assert "the end was asked for: ended with exit code 0" in log


def test_a_program_that_does_not_end_is_killed_after_the_grace(supervised: Supervised) -> None:
    supervised.start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell('runs')\ntime.sleep(600)\n", "--grace", "0.3")
    supervised.wait_for(lambda told: len(told) == 1)
    code, log = supervised.stop()
    assert code == 1
    assert "did not end within 0 s and is killed" in log


def test_a_wish_to_end_between_two_runs_ends_at_once(supervised: Supervised) -> None:
    supervised.start("tell('ran')\n", "--first-delay", "600", "--longest-delay", "600")
    supervised.wait_for(lambda told: len(told) == 1)
    code, _log = supervised.stop()
    assert code == 0
    assert supervised.told() == ["ran"]


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", subject.MODULE, "--first-delay", "0.05", "--", str(tmp_path / "absent")]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(COLLECTIONS)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _unused in range(2)]
    process.terminate()
    process.communicate(timeout=SECONDS)
    assert all("cannot be started: No such file or directory" in line for line in lines)


def test_restarts_are_counted_in_the_state_document(supervised: Supervised, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    store = FileStateStore(str(state))
    store.write("monitor", {"restarts": "4", "other": "stays"}, None)
    began = receipt.moment(datetime.now(UTC))
    supervised.start("tell('ran')\nsys.exit(3)\n", "--state-directory", str(state))
    supervised.wait_for(lambda told: len(told) >= 2)
    document = store.read("monitor")
    assert document is not None
    assert int(document.data["restarts"]) >= 5
    assert document.data["last_reason"] == "ended with exit code 3"
    assert document.data["last_end"] >= began
    assert document.data["other"] == "stays"


def test_a_document_that_cannot_be_written_only_costs_the_document(supervised: Supervised, tmp_path: Path) -> None:
    supervised.start("tell('ran')\n", "--state-directory", str(tmp_path / "absent"))
    supervised.wait_for(lambda told: len(told) >= 2)
    _code, log = supervised.stop()
    assert "state_directory" in log
    assert "state document monitor could not be written" in log


def test_the_termination_log_holds_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "termination-log"
    monkeypatch.setattr(subject, "TERMINATION_LOG", path)
    subject.write_termination_log("not there, not made")
    assert not path.exists()
    path.touch()
    subject.write_termination_log("ended by SIGKILL")
    assert path.read_text() == "ended by SIGKILL\n"


def test_the_delay_doubles_and_is_bounded() -> None:
    assert [backoff(failures, Settings()) for failures in (1, 2, 3, 6, 1000)] == [1, 2, 4, 30, 30]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (End(-9, "", datetime.now(UTC)), "ended by SIGKILL"),
        (End(0, "", datetime.now(UTC)), "ended with exit code 0"),
        (End(1, "a\nb\x1b[31m\tc", datetime.now(UTC)), "ended with exit code 1: a b [31m c"),
        (End(1, "x" * 2000, datetime.now(UTC)), ("ended with exit code 1: " + "x" * 2000)[:497] + "..."),
    ],
)
def test_the_reason_is_one_line(end: End, reason: str) -> None:
    assert end.reason == reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the program to run"),
        (["--grace", "-1", "--", "true"], "--grace"),
        (["--state-directory", "/a", "--state-namespace", "b", "--", "true"], "not both"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        subject.parse(arguments)
    assert message in capsys.readouterr().err
