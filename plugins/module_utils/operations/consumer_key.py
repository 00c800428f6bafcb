# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A validator's key for one consumer: where it is kept, and what has to hold before it is given to the provider.

One key per consumer and validator, never the provider's own: what signs two chains can be made to look like a double sign.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import (
    FileKeyStore,
    KeyStore,
    SecretKeyStore,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    KeyStoreError,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import address, consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import (
    ConsensusKey,
    public_key_base64,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

OPTIONS: dict[str, Any] = {
    "key_namespace": {"type": "str", "no_log": False},
    "key_secret": {"type": "str", "no_log": False},
    "key_file": {"type": "path"},
    "kubeconfig": {"type": "path"},
    "consumer_public_key": {"type": "raw", "no_log": False},
}
ACTIVE = (Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED)
STORE_OPTIONS = ("key_namespace", "key_secret", "key_file")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def key_store(params: dict[str, Any], consumer_id: str) -> KeyStore:
    """Return where the options say that the key is kept."""
    if params["key_file"]:
        if params["key_secret"] or params["key_namespace"]:
            raise InvalidInput("give either key_file or key_namespace and key_secret, not both")
        return FileKeyStore(params["key_file"])
    for name in ("key_namespace", "key_secret"):
        if not _OBJECT_NAME.fullmatch(params[name] or ""):
            raise InvalidInput(
                f"{name} must name a Kubernetes object: the consumer key is stored there before it is used (or give key_file)"
            )
    return SecretKeyStore(params["key_namespace"], params["key_secret"], consumer_id, params["kubeconfig"])


def given_key(params: dict[str, Any]) -> bytes | None:
    """Return the public key that the options give, whose private half is kept elsewhere, such as in a remote signer."""
    if params["consumer_public_key"] is None:
        return None
    stores = [name for name in STORE_OPTIONS if params[name]]
    if stores:
        raise InvalidInput(f"give either consumer_public_key or {' and '.join(stores)}, not both")
    return consensus_key.parse_public_key(params["consumer_public_key"])


def kept_key(store: KeyStore, assigned: str | None) -> ConsensusKey | None:
    """Return the assigned key when it is kept, in the store or beside it after a rotation, else what the store holds."""
    found = None if assigned is None else store.find(assigned)
    return store.read() if found is None else found


def stored_key(store: KeyStore) -> bytes:
    """Return the public half of the stored key; a store without a key gets one first, durably."""
    stored = store.read()
    if stored is None:
        store.create(consensus_key.generate())
        stored = store.read()  # what is signed with later is what the store gives back
    if stored is None:
        raise KeyStoreError("the consumer key was stored but cannot be read back; nothing was sent")
    return stored.public_key


def check_phase(consumer: Consumer) -> None:
    """Refuse to assign a key on a consumer that has stopped."""
    if consumer.phase not in ACTIVE:
        raise WrongPhase(
            "cannot assign a key to a consumer chain that is not in the registered, initialized, or launched phase: "
            f"{consumer.consumer_id} is {consumer.phase.value}"
        )


def check_assignable(client: ProviderClient, consumer: Consumer, validator: Validator, public_key: bytes) -> None:
    """Refuse a key that the provider would refuse, or that would sign for more than this consumer."""
    shown = public_key_base64(public_key)
    for other in client.validators():
        if other.consensus_public_key != public_key:
            continue
        if other.operator_address != validator.operator_address:
            raise KeyStoreError(
                f"a different validator already uses the consumer key {shown} on the provider: {other.operator_address}"
            )
        raise KeyStoreError(
            "a validator cannot assign the default key assignment: this is the provider's own consensus key, "
            "and signing two chains with it risks a double sign; give a key of its own"
        )
    prefix = address.decode(consensus_address(validator))[0]
    holder = client.holder_of_key(consumer.consumer_id, public_key, prefix)
    if holder is not None:
        whose = "this validator" if holder == consensus_address(validator) else holder
        raise KeyStoreError(
            f"a validator has or had assigned this consumer key already: {shown} belongs to {whose} on consumer "
            f"{consumer.consumer_id}; give another key"
        )
    others = [entry.consumer_id for entry in client.consumers() if entry.phase in ACTIVE]
    for other_id in others:
        if other_id != consumer.consumer_id and client.holder_of_key(other_id, public_key, prefix) is not None:
            raise KeyStoreError(
                f"the key {shown} is in use on consumer {other_id}: each consumer needs a key of its own"
            )
