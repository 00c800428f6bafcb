# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the test stages, each within a time limit, and close with the number of checks that passed and failed.

A check is a linter, one sanity run, a step of the build, or one test of pytest. A skipped test counts as failed: nothing may be
left out because a part is missing. Stages that use one processor only run beside each other.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build"
BIN = ROOT / ".venv/bin"
COLLECTIONS = BUILD / "collections"
NAMESPACE_NAME = Path("ansible_collections/interchain/security")
END_GRACE = 120  # seconds that a stage gets, once interrupted, to take down what it brought up
TOO_LONG = 124  # exit code of a command that was ended, as timeout(1) gives it
STARTING = threading.Lock()
INTERRUPTED = threading.Event()  # nothing is started any more
RUNNING: list[subprocess.Popen[bytes]] = []

# ansible-test fetches a get-pip script from a host that a closed network does not reach; Python holds the same pip.
GET_PIP = '''"""Install pip out of Python's own ensurepip, then what the arguments name."""

import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--upgrade", *wanted])
'''
GET_PIP_VERSIONS = ("24_2", "25_2")  # of ansible-core 2.19 and 2.20


# They compare the whole host before and after, so nothing else may run beside them.
TESTBED_TESTS = ("tests/integration/test_testbed_choice.py", "tests/integration/test_testbed_down.py")


class CheckFailed(Exception):
    """A check that could not be run, with the reason."""


@dataclass
class Stage:
    """The outcome of one stage."""

    name: str
    limit: float
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    output: TextIO = sys.stdout

    def say(self, text: str) -> None:
        """Write one line where the output of the stage's checks goes."""
        print(text, file=self.output, flush=True)

    def run(self, name: str, *command: str | Path, cwd: Path = ROOT, limit: float = 0) -> bool:
        """Run one command as a check within so many seconds, or what is left of the stage's time."""
        self.say(f"--- {self.name}: {name}")
        began = time.monotonic()
        limit = limit or self.limit - self.seconds
        code = execute([str(part) for part in command], cwd, limit, self.output)
        if code == TOO_LONG:
            self.say(f"no time left after {limit:.0f} s")
        took = time.monotonic() - began
        self.seconds += took
        if code == 0:
            self.passed += 1
        else:
            self.say(f"--- {self.name}: {name} FAILED (exit {code}) after {took:.1f} s")
            self.failed.append(name)
        return code == 0


def environment() -> dict[str, str]:
    """Return the environment of every check: the venv's tools and the collections of the set-up."""
    values = dict(os.environ)
    values["PATH"] = f"{BIN}{os.pathsep}{values['PATH']}"
    values["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS)
    values["PYTHONPATH"] = str(COLLECTIONS)
    # Molecule names the folder of its state after the checkout's last folder alone.
    values["MOLECULE_EPHEMERAL_DIRECTORY"] = str(BUILD / "molecule-state")
    values["MOLECULE_COMMAND_BORDERS"] = "false"
    return values


def execute(command: list[str], cwd: Path, limit: float, output: TextIO) -> int:
    """Run a command in a process group of its own; past the limit it is interrupted, later killed, and the code is TOO_LONG."""
    with STARTING:
        if INTERRUPTED.is_set():
            raise CheckFailed("interrupted")
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )
        RUNNING.append(process)
    try:
        return process.wait(max(limit, 1))
    except subprocess.TimeoutExpired:
        end(process)
        return TOO_LONG
    except KeyboardInterrupt:
        end(process)
        raise
    finally:
        RUNNING.remove(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process group and kill what has not ended in time."""
    with contextlib.suppress(ProcessLookupError):  # it has ended just now
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def sources() -> Iterator[Path]:
    """Yield the files of the checkout that git does not ignore, relative to its root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            yield Path(name)


def copy_sources(target: Path) -> Path:
    """Copy the sources to a new collection folder below target, beside the collections that they use; return that folder."""
    if target.exists():
        shutil.rmtree(target)
    folder = target / NAMESPACE_NAME
    for source in sources():
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, folder / source)
    for namespace in ("kubernetes", "awx"):
        shutil.copytree(COLLECTIONS / "ansible_collections" / namespace, target / "ansible_collections" / namespace)
    return folder


