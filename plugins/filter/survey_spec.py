# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils import survey
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput


def survey_spec(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A survey of AWX that asks for options."""
    try:
        return survey.survey_spec(options)
    except InvalidInput as error:
        raise AnsibleFilterError(f"survey_spec: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"survey_spec": survey_spec}
