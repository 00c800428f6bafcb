# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a transaction costs, and what an account has paid in fees over the last day."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import (
    NodeRpc,
    TransactionResult,
    parse_time,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightInFuture,
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import DENOM
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

DAY = timedelta(days=1)
FALLBACK_AMOUNT = Decimal("0.01")
PAGE = 100
MOST_PAGES = 50


@dataclass(frozen=True)
class GasPrice:
    """Price of one unit of gas."""

    amount: Decimal
    denom: str

    @classmethod
    def parse(cls, text: str) -> GasPrice:
        """Read e.g. ``0.01stake``."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(.+)", text.strip())
        if not found or not DENOM.fullmatch(found[2]):
            raise InvalidInput(f"gas_prices must be auto, or a number and a denom such as 0.01stake, not {text[:40]!r}")
        return cls(Decimal(found[1]), found[2])

    def fee(self, gas: int) -> Coin:
        """Return what that much gas costs, rounded up."""
        return Coin(int((self.amount * gas).to_integral_value(ROUND_CEILING)), self.denom)


@dataclass(frozen=True)
class Coin:
    """An amount of a denom."""

    amount: int
    denom: str

    @classmethod
    def parse(cls, option: str, text: str) -> Coin:
        """Read e.g. ``5000stake``, the value of an option."""
        found = re.fullmatch(r"([0-9]+)(.+)", text.strip())
        if not found or not DENOM.fullmatch(found[2]):
            raise InvalidInput(f"{option} must be a whole number and a denom such as 50000stake, not {text[:40]!r}")
        return cls(int(found[1]), found[2])

    def __str__(self) -> str:
        return f"{self.amount}{self.denom}"


def node_gas_price(client: NodeRpc) -> GasPrice:
    """Return the node's minimum gas price, in the bond denom where it takes several.

    A node whose gRPC is off does not tell; 0.01 of the bond denom is offered then.
    """
    bond = client.query(
        "/cosmos.staking.v1beta1.Query/Params",
        messages.staking_query_pb2.QueryParamsRequest(),
        messages.staking_query_pb2.QueryParamsResponse,
    ).params.bond_denom
    try:
        answer = client.query(
            "/cosmos.base.node.v1beta1.Service/Config",
            messages.node_query_pb2.ConfigRequest(),
            messages.node_query_pb2.ConfigResponse,
        )
    except (HeightInFuture, HeightNotAvailable, ConsumerNotFound):
        raise
    except QueryFailed:
        return GasPrice(FALLBACK_AMOUNT, bond)
    prices = {price.denom: price for price in map(GasPrice.parse, filter(None, answer.minimum_gas_price.split(",")))}
    if not prices:
        return GasPrice(Decimal(0), bond)
    return prices.get(bond) or next(iter(prices.values()))


def paid_in_last_day(client: NodeRpc, address: str, denom: str) -> int:
    """Return what an account has paid in fees of that denom over the last 24 hours of block time, failed transactions included.

    It is read from the chain, so that all writers of the account count. QueryFailed when the node keeps no index of
    transactions or more of them were sent than can be counted.
    """
    oldest = client.status().latest_block_time - DAY
    total = 0
    for page in range(1, MOST_PAGES + 1):
        try:
            found = client.transactions(f"tx.fee_payer='{address}'", page, PAGE)
        except QueryFailed as error:
            raise QueryFailed(
                f"the fees of the last day cannot be counted: {error}. fee_budget needs a node that indexes "
                "transactions (tx_index in its config.toml)"
            ) from error
        try:
            # The newest come first: search for the first that is too old, so that few block times are read.
            recent = bisect.bisect_left(_TooOld(client, found, oldest.timestamp()), True)
        except HeightNotAvailable as error:
            raise QueryFailed(
                f"the fees of the last day cannot be counted: {error}. fee_budget needs a node that keeps the blocks of a day"
            ) from error
        total += sum(_fees(found[:recent], address, denom))
        if recent < PAGE:
            return total
    raise QueryFailed(f"{address} sent more than {MOST_PAGES * PAGE} transactions in a day: they are not counted")


@dataclass(frozen=True)
class _TooOld(Sequence[bool]):
    """For each transaction whether its block is older than a time (seconds since 1970)."""

    client: NodeRpc
    transactions: Sequence[TransactionResult]
    oldest: float

    def __len__(self) -> int:
        return len(self.transactions)

    def __getitem__(self, position: int) -> bool:  # type: ignore[override]
        try:
            return self.client.block_header(self.transactions[position].height).time.timestamp() < self.oldest
        except HeightNotAvailable:
            # The node keeps no block of that age: too old, if it keeps those of a whole day.
            kept = parse_time(self.client.rpc("status")["sync_info"]["earliest_block_time"])
            if kept.timestamp() < self.oldest:
                return True
            raise


def _fees(transactions: Iterable[TransactionResult], address: str, denom: str) -> Iterable[int]:
    for transaction in transactions:
        for event in transaction.events:
            if event.type == "tx" and event.attributes.get("fee_payer") == address:
                for coin in filter(None, event.attributes.get("fee", "").split(",")):
                    fee = Coin.parse("fee", coin)
                    if fee.denom == denom:
                        yield fee.amount
