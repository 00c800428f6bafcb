# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which cluster is worked on: one answer, so that all tasks of a play, and kubernetes.core's own modules, work on the same one."""

from __future__ import annotations

import os
from typing import Any


def chosen_kubeconfig(given: str | None) -> str | None:
    """Return the kubeconfig that was given, else that of K8S_AUTH_KUBECONFIG or KUBECONFIG; None: the pod's own access, else the user's own file."""
    return given or os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG") or None


def chosen_context() -> str | None:
    """Return the context of the kubeconfig that is used; None: its current one."""
    return os.environ.get("K8S_AUTH_CONTEXT") or None


def has_token(given: str | None) -> bool:
    """Return whether the access is the bearer token that AWX's credential for Kubernetes puts into the environment."""
    return not given and bool(os.environ.get("K8S_AUTH_HOST") and os.environ.get("K8S_AUTH_API_KEY"))


def runs_in_pod(given: str | None) -> bool:
    """Return whether the access is that of the pod's service account."""
    chosen = has_token(given) or chosen_kubeconfig(given) or chosen_context()
    return not chosen and "KUBERNETES_SERVICE_HOST" in os.environ


def access(given: str | None) -> Any:
    """Return the access as a ``kubernetes.client.Configuration``; kubernetes.config.ConfigException when there is none.

    ImportError without the package kubernetes, which is loaded here only since it takes 38 MB.
    """
    import kubernetes

    configuration = kubernetes.client.Configuration()
    if has_token(given):
        configuration.host = os.environ["K8S_AUTH_HOST"].rstrip("/")
        configuration.api_key = {"authorization": f"Bearer {os.environ['K8S_AUTH_API_KEY']}"}
        configuration.verify_ssl = os.environ.get("K8S_AUTH_VERIFY_SSL", "true").lower() not in ("false", "no", "0")
        configuration.ssl_ca_cert = os.environ.get("K8S_AUTH_SSL_CA_CERT") or None
    elif runs_in_pod(given):
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    else:
        kubernetes.config.load_kube_config(chosen_kubeconfig(given), chosen_context(), configuration)
    return configuration
