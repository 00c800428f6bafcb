# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking many that may hang: a few at a time, none for longer than its time, and none waits for one that does not come back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Answer = TypeVar("Answer")


def ask_all(questions: Mapping[str, Callable[[], Answer]], at_once: int, seconds: float) -> dict[str, Answer | None]:
    """Return the answers by the questions' names, None where there is none after so many seconds. Questions must not raise.

    A question without an answer is left behind in its thread, which ends with the process.
    """
    answers: dict[str, Answer | None] = dict.fromkeys(questions)
    given: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
    waiting = list(questions.items())[::-1]
    deadlines: dict[str, float] = {}
    while waiting or deadlines:
        while waiting and len(deadlines) < at_once:
            name, question = waiting.pop()
            deadlines[name] = time.monotonic() + seconds
            threading.Thread(target=_ask, args=(name, question, given), daemon=True).start()
        try:
            name, answer = given.get(timeout=max(min(deadlines.values()) - time.monotonic(), 0.001))
        except queue.Empty:
            now = time.monotonic()
            deadlines = {name: moment for name, moment in deadlines.items() if moment > now}
            continue
        if deadlines.pop(name, None) is not None:  # else it is too late
            answers[name] = answer
    return answers


def _ask(name: str, question: Callable[[], Answer], given: queue.SimpleQueue[tuple[str, Answer]]) -> None:
    given.put((name, question()))