def lint(stage: Stage) -> None:
    """Style, types, documentation, changelog."""
    stage.run("ruff check", "ruff", "check", ".")
    stage.run("ruff format", "ruff", "format", "--check", ".")
    stage.run("mypy", "mypy", "-p", "ansible_collections.interchain.security.plugins.module_utils")
    stage.run("yamllint", "yamllint", "--strict", ".")
    # In a copy: the linter installs the collection that it stands in, and the checkout also holds what is built.
    copy = copy_sources(BUILD / "lint")
    stage.run("ansible-lint", "ansible-lint", "--offline", "--profile", "production", "--strict", cwd=copy)
    stage.run("antsibull-docs", "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", ROOT)
    stage.run("antsibull-changelog", "antsibull-changelog", "lint")


def copy_for_sanity(target: Path) -> Path:
    """Make what ansible-test sanity wants, and return it: a real collection folder that is a repository."""
    for version in GET_PIP_VERSIONS:
        get_pip = Path.home() / f".ansible/test/cache/get_pip_{version}.py"
        if not get_pip.exists():
            get_pip.parent.mkdir(parents=True, exist_ok=True)
            get_pip.write_text(GET_PIP, encoding="utf-8")
    copy = copy_sources(target)
    # A repository of its own, so that ansible-test does not find the checkout's, which ignores this folder.
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    return copy


def sanity_command(python: str) -> tuple[str, ...]:
    """Return the command for one version of Python, such as 3.11."""
    return ("ansible-test", "sanity", "--python", python, "--requirements", "--color", "no")


def sanity(stage: Stage) -> None:
    """ansible-test sanity for the Python of the set-up."""
    command = sanity_command(f"{sys.version_info.major}.{sys.version_info.minor}")
    stage.run("ansible-test sanity", *command, cwd=copy_for_sanity(BUILD / "sanity"))


def build(stage: Stage) -> None:
    """Build the collection out of the sources, install it offline and try what is installed."""
    copy = copy_sources(BUILD / "build")
    output = BUILD / "build/output"
    installed = BUILD / "build/installed"
    # Its own collections path: on those of the checkout, Python's included, the collection counts as installed already.
    galaxy = ["env", "--unset=PYTHONPATH", f"ANSIBLE_COLLECTIONS_PATH={installed}", "ansible-galaxy", "collection"]
    if not stage.run("collection build", *galaxy, "build", "--output-path", output, copy):
        return
    (archive,) = output.glob("interchain-security-*.tar.gz")
    stage.run("collection install", *galaxy, "install", "--offline", "--no-deps", "-p", installed, archive)
    stage.run("collection verify", *galaxy, "verify", "--offline", "interchain.security")
    stage.run("galaxy-importer", *galaxy[:2], "python", ROOT / "scripts/galaxy_import.py", archive)
    run_pytest(stage, "tests/build")


# Each process takes the next file, in the order of tests/order.py.
BY_FILE = ("--dist=loadfile", "--no-loadscope-reorder")


def run_pytest(stage: Stage, *arguments: str) -> None:
    """Run the tests of a folder, or of files; each counts by itself, and a run that broke off counts as failed too."""
    if not (ROOT / arguments[0]).exists():
        raise CheckFailed(f"there is no {arguments[0]}")
    report = BUILD / f"junit-{stage.name}.xml"
    report.unlink(missing_ok=True)
    good = stage.run("pytest", "python", "-m", "pytest", *arguments, f"--junitxml={report}")
    if not report.exists():
        return
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case for case in cases if any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))]
    # In place of the run as a whole, which counted as one check.
    stage.passed += len(cases) - len(bad) - int(good)
    stage.failed = [name for name in stage.failed if name != "pytest"]
    stage.failed += [f"{case.get('classname')}.{case.get('name')}" for case in bad]
    if not good and not bad:
        stage.failed.append("pytest ended early")


def unit(stage: Stage) -> None:
    """Tests of single parts."""
    run_pytest(stage, "tests/unit")


def testbed(stage: Stage) -> None:
    """Build what the next stages run against, unless the cache holds it, and test that it leaves nothing behind."""
    if stage.run("testbed build", "python", "-m", "tests.testbed", "build"):
        run_pytest(stage, *TESTBED_TESTS)


