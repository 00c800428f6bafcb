# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one account of a test's chain, which creates and removes consumers and is its validator; it counts its own sequence."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cosmos.bank.v1beta1 import tx_pb2 as bank_tx_pb2
from cosmpy.crypto.address import Address

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from tests.integration.single_node import CHAIN_ID, Node

HOSTILE = "{{ lookup('pipe', 'id') }}"
MOST_IN_ONE_REQUEST = 10  # max_request_batch_size of CometBFT
GAS = 2_000_000


class Owner:
    """Sends transactions without waiting for their blocks. Nobody else may sign for the node's account meanwhile."""

    def __init__(self, node: Node) -> None:
        self._url = node.url
        self._key = account_key.from_mnemonic(node.mnemonic)
        self._address = self._key.account_address
        self._valoper = str(Address(bytes(Address(self._address)), "cosmosvaloper"))
        self._sequence = 1  # the genesis transaction had 0
        self.consumers = 0

    def create(self, spawn_in: float, chain_id: str = f"{HOSTILE}-1") -> str:
        """Create a consumer that is to launch in that many seconds, with an injection as its texts; return its id."""
        self.create_many([spawn_in], chain_id=chain_id)
        return str(self.consumers - 1)

    def create_many(
        self, spawn_in: Sequence[float], *, opt_in: bool = False, chain_id: str = f"{HOSTILE}-1"
    ) -> list[str]:
        """Create consumers, their transactions handed over at once; their ids follow each other."""
        first = self.consumers
        made: list[Any] = []
        for seconds in spawn_in:
            made.append(self._creation(datetime.now(UTC) + timedelta(seconds=seconds), chain_id))
            if opt_in:
                made.append(self._opt_in(str(self.consumers)))
            self.consumers += 1
        self.send(*made)
        return [str(number) for number in range(first, self.consumers)]

    def opt_in(self, *consumer_ids: str, keys: Sequence[str] = ()) -> None:
        """Opt in to consumers, with own keys (base64) or with the provider's one."""
        self.send(*map(self._opt_in, consumer_ids, keys or [""] * len(consumer_ids)))

    def name_genesis(self, consumer_id: str, genesis_hash: bytes, spawn_in: float) -> None:
        """State the SHA-256 of the base genesis, and launch in that many seconds."""
        message = messages.provider_message("MsgUpdateConsumer")(owner=self._address, consumer_id=consumer_id)
        self._initialize(message.initialization_parameters, datetime.now(UTC) + timedelta(seconds=spawn_in))
        message.initialization_parameters.genesis_hash = genesis_hash
        self.send(message)

    def remove(self, consumer_id: str) -> None:
        self.send(messages.provider_message("MsgRemoveConsumer")(consumer_id=consumer_id, owner=self._address))

    def pay_itself(self, times: int) -> None:
        """Fill blocks with that many payments."""
        payment = bank_tx_pb2.MsgSend(from_address=self._address, to_address=self._address)
        payment.amount.add(denom="stake", amount="1")
        self.send(*[payment] * times)

    def count_on(self, result: Mapping[str, Any]) -> None:
        """Count the transaction of an operation that signed for the same account; it says whether it sent one."""
        self._sequence += result["tx_hash"] is not None

    def send(self, *sent: Any) -> None:
        """Sign each message in a transaction of its own and hand them over in order."""
        self._hand_over([self._signed(message) for message in sent])

    def _hand_over(self, transactions: Sequence[bytes]) -> None:
        """Give signed transactions to the node's mempool, many in one request."""
        with httpx.Client(timeout=30) as http:
            for first in range(0, len(transactions), MOST_IN_ONE_REQUEST):
                batch = [
                    {
                        "jsonrpc": "2.0",
                        "id": number,
                        "method": "broadcast_tx_sync",
                        "params": {"tx": base64.b64encode(raw).decode()},
                    }
                    for number, raw in enumerate(transactions[first : first + MOST_IN_ONE_REQUEST])
                ]
                answers = http.post(self._url, json=batch).json()
                for answer in answers if isinstance(answers, list) else [answers]:  # one alone comes without a list
                    assert answer["result"]["code"] == 0, answer

    def _creation(self, spawn_time: datetime, chain_id: str) -> Any:
        message = messages.provider_message("MsgCreateConsumer")(submitter=self._address, chain_id=chain_id)
        message.metadata.name = message.metadata.description = HOSTILE
        message.metadata.metadata = "{}"
        self._initialize(message.initialization_parameters, spawn_time)
        message.power_shaping_parameters.SetInParent()
        return message

    @staticmethod
    def _initialize(initial: Any, spawn_time: datetime) -> None:
        initial.initial_height.revision_number = initial.initial_height.revision_height = 1
        initial.spawn_time.FromDatetime(spawn_time)
        initial.unbonding_period.seconds = 1209600
        initial.ccv_timeout_period.seconds = 2419200
        initial.transfer_timeout_period.seconds = 1800
        initial.consumer_redistribution_fraction = "0.75"
        initial.blocks_per_distribution_transmission = 1000
        initial.historical_entries = 10000

    def _opt_in(self, consumer_id: str, key: str = "") -> Any:
        text = json.dumps({"@type": "/cosmos.crypto.ed25519.PubKey", "key": key}) if key else ""
        return messages.provider_message("MsgOptIn")(
            consumer_id=consumer_id, provider_addr=self._valoper, signer=self._address, consumer_key=text
        )

    def _signed(self, message: Any) -> bytes:
        body = messages.tx_pb2.TxBody()
        body.messages.add().Pack(message, type_url_prefix="/")
        info = messages.tx_pb2.AuthInfo()
        info.fee.gas_limit = GAS
        signer = info.signer_infos.add(sequence=self._sequence)
        signer.public_key.Pack(messages.secp256k1_pb2.PubKey(key=self._key.public_key), type_url_prefix="/")
        signer.mode_info.single.mode = messages.signing_pb2.SIGN_MODE_DIRECT
        self._sequence += 1
        document = messages.tx_pb2.SignDoc(
            body_bytes=body.SerializeToString(),
            auth_info_bytes=info.SerializeToString(),
            chain_id=CHAIN_ID,
            account_number=0,
        )
        signature = self._key.sign(document.SerializeToString())
        signed = messages.tx_pb2.TxRaw(
            body_bytes=document.body_bytes, auth_info_bytes=document.auth_info_bytes, signatures=[signature]
        )
        return bytes(signed.SerializeToString())
