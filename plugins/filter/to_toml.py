# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import tomli_w
except ImportError as exc:
    TOMLI_W_IMPORT_ERROR: ImportError | None = exc
else:
    TOMLI_W_IMPORT_ERROR = None


def _plain(value: Any, where: str) -> Any:
    """Copy VALUE into plain Python types, so that no template object or tag reaches the TOML writer."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, bool):
        return bool(value)
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise AnsibleFilterError(f"to_toml cannot write {where or 'the value'}: TOML has no {type(value).__name__}")


def to_toml(value: Mapping[str, Any]) -> str:
    """TOML text of a mapping."""
    if TOMLI_W_IMPORT_ERROR is not None:
        raise AnsibleFilterError("to_toml needs the Python package tomli-w") from TOMLI_W_IMPORT_ERROR
    if not isinstance(value, Mapping):
        raise AnsibleFilterError(f"to_toml needs a dictionary, not {type(value).__name__}")
    return tomli_w.dumps(_plain(value, ""))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"to_toml": to_toml}