def integration(stage: Stage) -> None:
    """Tests of single parts against the real chain and the testbed itself."""
    ignored = [f"--ignore={file}" for file in TESTBED_TESTS]
    # They mostly wait for blocks, so files run beside each other.
    run_pytest(stage, "tests/integration", "--numprocesses=3", *BY_FILE, *ignored)


def e2e(stage: Stage) -> None:
    """Tests of the whole on the testbed."""
    # They mostly wait, so files run beside each other, on a cluster each.
    run_pytest(stage, "tests/e2e", "--numprocesses=2", *BY_FILE)


def molecule(stage: Stage) -> None:
    """The scenarios of extensions/molecule, each a check, over one cluster that held nothing before."""
    shutil.rmtree(BUILD / "molecule-state", ignore_errors=True)
    stage.run("destroy what an earlier run left", "molecule", "destroy")
    try:
        if stage.run("create", "molecule", "create"):
            for scenario in sorted(file.parent.name for file in (ROOT / "extensions/molecule").glob("*/molecule.yml")):
                if scenario != "default":  # the cluster itself
                    stage.run(scenario, "molecule", "test", "--destroy=never", "--scenario-name", scenario)
    finally:
        stage.run("destroy", "molecule", "destroy", limit=END_GRACE)


# Name: what it runs, and the seconds that it may take, which end a run that hangs; the testbed's are those of a cold build.
STAGES: dict[str, tuple[Callable[[Stage], None], float]] = {
    "lint": (lint, 300),
    "sanity": (sanity, 350),
    "build": (build, 150),
    "unit": (unit, 240),
    "testbed": (testbed, 1900),
    "integration": (integration, 1700),
    "e2e": (e2e, 3300),
    "molecule": (molecule, 500),
}


# Each of them leaves all processors but one idle for most of its time.
BESIDE = ("lint", "sanity", "build", "unit")


def run_stage(stage: Stage) -> None:
    """Run one stage."""
    stage.say(f"=== {stage.name}")
    began = time.monotonic()
    try:
        STAGES[stage.name][0](stage)
    except (CheckFailed, OSError, subprocess.CalledProcessError) as error:
        stage.say(f"{stage.name}: {error}")
        stage.failed.append(str(error))
    stage.seconds = time.monotonic() - began


def run_beside(stages: Sequence[Stage]) -> None:
    """Run stages beside each other, two at a time; the output of each is shown as a whole when it has ended."""
    print(f"=== {', '.join(stage.name for stage in stages)} beside each other", flush=True)
    logs = {stage.name: BUILD / f"stage-{stage.name}.log" for stage in stages}
    with ThreadPoolExecutor(2) as pool:

        def logged(stage: Stage) -> Stage:
            with logs[stage.name].open("w", encoding="utf-8") as stage.output:
                run_stage(stage)
            return stage

        try:
            for done in as_completed([pool.submit(logged, stage) for stage in stages]):
                print(logs[done.result().name].read_text(encoding="utf-8", errors="replace"), end="", flush=True)
        except KeyboardInterrupt:
            with STARTING:
                INTERRUPTED.set()
            for process in list(RUNNING):
                end(process)
            raise


def main(names: list[str]) -> int:
    """Run the named stages, or all, and print the summary; return the exit code."""
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(f"tests: no stage {', '.join(unknown)}; there are {', '.join(STAGES)}", file=sys.stderr)
        return 2
    # A shell that runs this in the background lets it and all that it starts ignore an interrupt, by which a stage past its limit is ended.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    stages = [Stage(name, STAGES[name][1]) for name in names or STAGES]
    beside = [stage for stage in stages if stage.name in BESIDE]
    if len(beside) > 1:
        run_beside(sorted(beside, key=lambda stage: stage.name != "sanity"))  # the longest one first
    for stage in stages:
        if stage not in beside or len(beside) == 1:
            run_stage(stage)
    print("=== summary")
    for stage in stages:
        word = "FAILED" if stage.failed else "passed"
        print(f"{stage.name:8} {word}  {stage.passed:5} passed {len(stage.failed):4} failed {stage.seconds:8.1f} s")
        for failure in stage.failed:
            print(f"         - {failure}")
    failed = sum(len(stage.failed) for stage in stages)
    print(f"{sum(stage.passed for stage in stages)} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
