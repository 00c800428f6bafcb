# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate in front of a real node that answers unsafe calls: what is safe passes, nothing else does, and the node can be told whom to dial."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.safe_rpc import LARGEST_BODY, METHODS
from tests.integration.single_node import FullNode, Node, free_port
from tests.testbed.parts import CHAIN

WAIT_SECONDS = 60.0
PROGRAM = "ansible_collections.interchain.security.plugins.module_utils.rpc_gate"
UNSAFE = {"dial_peers", "dial_seeds", "unsafe_flush_mempool"}
BY_WEBSOCKET = {"subscribe", "unsubscribe", "unsubscribe_all"}
STATUS = {"jsonrpc": "2.0", "id": 1, "method": "status"}
FLUSH = {"jsonrpc": "2.0", "id": 1, "method": "unsafe_flush_mempool"}


@dataclass
class Gated:
    """A node, and the gate in front of it."""

    node: Node
    gate: str  # its URL

    def asks(self) -> int:
        """How often the node was asked to dial."""
        return (self.node.home / "log").read_text(errors="replace").count("DialPeers")

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and return everything that comes back until the gate closes, or says nothing for a second."""
        parts = urlsplit(self.gate)
        answer = b""
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=10) as connection:
            connection.sendall(request)
            connection.settimeout(1)
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except TimeoutError:
                pass
        return answer


def wait_for(what: str, condition: Any) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {WAIT_SECONDS:.0f} s"
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def height(url: str) -> int:
    return int(httpx.get(f"{url}/status").json()["result"]["sync_info"]["latest_block_height"])


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    node = Node(CHAIN.ensure() / "interchain-security-pd", tmp_path_factory.mktemp("node"))
    node.configure(unsafe="true", addr_book_strict="false", allow_duplicate_ip="true")
    node.start()
    port = free_port()
    gate = subprocess.Popen([sys.executable, "-m", PROGRAM, str(port), node.url])
    try:
        made = Gated(node, f"http://127.0.0.1:{port}")
        wait_for("the gate", lambda: answers(f"{made.gate}/gate"))
        wait_for("the node behind the gate", lambda: answers(f"{made.gate}/health"))
        wait_for("a block", lambda: height(made.gate) > 1)
        yield made
    finally:
        gate.terminate()
        assert gate.wait(20) == 0
        node.kill()


def test_what_passes_is_all_that_is_safe_of_what_the_node_answers(gated: Gated) -> None:
    listed = set(re.findall(r'//[^/"]+/([a-z_]+)', httpx.get(gated.node.url).text))
    assert listed == METHODS | UNSAFE | BY_WEBSOCKET
    # With a height where there is one: of the newest, a node that writes just then may have no parameters yet, and answers 500.
    at_one = [f"{method}?height=1" for method in ("consensus_params", "validators", "commit")]
    for method in ("health", "net_info", "abci_info", "dump_consensus_state", *at_one):
        direct, passed = (httpx.get(f"{url}/{method}") for url in (gated.node.url, gated.gate))
        assert passed.status_code == direct.status_code == 200
        assert passed.json()["result"].keys() == direct.json()["result"].keys()
    assert httpx.get(f"{gated.gate}/block?height=1").json() == httpx.get(f"{gated.node.url}/block?height=1").json()
    query = {"path": '"/cosmos.staking.v1beta1.Query/Params"', "data": "0x"}
    assert httpx.get(f"{gated.gate}/abci_query", params=query).json()["result"]["response"]["code"] == 0
    # What the node refuses, it says itself.
    refused = httpx.get(f"{gated.gate}/block?height=-1")
    assert refused.json() == httpx.get(f"{gated.node.url}/block?height=-1").json()


def test_calls_of_a_body(gated: Gated) -> None:
    single = httpx.post(gated.gate, json=STATUS).json()
    assert (
        single["result"]["node_info"]["network"]
        == httpx.get(f"{gated.node.url}/status").json()["result"]["node_info"]["network"]
    )
    both = httpx.post(gated.gate, json=[STATUS, {**STATUS, "id": "b", "method": "abci_info", "params": []}]).json()
    assert [entry["id"] for entry in both] == [1, "b"]
    header = httpx.post(gated.gate, json={**STATUS, "method": "block", "params": {"height": "1"}}).json()
    assert header["result"]["block"]["header"]["height"] == "1"


@pytest.mark.parametrize("method", sorted(UNSAFE))
def test_what_is_not_safe_does_not_pass(gated: Gated, method: str) -> None:
    before = gated.asks()
    peers = urlencode(
        {"peers": json.dumps([f"{'0b' * 20}@127.0.0.1:1"]), "seeds": json.dumps([f"{'0b' * 20}@127.0.0.1:1"])}
    )
    for path in (
        f"/{method}?{peers}",
        f"/%64{method[1:]}?{peers}",
        f"/status/../{method}?{peers}",
        f"//{method}?{peers}",
    ):
        answer = gated.raw(f"GET {path} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 404")), path
    call = {**STATUS, "method": method, "params": {"peers": [f"{'0b' * 20}@127.0.0.1:1"]}}
    for body in (call, [STATUS, call]):
        refused = httpx.post(gated.gate, json=body)
        assert refused.status_code == 403
        assert "not a call that is answered here" in refused.json()["error"]["message"]
    assert gated.asks() == before


def post(body: bytes, *headers: str) -> bytes:
    return (
        "\r\n".join(["POST / HTTP/1.1", "Host: gate", "Content-Type: application/json", *headers, "", ""]).encode()
        + body
    )


STATUS_BODY, FLUSH_BODY = json.dumps(STATUS).encode(), json.dumps(FLUSH).encode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            post(b'{"jsonrpc":"2.0","id":1,"method":"status","Method":"unsafe_flush_mempool"}', "Content-Length: 75"),
            id="case",
        ),
        pytest.param(
            post(b'{"jsonrpc":"2.0","id":1,"method":"status","method":"unsafe_flush_mempool"}', "Content-Length: 75"),
            id="twice",
        ),
        pytest.param(
            post(STATUS_BODY, f"Content-Length: {len(STATUS_BODY)}", "Transfer-Encoding: chunked"),
            id="length and chunks",
        ),
        pytest.param(
            post(
                b"0\r\n\r\n" + post(FLUSH_BODY, f"Content-Length: {len(FLUSH_BODY)}"),
                "Content-Length: 4",
                "Transfer-Encoding: chunked",
            ),
            id="a request within a request",
        ),
        pytest.param(
            post(STATUS_BODY, f"Content-Length: {len(STATUS_BODY)}")
            + post(FLUSH_BODY, f"Content-Length: {len(FLUSH_BODY)}", "Connection: close"),
            id="a request behind a request",
        ),
        pytest.param(
            b"GET /websocket HTTP/1.1\r\nHost: gate\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            id="websocket",
        ),
        pytest.param(
            b"GET http://127.0.0.1/unsafe_flush_mempool HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n",
            id="absolute",
        ),
        pytest.param(b"PUT /status HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n", id="PUT"),
        pytest.param(b"CONNECT 127.0.0.1:26667 HTTP/1.1\r\nHost: gate\r\n\r\n", id="CONNECT"),
        pytest.param(post(STATUS_BODY, f"Content-Length: {LARGEST_BODY + 1}"), id="large"),
    ],
)
def test_nothing_is_smuggled_in(gated: Gated, request_bytes: bytes) -> None:
    """None of these brings the answer of an unsafe call, nor changes the protocol."""
    answer = gated.raw(request_bytes)
    assert b"101 Switching" not in answer
    assert b"UnsafeFlushMempool" not in answer
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", answer)
    assert not statuses or int(statuses[-1]) in (400, 403, 404, 405, 413), answer[-400:]


def test_a_running_node_is_told_whom_to_dial(gated: Gated, tmp_path: Path) -> None:
    """From within its pod, which here is its own address: all that it is to dial, in place of what was before."""
    other = FullNode(gated.node, tmp_path / "other")
    other.configure(persistent_peers='""', pex="false")
    other.start()
    try:
        wait_for("the other node", lambda: answers(f"{other.url}/health"))
        process = gated.node.pid
        told = urlencode({"peers": json.dumps([other.peer, f"{'0b' * 20}@nobody.invalid:26656"]), "persistent": "true"})
        assert "result" in httpx.get(f"{gated.node.url}/dial_peers?{told}", timeout=20).json()
        expected = other.peer.partition("@")[0]

        def connected() -> bool:
            found = httpx.get(f"{gated.gate}/net_info").json()["result"]["peers"]
            return [peer["node_info"]["id"] for peer in found] == [expected]

        wait_for("the connection", connected)
        assert gated.node.pid == process
    finally:
        other.kill()


def test_a_node_that_does_not_answer_is_not_hidden(gated: Gated) -> None:
    """The node is asked through the gate whether it lives. The gate answers for itself meanwhile."""
    node = gated.node
    node._process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]
    try:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{gated.gate}/status", timeout=2)
        assert answers(f"{gated.gate}/gate")
    finally:
        node._process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    wait_for("the node", lambda: answers(f"{gated.gate}/health"))
    node.kill()
    gone = httpx.get(f"{gated.gate}/status")
    assert gone.status_code == 502
    assert "the node behind the gate does not answer" in gone.json()["error"]["message"]
    node.start()
    wait_for("the node again", lambda: answers(f"{gated.gate}/health"))
