# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sending a transaction so that it has exactly one effect: sign with a timeout height, broadcast, confirm by hash.

An answer that leaves open whether the chain has the transaction is settled by looking the hash up until the timeout height
has passed; only then nothing of it can happen any more and the caller may decide again from state.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar

from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ChainUnreachable,
    InvalidInput,
    QueryFailed,
    TransactionFailed,
    TransactionNotConfirmed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import DENOM
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

_T = TypeVar("_T")

TIMEOUT_BLOCKS = 20
GAS_FACTOR = Decimal("1.5")
SEQUENCE_ATTEMPTS = 5
POLL_SECONDS = 0.25
SDK_WRONG_SEQUENCE = 32
ALREADY_IN_CACHE = "tx already exists in cache"


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
            raise InvalidInput(f"gas_prices must be a number and a denom such as 0.01stake, not {text[:40]!r}")
        return cls(Decimal(found[1]), found[2])


@dataclass(frozen=True)
class Signer:
    """An account together with how it pays. ``confirm_seconds`` bounds each wait for a block."""

    key: AccountKey
    gas_price: GasPrice
    confirm_seconds: float = 60.0


def send(client: ProviderClient, signer: Signer, message: Any, type_name: str) -> TransactionResult:
    """Send one message and return its transaction once it is in a block and succeeded.

    ``type_name`` is the full name of the message (``package.Message``). TransactionFailed when the chain refuses it or it
    fails in its block; TransactionNotConfirmed when it can no longer come into a block.
    """
    for attempt in range(1, SEQUENCE_ATTEMPTS + 1):
        try:
            return _send_once(client, signer, message, type_name)
        except TransactionFailed as error:
            # Another transaction of the same account came first. This one is void, so signing anew is safe.
            if error.code != SDK_WRONG_SEQUENCE or error.codespace != "sdk" or attempt == SEQUENCE_ATTEMPTS:
                raise
            _wait_for_next_block(client, signer.confirm_seconds)
    raise AssertionError("unreachable")


def _send_once(client: ProviderClient, signer: Signer, message: Any, type_name: str) -> TransactionResult:
    status = client.status()
    account_number, sequence = client.account(signer.key.account_address)
    body = messages.tx_pb2.TxBody(timeout_height=status.latest_height + TIMEOUT_BLOCKS)
    packed = body.messages.add()
    packed.type_url = "/" + type_name
    packed.value = message.SerializeToString()
    body_bytes = body.SerializeToString()

    def signed(gas: int) -> bytes:
        auth = _auth_info(signer, sequence, gas).SerializeToString()
        document = messages.tx_pb2.SignDoc(
            body_bytes=body_bytes,
            auth_info_bytes=auth,
            chain_id=status.chain_id,
            account_number=account_number,
        )
        signature = signer.key.sign(document.SerializeToString())
        raw = messages.tx_pb2.TxRaw(body_bytes=body_bytes, auth_info_bytes=auth, signatures=[signature])
        return bytes(raw.SerializeToString())

    raw = signed(_simulated_gas(client, signed(0)))
    tx_hash = hashlib.sha256(raw).hexdigest().upper()
    try:
        code, codespace, log = client.broadcast(raw)
    except (ChainUnreachable, QueryFailed) as error:
        if ALREADY_IN_CACHE not in str(error) and isinstance(error, QueryFailed):
            raise TransactionFailed(f"the node did not take transaction {tx_hash}: {error}") from error
        code, codespace, log = 0, "", ""  # it may have been taken: the hash tells
    if code != 0:
        raise TransactionFailed(
            f"the chain refused {type_name}: {log} (code {code}, {codespace})",
            code=code,
            codespace=codespace,
        )
    result = _confirm(client, tx_hash, body.timeout_height, signer.confirm_seconds)
    if result.code != 0:
        raise TransactionFailed(
            f"{type_name} failed in block {result.height}: {result.log} (code {result.code}, {result.codespace}, {tx_hash})",
            code=result.code,
            codespace=result.codespace,
        )
    return result


def _auth_info(signer: Signer, sequence: int, gas: int) -> Any:
    info = messages.tx_pb2.AuthInfo()
    entry = info.signer_infos.add(sequence=sequence)
    entry.public_key.Pack(messages.secp256k1_pb2.PubKey(key=signer.key.public_key), type_url_prefix="/")
    entry.mode_info.single.mode = messages.signing_pb2.SIGN_MODE_DIRECT
    info.fee.gas_limit = gas
    amount = int((signer.gas_price.amount * gas).to_integral_value(ROUND_CEILING))
    if amount:
        info.fee.amount.add(denom=signer.gas_price.denom, amount=str(amount))
    return info


def _simulated_gas(client: ProviderClient, raw: bytes) -> int:
    try:
        used = client.simulated_gas(raw)
    except QueryFailed as error:
        code = SDK_WRONG_SEQUENCE if "account sequence mismatch" in str(error) else 0
        raise TransactionFailed(
            f"the chain would refuse the transaction: {error}",
            code=code,
            codespace="sdk",
        ) from error
    return int((GAS_FACTOR * used).to_integral_value(ROUND_CEILING))


def _confirm(client: ProviderClient, tx_hash: str, timeout_height: int, seconds: float) -> TransactionResult:
    """Look a transaction up until it is in a block or the chain is past its timeout height."""

    def look() -> TransactionResult | None:
        found = client.transaction(tx_hash)
        if found is None and client.status().latest_height > timeout_height:
            # Read once more: it may have come into the last possible block between the two calls.
            found = client.transaction(tx_hash)
            if found is None:
                raise TransactionNotConfirmed(
                    f"transaction {tx_hash} is in no block up to its timeout height {timeout_height}"
                )
        return found

    return _poll(
        look,
        seconds + TIMEOUT_BLOCKS * 2,
        f"transaction {tx_hash} is in no block yet and the chain has not passed its timeout height {timeout_height}: "
        "is the chain making blocks? Read the state before trying again",
    )


def _wait_for_next_block(client: ProviderClient, seconds: float) -> None:
    start = client.status().latest_height
    _poll(
        lambda: client.status().latest_height > start or None,
        seconds,
        f"no block after height {start}: is the chain making blocks?",
    )


def _poll(look: Callable[[], _T | None], seconds: float, message: str) -> _T:
    deadline = time.monotonic() + seconds
    reason = ""
    while True:
        try:
            found = look()
            if found is not None:
                return found
        except ChainUnreachable as error:
            reason = f" ({error})"
        if time.monotonic() > deadline:
            raise TransactionNotConfirmed(message + reason)
        time.sleep(POLL_SECONDS)
