# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sending a transaction so that it has exactly one effect: sign with a timeout height, broadcast, confirm by hash.

A signed transaction can come into one block at most, whoever hands it over and how often: its sequence number is used up then.
So an answer that leaves open whether the chain has it is met by handing the *same bytes* over again and looking their hash up.
Another transaction is signed only when this one is void: refused by every node that was given it, in no block up to its timeout
height, or in none before its sequence number was used by another. Whether another is wanted at all, state then tells
(:func:`send_until`).
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import (
    Coin,
    GasPrice,
    node_gas_price,
    paid_in_last_day,
)
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc, TransactionResult
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
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

try:
    import tenacity

    HAS_TENACITY = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_TENACITY = False

TIMEOUT_BLOCKS = 20
DROPPED_BLOCKS = 3  # a transaction that is in none of so many blocks is handed over again
MOST_CONFLICTS = 30  # how often another writer of the account may be faster
LONGEST_DELAY = 30.0
POLL_SECONDS = 0.25
SDK = "sdk"
SDK_OUT_OF_GAS = 11
SDK_MEMPOOL_FULL = 20
SDK_WRONG_SEQUENCE = 32
ALREADY_IN_CACHE = "tx already exists in cache"
MEMPOOL_FULL = "mempool is full"
INDEX_DISABLED = "indexing is disabled"


@dataclass(frozen=True)
class Signer:
    """An account together with how it pays.

    ``gas_price`` None is the node's minimum. ``confirm_seconds`` bounds each wait for a block. ``max_fee`` bounds the fee of one
    transaction, ``fee_budget`` the fees of the account in a day. A node that does not take a transaction, and state that asks
    again for one that became void, are tried ``retries`` times more; ``retry_delay`` (seconds) doubles each time, with jitter.
    """

    key: AccountKey
    gas_price: GasPrice | None
    confirm_seconds: float = 60.0
    gas_adjustment: Decimal = Decimal("1.5")
    max_fee: Coin | None = None
    fee_budget: Coin | None = None
    retries: int = 5
    retry_delay: float = 1.0


@dataclass(frozen=True)
class Wanted:
    """A message that state asks for; ``type_name`` is its full name (``package.Message``)."""

    message: Any
    type_name: str


@dataclass(frozen=True)
class _Signed:
    """A signed transaction, with what is needed to settle what became of it."""

    raw: bytes
    hash: str
    type_name: str
    address: str
    sequence: int
    start_height: int
    timeout_height: int


def send(client: NodeRpc, signer: Signer, message: Any, type_name: str) -> TransactionResult:
    """Send one message and return its transaction once it is in a block and succeeded.

    ``type_name`` is the full name of the message (``package.Message``). TransactionFailed when the chain refuses it or it
    fails in its block; TransactionNotConfirmed when it can no longer come into a block: read state and decide again;
    TransactionUnsettled when that could not be found out; FeeTooHigh when it would cost too much.

    Where another writer of the account was faster, it is signed anew without asking state: use :func:`send_until` where that
    writer may have wanted the same.
    """
    sent = _repeat(client, signer, lambda: Wanted(message, type_name), asks_state=False)
    if sent is None:
        raise AssertionError("it is wanted each time")
    return sent


def send_until(client: NodeRpc, signer: Signer, decide: Callable[[], Wanted | None]) -> TransactionResult | None:
    """Send what ``decide`` asks for until one transaction succeeded, which is returned, or state asks for nothing (None).

    ``decide`` reads state and returns the message to send, or None when the state is as wanted. It is called before each new
    signature, so that what another writer did, or a transaction believed lost, is never done twice. Errors as of :func:`send`.
    """
    return _repeat(client, signer, decide, asks_state=True)


def _repeat(
    client: NodeRpc, signer: Signer, decide: Callable[[], Wanted | None], asks_state: bool
) -> TransactionResult | None:
    conflicts = voids = 0
    gas_factor = Decimal(1)
    while True:
        # Before state is read: another writer that changes it from now on uses up this sequence number.
        account = client.account(signer.key.account_address)
        wanted = decide()
        if wanted is None:
            return None
        try:
            return _send_once(client, signer, wanted, gas_factor, account)
        except TransactionNotConfirmed:
            voids += 1
            if not asks_state or voids > signer.retries:
                raise
        except TransactionFailed as error:
            reason = (error.codespace, error.code)
            if reason == (SDK, SDK_WRONG_SEQUENCE) and conflicts < MOST_CONFLICTS:
                # Another transaction of the account came first. Its effect is in state after the next block.
                conflicts += 1
                _wait_for_next_block(client, signer.confirm_seconds)
            elif reason == (SDK, SDK_OUT_OF_GAS) and gas_factor == 1:
                gas_factor = Decimal(2)
            elif asks_state and decide() is None:
                return None  # refused because another writer has brought about what was wanted
            else:
                raise


