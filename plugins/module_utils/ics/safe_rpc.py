# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a node that answers CometBFT's unsafe RPC calls may be asked from outside of its pod.

A request is read into values and written anew from them, and only those bytes reach the node. So it does not matter how the node would have read the
original: keys that it takes for others (Go's JSON does not tell ``Method`` from ``method``), keys given twice, or a second body behind the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

# All routes of CometBFT 0.38 (rpc/core/routes.go) but those of AddUnsafeRoutes, and but the subscriptions, which are for websockets.
METHODS = frozenset(
    {
        *("health", "status", "net_info", "genesis", "genesis_chunked", "validators", "abci_query", "abci_info"),
        *(
            "blockchain",
            "block",
            "block_by_hash",
            "block_results",
            "block_search",
            "commit",
            "header",
            "header_by_hash",
        ),
        *("consensus_state", "dump_consensus_state", "consensus_params"),
        *("tx", "tx_search", "check_tx", "unconfirmed_txs", "num_unconfirmed_txs"),
        *("broadcast_tx_commit", "broadcast_tx_sync", "broadcast_tx_async", "broadcast_evidence"),
    }
)
LARGEST_BODY = 1_000_000  # bytes; CometBFT's own max_body_bytes
MOST_CALLS = 100  # in one body
_KEYS = frozenset(("jsonrpc", "id", "method", "params"))
_PARAMETER = re.compile(r"[A-Za-z_]{1,40}")


def safe_path(raw_path: str, parameters: Iterable[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """Return path and parameters of a GET that may go to the node; InvalidInput otherwise. ``raw_path`` is what came, not decoded."""
    method = raw_path[1:]
    if raw_path[:1] != "/" or method not in METHODS:
        raise InvalidInput(f"not a call that is answered here: {raw_path[:60]!r}")
    taken: dict[str, str] = {}
    for name, value in parameters:
        if not _PARAMETER.fullmatch(name) or name in taken:
            raise InvalidInput(f"a parameter that cannot be used, or that is given twice: {name[:60]!r}")
        taken[name] = value
    return f"/{method}", [*taken.items()]


def safe_body(body: bytes) -> bytes:
    """Return the body of a POST, written anew, that may go to the node; InvalidInput otherwise."""
    if len(body) > LARGEST_BODY:
        raise InvalidInput(f"the body has more than {LARGEST_BODY} bytes")
    try:
        found = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant)
        if isinstance(found, list):
            if not 0 < len(found) <= MOST_CALLS:
                raise InvalidInput(f"a list must hold 1 to {MOST_CALLS} calls")
            calls: Any = [_call(entry) for entry in found]
        else:
            calls = _call(found)
        return json.dumps(calls, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one, a number like 1e999 too
        raise InvalidInput(f"the body is not JSON that can be used: {type(error).__name__}") from error


def _call(found: object) -> dict[str, Any]:
    """Return one call of JSON-RPC 2.0."""
    if not isinstance(found, dict) or not found.keys() <= _KEYS:
        raise InvalidInput(f"a call must be an object of {', '.join(sorted(_KEYS))}")
    method, number, params = found.get("method"), found.get("id"), found.get("params")
    if not isinstance(method, str) or method not in METHODS:
        raise InvalidInput(f"not a call that is answered here: {str(method)[:60]!r}")
    if found.get("jsonrpc", "2.0") != "2.0":
        raise InvalidInput("jsonrpc must be 2.0")
    if number is not None and (isinstance(number, bool) or not isinstance(number, (str, int))):
        raise InvalidInput("id must be a text or a whole number")
    if params is not None and not isinstance(params, (dict, list)):
        raise InvalidInput("params must be an object or a list")
    return {"jsonrpc": "2.0", "id": number, "method": method, **({} if params is None else {"params": params})}


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise InvalidInput("a key is given twice")
    return made


def _refuse_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is not JSON")
