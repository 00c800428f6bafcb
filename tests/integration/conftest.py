# SPDX-License-Identifier: GPL-3.0-or-later
"""A real provider node for each test that asks for one, and, for the tests of one file together, an API server or a validator's node of a launched consumer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api_server import ApiServer
from tests.integration.consumer_place import wait_for
from tests.integration.kubelet import Kubelet
from tests.integration.monitor_place import MonitorPlace
from tests.integration.single_node import Node
from tests.order import LONGEST_INTEGRATION, put_in_order
from tests.testbed.parts import CHAIN


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files begin first."""
    put_in_order(items, LONGEST_INTEGRATION)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    binary = CHAIN.ensure() / "interchain-security-pd"
    made = Node(binary, tmp_path / "provider")
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    made = ApiServer(tmp_path_factory.mktemp("api"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorPlace]:
    made = MonitorPlace(tmp_path_factory.mktemp("place"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def consumer_id(place: MonitorPlace) -> str:
    """A consumer whose node was launched; its process does not run yet."""
    made = place.create_consumer(spawn_in=15)
    place.opt_in(made)
    place.converge("stage", made)
    place.await_launch(made)
    assert place.converge("launch", made)["launched"]["mode"] == "sign"
    return made


@pytest.fixture(scope="module")
def kubelet(place: MonitorPlace, consumer_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The pod of that consumer's node, which makes blocks."""
    made = Kubelet(place, consumer_id, tmp_path_factory.mktemp("node") / "home")
    made.process.stage()
    made.start()
    try:
        wait_for("blocks", lambda: made.process.height() >= 4)
        yield made
    finally:
        made.signal(signal.SIGCONT)
        made.process.kill()
