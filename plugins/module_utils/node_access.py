# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking a node in its pod: RPC through the API server's port forward, so that no network policy is in the way."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import suppress
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError

with suppress(ImportError):  # a module reports it through missing_required_lib
    import kubernetes
    from kubernetes.stream import portforward, stream
    from websocket import WebSocketException

RPC_PORT = 26657
ANSWER_SECONDS = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024


class NodeAccess:
    """One node's pod. Every question may end in ClusterError: the pod is not there, or its node does not answer (yet)."""

    def __init__(self, cluster: Cluster, namespace: str, pod: str = "node-0", container: str = "node") -> None:
        self._core = kubernetes.client.CoreV1Api(cluster.api_client)
        self._namespace, self._pod, self._container = namespace, pod, container
        self._where = f"{namespace}/{pod}"

    def rpc(self, path: str) -> dict[str, Any]:
        """Return the result of a GET on the node's RPC, e.g. ``status``."""
        try:
            forward = portforward(
                self._core.connect_get_namespaced_pod_portforward,
                self._pod,
                self._namespace,
                ports=str(RPC_PORT),
            )
            connection = http.client.HTTPConnection("localhost", timeout=ANSWER_SECONDS)
            connection.sock = forward.socket(RPC_PORT)
            connection.sock.settimeout(ANSWER_SECONDS)
            try:
                connection.request("GET", f"/{path}")
                body = connection.getresponse().read(LARGEST_ANSWER)
            finally:
                connection.close()
            answer: dict[str, Any] = json.loads(body)["result"]
        except (kubernetes.client.ApiException, WebSocketException, http.client.HTTPException, OSError) as error:
            raise ClusterError(f"the node in pod {self._where} does not answer: {_reason(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError(f"the node in pod {self._where} does not answer {path}") from error
        return answer

    def disk_usage(self, path: str) -> float:
        """Return which part of the volume at ``path`` is used, 0 to 1."""
        try:
            output = stream(
                self._core.connect_get_namespaced_pod_exec,
                self._pod,
                self._namespace,
                container=self._container,
                command=["df", "-P", "-k", path],
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _request_timeout=ANSWER_SECONDS,
            )
            used, free = (int(field) for field in str(output).splitlines()[-1].split()[2:4])
        except (kubernetes.client.ApiException, WebSocketException, OSError, ValueError, IndexError) as error:
            raise ClusterError(f"the volume of pod {self._where} cannot be looked at: {_reason(error)}") from error
        return used / (used + free) if used + free else 0.0


def _reason(error: Exception) -> str:
    """Return the API server's own words out of a refused handshake, which the library wraps in all that it knows."""
    found = re.search(r'"message":"((?:[^"\\]|\\.)*)"', str(error))
    return found[1].replace('\\"', '"')[:400] if found else " ".join(str(error).split())[:400]
