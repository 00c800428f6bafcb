# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import Policy


def checked_policy(given: dict[str, Any]) -> dict[str, Any]:
    """The policy as it was given, when every option of it can be used."""
    try:
        Policy.parse(given)
    except InvalidInput as error:
        raise AnsibleFilterError(str(error)) from error
    return given


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"checked_policy": checked_policy}