def _send_once(
    client: NodeRpc, signer: Signer, wanted: Wanted, gas_factor: Decimal, account: tuple[int, int]
) -> TransactionResult:
    signed = _signed(client, signer, wanted, gas_factor, account)
    settlement = _Settlement(client, signer, signed)
    result = settlement.hand_over() or settlement.confirm()
    if result.code != 0:
        raise TransactionFailed(
            f"{signed.type_name} failed in block {result.height}: {result.log} "
            f"(code {result.code}, {result.codespace}, transaction {result.hash})",
            code=result.code,
            codespace=result.codespace,
            log=result.log,
            height=result.height,
            tx_hash=result.hash,
        )
    return result


def _signed(client: NodeRpc, signer: Signer, wanted: Wanted, gas_factor: Decimal, account: tuple[int, int]) -> _Signed:
    """Sign for an account of that (number, sequence)."""
    status = client.status()
    address = signer.key.account_address
    account_number, sequence = account
    price = signer.gas_price or node_gas_price(client)
    timeout_height = status.latest_height + TIMEOUT_BLOCKS
    body = messages.tx_pb2.TxBody(timeout_height=timeout_height)
    packed = body.messages.add()
    packed.type_url = "/" + wanted.type_name
    packed.value = wanted.message.SerializeToString()
    body_bytes = body.SerializeToString()

    def sign(gas: int) -> bytes:
        auth = _auth_info(signer, sequence, gas, price).SerializeToString()
        document = messages.tx_pb2.SignDoc(
            body_bytes=body_bytes,
            auth_info_bytes=auth,
            chain_id=status.chain_id,
            account_number=account_number,
        )
        signature = signer.key.sign(document.SerializeToString())
        raw = messages.tx_pb2.TxRaw(body_bytes=body_bytes, auth_info_bytes=auth, signatures=[signature])
        return bytes(raw.SerializeToString())

    used = _simulated_gas(client, sign(0), wanted.type_name)
    gas = int((signer.gas_adjustment * gas_factor * used).to_integral_value(ROUND_CEILING))
    _check_fee(client, signer, price.fee(gas))
    raw = sign(gas)
    tx_hash = hashlib.sha256(raw).hexdigest().upper()
    return _Signed(raw, tx_hash, wanted.type_name, address, sequence, status.latest_height, timeout_height)


def _auth_info(signer: Signer, sequence: int, gas: int, price: GasPrice) -> Any:
    info = messages.tx_pb2.AuthInfo()
    entry = info.signer_infos.add(sequence=sequence)
    entry.public_key.Pack(messages.secp256k1_pb2.PubKey(key=signer.key.public_key), type_url_prefix="/")
    entry.mode_info.single.mode = messages.signing_pb2.SIGN_MODE_DIRECT
    info.fee.gas_limit = gas
    fee = price.fee(gas)
    if fee.amount:
        info.fee.amount.add(denom=fee.denom, amount=str(fee.amount))
    return info


def _simulated_gas(client: NodeRpc, raw: bytes, type_name: str) -> int:
    try:
        return client.simulated_gas(raw)
    except QueryFailed as error:
        if not error.code:
            raise
        raise TransactionFailed(
            f"the chain would refuse {type_name}: {error} (code {error.code}, {error.codespace}); nothing was sent",
            code=error.code,
            codespace=error.codespace,
            log=str(error),
        ) from error


def _check_fee(client: NodeRpc, signer: Signer, fee: Coin) -> None:
    for option, limit in (("max_fee", signer.max_fee), ("fee_budget", signer.fee_budget)):
        if limit is not None and fee.amount and fee.denom != limit.denom:
            raise InvalidInput(f"{option} is in {limit.denom} but fees are paid in {fee.denom}: give both in one denom")
    if signer.max_fee is not None and fee.amount > signer.max_fee.amount:
        raise FeeTooHigh(f"the transaction would cost {fee}, more than max_fee {signer.max_fee}; nothing was sent")
    if signer.fee_budget is not None and fee.amount:
        paid = paid_in_last_day(client, signer.key.account_address, fee.denom)
        if paid + fee.amount > signer.fee_budget.amount:
            raise FeeTooHigh(
                f"the transaction would cost {fee}, and {paid}{fee.denom} were paid in the last day: together more than "
                f"fee_budget {signer.fee_budget}; nothing was sent"
            )


class _NotTaken(Exception):
    """A node did not take a transaction, or did not say so; handing it over again may help."""

    def __init__(self, error: TransactionFailed) -> None:
        super().__init__(str(error))
        self.error = error


