# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which fields of a Kubernetes object a field manager has applied (server-side apply)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def applied_by(manager: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition that the manager applied last, read back from an object with its ``managedFields``.

    Applied once more it takes back all that the manager has applied since.
    """
    metadata = found["metadata"]
    identity = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    definition: dict[str, Any] = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": identity}
    for entry in metadata.get("managedFields") or []:
        if entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource"):
            owned = _owned(found, entry["fieldsV1"])
            definition = {**definition, **owned, "metadata": {**owned.get("metadata", {}), **identity}}
    return definition


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """Return the part of a value that a set of fields names.

    In a set, ``f:`` stands before the name of a field, ``k:`` before the keys of an item of a list, ``v:`` before a value of a list;
    nothing below means all of it, and ``.`` the value itself without its parts.
    """
    if not fields:
        return value
    if isinstance(value, Mapping):
        named = {key.removeprefix("f:"): below for key, below in fields.items() if key.startswith("f:")}
        return {name: _owned(value[name], below) for name, below in named.items() if name in value}
    if isinstance(value, list):
        return [part for item in value for part in _owned_item(item, fields)]
    return value


def _owned_item(item: Any, fields: Mapping[str, Any]) -> list[Any]:
    """Return the owned part of one item of a list, or nothing when the set does not name the item."""
    for key, below in fields.items():
        if key.startswith("v:") and json.loads(key[2:]) == item:
            return [item]
        if key.startswith("k:") and json.loads(key[2:]).items() <= item.items():
            return [_owned(item, below)]
    return []
