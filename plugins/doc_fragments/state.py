# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that name a monitor's state store."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by modules that read what a monitor remembers."""

    DOCUMENTATION = r"""
options:
  state_namespace:
    description:
      - The monitor's namespace. What it remembers is kept there in ConfigMaps.
      - Not together with O(state_directory).
    type: str
  state_directory:
    description:
      - Absolute path of a directory in which the monitor keeps what it remembers, where there is no cluster.
    type: path
  kubeconfig:
    description:
      - Kubeconfig of the cluster of O(state_namespace). Default is the usual one, or the pod's service account.
    type: path
"""
