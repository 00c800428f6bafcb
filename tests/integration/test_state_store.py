# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept in a cluster, on a real API server: state documents as ConfigMaps, keys as Secrets."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import ConfigMapStateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import StateConflict, StateError
from ansible_collections.interchain.security.plugins.module_utils.operations import key, key_info
from ansible_collections.interchain.security.plugins.module_utils.runner import execute
from tests.integration.api_server import ApiServer
from tests.operation import checked_options


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


MNEMONIC = "abandon " * 23 + "art"


@pytest.mark.parametrize("kind", ["account", "consensus", "node"])
def test_keys_are_secrets_that_are_made_once_and_removed_when_confirmed(
    server: ApiServer, tmp_path: Path, kind: str
) -> None:
    def run(operation: ModuleType, check: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {"keyring_backend": "kubernetes", "namespace": "default", "kubeconfig": str(server.kubeconfig)}
        options = checked_options(operation.ARGUMENT_SPEC, **{**given, "kind": kind, **arguments})
        return execute(operation, options, check)

    name = f"key-of-{kind}"
    source: dict[str, str] = {}
    if kind == "account":
        file = tmp_path / "mnemonic"
        file.touch(mode=0o600)
        file.write_text(MNEMONIC)
        source = {"mnemonic_file": str(file)}
    assert run(key_info, name=name)["keys"] == []
    assert run(key, check=True, name=name, **source)["changed"]
    assert run(key_info, name=name)["keys"] == []
    made = run(key, name=name, **source)
    assert made["changed"], made
    assert not run(key, name=name, **source)["changed"]
    (found,) = run(key_info, name=name)["keys"]
    if kind == "account":
        assert found["address"] == "cosmos1r5v5srda7xfth3hn2s26txvrcrntldjumt8mhl"
        assert "abandon" not in json.dumps([made, found])
    assert run(key, name=name, state="absent").get("failed")
    assert run(key, name=name, state="absent", confirm=True)["changed"]
    assert not run(key, name=name, state="absent", confirm=True)["changed"]
    assert run(key_info, name=name)["keys"] == []
