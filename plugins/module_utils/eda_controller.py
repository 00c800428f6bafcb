# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of an object in the EDA controller is not as it is wanted, told from how the controller shows it (serializers of eda-server)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HELD = "$encrypted$"  # what the controller shows in place of a secret that it holds; one that it does not hold is not shown


def changes(
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    secret_inputs: Sequence[str] | None = None,
    update_secrets: bool = False,
) -> dict[str, Any]:
    """Return those fields of ``wanted`` that ``found`` has otherwise: all of them when nothing was found.

    With ``secret_inputs`` the field ``inputs`` is that of a credential. The controller keeps the inputs that it is not sent, so only those that differ are
    returned. A secret that it holds is compared with nothing: it is sent when ``update_secrets`` says so.
    """
    if not found:
        return dict(wanted)
    changed: dict[str, Any] = {}
    for field, value in wanted.items():
        shown = _shown(field, found)
        if field == "inputs" and secret_inputs is not None:
            inputs = _changed_inputs(value, shown or {}, secret_inputs, update_secrets)
            if inputs:
                changed[field] = inputs
        elif value != shown:
            changed[field] = value
    return changed


def _shown(field: str, found: Mapping[str, Any]) -> Any:
    """Return a field as it would be sent: where a list of objects has only an id, an answer may hold the whole object."""
    value = found.get(field)
    if value is None and field.endswith("_id"):
        return (found.get(field.removesuffix("_id")) or {}).get("id")
    if field == "eda_credentials":
        return sorted(entry["id"] for entry in value or ())
    return value


def _changed_inputs(
    wanted: Mapping[str, Any], shown: Mapping[str, Any], secret_inputs: Sequence[str], update_secrets: bool
) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in wanted.items():
        if name in secret_inputs and (shown.get(name) == HELD or not value):
            differs = update_secrets and (bool(value) or name in shown)
        else:
            differs = value != shown.get(name, "")
        if differs:
            changed[name] = value
    return changed


def outdated(
    activation: Mapping[str, Any], project: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Return the names of what has changed since the activation was made or edited.

    The controller copies values of credentials into an activation when that is made or edited, reads the image at its start, and its process keeps the
    rules with which it started.
    """
    if not activation:
        return []
    # To the second: the fraction is left out where it is zero, so times are not to be compared as text with it.
    edited = (activation.get("edited_at") or activation["created_at"])[:19]
    names = [part["name"] for part in parts if part and part["modified_at"][:19] > edited]
    instances = sorted(activation.get("instances") or (), key=lambda instance: int(instance["id"]))
    if instances and project and instances[-1].get("git_hash") != project.get("git_hash"):
        names.append(project["name"])
    return names
