# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the modules that read or write the monitor's state documents, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import (
    CONSUMER_PREFIX,
    StateStore,
    open_state_store,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

STATE_OPTIONS: dict[str, Any] = {
    "state_directory": {"type": "path"},
    "state_namespace": {"type": "str"},
    "kubeconfig": {"type": "path"},
}


def opened(params: dict[str, Any]) -> StateStore:
    """Return the state store that the options name, for the caller to close."""
    store = open_state_store(params["state_directory"], params["state_namespace"], params["kubeconfig"])
    if store is None:
        raise InvalidInput("state_namespace: give the monitor's namespace, or state_directory")
    return store


def memories(params: dict[str, Any]) -> dict[str, Mapping[str, str]]:
    """Return the documents of all consumers by consumer_id; none when the options name no store."""
    store = open_state_store(params["state_directory"], params["state_namespace"], params["kubeconfig"])
    if store is None:
        return {}
    try:
        return documents(store)
    finally:
        store.close()


def documents(store: StateStore) -> dict[str, Mapping[str, str]]:
    """Return the documents of all consumers by consumer_id."""
    found = {entry.name.removeprefix(CONSUMER_PREFIX): entry.data for entry in store.documents(CONSUMER_PREFIX)}
    return {consumer_id: data for consumer_id, data in found.items() if consumer_id.isdigit()}
