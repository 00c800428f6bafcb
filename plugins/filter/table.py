# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

GAP = "  "
NARROWEST = 8  # characters that a column keeps


def _cell(value: Any, width: int) -> str:
    """Text of one cell. Strangers write some of it: control characters are shown escaped and never reach the terminal."""
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(item) for item in value)
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in str(value))
    return _cut(text, width) or "-"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _fit(widths: list[int], total: int) -> list[int]:
    """Make the widest columns narrower until a line has at most so many characters."""
    widths = list(widths)
    while sum(widths) + len(GAP) * (len(widths) - 1) > total and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int = 60, total: int = 0) -> str:
    """Plain text table with one line per row, at most total characters wide (0 for any)."""
    if isinstance(rows, (str, Mapping)) or not all(isinstance(row, Mapping) for row in rows):
        raise AnsibleFilterError("table needs a list of dictionaries")
    lines = [[column.upper() for column in columns]]
    lines += [[_cell(row.get(column), width) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    if total:
        widths = _fit(widths, total)
        lines = [[_cut(cell, size) for cell, size in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(
        GAP.join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip() for line in lines
    )


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"table": table}
