# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions have one effect, whatever the node answers. Here the chain is simulated; the integration tests have a real one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import from_mnemonic
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import Coin, GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeStatus, TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer, Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    FeeTooHigh,
    HeightInFuture,
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
    TransactionFailed,
    TransactionNotConfirmed,
    TransactionUnsettled,
)
from ansible_collections.interchain.security.plugins.module_utils.proto.messages import provider_message, tx_pb2

MNEMONIC = "abandon " * 23 + "art"
PRICE = GasPrice(Decimal("0.01"), "stake")
SIGNER = Signer(from_mnemonic(MNEMONIC), PRICE, confirm_seconds=5, retries=3, retry_delay=0)
TYPE = "interchain_security.ccv.provider.v1.MsgOptIn"
CUT = ChainUnreachable("connection cut")
TAKEN = (0, "", "")
CACHED = QueryFailed("broadcast_tx_sync: tx already exists in cache")
FULL = QueryFailed("broadcast_tx_sync: mempool is full: number of txs 5000 (max: 5000)")
WRONG_SEQUENCE = (transaction.SDK_WRONG_SEQUENCE, "sdk", "account sequence mismatch, expected 8, got 7")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "POLL_SECONDS", 0)


@dataclasses.dataclass
class Chain:
    """A chain that makes a block each time it is asked for its status.

    ``answers`` are what broadcasting gives in turn; after that new bytes are taken and known ones are in the cache. Each
    transaction is in block ``included`` (None: in none) with a code of ``codes`` in turn; ``index`` says whether the node has an
    index of transactions.
    """

    answers: list[Any]
    included: int | None = 105
    codes: list[int] = dataclasses.field(default_factory=list)
    index: bool = True
    stuck: bool = False
    url: str = "http://first"
    height: int = 100
    sequence: int = 7
    paid: int = 0
    broadcasts: list[bytes] = dataclasses.field(default_factory=list)

    def status(self) -> NodeStatus:
        self.height += 0 if self.stuck else 1
        return NodeStatus("provider-1", self.height, datetime.now(UTC), False)

    def account(self, address: str, height: int = 0) -> tuple[int, int]:
        assert address == SIGNER.key.account_address
        return 3, self.sequence

    def simulated_gas(self, raw: bytes) -> int:
        return 100_001

    def broadcast(self, raw: bytes) -> tuple[int, str, str]:
        known = raw in self.broadcasts
        self.broadcasts.append(raw)
        answer = self.answers.pop(0) if self.answers else CACHED if known else TAKEN
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        if answer[0] == transaction.SDK_WRONG_SEQUENCE:
            self.sequence += 1
        return answer  # type: ignore[no-any-return]

    def transaction(self, tx_hash: str) -> TransactionResult | None:
        if not self.index:
            raise QueryFailed("tx: transaction indexing is disabled")
        return self._found(tx_hash) if self.included and self.height >= self.included else None

    def transaction_in_block(self, height: int, tx_hash: str) -> TransactionResult | None:
        assert height <= self.height
        return self._found(tx_hash) if height == self.included else None

    def _found(self, tx_hash: str) -> TransactionResult:
        assert tx_hash in {hashlib.sha256(raw).hexdigest().upper() for raw in self.broadcasts}
        height, code = self.included or 0, self.codes.pop(0) if self.codes else 0
        if code:
            self.included = self.height + 3
        codespace = "sdk" if code == transaction.SDK_OUT_OF_GAS else "provider"
        return TransactionResult(tx_hash, height, code, codespace, "log", ())


def send(chain: Chain, signer: Signer = SIGNER) -> TransactionResult:
    return transaction.send(chain, signer, provider_message("MsgOptIn")(consumer_id="0"), TYPE)  # type: ignore[arg-type]


def send_until(chain: Chain, decide: Callable[[], bool]) -> TransactionResult | None:
    wanted = Wanted(provider_message("MsgOptIn")(consumer_id="0"), TYPE)
    return transaction.send_until(chain, SIGNER, lambda: wanted if decide() else None)  # type: ignore[arg-type]


def sequence_of(raw: bytes) -> int:
    info = tx_pb2.AuthInfo.FromString(tx_pb2.TxRaw.FromString(raw).auth_info_bytes)
    sequence: int = info.signer_infos[0].sequence
    return sequence


