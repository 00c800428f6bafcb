# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of IBC, and the messages that begin a handshake, on a real chain: the provider, which has the client of a launched consumer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import ibc, transaction
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed, TransactionFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Connection, End
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
