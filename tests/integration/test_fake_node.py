# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fake provider node and a real one answer the same requests alike: the tests that use the fake rest on this."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from ansible_collections.interchain.security.plugins.module_utils.chain.header_hash import header_hash
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.fakes.provider_chain import ProviderChain
from tests.fakes.provider_node import ProviderNode
from tests.fakes.shape import forms_of_events, shape
from tests.integration.single_node import CHAIN_ID, UNBONDING, Node

DEADLINE = 60.0  # seconds
SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"query": "tm.event='NewBlockHeader'"}}


def post(url: str, method: str, **params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=request, timeout=10).json()


def query(url: str, name: str, height: int = 0, **fields: Any) -> Any:
    data = messages.provider_message(f"{name}Request")(**fields).SerializeToString().hex()
    path = f"/{messages.PROVIDER}.Query/{name}"
    return post(url, "abci_query", path=path, data=data, height=str(height), prove=False)["result"]["response"]


def until(what: str, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (httpx.HTTPError, KeyError, json.JSONDecodeError):
            pass  # the node is starting; at first it answers 404 to all
        time.sleep(0.05)
    pytest.fail(f"not within {DEADLINE} s: {what}")


@pytest.fixture
def fake() -> Iterator[ProviderNode]:
    with ProviderNode(ProviderChain(CHAIN_ID, unbonding=timedelta(seconds=int(UNBONDING[:-1])))) as running:
        yield running


def read(response: dict[str, Any], name: str) -> Any:
    assert response["code"] == 0, response["log"]
    return messages.provider_message(name).FromString(base64.b64decode(response["value"]))


def test_the_fake_node_answers_as_a_real_one(node: Node, fake: ProviderNode) -> None:
    real = node.url
    until("the first block", lambda: int(post(real, "status")["result"]["sync_info"]["latest_block_height"]) > 1)
    node.create_consumer(datetime.now(UTC) + timedelta(seconds=4))
    until("the first consumer", lambda: query(real, "QueryConsumerChain", consumer_id="0")["code"] == 0)
    node.create_consumer(datetime.now(UTC) + timedelta(days=1))
    until("the second consumer", lambda: query(real, "QueryConsumerChain", consumer_id="1")["code"] == 0)
    fallen = until(
        "the failed launch",
        lambda: (
            "REGISTERED" in read(query(real, "QueryConsumerChain", consumer_id="0"), "QueryConsumerChainResponse").phase
        ),
    )
    assert fallen

    # The fake's state is made of what the real consumers hold; then its bytes have to be the real ones.
    block = fake.chain.next_block()
    for number in ("0", "1"):
        found = read(query(real, "QueryConsumerChain", consumer_id=number), "QueryConsumerChainResponse")
        spawn_time = found.init_params.spawn_time
        block.create(
            number,
            None if spawn_time.seconds < 0 else (spawn_time.ToDatetime(UTC) - block.time).total_seconds(),
            chain_id=found.chain_id,
            owner=found.owner_address,
            name=found.metadata.name,
            description=found.metadata.description,
            metadata=found.metadata.metadata,
            opted_in=False,
        )
    created = block.seal()
    fake.chain.blocks(2)

    for name, fields in (
        ("QueryConsumerChain", {"consumer_id": "0"}),
        ("QueryConsumerChain", {"consumer_id": "1"}),
        ("QueryConsumerChain", {"consumer_id": "77"}),
        ("QueryConsumerChain", {"consumer_id": "abc"}),
        ("QueryConsumerChains", {}),
        ("QueryConsumerChains", {"phase": 1}),
        ("QueryConsumerChains", {"phase": 3}),
        ("QueryConsumerChains", {"pagination": {"limit": 1}}),
        ("QueryConsumerChainOptedInValidators", {"consumer_id": "77"}),
        ("NoSuchQuery", None),
    ):
        if fields is None:
            answers = [
                post(url, "abci_query", path="/no.such.Query/Path", data="")["result"]["response"]
                for url in (real, fake.url)
            ]
        else:
            answers = [query(url, name, **fields) for url in (real, fake.url)]
        for answer in answers:
            assert (answer["height"] == "0") == (fields is None), answer
            del answer["height"]
        assert answers[1] == answers[0], (name, fields)
    params = [
        post(url, "abci_query", path="/cosmos.staking.v1beta1.Query/Params", data="")["result"]["response"]["value"]
        for url in (real, fake.url)
    ]
    assert params[0] == params[1]
    future = [query(url, "QueryConsumerChains", 10**6) for url in (real, fake.url)]
    assert future[0] == future[1]
    assert "height in the future" in future[0]["log"]

    for method, params in (
        ("status", {}),
        ("health", {}),
        ("abci_info", {}),
        ("header", {"height": "2"}),
        ("block", {"height": "2"}),
        ("commit", {"height": "2"}),
        ("blockchain", {"minHeight": "2", "maxHeight": "2"}),
        ("block_results", {"height": "0"}),
        ("no_such_method", {}),
    ):
        theirs, mine = post(real, method, **params), post(fake.url, method, **params)
        for answer in (theirs, mine):
            answer.get("result", {}).get("block", {}).pop("data", None)  # which transactions there are differs
        assert shape(mine) == shape(theirs), method
        assert mine.get("error") == theirs.get("error"), method
    above = [post(url, "blockchain", minHeight="1000000", maxHeight="1000000")["error"] for url in (real, fake.url)]
    assert above[0]["data"].rpartition(" ")[0] == above[1]["data"].rpartition(" ")[0]
    ahead = [post(url, "block_results", height="1000000")["error"] for url in (real, fake.url)]
    assert ahead[0]["data"].rpartition(" ")[0] == ahead[1]["data"].rpartition(" ")[0]

    with_creation = until("the block of the creation", lambda: _block_with(real, "create_consumer"))
    mine = post(fake.url, "block_results", height=str(created))["result"]
    assert {name: type(part) for name, part in mine.items()} == {
        name: type(part) for name, part in with_creation.items()
    }
    forms = [
        forms_of_events(event for one in results["txs_results"] for event in one["events"])["create_consumer"]
        for results in (mine, with_creation)
    ]
    assert forms[0] == forms[1]
    for path in ("status", "block_results?height=2", "block_results?height=1000000", "nosuch"):
        answers = [httpx.get(f"{url}/{path}", timeout=10) for url in (real, fake.url)]
        assert answers[0].status_code == answers[1].status_code, path
        if answers[0].status_code != 404:
            assert sorted(answers[0].json()) == sorted(answers[1].json()), path
            assert answers[0].json()["id"] == answers[1].json()["id"] == -1


def _block_with(url: str, kind: str) -> Any:
    for height in range(2, int(post(url, "status")["result"]["sync_info"]["latest_block_height"]) + 1):
        results = post(url, "block_results", height=str(height))["result"]
        if any(event["type"] == kind for one in results["txs_results"] or [] for event in one["events"]):
            return results
    return None


def test_the_sockets_say_the_same(node: Node, fake: ProviderNode) -> None:
    until("the first block", lambda: int(post(node.url, "status")["result"]["sync_info"]["latest_block_height"]) > 1)
    said = []
    for url in (node.url, fake.url):
        with connect(url.replace("http", "ws") + "/websocket", max_size=2**20) as socket:
            socket.send(json.dumps(SUBSCRIBE))
            answers = [socket.recv(10)]
            fake.chain.next_block().seal()
            answers.append(socket.recv(10))
            socket.send(json.dumps(SUBSCRIBE))
            answers.append(next(text for text in iter(lambda: socket.recv(10), "") if "NewBlockHeader" not in text))
            said.append([json.loads(text) for text in answers])
    assert shape(said[1]) == shape(said[0])
    assert said[1][0] == said[0][0]
    for url, (_subscribed, announced, _refused) in zip((node.url, fake.url), said, strict=True):
        header = announced["result"]["data"]["value"]["header"]
        assert header_hash(header) == post(url, "block", height=header["height"])["result"]["block_id"]["hash"]
    assert said[1][2] == said[0][2]
