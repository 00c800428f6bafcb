# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking a node in its pod: RPC through the API server's port forward, so that no network policy is in the way."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, NodeSilent

with suppress(ImportError):  # a module reports it through missing_required_lib
    import kubernetes
    from kubernetes.stream import portforward, stream
    from websocket import WebSocketException

RPC_PORT = 26657
OWN_RPC_PORT = 26667  # where a node with a gate listens, within its pod alone
NODE_SILENT_STATUS = 502  # of the gate; a node itself never says that
ANSWER_SECONDS = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024

Rpc = Callable[[str], dict[str, Any]]
Exchange = Callable[[str, str, bytes], bytes]  # method, path, body


class NodeAccess:
    """One node's pod, for one thread. A question ends in ClusterError when the pod cannot be reached, in NodeSilent when its node does not answer."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        pod: str = "node-0",
        container: str = "node",
        port: int = RPC_PORT,
    ) -> None:
        # Its own client: while a forward is opened, the library puts another function into the client that it was given.
        self._core = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(cluster.api_client.configuration))
        self._namespace, self._pod, self._container, self._port = namespace, pod, container, port
        self._where = f"{namespace}/{pod}"

    def rpc(self, path: str) -> dict[str, Any]:
        """Return the result of one GET on the node's RPC, e.g. ``status``."""
        with self.conversation(ANSWER_SECONDS) as rpc:
            return rpc(path)

    @contextmanager
    def conversation(self, seconds: float) -> Iterator[Rpc]:
        """Give a function that asks the node's RPC, for many questions over one connection and for so many seconds in all."""
        with self.exchange(seconds) as exchange:

            def rpc(path: str) -> dict[str, Any]:
                body = exchange("GET", path, b"")
                try:
                    answer: dict[str, Any] = json.loads(body)["result"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ClusterError(
                        f"the node in pod {self._where} gives no answer to {path.partition('?')[0]}: {_refusal(body)}"
                    ) from error
                return answer

            yield rpc

    @contextmanager
    def exchange(self, seconds: float) -> Iterator[Exchange]:
        """Give a function that sends a request (method, path, body) to the node's RPC and returns the answer's body."""
        deadline = time.monotonic() + seconds
        connection = http.client.HTTPConnection("localhost")
        connection.auto_open = 0  # or it would go on with whatever listens on this machine
        connection.sock = self._connect()

        def exchange(method: str, path: str, body: bytes) -> bytes:
            try:
                connection.sock.settimeout(max(min(deadline - time.monotonic(), ANSWER_SECONDS), 0.001))
                connection.request(method, f"/{path}", body or None)
                answered = connection.getresponse()
                content = answered.read(LARGEST_ANSWER)
            except (
                http.client.HTTPException,
                OSError,
                AttributeError,
            ) as error:  # without a socket after it was closed
                raise NodeSilent(f"the node in pod {self._where} does not answer: {_reason(error)}") from error
            if answered.status == NODE_SILENT_STATUS:
                raise NodeSilent(f"the node in pod {self._where} does not answer its gate: {_refusal(content)}")
            return content

        try:
            yield exchange
        finally:
            connection.close()

    def _connect(self) -> Any:
        """Return a socket that leads to the node's RPC; closing it ends the forward."""
        try:
            forward = portforward(
                self._core.connect_get_namespaced_pod_portforward, self._pod, self._namespace, ports=str(self._port)
            )
        except (kubernetes.client.ApiException, WebSocketException, OSError) as error:
            raise ClusterError(f"pod {self._where} cannot be reached: {_reason(error)}") from error
        return forward.socket(self._port)

    def disk_usage(self, path: str) -> float:
        """Return which part of the volume at ``path`` is used, 0 to 1."""
        output = self._run("df", "-P", "-k", path)
        try:
            used, free = (int(field) for field in output.splitlines()[-1].split()[2:4])
        except (ValueError, IndexError) as error:
            raise ClusterError(f"the volume of pod {self._where} cannot be looked at: {_reason(error)}") from error
        return used / (used + free) if used + free else 0.0

    def read_file(self, path: str) -> str:
        """Return the text of a file in the pod."""
        return self._run("cat", path)

    def _run(self, *command: str) -> str:
        """Return what a command in the container writes."""
        try:
            output = stream(
                self._core.connect_get_namespaced_pod_exec,
                self._pod,
                self._namespace,
                container=self._container,
                command=list(command),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _request_timeout=ANSWER_SECONDS,
            )
        except (kubernetes.client.ApiException, WebSocketException, OSError) as error:
            raise ClusterError(f"{command[0]} cannot be run in pod {self._where}: {_reason(error)}") from error
        return str(output)


def _refusal(body: bytes) -> str:
    """Return what an answer without a result says of an error."""
    try:
        error = json.loads(body)["error"]
        text = f"{error['message']} {error.get('data') or ''}"
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body[:200].decode(errors="replace")
    return " ".join(text.split())[:400] or "nothing was said"


def _reason(error: Exception) -> str:
    """Return the API server's own words out of a refused handshake, which the library wraps in all that it knows."""
    found = re.search(r'"message":"((?:[^"\\]|\\.)*)"', str(error))
    return found[1].replace('\\"', '"')[:400] if found else " ".join(str(error).split())[:400]