def fee_of(raw: bytes) -> Any:
    return tx_pb2.AuthInfo.FromString(tx_pb2.TxRaw.FromString(raw).auth_info_bytes).fee


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
@pytest.mark.parametrize(
    "answers",
    [[TAKEN], [CACHED], [CUT, TAKEN], [CUT, CACHED], [CUT, WRONG_SEQUENCE], [CUT, CUT, CUT, CUT], [FULL, FULL, TAKEN]],
    ids=["taken", "known", "lost before", "lost after", "lost, in a block meanwhile", "never an answer", "full"],
)
def test_whatever_becomes_of_the_answers_one_transaction_is_handed_over(answers: list[Any], index: bool) -> None:
    included = 102 if WRONG_SEQUENCE in answers else 105
    chain = Chain(list(answers), index=index, included=included)
    assert send(chain).height == included
    assert len(set(chain.broadcasts)) == 1


def test_what_another_endpoint_refuses_may_be_with_the_first_one() -> None:
    chain = Chain([])

    def elsewhere() -> tuple[int, str, str]:
        chain.url, chain.included = "http://second", 102
        return WRONG_SEQUENCE

    chain.answers = [elsewhere]
    assert send(chain).height == 102
    assert len(set(chain.broadcasts)) == 1


def test_fee_gas_and_timeout_height() -> None:
    chain = Chain([TAKEN])
    send(chain)
    fee = fee_of(chain.broadcasts[0])
    assert (fee.gas_limit, fee.amount[0].amount, fee.amount[0].denom) == (150_002, "1501", "stake")
    body = tx_pb2.TxBody.FromString(tx_pb2.TxRaw.FromString(chain.broadcasts[0]).body_bytes)
    assert body.timeout_height == 101 + transaction.TIMEOUT_BLOCKS


@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_what_is_in_no_block_up_to_its_timeout_height_is_given_up(index: bool) -> None:
    chain = Chain([CUT] * 99, included=None, index=index)
    with pytest.raises(TransactionNotConfirmed, match="in no block up to its timeout height 121: it has no effect"):
        send(chain)
    assert len(set(chain.broadcasts)) == 1


def test_a_dropped_transaction_is_handed_over_again() -> None:
    chain = Chain([TAKEN], included=None)

    def taken_again() -> tuple[int, str, str]:
        chain.included = chain.height + 1
        return TAKEN

    chain.answers.append(taken_again)
    assert send(chain).code == 0
    assert not chain.answers
    assert len(set(chain.broadcasts)) == 1


def test_a_used_sequence_number_ends_the_wait() -> None:
    """Another node took another writer's transaction of that sequence number: no need to wait for the timeout height."""
    chain = Chain([TAKEN], included=None)
    chain.account = iter_sequences(7, 7, 7, 8)  # type: ignore[method-assign]
    with pytest.raises(TransactionNotConfirmed, match="its sequence number is used: it has no effect"):
        send(chain)
    assert chain.height < 110


def iter_sequences(*sequences: int) -> Callable[..., tuple[int, int]]:
    left = list(sequences)
    return lambda *_unused: (3, left.pop(0) if len(left) > 1 else left[0])


def test_the_index_may_be_behind_the_chain() -> None:
    """A transaction that used its own sequence number, and is not in the index yet, is found in its block."""
    chain = Chain([TAKEN])
    chain.transaction = lambda tx_hash: None  # type: ignore[method-assign]
    chain.account = iter_sequences(7, 7, 7, 7, 7, 7, 8)  # type: ignore[method-assign]
    assert send(chain).height == 105


def test_an_endpoint_that_is_behind_has_no_say() -> None:
    chain = Chain([TAKEN], index=False)
    real, behind = chain.transaction_in_block, [HeightInFuture("height must be less than or equal to")] * 3

    def lagging(height: int, tx_hash: str) -> TransactionResult | None:
        if behind:
            raise behind.pop()
        return real(height, tx_hash)

    chain.transaction_in_block = lagging  # type: ignore[method-assign]
    assert send(chain).height == 105
    assert not behind


def test_a_chain_that_stands_still_leaves_it_open() -> None:
    chain = Chain([TAKEN], included=None)

    def stop() -> tuple[int, str, str]:
        chain.stuck = True
        return TAKEN

    chain.answers = [stop]
    with pytest.raises(TransactionUnsettled, match="is the chain making blocks"):
        send(chain, dataclasses.replace(SIGNER, confirm_seconds=0.05))


def test_pruned_blocks_leave_it_open() -> None:
    chain = Chain([TAKEN], index=False)

    def pruned(height: int, tx_hash: str) -> TransactionResult | None:
        raise HeightNotAvailable("lowest height is 200")

    chain.transaction_in_block = pruned  # type: ignore[method-assign]
    with pytest.raises(TransactionUnsettled, match="cannot be found out"):
        send(chain)


