# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go to a node that answers unsafe calls, and that nothing else can be smuggled in beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.safe_rpc import (
    LARGEST_BODY,
    METHODS,
    MOST_CALLS,
    safe_body,
    safe_path,
)

STATUS = {"jsonrpc": "2.0", "id": 1, "method": "status"}


@pytest.mark.parametrize("method", ["dial_peers", "dial_seeds", "unsafe_flush_mempool", "subscribe", "websocket", ""])
def test_what_is_never_passed_on(method: str) -> None:
    assert method not in METHODS
    with pytest.raises(InvalidInput):
        safe_path(f"/{method}", [])
    with pytest.raises(InvalidInput):
        safe_body(json.dumps({**STATUS, "method": method}).encode())


@pytest.mark.parametrize(
    ("path", "parameters", "wanted"),
    [
        ("/status", [], ("/status", [])),
        ("/validators", [("height", "7"), ("page", "2")], ("/validators", [("height", "7"), ("page", "2")])),
        (
            "/abci_query",
            [("path", '"/a b?&=#"'), ("data", "0x00")],
            ("/abci_query", [("path", '"/a b?&=#"'), ("data", "0x00")]),
        ),
        (
            "/blockchain",
            [("minHeight", "1"), ("maxHeight", "2")],
            ("/blockchain", [("minHeight", "1"), ("maxHeight", "2")]),
        ),
    ],
)
def test_paths_that_pass(path: str, parameters: list[tuple[str, str]], wanted: Any) -> None:
    assert safe_path(path, parameters) == wanted


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "status",
        "/Status",
        "/status/",
        "//status",
        "/status/../dial_peers",
        "/status%2f..%2fdial_peers",
        "/%73tatus",
        "/dial%5fpeers",
        "/dial_peers?",
        "/status;dial_peers",
        "/status\x00",
        "/status\n",
        "/\u017ftatus",
        "/websocket",
        "/debug/pprof",
    ],
)
def test_paths_that_do_not(path: str) -> None:
    with pytest.raises(InvalidInput):
        safe_path(path, [])


@pytest.mark.parametrize(
    "parameters", [[("height", "1"), ("height", "2")], [("", "1")], [("a b", "1")], [("x" * 41, "1")]]
)
def test_parameters_that_do_not(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidInput, match="parameter"):
        safe_path("/validators", parameters)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"status"}', STATUS),
        (b' {"id" : "a" , "method": "status", "params": {}} ', {**STATUS, "id": "a", "params": {}}),
        (b'{"id":-1,"method":"health","params":[]}', {**STATUS, "id": -1, "method": "health", "params": []}),
        (b'{"id":1,"method":"status","params":null}', STATUS),
        (b'[{"id":1,"method":"status"},{"id":2,"method":"health"}]', [STATUS, {**STATUS, "id": 2, "method": "health"}]),
        # What is within the parameters is the call's own business, and no method.
        (
            b'{"id":1,"method":"tx_search","params":{"query":"method=\'dial_peers\'"}}',
            {**STATUS, "method": "tx_search", "params": {"query": "method='dial_peers'"}},
        ),
        (
            '{"id":1,"method":"abci_query","params":{"path":"\u00e4\\ud83d"}}'.encode(),
            {**STATUS, "method": "abci_query", "params": {"path": "\u00e4\ud83d"}},
        ),
    ],
)
def test_bodies_that_pass(body: bytes, wanted: Any) -> None:
    assert json.loads(safe_body(body)) == wanted


@pytest.mark.parametrize(
    "body",
    [
        # Go takes the last of two keys, and does not tell their cases, or some other letters, apart.
        b'{"id":1,"method":"status","method":"dial_peers"}',
        b'{"id":1,"method":"dial_peers","method":"status"}',
        b'{"id":1,"method":"status","Method":"dial_peers"}',
        b'{"id":1,"METHOD":"dial_peers"}',
        b'{"id":1,"method":"status","m\\u0065thod":"dial_peers"}',
        '{"id":1,"method":"status","params":{},"param\u017f":{}}'.encode(),
        b'{"id":1,"method":"tx","params":{"hash":"a","hash":"b"}}',
        b'[{"id":1,"method":"status"},{"id":2,"method":"dial_peers"}]',
        b'[{"id":1,"method":"status"},[{"id":2,"method":"dial_peers"}]]',
        b'{"id":1,"method":["dial_peers"]}',
        b'{"id":1,"method":"dial\\u005fpeers"}',
        b'{"id":1,"method":"status "}',
        b'{"id":1,"method":"status\\u0000"}',
        b'{"id":1,"method":null}',
        b'{"id":1}',
        # A second body behind the first, other encodings, and what is no JSON.
        b'{"id":1,"method":"status"}{"id":2,"method":"dial_peers"}',
        b'{"id":1,"method":"status"}\n\n{"id":2,"method":"dial_peers"}',
        '{"id":1,"method":"dial_peers"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"id":1,"method":"status"}',
        b'\xff{"id":1,"method":"status"}',
        b'{"id":1,"method":"status"}\x00',
        b'{"id":1,"method":"status",}',
        b"{'id':1,'method':'status'}",
        b"id=1&method=status",
        b"",
        b"null",
        b"true",
        b'"status"',
        b"[]",
        # Ids and parameters of other kinds.
        b'{"id":true,"method":"status"}',
        b'{"id":1.5,"method":"status"}',
        b'{"id":{"a":1},"method":"status"}',
        b'{"id":NaN,"method":"status"}',
        b'{"id":1,"method":"tx","params":{"a":Infinity}}',
        b'{"id":1,"method":"tx","params":{"a":1e999}}',
        b'{"id":1,"method":"status","params":"dial_peers"}',
        b'{"id":1,"method":"status","params":7}',
        b'{"jsonrpc":"1.0","id":1,"method":"status"}',
        b'{"jsonrpc":2.0,"id":1,"method":"status"}',
        b'{"id":1,"method":"status","extra":1}',
        b"[" * 100_000,
        b'{"id":1,"method":"tx","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1' + b"1" * 5000 + b',"method":"status"}',
        b" " * LARGEST_BODY + json.dumps(STATUS).encode(),
        json.dumps([STATUS] * (MOST_CALLS + 1)).encode(),
    ],
    ids=lambda body: repr(body[:60]),
)
def test_bodies_that_do_not(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        safe_body(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "id", "method", "params", "Method", "METHOD"]) | st.text(max_size=6),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
CALL = st.fixed_dictionaries(
    {"id": st.integers() | st.text(max_size=5) | JSON},
    optional={
        "method": st.sampled_from([*sorted(METHODS), "dial_peers", "dial_seeds", "Status"]),
        "params": JSON,
        "jsonrpc": st.just("2.0"),
        "Method": st.just("dial_peers"),
    },
)


@given(st.one_of(JSON, CALL, st.lists(CALL, max_size=3)).map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_whatever_passes_holds_safe_calls_alone(body: bytes) -> None:
    try:
        passed = json.loads(safe_body(body))
    except InvalidInput:
        return
    for call in passed if isinstance(passed, list) else [passed]:
        assert call.keys() <= {"jsonrpc", "id", "method", "params"}
        assert call["method"] in METHODS
    assert safe_body(json.dumps(passed).encode()) == safe_body(body)
