# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option that says which Kubernetes cluster is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by modules that work in one cluster."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Access to the cluster. The default is that of E(K8S_AUTH_HOST) and E(K8S_AUTH_API_KEY), as AWX sets them, else E(K8S_AUTH_KUBECONFIG), else
        E(KUBECONFIG), or the pod's own service account.
      - E(K8S_AUTH_CONTEXT) names the context of a kubeconfig that is used in place of its current one.
    type: path
requirements:
  - kubernetes
"""
