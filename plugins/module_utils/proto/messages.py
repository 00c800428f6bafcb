# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Message classes of Interchain Security v7 and of the Cosmos SDK parts that this project talks to.

cosmpy brings the generated code of the Cosmos SDK, IBC and CometBFT; ours is added to the same descriptor pool.
"""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.proto.descriptors import FILES

try:
    # Puts the modules below on sys.path.
    import cosmpy.protos  # noqa: F401  pylint: disable=unused-import
    from cosmos.auth.v1beta1 import auth_pb2
    from cosmos.auth.v1beta1 import query_pb2 as auth_query_pb2
    from cosmos.bank.v1beta1 import query_pb2 as bank_query_pb2
    from cosmos.bank.v1beta1 import tx_pb2 as bank_tx_pb2
    from cosmos.base.node.v1beta1 import query_pb2 as node_query_pb2
    from cosmos.crypto.keyring.v1 import record_pb2 as keyring_pb2
    from cosmos.crypto.secp256k1 import keys_pb2 as secp256k1_pb2
    from cosmos.slashing.v1beta1 import query_pb2 as slashing_query_pb2
    from cosmos.staking.v1beta1 import query_pb2 as staking_query_pb2
    from cosmos.staking.v1beta1 import tx_pb2 as staking_tx_pb2
    from cosmos.tx.signing.v1beta1 import signing_pb2
    from cosmos.tx.v1beta1 import tx_pb2
    from google.protobuf import descriptor_pool, message_factory
    from ibc.core.channel.v1 import query_pb2 as channel_query_pb2
    from ibc.core.channel.v1 import tx_pb2 as channel_tx_pb2
    from ibc.core.client.v1 import query_pb2 as client_query_pb2
    from ibc.core.connection.v1 import query_pb2 as connection_query_pb2
    from ibc.core.connection.v1 import tx_pb2 as connection_tx_pb2

    # Our own files need these two in the descriptor pool.
    from ibc.lightclients.tendermint.v1 import tendermint_pb2
    from tendermint.abci import types_pb2 as abci_pb2  # noqa: F401  pylint: disable=unused-import

    HAS_PROTOBUF = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_PROTOBUF = False

PROVIDER = "interchain_security.ccv.provider.v1"


def _load() -> None:
    pool = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    for encoded in FILES:
        pool.AddSerializedFile(base64.b64decode(encoded))


def provider_message(name: str) -> Any:
    """Return the class of a message of the provider module, e.g. ``MsgOptIn``."""
    pool = descriptor_pool.Default()  # type: ignore[no-untyped-call]
    descriptor = pool.FindMessageTypeByName(f"{PROVIDER}.{name}")
    return message_factory.GetMessageClass(descriptor)


if HAS_PROTOBUF:
    _load()

__all__ = [
    "HAS_PROTOBUF",
    "PROVIDER",
    "auth_pb2",
    "auth_query_pb2",
    "bank_query_pb2",
    "bank_tx_pb2",
    "channel_query_pb2",
    "channel_tx_pb2",
    "client_query_pb2",
    "connection_query_pb2",
    "connection_tx_pb2",
    "keyring_pb2",
    "node_query_pb2",
    "provider_message",
    "secp256k1_pb2",
    "signing_pb2",
    "slashing_query_pb2",
    "staking_query_pb2",
    "staking_tx_pb2",
    "tendermint_pb2",
    "tx_pb2",
]
