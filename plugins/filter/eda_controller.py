# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils import eda_controller


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"eda_changes": eda_controller.changes, "eda_outdated": eda_controller.outdated}
