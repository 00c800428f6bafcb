# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An HTTP proxy before the RPC of a real node, which spoils what becomes of broadcasts, or what the node says of itself, as a test says."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

HELD_SECONDS = 30.0
FULL = "mempool is full: number of txs 5000 (max: 5000), total txs bytes 5242880 (max: 1073741824)"


class Fault(Enum):
    """What becomes of one broadcast."""

    LOST_BEFORE = "the connection breaks, and the node never gets it"
    LOST_AFTER_COMMIT = "it comes into a block, and only then the connection breaks"
    UNAVAILABLE = "503, and the node never gets it"
    BAD_GATEWAY = "the node takes it, and 502 is answered"
    NO_ANSWER = "the node takes it, and nothing is ever answered"
    MEMPOOL_FULL = "the node's answer when its mempool is full"
    DROPPED = "it is answered as taken, and the node never gets it"


class RpcProxy:
    """Each broadcast meets the next of ``faults``; without one it passes.

    With a ``barrier`` each broadcast waits until as many are there as the barrier asks for. ``gas_share`` is what is left of the
    gas that the next simulation tells. ``lags``: the node says that it is catching up.
    """

    def __init__(self, url: str) -> None:
        self.faults: list[Fault] = []
        self.barrier: threading.Barrier | None = None
        self.gas_share = 1.0
        self.lags = False
        self.broadcasts: list[str] = []
        self.url = ""
        self._target = url
        self._closing = threading.Event()

    @contextlib.contextmanager
    def serve(self) -> Iterator[RpcProxy]:
        """Listen on loopback."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = proxy.answer(body)
                if answer is None:
                    self.close_connection = True
                    return
                with contextlib.suppress(ConnectionError):  # the client may have given up
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, body: bytes) -> tuple[int, bytes | None]:
        """Return status and body of the answer to a request; no body when the connection is to break."""
        request = json.loads(body)
        if request["method"] == "abci_query" and request["params"]["path"] == "/app/simulate":
            return 200, self._simulation(body)
        if request["method"] == "status" and self.lags:
            status = json.loads(self._forward(body))
            status["result"]["sync_info"]["catching_up"] = True
            return 200, json.dumps(status).encode()
        if request["method"] != "broadcast_tx_sync":
            return 200, self._forward(body)
        raw = base64.b64decode(request["params"]["tx"])
        tx_hash = hashlib.sha256(raw).hexdigest().upper()
        self.broadcasts.append(tx_hash)
        if self.barrier is not None:
            self.barrier.wait(HELD_SECONDS)
        fault = self.faults.pop(0) if self.faults else None
        if fault in (None, Fault.LOST_AFTER_COMMIT, Fault.BAD_GATEWAY, Fault.NO_ANSWER):
            passed = self._forward(body)
            if fault is None:
                return 200, passed
            assert json.loads(passed)["result"]["code"] == 0, passed
        if fault is Fault.LOST_AFTER_COMMIT:
            self._await_commit(tx_hash)
        if fault is Fault.NO_ANSWER:
            self._closing.wait(HELD_SECONDS)
        if fault is Fault.MEMPOOL_FULL:
            error = {"code": -32603, "message": "Internal error", "data": FULL}
            return 200, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()
        if fault is Fault.DROPPED:
            taken = {"code": 0, "data": "", "log": "", "codespace": "", "hash": tx_hash}
            return 200, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": taken}).encode()
        if fault in (Fault.UNAVAILABLE, Fault.BAD_GATEWAY):
            return (503 if fault is Fault.UNAVAILABLE else 502), b"<html>try again later</html>"
        return 0, None

    def _simulation(self, body: bytes) -> bytes:
        answer = json.loads(self._forward(body))
        share, self.gas_share = self.gas_share, 1.0
        if share != 1.0:
            result = json.loads(base64.b64decode(answer["result"]["response"]["value"]))
            result["gas_info"]["gas_used"] = str(int(int(result["gas_info"]["gas_used"]) * share))
            answer["result"]["response"]["value"] = base64.b64encode(json.dumps(result).encode()).decode()
        return json.dumps(answer).encode()

    def _await_commit(self, tx_hash: str) -> None:
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tx",
            "params": {"hash": base64.b64encode(bytes.fromhex(tx_hash)).decode()},
        }
        deadline = time.monotonic() + HELD_SECONDS
        while "result" not in json.loads(self._forward(json.dumps(request).encode())):
            assert time.monotonic() < deadline, f"{tx_hash} came into no block"
            time.sleep(0.05)

    def _forward(self, body: bytes) -> bytes:
        return httpx.post(self._target, content=body, headers={"Content-Type": "application/json"}, timeout=30).content
