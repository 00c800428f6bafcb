# SPDX-License-Identifier: GPL-3.0-or-later
"""What transactions cost, and what an account paid in the last day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import fees
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import Coin, GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import (
    BlockHeader,
    NodeStatus,
    TransactionResult,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import Event
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

PAYER = "cosmos1payer"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "price"), [("0.01stake", ("0.01", "stake")), ("5ibc/AB", ("5", "ibc/AB"))])
def test_gas_prices(text: str, price: tuple[str, str]) -> None:
    assert GasPrice.parse(text) == GasPrice(Decimal(price[0]), price[1])


@pytest.mark.parametrize("text", ["", "stake", "1", "-1stake", "1.2.3stake", ".stake", "1 stake", "1s"])
def test_bad_gas_prices(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"such as 0\.01stake"):
        GasPrice.parse(text)
    with pytest.raises(InvalidInput, match="max_fee must be a whole number and a denom"):
        Coin.parse("max_fee", text)


class Chain:
    """A chain whose block ``height`` is that many minutes old below height 10000; blocks below ``oldest`` are pruned."""

    def __init__(self, heights: list[int], oldest: int = 1, minimum: str | None = "") -> None:
        self.heights, self.oldest, self.minimum = sorted(heights, reverse=True), oldest, minimum
        self.headers_read = 0

    def time(self, height: int) -> datetime:
        return NOW - timedelta(minutes=10_000 - height)

    def status(self) -> NodeStatus:
        return NodeStatus("provider-1", 10_000, NOW, False)

    def rpc(self, method: str) -> Any:
        assert method == "status"
        return {"sync_info": {"earliest_block_time": self.time(self.oldest).strftime("%Y-%m-%dT%H:%M:%SZ")}}

    def block_header(self, height: int) -> BlockHeader:
        self.headers_read += 1
        if height < self.oldest:
            raise HeightNotAvailable("lowest height is 1")
        return BlockHeader("provider-1", height, self.time(height), "")

    def transactions(self, query: str, page: int, per_page: int) -> list[TransactionResult]:
        assert query == f"tx.fee_payer='{PAYER}'"
        return [
            TransactionResult("", height, 5 if height % 2 else 0, "", "", self.events(height))
            for height in self.heights[(page - 1) * per_page : page * per_page]
        ]

    def events(self, height: int) -> tuple[Event, ...]:
        return (
            Event("tx", {"fee": "7stake,3other", "fee_payer": PAYER}, "tx/0"),
            Event("tx", {"acc_seq": f"{PAYER}/1"}, "tx/1"),
            Event("tx", {"fee": "99stake", "fee_payer": "somebody"}, "tx/2"),
            Event("tx", {"fee": "", "fee_payer": PAYER}, "tx/3"),
        )

    def query(self, path: str, request: Any, response: Any) -> Any:
        if path.endswith("/Config"):
            if self.minimum is None:
                raise QueryFailed("unknown query path")
            return response(minimum_gas_price=self.minimum)
        assert response is messages.staking_query_pb2.QueryParamsResponse
        return response(params={"bond_denom": "stake"})


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1440, 1441, 3000])
def test_fees_of_the_last_day(count: int) -> None:
    chain = Chain(list(range(10_001 - count, 10_001)))
    assert fees.paid_in_last_day(chain, PAYER, "stake") == 7 * min(count, 1441)  # type: ignore[arg-type]
    assert chain.headers_read <= 8 * (count // 100 + 1)


def test_pruned_blocks_count_as_old_only_when_a_day_is_kept() -> None:
    heights = list(range(9_950, 10_001)) + list(range(100, 200))
    assert fees.paid_in_last_day(Chain(heights, oldest=8_000), PAYER, "stake") == 7 * 51  # type: ignore[arg-type]
    with pytest.raises(QueryFailed, match="a node that keeps the blocks of a day"):
        fees.paid_in_last_day(Chain(heights, oldest=9_900), PAYER, "stake")  # type: ignore[arg-type]


def test_a_node_without_index_is_named_as_the_cause() -> None:
    chain = Chain([])

    def disabled(query: str, page: int, per_page: int) -> list[TransactionResult]:
        raise QueryFailed("tx_search on http://a: transaction indexing is disabled")

    chain.transactions = disabled  # type: ignore[method-assign]
    with pytest.raises(QueryFailed, match=r"indexing is disabled\. fee_budget needs a node that indexes transactions"):
        fees.paid_in_last_day(chain, PAYER, "stake")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("minimum", "price"),
    [
        ("", "0stake"),
        ("0.025000000000000000stake", "0.025stake"),
        ("1uatom,0.5stake", "0.5stake"),
        ("1uatom", "1uatom"),
        (None, "0.01stake"),
    ],
)
def test_the_price_of_the_node(minimum: str | None, price: str) -> None:
    assert fees.node_gas_price(Chain([], minimum=minimum)) == GasPrice.parse(price)  # type: ignore[arg-type]
