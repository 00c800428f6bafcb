# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking many, some of whom hang."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ask_all import ask_all

LONG = 60.0  # seconds; never waited for


@pytest.fixture
def hang() -> Iterator[Callable[[], str]]:
    """A question that is not answered while the test runs."""
    over = threading.Event()

    def question() -> str:
        over.wait(LONG)
        return "too late"

    yield question
    over.set()


def test_all_are_asked_and_each_answer_has_its_name() -> None:
    questions = {str(number): (lambda number=number: number * 2) for number in range(20)}
    assert ask_all(questions, 3, LONG) == {str(number): number * 2 for number in range(20)}


def test_nobody_is_asked_where_there_is_nobody() -> None:
    assert ask_all({}, 3, LONG) == {}


def test_those_that_hang_hold_up_no_other(hang: Callable[[], str]) -> None:
    questions: dict[str, Callable[[], str]] = {"a": hang, "b": hang, "c": hang}
    questions |= {str(number): (lambda: "here") for number in range(9)}
    answers = ask_all(questions, 2, 0.05)
    assert answers == {"a": None, "b": None, "c": None, **{str(number): "here" for number in range(9)}}


def test_no_more_than_a_few_are_asked_at_a_time() -> None:
    at_once = threading.Semaphore(3)
    too_many = []

    def question() -> str:
        if not at_once.acquire(blocking=False):
            too_many.append(1)
            return ""
        met.wait(LONG)
        at_once.release()
        return ""

    met = threading.Barrier(3)  # they go on when three are there, so three are asked at once
    ask_all({str(number): question for number in range(12)}, 3, LONG)
    assert too_many == []