def test_another_writer_of_the_account_only_costs_a_new_signature() -> None:
    chain = Chain([WRONG_SEQUENCE, WRONG_SEQUENCE, TAKEN])
    assert send(chain).code == 0
    assert [sequence_of(raw) for raw in chain.broadcasts] == [7, 8, 9]


def test_a_sequence_that_is_never_right_ends_in_an_error() -> None:
    chain = Chain([WRONG_SEQUENCE] * (transaction.MOST_CONFLICTS + 1))
    with pytest.raises(TransactionFailed, match="sequence mismatch"):
        send(chain)


def test_a_full_mempool_ends_in_its_error() -> None:
    chain = Chain([FULL] * 4)
    with pytest.raises(TransactionFailed, match="mempool is full") as raised:
        send(chain)
    assert (raised.value.code, raised.value.codespace) == (20, "sdk")
    assert not chain.answers


def test_out_of_gas_is_tried_once_more_with_more() -> None:
    chain = Chain([TAKEN, TAKEN], codes=[transaction.SDK_OUT_OF_GAS])
    assert send(chain).code == 0
    assert [fee_of(raw).gas_limit for raw in dict.fromkeys(chain.broadcasts)] == [150_002, 300_003]
    with pytest.raises(TransactionFailed, match=r"\(code 11, sdk"):
        send(Chain([TAKEN, TAKEN], codes=[transaction.SDK_OUT_OF_GAS] * 2))


def test_state_is_asked_before_each_signature() -> None:
    """The other writer wanted the same: nothing is sent a second time."""
    answers: Iterator[bool] = iter([True, True, False])
    chain = Chain([WRONG_SEQUENCE, WRONG_SEQUENCE])
    assert send_until(chain, lambda: next(answers)) is None
    assert len(chain.broadcasts) == 2
    assert send_until(Chain([]), lambda: False) is None


def test_a_void_transaction_is_repeated_while_state_asks_for_it() -> None:
    chain = Chain([TAKEN], included=None)
    asked = []

    def decide() -> bool:
        asked.append(chain.height)
        if len(asked) == 2:
            chain.answers, chain.included = [TAKEN], chain.height + 3
        return True

    result = send_until(chain, decide)
    assert result is not None
    assert len(asked) == 2
    assert len(set(chain.broadcasts)) == 2
    with pytest.raises(TransactionNotConfirmed):
        send_until(Chain([CACHED], included=None), lambda: True)


def test_a_refusal_that_state_explains_is_none() -> None:
    answers = iter([True, False])
    assert send_until(Chain([TAKEN], codes=[9]), lambda: next(answers)) is None
    with pytest.raises(TransactionFailed):
        send_until(Chain([TAKEN], codes=[9]), lambda: True)


def test_a_refusal_names_code_codespace_log_height_and_hash() -> None:
    with pytest.raises(TransactionFailed, match=r"no funds \(code 5, sdk, transaction [0-9A-F]{64}\)"):
        send(Chain([(5, "sdk", "no funds")]))
    with pytest.raises(TransactionFailed, match=r"failed in block 105: log \(code 9, provider, transaction") as raised:
        send(Chain([TAKEN], codes=[9]))
    error = raised.value
    assert (error.code, error.codespace, error.log, error.height, len(error.tx_hash)) == (9, "provider", "log", 105, 64)


def test_a_refusal_in_the_simulation_sends_nothing() -> None:
    chain = Chain([])
    refusal = QueryFailed("simulate at height latest: consumer key already in use")
    refusal.code, refusal.codespace = 13, "provider"

    def refuse(raw: bytes) -> int:
        raise refusal

    chain.simulated_gas = refuse  # type: ignore[method-assign]
    with pytest.raises(TransactionFailed, match=r"key already in use \(code 13, provider\); nothing was sent"):
        send(chain)
    assert not chain.broadcasts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_fee": Coin(1500, "stake")}, "cost 1501stake, more than max_fee 1500stake; nothing was sent"),
        ({"fee_budget": Coin(2500, "stake")}, "1000stake were paid in the last day"),
    ],
)
def test_fees_have_limits(options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "paid_in_last_day", lambda *_unused: 1000)
    chain = Chain([])
    with pytest.raises(FeeTooHigh, match=message):
        send(chain, dataclasses.replace(SIGNER, **options))
    with pytest.raises(InvalidInput, match="give both in one denom"):
        send(chain, dataclasses.replace(SIGNER, **{name: Coin(9**9, "other") for name in options}))
    assert not chain.broadcasts
    assert send(
        Chain([TAKEN]), dataclasses.replace(SIGNER, max_fee=Coin(1501, "stake"), fee_budget=Coin(2501, "stake"))
    )
