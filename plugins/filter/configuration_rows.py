# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import configuration

ELSEWHERE = "variable"


def configuration_rows(variables: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row per key that is set, with its value and where that comes from."""
    wanted = {"interchain_configuration", *(key.variable.split(".")[0] for key in configuration.KEYS)}
    # Plain values: those of the template engine cannot be copied by the standard library.
    held = json.loads(json.dumps({name: variables[name] for name in sorted(wanted) if name in variables}))
    read = held.pop("interchain_configuration", {})
    try:
        settings = configuration.checked_variables(held)
    except InvalidInput as error:
        raise AnsibleFilterError(f"the configuration cannot be used:\n{error}") from error
    rows = []
    for setting in settings:
        known = read.get(setting.key.name, {})
        rows.append(
            {
                "key": setting.key.name,
                "value": configuration.shown(setting.value),
                "source": known["source"] if known.get("value") == setting.value else ELSEWHERE,
                "variable": setting.key.variable,
            }
        )
    return rows


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"configuration_rows": configuration_rows}
