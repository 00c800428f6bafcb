# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules' operations on a real provider in the test's own process, and messages that go past their checks."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Puts the modules of the Cosmos SDK on sys.path.
import cosmpy.protos  # noqa: F401  pylint: disable=unused-import
import pytest
from cosmos.bank.v1beta1 import tx_pb2 as bank_tx_pb2
from cosmpy.mnemonic import generate_mnemonic

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import TransactionResult
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address
from ansible_collections.interchain.security.plugins.module_utils.proto import messages
from ansible_collections.interchain.security.plugins.module_utils.runner import execute
from tests.integration.single_node import Node
from tests.operation import checked_options
from tests.testbed.parts import CHAIN

OPERATIONS = "ansible_collections.interchain.security.plugins.module_utils.operations"
GOV_VOTING = "3s"
MIN_COMMISSION = "0.050000000000000000"
EPOCH = 5  # blocks
UNBONDING = "600"  # seconds, so that nothing is deleted or comes into force while a slow machine looks
LONG_AGO = "2026-01-01T00:00:00Z"  # a spawn time that is due


class Account:
    """An account of the chain."""

    def __init__(self, mnemonic: str) -> None:
        self.mnemonic = mnemonic
        key = account_key.from_mnemonic(mnemonic)
        self.address = key.account_address
        self.operator = address.operator_of(self.address)
        self.signer = Signer(key, GasPrice.parse("0.01stake"), retries=0)


class Provider:
    """A provider of one validator, alice, who is also the owner of the consumers."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.client = ProviderClient([node.url])
        self.alice = Account(node.mnemonic)

    def run(self, name: str, /, *, check: bool = False, by: Account | None = None, **arguments: Any) -> dict[str, Any]:
        """Run an operation as its module does."""
        operation = importlib.import_module(f"{OPERATIONS}.{name}")
        given = {"provider_rpc_url": [self.node.url], **arguments}
        if "mnemonic" in operation.ARGUMENT_SPEC:
            given["mnemonic"] = (by or self.alice).mnemonic
        return execute(operation, checked_options(operation.ARGUMENT_SPEC, **given), check)

    def change(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Make a change as one part of the cycle: predicted, made, then nothing is left to do, nor predicted; return its result."""
        predicted = self.run(name, check=True, **arguments)
        assert predicted.get("changed"), predicted
        assert predicted["tx_hash"] is None
        made = self.run(name, **arguments)
        assert made.get("changed"), made
        self.wait_for_transaction(made["tx_hash"])
        # By their names alone: a spawn time after the newest block, or a key, is made anew.
        assert list(made["diff"]["after"]) == list(predicted["diff"]["after"])
        for check in (True, False):
            repeated = self.run(name, check=check, **arguments)
            assert repeated.get("changed") is False, repeated
            assert repeated["tx_hash"] is None
            assert repeated["diff"]["before"] == repeated["diff"]["after"]
        return made

    def failure(self, name: str, /, **arguments: Any) -> str:
        """Return the message of an operation that has to fail, in check mode as well."""
        texts = []
        for check in (True, False):
            result = self.run(name, check=check, **arguments)
            assert result.get("failed"), result
            texts.append(str(result["msg"]))
        assert texts[0] == texts[1]
        return texts[0]

    def send(self, name: str, by: Account | None = None, /, **fields: Any) -> TransactionResult:
        """Send a message of the provider module as it is."""
        message = messages.provider_message(name)(**fields)
        return self.send_message(message, f"{messages.PROVIDER}.{name}", by)

    def send_message(self, message: Any, type_name: str, by: Account | None = None) -> TransactionResult:
        return transaction.send(self.client, (by or self.alice).signer, message, type_name)

    def answer(self, name: str, by: Account | None = None, /, **fields: Any) -> str:
        """Return the chain's words against a message that it has to refuse."""
        with pytest.raises(InterchainError) as refused:
            self.send(name, by, **fields)
        return str(refused.value)

    def new_account(self, tokens: int = 10_000_000) -> Account:
        """Return a new account with tokens (ustake)."""
        made = Account(generate_mnemonic())
        message = bank_tx_pb2.MsgSend(from_address=self.alice.address, to_address=made.address)
        message.amount.add(denom="stake", amount=str(tokens))
        self.send_message(message, "cosmos.bank.v1beta1.MsgSend")
        return made

    def consensus_address(self, account: Account) -> str:
        """Return the provider consensus address of an account's validator."""
        (own,) = [entry for entry in self.client.validators() if entry.operator_address == account.operator]
        return consensus_address(own)

    def create(self, chain_id: str, **arguments: Any) -> str:
        """Create a consumer; return its id."""
        made = self.run("consumer", chain_id=chain_id, allow_duplicate=True, **arguments)
        assert made.get("changed"), made
        return str(made["consumer_id"])

    def launched(self, chain_id: str, key_file: Path) -> str:
        """Create a consumer, opt alice in and wait for its launch; return its id."""
        consumer_id = self.create(chain_id)
        opted = self.run("opt_in", consumer_id=consumer_id, key_file=str(key_file))
        assert opted.get("changed"), opted
        self.launch(consumer_id)
        return consumer_id

    def launch(self, consumer_id: str) -> None:
        """Launch a consumer that somebody is opted in to."""
        assert self.run("consumer", consumer_id=consumer_id, spawn_time=LONG_AGO).get("changed")
        self.wait_for("the launch", lambda: self.client.consumer(consumer_id).phase is Phase.LAUNCHED)

    def wait_for_transaction(self, tx_hash: str) -> None:
        """Wait until the node's index, which comes a moment after the block, has a transaction."""
        self.wait_for(f"transaction {tx_hash}", lambda: self.client.transaction(tx_hash) is not None)

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until something is seen on the chain."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, f"waited too long for {what}"
            time.sleep(0.1)


@contextmanager
def provider(home: Path) -> Iterator[Provider]:
    """Run a provider with short votes and epochs, and a least commission."""
    node = Node(CHAIN.ensure() / "interchain-security-pd", home)
    genesis_file = home / "config" / "genesis.json"
    genesis = json.loads(genesis_file.read_text())
    state = genesis["app_state"]
    state["gov"]["params"].update(voting_period=GOV_VOTING, expedited_voting_period="2s", max_deposit_period="10s")
    state["provider"]["params"]["blocks_per_epoch"] = str(EPOCH)
    state["staking"]["params"].update(min_commission_rate=MIN_COMMISSION, unbonding_time=f"{UNBONDING}s")
    genesis_file.write_text(json.dumps(genesis))
    node.start()
    try:
        running = Provider(node)
        running.wait_for("the first blocks", lambda: _height(running.client) > 1)
        yield running
    finally:
        node.kill()


def _height(client: ProviderClient) -> int:
    try:
        return client.status().latest_height
    except InterchainError:
        return 0
