# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a chain holds of IBC: clients, connections, channels and packet sequences, and the messages that begin a handshake."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.chain.transaction import Wanted
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import (
    CONSUMER_PORT,
    PROVIDER_PORT,
    VERSION,
    Channel,
    Connection,
    End,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import LightClient
from ansible_collections.interchain.security.plugins.module_utils.proto import messages

ORDERED = 2
STORE = "ibc"  # its name is the prefix of all proofs
SEQUENCE_SEND, SEQUENCE_RECEIVE = "nextSequenceSend", "nextSequenceRecv"  # ICS-24


def connections(chain: NodeRpc, client_id: str) -> list[Connection]:
    """Return the connections of a client; none for a client that has none."""
    query = messages.connection_query_pb2
    try:
        answer = chain.query(
            "/ibc.core.connection.v1.Query/ClientConnections",
            query.QueryClientConnectionsRequest(client_id=client_id),
            query.QueryClientConnectionsResponse,
        )
    except QueryFailed as error:
        if "not found" in str(error).lower():
            return []
        raise
    return [connection(chain, connection_id) for connection_id in answer.connection_paths]


def connection(chain: NodeRpc, connection_id: str) -> Connection:
    """Return a connection; QueryFailed when there is none of that id."""
    query = messages.connection_query_pb2
    found = chain.query(
        "/ibc.core.connection.v1.Query/Connection",
        query.QueryConnectionRequest(connection_id=connection_id),
        query.QueryConnectionResponse,
    ).connection
    return Connection(
        connection_id=connection_id,
        client_id=found.client_id,
        state=End.from_chain(found.state),
        counterparty_client=found.counterparty.client_id,
        counterparty_id=found.counterparty.connection_id,
        delay_period=found.delay_period,
    )


def channels(chain: NodeRpc, connection_id: str) -> list[Channel]:
    """Return the channels on a connection."""
    query = messages.channel_query_pb2
    found: list[Channel] = []
    page: dict[str, Any] = {"limit": 100}
    while True:
        answer = chain.query(
            "/ibc.core.channel.v1.Query/ConnectionChannels",
            query.QueryConnectionChannelsRequest(connection=connection_id, pagination=page),
            query.QueryConnectionChannelsResponse,
        )
        found += [
            Channel(
                channel_id=entry.channel_id,
                port=entry.port_id,
                state=End.from_chain(entry.state),
                ordered=entry.ordering == ORDERED,
                version=entry.version,
                counterparty_port=entry.counterparty.port_id,
                counterparty_id=entry.counterparty.channel_id,
                connection_id=connection_id,
            )
            for entry in answer.channels
        ]
        if not answer.pagination.next_key:
            return found
        page = {"limit": 100, "key": answer.pagination.next_key}


def next_sequence(chain: NodeRpc, kind: str, port: str, channel_id: str) -> int:
    """Return the number of the next packet, to be sent (:data:`SEQUENCE_SEND`) or received in order (:data:`SEQUENCE_RECEIVE`)."""
    value = chain.stored(STORE, f"{kind}/ports/{port}/channels/{channel_id}".encode())
    if len(value) != 8:
        raise QueryFailed(f"{chain.url} keeps no {kind} of channel {channel_id} on port {port}")
    return int.from_bytes(value, "big")


def light_client(chain: NodeRpc, client_id: str) -> LightClient:
    """Return whether a client is active, and when it expires unless somebody updates it."""
    query = messages.client_query_pb2
    status = chain.query(
        "/ibc.core.client.v1.Query/ClientStatus",
        query.QueryClientStatusRequest(client_id=client_id),
        query.QueryClientStatusResponse,
    ).status
    state, consensus = messages.tendermint_pb2.ClientState(), messages.tendermint_pb2.ConsensusState()
    found = chain.query(
        "/ibc.core.client.v1.Query/ClientState",
        query.QueryClientStateRequest(client_id=client_id),
        query.QueryClientStateResponse,
    ).client_state
    newest = chain.query(
        "/ibc.core.client.v1.Query/ConsensusState",
        query.QueryConsensusStateRequest(client_id=client_id, latest_height=True),
        query.QueryConsensusStateResponse,
    ).consensus_state
    if not found.Unpack(state) or not newest.Unpack(consensus):
        return LightClient(client_id, str(status))
    period = timedelta(seconds=state.trusting_period.seconds + state.trusting_period.nanos / 1e9)
    return LightClient(client_id, str(status), consensus.timestamp.ToDatetime(tzinfo=UTC) + period, period)


def balance(chain: NodeRpc, address: str, denom: str) -> int:
    """Return what an account holds of a denom; 0 for an account that the chain does not know."""
    query = messages.bank_query_pb2
    answer = chain.query(
        "/cosmos.bank.v1beta1.Query/Balance",
        query.QueryBalanceRequest(address=address, denom=denom),
        query.QueryBalanceResponse,
    )
    return int(answer.balance.amount or 0)


def begin_connection(consumer_client: str, provider_client: str, signer: str) -> Wanted:
    """Return the first step of a connection, taken on the consumer."""
    message = messages.connection_tx_pb2.MsgConnectionOpenInit(client_id=consumer_client, signer=signer)
    message.counterparty.client_id = provider_client
    message.counterparty.prefix.key_prefix = STORE.encode()
    message.version.identifier = "1"
    message.version.features.extend(["ORDER_ORDERED", "ORDER_UNORDERED"])
    return Wanted(message, "ibc.core.connection.v1.MsgConnectionOpenInit")


def begin_channel(consumer_connection: str, signer: str) -> Wanted:
    """Return the first step of the CCV channel, taken on the consumer."""
    message = messages.channel_tx_pb2.MsgChannelOpenInit(port_id=CONSUMER_PORT, signer=signer)
    message.channel.state = End.INIT.value
    message.channel.ordering = ORDERED
    message.channel.counterparty.port_id = PROVIDER_PORT
    message.channel.connection_hops.append(consumer_connection)
    message.channel.version = VERSION
    return Wanted(message, "ibc.core.channel.v1.MsgChannelOpenInit")
