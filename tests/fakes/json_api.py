# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Serves the stand-in for an API that takes and gives JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

Answer = tuple[int, Any]  # the HTTP status, and the body or None for an empty one


class JsonApi(Protocol):
    """What is served."""

    authorizations: Collection[str]  # headers of those who are let in
    headers: Mapping[str, str]  # of every answer

    def answer(self, method: str, target: str, body: Any) -> Answer:
        """Answer a request of somebody who is let in; ``body`` is None when it is empty."""


class _Handler(BaseHTTPRequestHandler):
    api: JsonApi
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") in self.api.authorizations:
            status, answer = self.api.answer(self.command, self.path, json.loads(given) if given else None)
        else:
            status, answer = 401, {"detail": "Authentication credentials were not provided."}
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **self.api.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(api: JsonApi) -> Iterator[str]:
    """Serve an API on an address of this machine; yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
