# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the files of tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import order

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Item:
    path: Path
    name: str


def test_the_named_files_come_first_and_last_and_their_tests_stay_as_they_are() -> None:
    files = ("a", "long", "b", "last", "longest", "a")
    items: list[Any] = [Item(Path(f"{name}.py"), str(number)) for number, name in enumerate(files)]
    order.put_in_order(items, ("longest", "long"), ("last",))
    assert [(item.path.stem, item.name) for item in items] == [
        ("longest", "4"),
        ("long", "1"),
        ("a", "0"),
        ("b", "2"),
        ("a", "5"),
        ("last", "3"),
    ]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("e2e", order.LONGEST_END_TO_END + order.LAST_END_TO_END),
        ("integration", order.LONGEST_INTEGRATION),
    ],
)
def test_there_is_each_of_the_named_files(folder: str, names: tuple[str, ...]) -> None:
    assert [name for name in names if not (TESTS / folder / f"{name}.py").is_file()] == []
