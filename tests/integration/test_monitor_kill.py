# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Monitors killed at 50 seeded moments on a real chain: each transition takes effect, and none that is done is done again."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import FileStateStore
from tests.integration.chain_scan import Transition, scan
from tests.integration.owner import Owner
from tests.integration.processes import descendants, end
from tests.integration.single_node import CHAIN_ID, Node

SEED = 20261123
MONITORS = 5
KILLS = 10  # of each
ROUNDS = 5  # of happenings on the chain
LONGEST_LIFE = 15.0  # seconds; a monitor is killed then, whatever it has come to
CONVERGENCE = 200.0  # seconds for what is left after the last kill
# What a life waits for before it is killed, up to a second later. "start" is while the rule engine itself is starting.
MOMENTS = ("start", "began", "took effect", "wrote the receipt", "moved the cursor")

RULEBOOK = """\
- name: Effects
  hosts: localhost
  gather_facts: false
  execution_strategy: parallel
  sources:
    - interchain.security.ccv:
        provider_rpc_url: "{url}"
        provider_chain_id: "{chain_id}"
        state_directory: "{directory}/state"
        sync_interval: 5
  rules:
    - name: A phase has changed
      condition: event.type == "phase_changed"
      action:
        run_playbook:
          name: "{directory}/project/effect.yml"
          lock: "consumer-{{{{ event.consumer_id }}}}"
          extra_vars:
            consumer_id: "{{{{ event.consumer_id }}}}"
            event_phase: "{{{{ event.phase }}}}"
            event_previous_phase: "{{{{ event.previous_phase }}}}"
            event_height: "{{{{ event.height }}}}"
            event_uuid: "{{{{ event.meta.uuid }}}}"
            event_attempt: "{{{{ event.attempt }}}}"
"""

# raw on the local connection starts no Python, so one more line in the log costs little. The sleeps make it likely that a kill comes in between.
PLAYBOOK = """\
- name: Let an event take effect
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    line: "{{{{ event_uuid }}}} {{{{ consumer_id }}}} {{{{ event_previous_phase }}}} {{{{ event_phase }}}} {{{{ event_height }}}}"
  module_defaults:
    group/interchain.security.state:
      state_directory: "{directory}/state"
  tasks:
    - name: Look for a receipt of this event
      interchain.security.event_receipt_info:
        consumer_id: "{{{{ consumer_id | string }}}}"
        event_uuid: "{{{{ event_uuid }}}}"
      register: found
    - name: End the play, since this event was dealt with
      ansible.builtin.meta: end_play
      when: found.receipts | map(attribute='event_outcome') | list == ['done']
    - name: Begin
      ansible.builtin.raw: "echo 'began {{{{ line }}}}' >> {directory}/log"
    - name: Take effect
      ansible.builtin.raw: "sleep 0.5; echo 'effect {{{{ line }}}}' >> {directory}/log; sleep 0.5"
    - name: Tell the event source
      interchain.security.event_receipt:
        consumer_id: "{{{{ consumer_id | string }}}}"
        event_uuid: "{{{{ event_uuid }}}}"
        attempt: "{{{{ event_attempt | int }}}}"
        outcome: done
    - name: End
      ansible.builtin.raw: "echo 'done {{{{ line }}}}' >> {directory}/log"
"""

INVENTORY = """\
localhost:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@dataclass(frozen=True)
class Line:
    """One line of a monitor's log: what was done with which event."""

    word: str
    uuid: str
    change: Transition


