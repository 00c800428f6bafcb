# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer of a node, or of the gate before it, counts as."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster import node_access
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_access import NodeAccess
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, NodeSilent

Ask = Callable[[bytes], dict[str, Any]]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask a pod whose port answers with these bytes and closes."""

    def asked(answer: bytes) -> dict[str, Any]:
        here, there = socket.socketpair()

        def serve() -> None:
            there.recv(65536)
            there.sendall(answer)
            there.close()

        monkeypatch.setattr(NodeAccess, "__init__", lambda self: setattr(self, "_where", "somewhere/node-0"))
        monkeypatch.setattr(NodeAccess, "_connect", lambda self: here)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return NodeAccess().rpc("status?height=1")  # type: ignore[call-arg]
        finally:
            thread.join()

    return asked


def answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_result_is_given(ask: Ask) -> None:
    assert ask(answer("200 OK", b'{"result": {"a": 1}}')) == {"a": 1}


def test_a_gate_that_has_no_answer_hides_no_silent_node(ask: Ask) -> None:
    with pytest.raises(NodeSilent, match="does not answer its gate: the node is gone"):
        ask(answer(f"{node_access.NODE_SILENT_STATUS} Bad Gateway", b'{"error": {"message": "the node is gone"}}'))


def test_a_closed_connection_is_silence(ask: Ask) -> None:
    with pytest.raises(NodeSilent):
        ask(b"")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            b'{"error": {"message": "Internal error", "data": "no peers\\nprovided"}}',
            "Internal error no peers provided",
        ),
        (b"404 page not found\n", "404 page not found"),
        (b'{"error": 7}', '{"error": 7}'),
        (b"\xff\xfe", "\ufffd"),
        (b"", "nothing was said"),
    ],
)
def test_another_answer_is_said(ask: Ask, body: bytes, reason: str) -> None:
    with pytest.raises(ClusterError) as raised:
        ask(answer("500 Internal Server Error", body))
    assert not isinstance(raised.value, NodeSilent)
    assert f"gives no answer to status: {reason}" in str(raised.value)
