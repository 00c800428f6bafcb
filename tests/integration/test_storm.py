# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hundred consumers that launch in one block. The tests build on each other and run in the order of this file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_launch
from tests.integration.consumer_place import VALIDATOR, Place
from tests.integration.storm import Storm
from tests.operation import run_operation

CONSUMERS = 200  # as many as the provider launches in one block
UNCHANGED = 100


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    place = Place(tmp_path_factory.mktemp("storm"))
    try:
        place.start()
        made = Storm(place, CONSUMERS)
        made.prepare(spawn_in=60)
        yield made
    finally:
        place.stop()


@pytest.mark.timeout(480)
def test_one_playbook_starts_all_nodes(storm: Storm) -> None:
    place = storm._place
    storm.await_launches(seconds=150)
    assert storm.running() == []
    before = len(place.server.writes())
    place.converge("launch", storm.ids[0], seconds=300)
    assert sorted(storm.running(), key=int) == storm.ids
    written = Counter(
        (entry["verb"], entry["objectRef"]["resource"])
        for entry in place.server.writes()[before:]
        if entry["objectRef"].get("name") != "sweep" and "subresource" not in entry["objectRef"]
    )
    assert written == {
        ("create", "leases"): CONSUMERS,  # the fences
        ("create", "configmaps"): 2 * CONSUMERS,  # genesis and config
        ("create", "secrets"): CONSUMERS,
        ("patch", "configmaps"): CONSUMERS,  # what is remembered
        ("patch", "statefulsets"): CONSUMERS,
    }
    for consumer_id in storm.ids:
        storm.check(consumer_id)


@pytest.mark.timeout(300)
def test_unchanged_consumers_are_not_written(storm: Storm) -> None:
    place = storm._place
    before = {consumer_id: place.versions(consumer_id) for consumer_id in storm.ids[:UNCHANGED:10]}
    writes = len(place.server.writes())
    for consumer_id in storm.ids[:UNCHANGED]:
        done = run_operation(
            consumer_launch,
            provider_rpc_url=[place.node.url],
            consumer_id=consumer_id,
            validator=VALIDATOR,
            operator_address=place.operator,
            kubeconfig=str(place.server.kubeconfig),
            sweep=consumer_id == storm.ids[UNCHANGED - 1],  # the last one sweeps over all two hundred
        )
        assert not done["changed"]
    assert [entry for entry in place.server.writes()[writes:] if "subresource" not in entry["objectRef"]] == []
    assert {consumer_id: place.versions(consumer_id) for consumer_id in before} == before
