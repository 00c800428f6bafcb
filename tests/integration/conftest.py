# SPDX-License-Identifier: GPL-3.0-or-later
"""A real provider node for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.single_node import Node
from tests.testbed.parts import CHAIN


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    binary = CHAIN.ensure() / "interchain-security-pd"
    made = Node(binary, tmp_path / "provider")
    made.start()
    yield made
    made.kill()
