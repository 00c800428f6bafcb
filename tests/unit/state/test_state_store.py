# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""State documents: nobody undoes somebody else's writing, and every change is noticed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import (
    FileStateStore,
    open_state_store,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, StateConflict, StateError


@pytest.fixture
def store(tmp_path: Path) -> FileStateStore:
    return FileStateStore(str(tmp_path))


def test_a_document_is_replaced_by_the_reader_of_its_newest_version_only(store: FileStateStore, tmp_path: Path) -> None:
    assert store.read("cursor") is None
    first = store.write("cursor", {"height": "1"}, None)
    assert store.read("cursor") == first
    with pytest.raises(StateConflict):
        store.write("cursor", {"height": "2"}, None)
    second = store.write("cursor", {"hash": "AB"}, first.version)
    assert second.version != first.version
    with pytest.raises(StateConflict):
        store.write("cursor", {"height": "3"}, first.version)
    with pytest.raises(StateConflict):
        store.write("other", {}, second.version)
    assert store.read("cursor") == second
    assert second.data == {"hash": "AB"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sequence", "cursor.json"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_no_increment_of_many_writers_is_lost(tmp_path: Path) -> None:
    def work() -> None:
        store = FileStateStore(str(tmp_path))
        for _unused in range(20):
            while True:
                found = store.read("count")
                number = int(found.data["number"]) if found else 0
                try:
                    store.write("count", {"number": str(number + 1)}, found.version if found else None)
                    break
                except StateConflict:
                    continue

    threads = [threading.Thread(target=work) for _unused in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = FileStateStore(str(tmp_path)).read("count")
    assert found is not None
    assert found.data == {"number": "80"}


def test_changes_are_those_since_the_last_look(store: FileStateStore) -> None:
    store.write("cursor", {}, None)
    one = store.write("consumer-1", {"a": "1"}, None)
    found, since = store.changes("consumer-", "", 0)
    assert found == [one]
    assert store.changes("consumer-", since, 0) == ([], since)
    store.write("unrelated", {}, None)
    found, since = store.changes("consumer-", since, 0)
    assert found == []
    two = store.write("consumer-2", {}, None)
    three = store.write("consumer-1", {"a": "2"}, one.version)
    found, since = store.changes("consumer-", since, 0)
    assert found == [three, two]
    assert store.changes("consumer-", since, 0)[0] == []


def test_a_waiting_look_returns_with_the_change(store: FileStateStore) -> None:
    _unused, since = store.changes("consumer-", "", 0)
    timer = threading.Timer(0.2, lambda: store.write("consumer-7", {}, None))
    timer.start()
    found, _since = store.changes("consumer-", since, 30)
    timer.join()
    assert [entry.name for entry in found] == ["consumer-7"]


@pytest.mark.parametrize("name", ["", "../cursor", "a/b", "A", "-a", "a" * 64, "a\n"])
def test_a_name_is_a_dns_label(store: FileStateStore, name: str) -> None:
    with pytest.raises(StateError, match="name of a state document"):
        store.write(name, {}, None)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "x", "data": {}}', '{"version": "1", "data": []}'])
def test_a_file_that_cannot_be_understood_is_told(store: FileStateStore, tmp_path: Path, content: str) -> None:
    (tmp_path / "cursor.json").write_text(content)
    with pytest.raises(StateError, match=r"cursor\.json cannot be read"):
        store.read("cursor")


def test_a_lost_sequence_gives_no_version_twice(store: FileStateStore, tmp_path: Path) -> None:
    first = store.write("cursor", {}, None)
    second = store.write("cursor", {}, first.version)
    (tmp_path / ".sequence").unlink()
    third = store.write("cursor", {}, second.version)
    assert len({first.version, second.version, third.version}) == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"state_directory": "relative"}, "state_directory"),
        ({"state_directory": "/no/such/directory"}, "state_directory"),
        ({"state_directory": "/tmp", "state_namespace": "a"}, "state_directory"),
        ({"state_namespace": "Not A Namespace"}, "state_namespace"),
        ({"state_namespace": "a", "kubeconfig": "/no/such/file"}, "kubeconfig"),
        ({"kubeconfig": "/no/such/file"}, "kubeconfig"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{named}: "):
        open_state_store(**options)


def test_without_options_there_is_no_store(tmp_path: Path) -> None:
    assert open_state_store() is None
    assert isinstance(open_state_store(state_directory=str(tmp_path)), FileStateStore)