@dataclass
class Monitor:
    """One monitor with a state of its own; alive from start to kill."""

    directory: Path
    url: str
    process: asyncio.subprocess.Process | None = None
    killed_while: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        (self.directory / "state").mkdir(parents=True)
        (self.directory / "log").touch()
        names = {"directory": self.directory, "url": self.url, "chain_id": CHAIN_ID}
        (self.directory / "rulebook.yml").write_text(RULEBOOK.format(**names))
        # In a folder of its own: the rule engine copies all that lies beside a playbook, and files of the state come and go.
        (self.directory / "project").mkdir()
        (self.directory / "project/effect.yml").write_text(PLAYBOOK.format(**names))
        (self.directory / "inventory.yml").write_text(INVENTORY)

    async def start(self) -> None:
        tools = Path(sys.executable).parent
        values = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            # Java starts in less time when it does not prepare for a long life.
            "JAVA_TOOL_OPTIONS": "-Xrs -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            # The rule engine would start Java three times more to find it.
            "JAVA_HOME": java_home(),
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        command = ["ansible-rulebook", "--rulebook", "rulebook.yml", "--inventory", "inventory.yml"]
        with (self.directory / "output").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                str(tools / command[0]), *command[1:], cwd=self.directory, env=values, stdout=output, stderr=output
            )

    async def kill(self, *, with_playbooks: bool) -> None:
        """SIGKILL; with its playbooks as when its container ends, or without, as when only the process dies."""
        assert self.process is not None
        assert self.process.returncode is None, f"the monitor ended: {self.output()}"
        playbooks = descendants(self.process.pid) if with_playbooks else []
        self.process.kill()
        for pid in playbooks:
            end(pid)
        await self.process.wait()
        self.process = None

    def lines(self) -> list[Line]:
        found = []
        for text in (self.directory / "log").read_text().splitlines():
            word, uuid, consumer_id, previous, phase, height = text.split()
            found.append(Line(word, uuid, (consumer_id, previous, phase, int(height))))
        return found

    def count(self, word: str) -> int:
        return sum(line.word == word for line in self.lines())

    def cursor(self) -> str:
        document = FileStateStore(str(self.directory / "state")).read("cursor")
        return document.version if document else ""

    def output(self) -> str:
        return (self.directory / "output").read_text(errors="replace")[-3000:]


@functools.cache
def java_home() -> str:
    """Return where Java is installed."""
    program = shutil.which("java")
    assert program is not None
    return str(Path(program).resolve().parents[1])


