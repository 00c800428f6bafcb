# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module ``interchain.security.cluster_objects_info`` in Ansible's own process."""

from __future__ import annotations

from ansible_collections.interchain.security.plugins.module_utils.operations import cluster_objects_info
from ansible_collections.interchain.security.plugins.plugin_utils.operation_action import OperationAction


class ActionModule(OperationAction):
    """See the module's documentation."""

    operation = cluster_objects_info
