# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWX surveys made of the options that a role or a playbook documents, so that their names, types and choices are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

LONGEST_TEXT = 1024
LARGEST_NUMBER = 2_147_483_647
TRUTHS = ("true", "false")


def survey_spec(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a survey as AWX keeps it: one question per option of an argument specification; empty without any.

    Lists and dictionaries are asked for as JSON text, which the playbooks read. InvalidInput names an option of a type that no survey can ask for.
    """
    if not options:
        return {}
    return {"name": "", "description": "", "spec": [_question(name, option) for name, option in options.items()]}


def _question(name: str, option: Mapping[str, Any]) -> dict[str, Any]:
    kind = option.get("type", "str")
    description = option.get("description", "")
    question: dict[str, Any] = {
        "variable": name,
        "question_name": name,
        "question_description": " ".join(description) if isinstance(description, list) else description,
        "required": bool(option.get("required", False)),
        "type": "text",
    }
    if option.get("no_log"):
        question |= {"type": "password", "min": 0, "max": LONGEST_TEXT}
    elif kind == "bool":
        question |= {"type": "multiplechoice", "choices": list(TRUTHS)}
    elif option.get("choices"):
        question |= {"type": "multiplechoice", "choices": [str(choice) for choice in option["choices"]]}
    elif kind == "int":
        question |= {"type": "integer", "min": 0, "max": LARGEST_NUMBER}
    elif kind in ("dict", "list", "raw", "json"):
        question |= {"type": "textarea", "min": 0, "max": LONGEST_TEXT * 16}
    elif kind in ("str", "path"):
        question |= {"min": 0, "max": LONGEST_TEXT}
    else:
        raise InvalidInput(f"{name}: a survey cannot ask for the type {kind}")
    default = _default(option)
    return question if default is None else {**question, "default": default}


def _default(option: Mapping[str, Any]) -> Any:
    """Return a default that a survey can show; None for templates, for empty ones, and for secrets."""
    default = option.get("default")
    if option.get("no_log") or default in (None, "", [], {}):
        return None
    if isinstance(default, bool):
        return TRUTHS[0] if default else TRUTHS[1]
    if isinstance(default, str):
        return None if "{{" in default else default
    return default if isinstance(default, int) else None