class _Settlement:
    """What becomes of one signed transaction."""

    def __init__(self, client: NodeRpc, signer: Signer, signed: _Signed) -> None:
        self._client, self._signer, self._signed = client, signer, signed
        self._height = signed.start_height  # the newest that was seen
        self._searched = signed.start_height  # the transaction is in no block up to this one
        self._handed_over_at = signed.start_height
        self._may_be_there = False  # a node may have the transaction although none said so

    def hand_over(self) -> TransactionResult | None:
        """Give it to a node's mempool, again while that may help; return it when it is in a block already.

        TransactionFailed only when no node can have it.
        """
        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_NotTaken),
            stop=tenacity.stop_after_attempt(self._signer.retries + 1),
            wait=tenacity.wait_exponential(self._signer.retry_delay, LONGEST_DELAY)
            + tenacity.wait_random(0, self._signer.retry_delay),
            reraise=True,
        )
        try:
            return again(self._hand_over_once)
        except _NotTaken as last:
            if self._may_be_there:
                return None
            raise last.error from None

    def confirm(self) -> TransactionResult:
        """Look it up until it is in a block; TransactionNotConfirmed as soon as it can come into none any more."""
        seconds = self._signer.confirm_seconds
        patience = time.monotonic() + seconds
        reason = ""
        while True:
            height = self._height
            try:
                if found := self._look():
                    return found
                self._hand_over_if_dropped()
                reason = ""
            except ChainUnreachable as error:
                reason = f" ({error})"
            if self._height > height:
                patience = time.monotonic() + seconds
            elif time.monotonic() > patience:
                raise TransactionUnsettled(
                    f"transaction {self._signed.hash} is in no block up to height {self._height} and no newer block came in "
                    f"{seconds:g} s: is the chain making blocks? Until height {self._signed.timeout_height} it may still take "
                    f"effect, so look at the chain before trying again{reason}",
                    tx_hash=self._signed.hash,
                    height=self._height,
                )
            time.sleep(POLL_SECONDS)

    def _hand_over_once(self) -> TransactionResult | None:
        if self._may_be_there:
            with contextlib.suppress(ChainUnreachable):  # the broadcast will tell
                if found := self._look():
                    return found
        endpoint = self._client.url
        try:
            code, codespace, log = self._client.broadcast(self._signed.raw)
        except ChainUnreachable as error:
            self._may_be_there = True
            raise _NotTaken(self._refused(0, "", str(error))) from error
        except QueryFailed as error:
            if ALREADY_IN_CACHE in str(error):
                return None
            code, codespace, log = (SDK_MEMPOOL_FULL if MEMPOOL_FULL in str(error) else -1), SDK, str(error)
        if self._client.url != endpoint:
            # An endpoint fell silent and another one answered: the first may have taken it before.
            self._may_be_there = True
        if code == 0:
            return None
        refused = self._refused(code, codespace, log)
        if (codespace, code) == (SDK, SDK_MEMPOOL_FULL):
            raise _NotTaken(refused)
        if self._may_be_there:
            return None  # such as a used sequence number, because it is in a block itself: the hash tells
        raise refused

    def _look(self) -> TransactionResult | None:
        """Look it up; None when it is in no block yet, TransactionNotConfirmed when it can come into none any more."""
        indexed = True
        try:
            if found := self._client.transaction(self._signed.hash):
                return found
        except QueryFailed as error:
            if INDEX_DISABLED not in str(error):
                raise
            indexed = False
        height = self._client.status().latest_height
        if height <= self._height:
            return None
        self._height = height
        late = height >= self._signed.timeout_height
        try:
            used = self._client.account(self._signed.address, height)[1] > self._signed.sequence
        except (HeightInFuture, HeightNotAvailable):  # another endpoint answers now
            used = False
        if not (late or used) and indexed:
            return None
        # The blocks themselves have the last word: an index may be behind them.
        last = min(height, self._signed.timeout_height)
        try:
            while self._searched < last:
                if found := self._client.transaction_in_block(self._searched + 1, self._signed.hash):
                    return found
                self._searched += 1
        except HeightInFuture:  # another endpoint answers now, and is behind
            self._height = self._searched
            return None
        except HeightNotAvailable as error:
            raise TransactionUnsettled(
                f"what became of transaction {self._signed.hash} cannot be found out: {error}. Look at the chain before "
                "trying again",
                tx_hash=self._signed.hash,
                height=self._searched,
            ) from error
        if late or used:
            why = (
                f"its timeout height {self._signed.timeout_height}"
                if late
                else f"{height}, and its sequence number is used"
            )
            raise TransactionNotConfirmed(
                f"transaction {self._signed.hash} of {self._signed.type_name} is in no block up to {why}: it has no effect; "
                "run again to have it decided again",
                tx_hash=self._signed.hash,
                height=height,
            )
        return None

    def _hand_over_if_dropped(self) -> None:
        """A node that restarted, or whose mempool was full, has lost it: the same bytes again do no harm."""
        if self._height < self._handed_over_at + DROPPED_BLOCKS:
            return
        self._handed_over_at = self._height
        with contextlib.suppress(QueryFailed):  # such as: already in the cache. The hash tells.
            self._client.broadcast(self._signed.raw)

    def _refused(self, code: int, codespace: str, log: str) -> TransactionFailed:
        return TransactionFailed(
            f"the chain refused {self._signed.type_name}: {log} (code {code}, {codespace}, transaction {self._signed.hash})",
            code=code,
            codespace=codespace,
            log=log,
            tx_hash=self._signed.hash,
        )


def _wait_for_next_block(client: NodeRpc, seconds: float) -> None:
    start = client.status().latest_height
    deadline = time.monotonic() + seconds
    while client.status().latest_height <= start:
        if time.monotonic() > deadline:
            raise TransactionNotConfirmed(
                f"no block after height {start}: is the chain making blocks? Nothing was sent"
            )
        time.sleep(POLL_SECONDS)
