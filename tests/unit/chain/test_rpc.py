# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which endpoint is asked where what it knows must not be old."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeStatus
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable, WrongChain
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from tests.fakes.provider_chain import ProviderChain
from tests.fakes.provider_node import ProviderNode

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BLOCKS = 600


@pytest.fixture
def nodes() -> Iterator[tuple[ProviderNode, ProviderNode]]:
    """Two nodes of a chain whose newest block is of now."""
    chain = ProviderChain(genesis_time=datetime.now(UTC) - timedelta(seconds=BLOCKS))
    chain.blocks(BLOCKS)
    with ExitStack() as stack:
        yield stack.enter_context(ProviderNode(chain)), stack.enter_context(ProviderNode(chain))


def options(*nodes: ProviderNode) -> dict[str, object]:
    return {"provider_rpc_url": [node.url for node in nodes], "provider_chain_id": "provider-1", "request_timeout": 5.0}


@pytest.mark.parametrize(
    ("catching_up", "age", "why"),
    [
        (False, 0, ""),
        (False, 60, ""),
        (False, -3600, ""),  # the clock is slow: catching_up is left
        (False, 61, "the newest block of the provider node, 7, is 61 s old"),
        (True, 0, "the provider node is at block 7 and catching up"),
    ],
)
def test_when_a_node_knows_old_things(catching_up: bool, age: int, why: str) -> None:
    status = NodeStatus("provider-1", 7, NOW - timedelta(seconds=age), catching_up)
    assert status.why_old(NOW) == why


@pytest.mark.parametrize("old", [{"catching_up": True}, {"at_most": BLOCKS - 100}])
@pytest.mark.parametrize("chain_id", ["provider-1", None])
def test_a_node_that_lags_is_passed_over(
    nodes: tuple[ProviderNode, ProviderNode], old: dict[str, int], chain_id: str | None
) -> None:
    first, second = nodes
    for name, value in old.items():
        setattr(first, name, value)
    client = ProviderClient([first.url, second.url], chain_id)
    assert client.status().latest_height == first.tip  # who does not ask for it gets any
    status = client.use_current()
    assert status.latest_height == BLOCKS + 1
    assert status.why_old(datetime.now(UTC)) == ""
    assert client.url == second.url
    second.stop()
    with pytest.raises(ChainUnreachable, match=r"catching up|s old"):  # nor is it asked when the good one goes
        client.block_header(1)


def test_when_all_lag_the_one_that_knows_most_is_asked(nodes: tuple[ProviderNode, ProviderNode]) -> None:
    first, second = nodes
    first.at_most, first.catching_up, second.at_most = 450, True, 400
    client = ProviderClient([first.url, second.url])
    status = client.use_current()
    assert (client.url, status.latest_height) == (
        second.url,
        400,
    )  # it does not catch up: the chain may have halted there
    assert "newest block of the provider node, 400" in status.why_old(datetime.now(UTC))
    second.catching_up = True
    assert client.use_current().latest_height == 450
    first.catching_up, first.at_most = False, None
    assert client.use_current().why_old(datetime.now(UTC)) == ""


def test_another_chain_is_still_told(nodes: tuple[ProviderNode, ProviderNode]) -> None:
    with pytest.raises(WrongChain):
        ProviderClient([nodes[0].url], "other-1").use_current()


def test_what_commits_the_validator_is_refused_when_all_lag(nodes: tuple[ProviderNode, ProviderNode]) -> None:
    first, second = nodes
    first.catching_up = True
    assert connection.current_provider_client(options(first, second)).url == second.url
    second.at_most = BLOCKS - 100
    with pytest.raises(ChainUnreachable, match="s old; nothing was sent"):
        connection.current_provider_client(options(first, second))
