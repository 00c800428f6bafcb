# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write down how the playbook of an event ended, so that the event source knows whether to put the event again."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX, StateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, StateConflict
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import (
    CHECK,
    ENDPOINTS,
    KEYS,
    Outcome,
    Receipt,
)
from ansible_collections.interchain.security.plugins.module_utils.operations import state

ARGUMENT_SPEC: dict[str, Any] = {
    **state.STATE_OPTIONS,
    "consumer_id": {"type": "str"},
    "subject": {"type": "str", "choices": [CHECK, ENDPOINTS], "default": CHECK},
    "event_uuid": {"type": "str", "default": ""},
    "attempt": {"type": "int", "default": 1},
    "outcome": {"type": "str", "required": True, "choices": [outcome.value for outcome in Outcome]},
    "reason": {"type": "str", "default": ""},
}
TRIES = 10  # to write a document that the playbooks' other tasks write too


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Put the receipt into the consumer's document, or that of the subject; everything else in it stays."""
    consumer_id = params["consumer_id"]
    name = params["subject"] if consumer_id is None else CONSUMER_PREFIX + checked_consumer_id(consumer_id)
    receipt = Receipt(
        checked_uuid(params["event_uuid"]),
        Outcome(params["outcome"]),
        _checked_attempt(params["attempt"]),
        datetime.now(UTC),
        params["reason"],
    )
    with closing(state.opened(params)) as store:
        return _write(store, name, receipt.data(), check_mode)


def _write(store: StateStore, name: str, written: dict[str, str], check_mode: bool) -> dict[str, Any]:
    tries_left = TRIES
    while True:
        document = store.read(name)
        data = dict(document.data) if document else {}
        before = {key: data[key] for key in KEYS if key in data}
        if not written["event_uuid"]:
            # A run by hand is of no event, and takes away nothing: the event source may still be about to read that the last one has ended.
            written = written | {key: before[key] for key in ("event_uuid", "event_attempt") if key in before}
        if {**before, "event_at": ""} == {**written, "event_at": ""}:
            return {"changed": False, "receipt": before, "diff": {"before": before, "after": before}}
        if not check_mode:
            try:
                store.write(name, data | written, document.version if document else None)
            except StateConflict:
                tries_left -= 1
                if not tries_left:
                    raise
                continue
        return {"changed": True, "receipt": written, "diff": {"before": before, "after": written}}


def checked_uuid(text: str) -> str:
    """An event's uuid in its canonical form, or the empty text."""
    try:
        return str(uuid.UUID(text)) if text else ""
    except ValueError as error:
        raise InvalidInput(f"event_uuid: {text[:80]!r} is not a UUID") from error


def _checked_attempt(attempt: int) -> int:
    if attempt < 1:
        raise InvalidInput(f"attempt: {attempt} is not a number from 1")
    return attempt