async def until(condition: Callable[[], bool], limit: float) -> bool:
    """Wait for a condition; tell whether it came to hold within that many seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def lives(monitor: Monitor, chance: random.Random, all_follow: asyncio.Barrier) -> None:
    """Start and kill the monitor again and again; nothing is to happen on the chain before each has begun to follow it."""
    for life in range(KILLS):
        moment, delay = chance.choice(MOMENTS), chance.random()
        with_playbooks = chance.random() < 0.7
        await monitor.start()
        if life == 0:
            assert await until(lambda: monitor.cursor() != "", 90), monitor.output()
            await all_follow.wait()
        if moment == "start":
            delay *= 5
        elif moment == "moved the cursor":
            before = monitor.cursor()
            await until(lambda before=before: monitor.cursor() != before, LONGEST_LIFE)
        else:
            word = {"began": "began", "took effect": "effect", "wrote the receipt": "done"}[moment]
            number = monitor.count(word)
            await until(lambda word=word, number=number: monitor.count(word) > number, LONGEST_LIFE)
        await asyncio.sleep(delay)
        monitor.killed_while.append(moment)
        await monitor.kill(with_playbooks=with_playbooks)


async def happenings(owner: Owner, kills: Callable[[], int]) -> None:
    """Let consumers be created, launched, not launched and removed, one round after the other while monitors are killed."""
    launched: list[str] = []
    for number in range(ROUNDS):
        while kills() < number * MONITORS * KILLS // ROUNDS:
            await asyncio.sleep(0.1)
        good, _bad = await asyncio.to_thread(owner.create_many, [6, 6])
        await asyncio.to_thread(owner.opt_in, good)
        await asyncio.sleep(9)
        launched.append(good)
        if len(launched) > 1:
            await asyncio.to_thread(owner.remove, launched.pop(0))


@pytest.fixture
def monitors(node: Node, tmp_path: Path) -> Iterator[list[Monitor]]:
    made = [Monitor(tmp_path / f"monitor-{number}", node.url) for number in range(MONITORS)]
    for monitor in made:
        monitor.prepare()
    yield made
    for monitor in made:
        if monitor.process is not None and monitor.process.returncode is None:
            for pid in [monitor.process.pid, *descendants(monitor.process.pid)]:
                end(pid)


def first_block_made(url: str) -> bool:
    try:
        status: dict[str, Any] = httpx.get(f"{url}/status", timeout=5).json()
        return int(status["result"]["sync_info"]["latest_block_height"]) > 1
    except (httpx.HTTPError, KeyError):
        return False


@pytest.mark.timeout(700)
async def test_every_transition_takes_effect_and_none_that_is_done_again(node: Node, monitors: list[Monitor]) -> None:
    assert await until(lambda: first_block_made(node.url), 60)
    owner = Owner(node)
    all_follow = asyncio.Barrier(MONITORS + 1)

    async def act() -> None:
        await all_follow.wait()
        await happenings(owner, lambda: sum(len(monitor.killed_while) for monitor in monitors))

    acting = asyncio.create_task(act())
    chances = [random.Random(SEED + number) for number in range(MONITORS)]
    await asyncio.gather(
        *(lives(monitor, chance, all_follow) for monitor, chance in zip(monitors, chances, strict=True))
    )
    await acting
    assert sum(len(monitor.killed_while) for monitor in monitors) == MONITORS * KILLS

    for monitor in monitors:
        await monitor.start()
    found = await asyncio.to_thread(scan, node.url)
    expected = found.transitions()
    assert len(expected) >= 15
    for monitor in monitors:
        assert await until(lambda monitor=monitor: finished(monitor, expected), CONVERGENCE), (
            f"{monitor.directory.name}: {monitor.lines()}\n{monitor.output()}"
        )
    for monitor in monitors:
        await monitor.kill(with_playbooks=True)
        check(monitor, expected, found.tip)
    assert sum(monitor.count("began") - monitor.count("done") for monitor in monitors) > 0, "no kill has cut a playbook"


def finished(monitor: Monitor, expected: list[Transition]) -> bool:
    """Tell whether the last transition of every consumer is done."""
    last = {change[0]: change[2:] for change in expected}
    done = {line.change[0]: line.change[2:] for line in monitor.lines() if line.word == "done"}
    return all(done.get(name, ("", 0))[1] >= height for name, (_phase, height) in last.items())


def check(monitor: Monitor, expected: list[Transition], tip: int) -> None:
    """Hold the log of a monitor against what happened on the chain."""
    lines = monitor.lines()
    effects = [line for line in lines if line.word == "effect" and line.change[3] <= tip]
    uuids: dict[Transition, set[str]] = {}
    for line in effects:
        uuids.setdefault(line.change, set()).add(line.uuid)
    assert {change: len(found) for change, found in uuids.items() if len(found) != 1} == {}, (
        "one transition, two events"
    )

    for name in {change[0] for change in expected}:
        chain = [change for change in expected if change[0] == name]
        taken = sorted((change for change in uuids if change[0] == name), key=lambda change: change[3])
        # Of transitions that came while an earlier one of the same consumer was on its way, the newest alone is sent. One whose block could not be
        # read in time is told of with a later block.
        assert all(any(real[2] == change[2] and real[3] <= change[3] for real in chain) for change in taken), (
            taken,
            chain,
        )
        assert [change[1] for change in taken] == ["none", *(change[2] for change in taken[:-1])], (taken, chain)
        assert taken[-1][2] == chain[-1][2], (taken, chain)
    assert {change[0] for change in uuids} == {change[0] for change in expected}

    done: set[str] = set()
    for line in lines:
        if line.word == "began":
            assert line.uuid not in done, f"{line.change} was done already"
        elif line.word == "done":
            done.add(line.uuid)
