# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions have one effect, whatever the node answers. The chain is simulated: a real one cannot be made to lose an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import from_mnemonic
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeStatus, TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import GasPrice, Signer
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    InvalidInput,
    QueryFailed,
    TransactionFailed,
    TransactionNotConfirmed,
)
from ansible_collections.interchain.security.plugins.module_utils.proto.messages import provider_message, tx_pb2

MNEMONIC = "abandon " * 23 + "art"
SIGNER = Signer(from_mnemonic(MNEMONIC), GasPrice(Decimal("0.01"), "stake"), confirm_seconds=5)
WRONG_SEQUENCE = (transaction.SDK_WRONG_SEQUENCE, "sdk", "account sequence mismatch, expected 8, got 7")


class Chain:
    """A chain that makes a block each time it is asked for its status; ``answers`` are what broadcasting gives in turn."""

    def __init__(self, answers: list[Any], included: bool = True, code: int = 0) -> None:
        self.answers, self.included, self.code = answers, included, code
        self.height, self.sequence = 100, 7
        self.broadcasts: list[bytes] = []

    def status(self) -> NodeStatus:
        self.height += 1
        return NodeStatus("provider-1", self.height, datetime.now(UTC), False)

    def account(self, address: str) -> tuple[int, int]:
        assert address == SIGNER.key.account_address
        return 3, self.sequence

    def simulated_gas(self, raw: bytes) -> int:
        return 100_001

    def broadcast(self, raw: bytes) -> tuple[int, str, str]:
        self.broadcasts.append(raw)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer[0] == transaction.SDK_WRONG_SEQUENCE:
            self.sequence += 1
        return answer  # type: ignore[no-any-return]

    def transaction(self, tx_hash: str) -> TransactionResult | None:
        if not self.included or self.height < 105:
            return None
        return TransactionResult(tx_hash, 105, self.code, "provider", "log", ())


def send(chain: Chain) -> TransactionResult:
    message = provider_message("MsgOptIn")(consumer_id="0")
    return transaction.send(chain, SIGNER, message, "interchain_security.ccv.provider.v1.MsgOptIn")  # type: ignore[arg-type]


def sequence_of(raw: bytes) -> int:
    info = tx_pb2.AuthInfo.FromString(tx_pb2.TxRaw.FromString(raw).auth_info_bytes)
    sequence: int = info.signer_infos[0].sequence
    return sequence


@pytest.mark.parametrize(
    "answer",
    [(0, "", ""), ChainUnreachable("connection cut"), QueryFailed("tx already exists in cache")],
    ids=["taken", "cut after broadcast", "sent before"],
)
def test_a_lost_answer_is_settled_by_the_hash_and_nothing_is_sent_twice(answer: Any) -> None:
    chain = Chain([answer])
    assert send(chain).height == 105
    assert len(chain.broadcasts) == 1


def test_fee_gas_and_timeout_height() -> None:
    chain = Chain([(0, "", "")])
    send(chain)
    raw = tx_pb2.TxRaw.FromString(chain.broadcasts[0])
    fee = tx_pb2.AuthInfo.FromString(raw.auth_info_bytes).fee
    assert (fee.gas_limit, fee.amount[0].amount, fee.amount[0].denom) == (150_002, "1501", "stake")
    assert tx_pb2.TxBody.FromString(raw.body_bytes).timeout_height == 101 + transaction.TIMEOUT_BLOCKS


def test_what_is_in_no_block_up_to_its_timeout_height_is_given_up() -> None:
    chain = Chain([ChainUnreachable("connection cut")], included=False)
    with pytest.raises(TransactionNotConfirmed, match="in no block up to its timeout height 121"):
        send(chain)
    assert len(chain.broadcasts) == 1


def test_another_writer_of_the_account_only_costs_a_new_signature() -> None:
    chain = Chain([WRONG_SEQUENCE, WRONG_SEQUENCE, (0, "", "")])
    assert send(chain).code == 0
    assert [sequence_of(raw) for raw in chain.broadcasts] == [7, 8, 9]


def test_a_sequence_that_is_never_right_ends_in_an_error() -> None:
    chain = Chain([WRONG_SEQUENCE] * transaction.SEQUENCE_ATTEMPTS)
    with pytest.raises(TransactionFailed, match="sequence mismatch"):
        send(chain)


def test_a_refusal_names_code_and_codespace() -> None:
    with pytest.raises(TransactionFailed, match=r"no funds \(code 5, sdk\)"):
        send(Chain([(5, "sdk", "no funds")]))
    with pytest.raises(TransactionFailed, match=r"failed in block 105: log \(code 9, provider"):
        send(Chain([(0, "", "")], code=9))


@pytest.mark.parametrize(("text", "price"), [("0.01stake", ("0.01", "stake")), ("5ibc/AB", ("5", "ibc/AB"))])
def test_gas_prices(text: str, price: tuple[str, str]) -> None:
    assert GasPrice.parse(text) == GasPrice(Decimal(price[0]), price[1])


@pytest.mark.parametrize("text", ["", "stake", "1", "-1stake", "1.2.3stake", ".stake", "1 stake", "1s"])
def test_bad_gas_prices(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"such as 0\.01stake"):
        GasPrice.parse(text)
