# SPDX-License-Identifier: GPL-3.0-or-later
"""What relaying needs of a chain, on a real one: what is read of IBC, the messages that begin a handshake, and the accounts that pay.

The chain is a provider, which has the client of a launched consumer, and whose accounts are those of any chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from cosmos.bank.v1beta1 import tx_pb2 as bank_tx_pb2

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key, ibc, transaction
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.fees import GasPrice
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Signer
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_account import (
    Account,
    consumer_wallets,
    payer,
    take_share,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed, TransactionFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Connection, End
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import ICS_OPERATOR_MNEMONIC, Funding
from tests.integration.provider_operations import Provider, provider

pytestmark = pytest.mark.timeout(180)

OTHER_CLIENT = "07-tendermint-0"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("ibc") / "provider") as running:
        yield running


@pytest.fixture(scope="module")
def client_id(chain: Provider, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The provider's client of a launched consumer."""
    consumer_id = chain.launched("ibc-1", tmp_path_factory.mktemp("key") / "key")
    return chain.client.consumer(consumer_id).client_id


def test_a_client_tells_when_it_expires(chain: Provider, client_id: str) -> None:
    found = ibc.light_client(chain.client, client_id)
    assert (found.client_id, found.status) == (client_id, "Active")
    assert found.trusting_period.total_seconds() == 798_336  # 66 % of the consumer's unbonding period, two weeks
    assert found.expires is not None
    assert found.expires - found.trusting_period < datetime.now(UTC) < found.expires


def test_an_account_that_is_not_known_holds_nothing(chain: Provider) -> None:
    assert ibc.balance(chain.client, chain.alice.address, "stake") > 0
    assert ibc.balance(chain.client, chain.alice.address, "unknown") == 0
    unknown = "cosmos1qurswpc8qurswpc8qurswpc8qurswpc8nn86qp"
    assert ibc.balance(chain.client, unknown, "stake") == 0


def test_a_connection_is_begun_once_and_read_back(chain: Provider, client_id: str) -> None:
    assert ibc.connections(chain.client, client_id) == []
    wanted = ibc.begin_connection(client_id, OTHER_CLIENT, chain.alice.address)

    def decide() -> transaction.Wanted | None:
        return None if ibc.connections(chain.client, client_id) else wanted

    assert transaction.send_until(chain.client, chain.alice.signer, decide) is not None
    assert transaction.send_until(chain.client, chain.alice.signer, decide) is None
    (found,) = ibc.connections(chain.client, client_id)
    assert found == Connection("connection-0", client_id, End.INIT, OTHER_CLIENT, "")
    assert ibc.channels(chain.client, "connection-0") == []


def test_a_channel_is_begun_for_the_port_of_a_consumer(chain: Provider, client_id: str) -> None:
    # The message is understood, and a provider has no such port.
    wanted = ibc.begin_channel("connection-99", chain.alice.address)
    with pytest.raises(TransactionFailed, match="portID: consumer"):
        transaction.send(chain.client, chain.alice.signer, wanted.message, wanted.type_name)
    with pytest.raises(QueryFailed, match="keeps no nextSequenceSend"):
        ibc.next_sequence(chain.client, ibc.SEQUENCE_SEND, "provider", "channel-99")


FUNDED, LEAST, MEMBERS = 100_000_000, 100_000, 3
PRICE = GasPrice(Decimal("0.01"), "stake")


def relayer_account() -> Account:
    """Return the account of a new validator's relayer, beside the public one."""
    own = account_key.from_mnemonic(account_key.new_mnemonic())
    public = account_key.from_mnemonic(ICS_OPERATOR_MNEMONIC)
    return Account(own, own, public, "stake", Funding(FUNDED, "stake"), LEAST)


def send(chain: Provider, to: str, amount: int) -> None:
    message = bank_tx_pb2.MsgSend(from_address=chain.alice.address, to_address=to)
    message.amount.add(denom="stake", amount=str(amount))
    chain.send_message(message, "cosmos.bank.v1beta1.MsgSend")


def test_all_members_take_their_share_of_the_public_account_at_once(chain: Provider) -> None:
    accounts = [relayer_account() for _member in range(MEMBERS)]
    public = accounts[0].public
    assert public is not None
    send(chain, public.account_address, FUNDED)
    assert payer(chain.client, accounts[0]) == public

    def take(account: Account) -> int:
        return take_share(ProviderClient([chain.node.url]), Signer(public, PRICE), account, MEMBERS)

    with ThreadPoolExecutor(MEMBERS) as pool:
        shares = list(pool.map(take, accounts))
    # The last one finds a little less than two parts, because of the fees.
    part = FUNDED // (MEMBERS + 1)
    assert sorted(shares, reverse=True)[: MEMBERS - 1] == [part] * (MEMBERS - 1)
    assert part - 10_000 < min(shares) < part
    assert [take(account) for account in accounts] == [0] * MEMBERS
    for account, share in zip(accounts, shares, strict=True):
        own, _public = consumer_wallets(chain.client, account)
        assert own.amount == share
        assert payer(chain.client, account) == account.consumer
    left = ibc.balance(chain.client, public.account_address, "stake")
    assert chain.client.account(public.account_address)[1] == MEMBERS  # one transaction for each
    assert part - 20_000 < left < part

    late = relayer_account()
    assert take(late) == left // 2


def test_a_drained_public_account_gives_nothing_and_is_not_signed_with(chain: Provider) -> None:
    account = relayer_account()
    public = account_key.from_mnemonic(account_key.new_mnemonic())
    drained = Account(account.provider, account.consumer, public, "stake", account.funding, LEAST)
    assert payer(chain.client, drained) == account.consumer
    send(chain, public.account_address, 2 * LEAST - 1)
    assert take_share(chain.client, Signer(public, PRICE), drained, MEMBERS) == 0
    assert chain.client.account(public.account_address)[1] == 0  # it has signed nothing
