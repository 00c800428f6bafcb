# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""State documents as ConfigMaps of a real API server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import StateConflict, StateError
from ansible_collections.interchain.security.plugins.module_utils.state_store import ConfigMapStateStore
from tests.integration.api_server import ApiServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    made = ApiServer(tmp_path / "server")
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_documents_are_config_maps_that_nobody_overwrites_unread(server: ApiServer) -> None:
    store = ConfigMapStateStore("default", str(server.kubeconfig))
    assert store.read("cursor") is None
    first = store.write("cursor", {"height": "1"}, None)
    for version in (None, "1"):
        with pytest.raises(StateConflict):
            store.write("cursor", {"height": "2"}, version)
    second = store.write("cursor", {"hash": "AB"}, first.version)
    assert store.read("cursor") == second
    assert second.data == {"hash": "AB"}
    with pytest.raises(StateConflict):
        store.write("cursor", {}, first.version)
    with pytest.raises(StateConflict):
        store.write("nothing", {}, first.version)
    with pytest.raises(StateError, match="no such namespace"):
        ConfigMapStateStore("nowhere", str(server.kubeconfig)).write("cursor", {}, None)

    assert store.changes("consumer-", "", 1)[0] == []
    _unused, since = store.changes("consumer-", "", 1)
    assert store.changes("consumer-", since, 1)[0] == []
    writing = threading.Timer(0.3, lambda: store.write("consumer-7", {"event_uuid": "u"}, None))
    writing.start()
    (found,), since = store.changes("consumer-", since, 20)
    writing.join()
    assert (found.name, found.data) == ("consumer-7", {"event_uuid": "u"})
    changed = store.write("consumer-7", {"event_uuid": "v"}, found.version)
    assert store.changes("consumer-", since, 5)[0] == [changed]
    assert store.documents("consumer-") == [changed]
    assert [entry.name for entry in store.documents("")] == ["consumer-7", "cursor"]
    store.close()
