# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which cluster is worked on: one answer, so that all tasks of a play, and kubernetes.core's own modules, work on the same one."""

from __future__ import annotations

import os


def chosen_kubeconfig(given: str | None) -> str | None:
    """Return the kubeconfig that was given, else that of K8S_AUTH_KUBECONFIG or KUBECONFIG; None: the pod's own access, else the user's own file."""
    return given or os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG") or None


def runs_in_pod(given: str | None) -> bool:
    """Return whether the access is that of the pod's service account."""
    return chosen_kubeconfig(given) is None and "KUBERNETES_SERVICE_HOST" in os.environ
