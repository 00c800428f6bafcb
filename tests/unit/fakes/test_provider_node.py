# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fake provider node answers as the recorded real one did."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.fakes.provider_chain import INITIALIZED, LAUNCHED, REGISTERED, ProviderChain
from tests.fakes.provider_node import ProviderNode
from tests.fakes.shape import forms_of_events, shape

FIXTURES = Path(__file__).parents[1] / "fixtures" / "provider"
# What the fake writes; a real block also tells of fees, rewards and minted tokens.
OWN_EVENTS = (
    "create_consumer",
    "opt_in",
    "remove_consumer",
    "create_client",
    "consumer_client_created",
    "tx",
    "message",
)


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


@pytest.fixture
def node() -> Iterator[ProviderNode]:
    with ProviderNode(ProviderChain()) as running:
        yield running


def ask(node: ProviderNode, method: str, **params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": -1, "method": method, "params": params}
    return httpx.post(node.url, json=request, timeout=10).json()


def query(node: ProviderNode, name: str, height: int = 0, **fields: Any) -> Any:
    data = messages.provider_message(f"{name}Request")(**fields).SerializeToString().hex()
    path = f"/{messages.PROVIDER}.Query/{name}"
    return ask(node, "abci_query", path=path, data=data, height=str(height))["result"]["response"]


@pytest.mark.parametrize(
    ("name", "method", "params"),
    [("status", "status", {}), ("abci_info", "abci_info", {}), ("block_83", "block", {"height": "83"})],
)
def test_the_same_keys_and_types(node: ProviderNode, name: str, method: str, params: dict[str, str]) -> None:
    node.chain.blocks(100)
    real, fake = recorded(name), ask(node, method, **params)
    real["result"].get("block", {}).pop("data", None)  # block 83 held no transaction
    fake["result"].get("block", {}).pop("data", None)
    assert shape(fake) == shape(real)


@pytest.mark.parametrize(
    ("name", "height"),
    [
        ("block_results_65_create_consumer_initialized", 2),
        ("block_results_68_opt_in_alice", 3),
        ("block_results_83_launch", 7),
        ("block_results_2056_remove_consumer", 8),
        ("block_results_2041_create_consumer_no_opt_in", 9),
        ("block_results_2051_launch_failed_silently", 11),
    ],
)
def test_the_results_of_a_block(node: ProviderNode, name: str, height: int) -> None:
    chain = node.chain
    chain.next_block().create("0", 5, opted_in=False).seal()  # 2
    chain.next_block().opt_in("0").seal()  # 3
    chain.blocks(4)  # 7: the launch
    chain.next_block().remove("0").seal()  # 8
    chain.next_block().create("1", 2, opted_in=False).seal()  # 9
    chain.blocks(2)  # 11: nobody had opted in
    real, fake = recorded(name)["result"], ask(node, "block_results", height=str(height))["result"]

    assert shape({**fake, "finalize_block_events": [], "txs_results": []}) == shape(
        {**real, "finalize_block_events": [], "txs_results": [], "validator_updates": None}
    )
    assert (fake["txs_results"] is None) == (real["txs_results"] is None)
    for part in (lambda result: result["finalize_block_events"], _events_of_transactions):
        forms, real_forms = forms_of_events(part(fake)), forms_of_events(part(real))
        for kind in OWN_EVENTS:
            known = [form for form in forms.get(kind, []) if form in real_forms.get(kind, [])]
            assert known == forms.get(kind, []), kind
            if kind != "message":  # other modules write these too
                assert (kind in forms) == (kind in real_forms), kind
    for mine, theirs in zip(fake["txs_results"] or [], real["txs_results"] or [], strict=True):
        assert shape({**mine, "events": []}) == shape({**theirs, "events": []})


def _events_of_transactions(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for one in result["txs_results"] or [] for event in one["events"]]


def test_the_record_of_a_consumer_has_the_fields_of_the_real_one(node: ProviderNode) -> None:
    node.chain.next_block().create("0", 2, name="c1").seal()
    node.chain.blocks(2)
    real = recorded("rest_consumer_chain_0")
    answer = messages.provider_message("QueryConsumerChainResponse").FromString(node.chain.consumers(4)[0].record)
    fake = MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert answer.phase == LAUNCHED
    assert sorted(fake) == sorted(real)
    for name in ("metadata", "init_params", "power_shaping_params", "infraction_parameters"):
        assert sorted(fake[name]) == sorted(real[name])
    for name in ("metadata", "power_shaping_params", "owner_address", "client_id", "chain_id"):
        assert fake[name] == real[name], name


def test_the_list_comes_in_pages_and_phases(node: ProviderNode) -> None:
    block = node.chain.next_block()
    for number in range(12):
        block.create(str(number), 3 if number % 2 else None)
    height = block.seal()
    answer_class = messages.provider_message("QueryConsumerChainsResponse")
    found: list[str] = []
    page: dict[str, Any] = {"limit": 5}
    while True:
        response = query(node, "QueryConsumerChains", height, pagination=page)
        answer = answer_class.FromString(_value(response))
        found += [chain.consumer_id for chain in answer.chains]
        assert len(answer.chains) <= 5
        if not answer.pagination.next_key:
            break
        page = {"limit": 5, "key": answer.pagination.next_key}
    assert found == [str(number) for number in range(12)]

    answer = answer_class.FromString(_value(query(node, "QueryConsumerChains", height, phase=2)))
    assert {chain.phase for chain in answer.chains} == {INITIALIZED}
    assert [chain.consumer_id for chain in answer.chains] == ["1", "3", "5", "7", "9", "11"]
    real = recorded("rest_consumer_chains")["chains"][1]
    assert real["phase"] == REGISTERED
    assert query(node, "QueryConsumerChains", height - 1)["value"] == "EgA="


def _value(response: dict[str, Any]) -> bytes:
    assert response["code"] == 0, response["log"]
    return base64.b64decode(response["value"])


def test_the_chain_follows_the_rules_of_the_module() -> None:
    chain = ProviderChain(unbonding=timedelta(seconds=5))
    block = chain.next_block()
    for number in range(450):
        block.create(str(number), 2)
    block.create("500", 3, opted_in=False).create("501", 3, connection_id="connection-7").seal()  # 2
    chain.blocks(4)  # the launches are due from block 4 on
    launched = [height for _unused, _before, phase, height in chain.transitions() if phase == "launched"]
    assert [launched.count(height) for height in (3, 4, 5, 6)] == [0, 200, 200, 51]
    assert ("500", "initialized", "registered", 6) in chain.transitions()
    assert ("501", "initialized", "launched", 6) in chain.transitions()
    assert not any("501" in str(event) for event in chain.block(6).events)

    stopped = chain.next_block().remove("0").time_out("1").seal()
    chain.blocks(5)
    assert [change for change in chain.transitions() if change[3] >= stopped] == [
        ("0", "launched", "stopped", stopped),
        ("1", "launched", "stopped", stopped),
        ("0", "stopped", "deleted", stopped + 5),
        ("1", "stopped", "deleted", stopped + 5),
    ]
