# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy before a real API server that refuses writes, or loses their answers, as a server under load does."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3
import yaml

WRITES = ("POST", "PUT", "PATCH", "DELETE")
# What becomes of the writes, one after the other. "lost": the server did it, and the connection broke before its answer came.
FAULTS = ("429", "ok", "500", "lost", "ok", "409", "reset")
STATUS = {
    "429": (
        429,
        b'{"kind":"Status","status":"Failure","message":"too many requests","reason":"TooManyRequests","code":429}',
    ),
    "500": (500, b'{"kind":"Status","status":"Failure","message":"etcd is busy","reason":"InternalError","code":500}'),
    "409": (
        409,
        b'{"kind":"Status","status":"Failure","message":"the object has been modified","reason":"Conflict","code":409}',
    ),
}


@dataclass(frozen=True)
class Write:
    """A request that changes something: HTTP's method, the plural of the kind, and namespace (or none) and name of the object."""

    method: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, method: str, path: str, body: bytes) -> Write:
        """Read it off a request: /api/v1/... or /apis/GROUP/VERSION/..., then [namespaces/NAMESPACE/]KIND[/NAME]."""
        parts = path.partition("?")[0].strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 2 else ""
        kind, *named = rest[2:] if namespace else rest
        name = named[0] if named else str(json.loads(body)["metadata"].get("name", ""))
        return cls(method, kind, namespace, name)


class ApiProxy:
    """Forwards plain HTTP to the server of a kubeconfig, and does to each write the next of FAULTS."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        user, cluster = content["users"][0]["user"], content["clusters"][0]["cluster"]
        directory.mkdir()
        files = {}
        for name, data in (
            ("cert", user["client-certificate-data"]),
            ("key", user["client-key-data"]),
            ("ca", cluster["certificate-authority-data"]),
        ):
            files[name] = directory / name
            files[name].write_bytes(base64.b64decode(data))
        self.injected: list[str] = []
        self._target = cluster["server"]
        self._pool = urllib3.PoolManager(
            cert_file=str(files["cert"]), key_file=str(files["key"]), ca_certs=str(files["ca"]), retries=False
        )
        self._faults = itertools.cycle(FAULTS)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.kubeconfig = directory / "kubeconfig"
        cluster.clear()
        cluster["server"] = f"http://127.0.0.1:{self._server.server_port}"
        self.kubeconfig.write_text(yaml.safe_dump(content))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _fault(self, write: Write) -> str:
        """Return what becomes of a write."""
        with self._lock:
            fault = next(self._faults)
            self.injected.append(fault)
        return fault

    def _lose(self) -> None:
        """Called when the server has done what the client is to hear nothing of."""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                writes = self.command in WRITES
                fault = proxy._fault(Write.of(self.command, self.path, body)) if writes else "ok"
                if fault in STATUS:
                    status, text = STATUS[fault]
                    headers = {"Retry-After": "1"} if fault == "429" else {}
                    self._answer(status, text, headers)
                    return
                if fault == "reset":
                    self._break()
                    return
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
                }
                answer = proxy._pool.request(
                    self.command, proxy._target + self.path, body=body or None, headers=headers
                )
                if fault == "lost":
                    proxy._lose()
                    self._break()
                    return
                self._answer(answer.status, answer.data, {"Content-Type": answer.headers.get("Content-Type", "")})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _break(self) -> None:
                # Closing with this option sends a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler
