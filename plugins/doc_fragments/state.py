# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that name the monitor's state documents."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by modules that read or write the monitor's state documents."""

    DOCUMENTATION = r"""
options:
  state_namespace:
    description:
      - The monitor's namespace; each document is a ConfigMap in it.
      - Not together with O(state_directory).
    type: str
  state_directory:
    description:
      - Absolute path of a directory that holds the documents as files, where there is no cluster.
    type: path
  kubeconfig:
    description:
      - Kubeconfig of the cluster of O(state_namespace). Default is that of E(K8S_AUTH_KUBECONFIG) or E(KUBECONFIG), or the pod's service account.
      - Without it, E(K8S_AUTH_HOST) and E(K8S_AUTH_API_KEY) count first, as AWX sets them.
    type: path
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it.
    support: full
requirements:
  - httpx
  - kubernetes
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""
