# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Places that are taken before they are written down, and documents that others write too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import Document, FileStateStore
from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in_decision


def test_a_place_counts_until_its_own_document_tells_more() -> None:
    documents = {
        "1": {"decision": "opt_in", "p2p_port": "11", "phase": "launched"},
        "2": {"decision": "stay_out", "phase": "registered"},
        "3": {"decision": "opt_in", "phase": "deleted"},
        "4": {"decision": "stay_out", "phase": "stopped"},
    }
    places = {"1": "99", "2": "22", "4": "44", "5": "55", "6": "66"}
    found = {
        entry.consumer_id: (entry.decision, entry.p2p_port)
        for entry in opt_in_decision._memories(documents, places, "6")
    }
    assert found == {
        "1": ("opt_in", 11),
        "2": ("opt_in", 22),  # decided anew, not written down yet
        "3": ("opt_in", 0),
        "4": ("stay_out", 0),  # ended: its place was left behind by a run that was cut
        "5": ("opt_in", 55),
    }


def test_a_place_is_left_and_the_others_stay(tmp_path: Path) -> None:
    store = FileStateStore(str(tmp_path))
    opt_in_decision._write(store, "places", None, {"1": "11"})
    opt_in_decision._write(store, "places", store.read("places"), {"2": "22"})
    opt_in_decision._leave(store, "1")
    opt_in_decision._leave(store, "7")
    kept = store.read("places")
    assert kept is not None
    assert kept.data == {"2": "22"}


class Busy(FileStateStore):
    """A store in which somebody else writes between reading and writing, the first three times."""

    def __init__(self, directory: Path) -> None:
        super().__init__(str(directory))
        self.other = FileStateStore(str(directory))
        self.disturbances = 3

    def write(self, name: str, data: Mapping[str, str], version: str | None) -> Document:
        if self.disturbances:
            found = self.other.read(name)
            before = dict(found.data) if found else {}
            self.other.write(name, {**before, f"other-{self.disturbances}": "x"}, found.version if found else None)
            self.disturbances -= 1
        return super().write(name, data, version)


def test_entries_of_others_stay(tmp_path: Path) -> None:
    store = Busy(tmp_path)
    opt_in_decision._merge(store, "consumer-1", {"decision": "opt_in"})
    kept = store.read("consumer-1")
    assert kept is not None
    assert kept.data == {"decision": "opt_in", "other-1": "x", "other-2": "x", "other-3": "x"}
