# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read objects of a Kubernetes cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

ARGUMENT_SPEC: dict[str, Any] = {
    "kind": {"type": "str", "required": True},
    "api_version": {"type": "str", "default": "v1"},
    "namespace": {"type": "str"},
    "name": {"type": "str"},
    "label_selectors": {"type": "list", "elements": "str", "default": []},
    "kubeconfig": {"type": "path"},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the one object of a name, or those that all selectors fit; what is not there is no error."""
    del check_mode
    kind, api_version, namespace = params["kind"], params["api_version"], params["namespace"]
    if params["name"] is not None and params["label_selectors"]:
        raise InvalidInput("name and label_selectors exclude each other: a name says which object is meant")
    cluster = Cluster(params["kubeconfig"])
    if params["name"] is None:
        found = cluster.select(kind, namespace, ",".join(params["label_selectors"]), api_version)
    else:
        one = cluster.get(kind, params["name"], namespace, api_version)
        found = [] if one is None else [one]
    return {"changed": False, "resources": found}
