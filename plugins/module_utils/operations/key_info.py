# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show keys of accounts, consensus and nodes, never their secrets."""

from __future__ import annotations

from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey, raw_address
from ansible_collections.interchain.security.plugins.module_utils.cluster import key_store
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import (
    FileKeyStore,
    KeyForm,
    KeyStore,
    SecretKeyStore,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey
from ansible_collections.interchain.security.plugins.module_utils.keyring.keyring import TYPE_URL, Accounts, Record
from ansible_collections.interchain.security.plugins.module_utils.keyring.secrets import SecretAccounts, object_name
from ansible_collections.interchain.security.plugins.module_utils.operations import connection

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.KEYRING_OPTIONS,
    "name": {"type": "str"},
    "kind": {"type": "str", "choices": ["account", "consensus", "node"], "default": "account"},
    "key_file": {"type": "path"},
    "namespace": {"type": "str"},
    "kubeconfig": {"type": "path"},
    "account_prefix": connection.DERIVATION_OPTIONS["account_prefix"],
}
FORMS = {"consensus": KeyForm.CONSENSUS, "node": KeyForm.NODE}
# A Secret that holds only a mnemonic is shown by the key of the usual path.
DERIVATION_DEFAULTS = {"hd_path": None, "coin_type": connection.DERIVATION_OPTIONS["coin_type"]["default"]}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the key of a name, or all keys."""
    del check_mode
    name = params["name"]
    found: list[tuple[str, Record | ConsensusKey | None]]
    if params["kind"] == "account":
        place = accounts(params)
        found = [(record.name, record) for record in place.all()] if name is None else [(name, place.get(name))]
    elif params["key_file"] or name is not None:
        found = [(name or params["kind"], node_store(params, name or "").read())]
    else:
        form = FORMS[params["kind"]]
        label = f"app.kubernetes.io/managed-by={key_store.MANAGED_BY}"
        found = [
            (secret, consensus_key.from_key_file(entries[form.value].decode()))
            for secret, entries in key_store.secrets_with(_namespace(params), label, params["kubeconfig"])
            if form.value in entries
        ]
    return {
        "changed": False,
        "keys": [key_result(params, key, key_name) for key_name, key in found if key is not None],
    }


def accounts(params: dict[str, Any]) -> Accounts:
    """Return the place of account keys that the options name."""
    if params["key_file"]:
        raise InvalidInput("key_file is for consensus and node keys; account keys are kept in a keyring")
    if params["keyring_backend"] == "kubernetes":
        derivation = {**DERIVATION_DEFAULTS, **params}
        return SecretAccounts(
            _namespace(params),
            params["kubeconfig"],
            lambda entries, place: connection.key_of_entries(derivation, entries, place),
        )
    return connection.open_keyring(params)


def node_store(params: dict[str, Any], name: str) -> KeyStore:
    """Return the place of a consensus or node key that the options name: a key file of CometBFT or a Secret."""
    form = FORMS[params["kind"]]
    if params["key_file"]:
        if params["namespace"]:
            raise InvalidInput(f"give either key_file or namespace for a {params['kind']} key, not both")
        return FileKeyStore(params["key_file"], form)
    return SecretKeyStore(_namespace(params), object_name("name", name), None, params["kubeconfig"], form)


def record_of(name: str, key: AccountKey) -> Record:
    """Return a key as a keyring would give it."""
    public_key = key.public_key
    return Record(name, "local", f"{TYPE_URL}.PubKey", public_key, key.private_bytes, raw_address(public_key))


def key_result(params: dict[str, Any], key: Record | ConsensusKey, name: str) -> dict[str, Any]:
    """Return what may be shown of a key."""
    if isinstance(key, ConsensusKey):
        return {
            "name": name,
            "kind": params["kind"],
            "type": "local",
            "backend": "file" if params["key_file"] else "kubernetes",
            "address": key.address if params["kind"] == "consensus" else key.node_id,
            "public_key": {"@type": "/cosmos.crypto.ed25519.PubKey", "key": key.public_key_base64},
        }
    return {
        "name": name,
        "kind": "account",
        "type": key.kind,
        "backend": params["keyring_backend"],
        "address": key.account_address(params["account_prefix"]),
        "public_key": {"@type": key.public_key_type, "key": consensus_key.public_key_base64(key.public_key)},
    }


def _namespace(params: dict[str, Any]) -> str:
    if not params["namespace"]:
        if params["kind"] == "account":
            raise InvalidInput(
                "namespace is needed by the keyring backend kubernetes: that of the Secrets with the keys"
            )
        raise InvalidInput(f"give key_file or namespace: where the {params['kind']} key is kept")
    return object_name("namespace", params["namespace"])
