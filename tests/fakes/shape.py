# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What two JSON answers have to have in common to be answers of the same kind of node."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

FORMS = (
    ("integer text", r"-?[0-9]+"),
    ("hash", r"[0-9A-F]{64}"),
    ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"),
)


def shape(value: Any) -> Any:
    """The value with its scalars replaced by what kind they are; equal elements of a list count once."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in sorted(value.items())}
    if isinstance(value, list):
        return sorted({repr(shape(entry)) for entry in value})
    if isinstance(value, str):
        return next((name for name, form in FORMS if re.fullmatch(form, value)), "text")
    return type(value).__name__


def forms_of_events(events: Iterable[dict[str, Any]]) -> dict[str, list[list[tuple[str, bool]]]]:
    """Type of an event: the lists of its attributes' names in order, with whether each is indexed."""
    found: dict[str, list[list[tuple[str, bool]]]] = {}
    for event in events:
        assert set(event) == {"type", "attributes"}, event
        assert all(set(attribute) == {"key", "value", "index"} for attribute in event["attributes"]), event
        form = [(attribute["key"], attribute["index"]) for attribute in event["attributes"]]
        forms = found.setdefault(event["type"], [])
        if form not in forms:
            forms.append(form)
    return found
