# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make, import, export, rename and delete the keys of accounts, consensus and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils import secret_file
from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import AccountKey
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey
from ansible_collections.interchain.security.plugins.module_utils.keyring import armor
from ansible_collections.interchain.security.plugins.module_utils.keyring.keyring import Accounts, Record
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, key_info

ARGUMENT_SPEC: dict[str, Any] = {
    **key_info.ARGUMENT_SPEC,
    **connection.DERIVATION_OPTIONS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "account": {"type": "int", "default": 0},
    "address_index": {"type": "int", "default": 0},
    "mnemonic": {"type": "str", "no_log": True},
    "mnemonic_file": {"type": "path"},
    "new_mnemonic_file": {"type": "path"},
    "private_key": {"type": "str", "no_log": True},
    "private_key_file": {"type": "path"},
    "import_file": {"type": "path"},
    "import_passphrase_file": {"type": "path", "no_log": False},
    "source_secret": {"type": "str", "no_log": False},
    "export_file": {"type": "path"},
    "export_passphrase_file": {"type": "path", "no_log": False},
    "rename_from": {"type": "str"},
    "confirm": {"type": "bool", "default": False},
}
SOURCES = (
    "mnemonic",
    "mnemonic_file",
    "new_mnemonic_file",
    "private_key",
    "private_key_file",
    "import_file",
    "source_secret",
)
ACCOUNT_ONLY = (
    "mnemonic",
    "mnemonic_file",
    "new_mnemonic_file",
    "source_secret",
    "rename_from",
    "import_passphrase_file",
)


@dataclass(frozen=True, repr=False)
class _Source:
    """Where a key comes from: a key that was given, and the mnemonic that it was derived from when there is one."""

    key: AccountKey
    mnemonic: str | None = None


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring a key into the wanted state."""
    given = [name for name in SOURCES if params[name]]
    if len(given) > 1:
        raise InvalidInput(f"give only one source of the key, not {' and '.join(given)}")
    if params["state"] == "absent":
        useless = [name for name in (*given, "export_file", "rename_from") if params[name]]
        if useless:
            raise InvalidInput(f"state absent takes no {useless[0]}")
    if params["rename_from"] and given:
        raise InvalidInput(f"give either rename_from or {given[0]}, not both")
    if params["kind"] == "account":
        if params["export_file"]:
            _export_passphrase(params)  # what is missing is told before anything changes
        return _account(params, check_mode, has_source=bool(given))
    useless = [name for name in (*ACCOUNT_ONLY, "export_passphrase_file") if params[name]]
    if useless:
        raise InvalidInput(f"{useless[0]} is for the keys of accounts, not for a {params['kind']} key")
    return _node_key(params, check_mode)


def _account(params: dict[str, Any], check_mode: bool, has_source: bool) -> dict[str, Any]:
    accounts = key_info.accounts(params)
    before = accounts.get(params["name"])
    if params["state"] == "absent":
        if before is None:
            return _result(params, None, None)
        _check_confirmed(params)
        if not check_mode:
            accounts.delete(params["name"])
        return _result(params, before, None)
    if params["rename_from"]:
        before = _renamed(params, accounts, before, check_mode)
        after = before if before is None else _named(before, params["name"])
        return _exported(params, _result(params, before, after), after, check_mode)
    source = _account_source(params, before is None, check_mode) if has_source or before is None else None
    if before is not None:
        if source is not None and source.key.public_key != before.public_key:
            raise KeyStoreError(
                f"there is another key {before.name!r}, of {before.account_address(params['account_prefix'])}: a key is never "
                "replaced; choose another name or remove that one"
            )
        return _exported(params, _result(params, before, before), before, check_mode)
    if source is None:  # in check mode: it would be made now
        return _result(params, None, None, changed=True)
    after = key_info.record_of(params["name"], source.key)
    if not check_mode:
        accounts.add(params["name"], source.key, source.mnemonic)
        stored = accounts.get(params["name"])  # what is signed with later is what the keyring gives back
        if stored is None or stored.private_key != source.key.private_bytes:
            raise KeyStoreError(f"key {params['name']!r} was stored but cannot be read back")
    return _exported(params, _result(params, None, after), after, check_mode)


def _account_source(params: dict[str, Any], is_new: bool, check_mode: bool) -> _Source | None:
    """Return the key that the options name, or a new one; None for a new one in check mode."""
    prefix = params["account_prefix"]
    if mnemonic := secret_file.one_of(params, "mnemonic"):
        return _Source(connection.derived_key(params, mnemonic), mnemonic)
    if private_key := secret_file.one_of(params, "private_key"):
        return _Source(account_key.from_hex(private_key, prefix))
    if params["import_file"]:
        if not params["import_passphrase_file"]:
            raise InvalidInput(
                "import_file needs import_passphrase_file: the passphrase that the armored key is encrypted with"
            )
        passphrase = secret_file.read("import_passphrase_file", params["import_passphrase_file"])
        secret = armor.decrypt(secret_file.read("import_file", params["import_file"]), passphrase)
        return _Source(account_key.from_private_key(secret, prefix))
    if params["source_secret"]:
        if not params["namespace"]:
            raise InvalidInput("source_secret needs its namespace")
        return _Source(connection.account_of_secret(params, params["namespace"], params["source_secret"]))
    kept = params["new_mnemonic_file"]
    if kept and Path(kept).exists():  # of a run that was cut, or of one that made this key
        mnemonic = secret_file.read("new_mnemonic_file", kept)
        return _Source(connection.derived_key(params, mnemonic), mnemonic)
    if not is_new or check_mode:
        return None
    mnemonic = account_key.new_mnemonic()
    if kept:
        try:
            secret_file.create(Path(kept), mnemonic)  # without a newline: the SDK reads it as a word
        except OSError as error:
            raise KeyStoreError(
                f"the mnemonic cannot be written to {kept}: {error.strerror}; no key was made"
            ) from None
    return _Source(connection.derived_key(params, mnemonic), mnemonic)


def _renamed(params: dict[str, Any], accounts: Accounts, present: Record | None, check_mode: bool) -> Record | None:
    """Rename a key; return what had the old name, or the new one when that was done before."""
    old = accounts.get(params["rename_from"])
    if old is None:
        if present is None:
            raise KeyStoreError(f"there is no key {params['rename_from']!r} to rename")
        return present
    if present is not None and present.public_key != old.public_key:
        raise KeyStoreError(f"there is another key {present.name!r}: {old.name!r} cannot have its name")
    if not check_mode:
        if present is None:
            accounts.rename(old.name, params["name"])
        else:  # an earlier run was cut between the two steps
            accounts.delete(old.name)
    return old


def _named(record: Record, name: str) -> Record:
    return Record(name, record.kind, record.public_key_type, record.public_key, record.private_key, record.raw_address)


def _node_key(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    store = key_info.node_store(params, params["name"])
    before = store.read()
    if params["state"] == "absent":
        if before is None:
            return _result(params, None, None)
        _check_confirmed(params)
        if not check_mode:
            store.delete()
        return _result(params, before, None)
    source = _node_key_source(params)
    if before is not None:
        if source is not None and source.public_key != before.public_key:
            raise KeyStoreError(
                f"there is another {params['kind']} key {params['name']!r}, {before.address}: a key is never replaced; choose "
                "another name or remove that one"
            )
        return _exported(params, _result(params, before, before), before, check_mode)
    if check_mode:
        return _result(params, None, source, changed=True)
    after = source or consensus_key.generate()
    store.create(after)
    return _exported(params, _result(params, None, after), after, check_mode)


def _node_key_source(params: dict[str, Any]) -> ConsensusKey | None:
    if params["import_file"]:
        return consensus_key.from_key_file(secret_file.read("import_file", params["import_file"]))
    if private_key := secret_file.one_of(params, "private_key"):
        try:
            return consensus_key.from_seed(bytes.fromhex(private_key.removeprefix("0x")))
        except ValueError:
            raise InvalidInput("private_key cannot be used: expected 64 hexadecimal digits") from None
    return None


def _check_confirmed(params: dict[str, Any]) -> None:
    if not params["confirm"]:
        raise InvalidInput(
            f"removing key {params['name']!r} is for ever: export it first where it may be needed, then give confirm: true"
        )


def _exported(
    params: dict[str, Any], result: dict[str, Any], key: Record | ConsensusKey | None, check_mode: bool
) -> dict[str, Any]:
    """Write a key to export_file; one that is there already is left alone when it holds the same key, else refused."""
    if not params["export_file"] or key is None:
        return result
    path = Path(params["export_file"])
    if isinstance(key, Record):
        if not params["export_passphrase_file"]:
            raise InvalidInput(
                "export_file needs export_passphrase_file: the passphrase to encrypt the armored key with"
            )
        passphrase = secret_file.read("export_passphrase_file", params["export_passphrase_file"])
        secret = key.key(params["account_prefix"]).private_bytes
        text = armor.encrypt(secret, passphrase)
        is_same = path.exists() and armor.decrypt(secret_file.read("export_file", str(path)), passphrase) == secret
    else:
        text = key_info.FORMS[params["kind"]].text(key)
        is_same = path.exists() and consensus_key.from_key_file(secret_file.read("export_file", str(path))) == key
    if is_same:
        return result
    if path.exists():
        raise KeyStoreError(f"export_file {path} holds another key: it is not replaced")
    if not check_mode:
        try:
            secret_file.create(path, text)
        except OSError as error:
            raise KeyStoreError(f"the key cannot be exported to {path}: {error.strerror}") from None
    return {**result, "changed": True}


def _export_passphrase(params: dict[str, Any]) -> str:
    if not params["export_passphrase_file"]:
        raise InvalidInput("export_file needs export_passphrase_file: the passphrase to encrypt the armored key with")
    passphrase = secret_file.read("export_passphrase_file", params["export_passphrase_file"])
    armor.check_passphrase(passphrase)
    return passphrase


def _result(
    params: dict[str, Any],
    before: Record | ConsensusKey | None,
    after: Record | ConsensusKey | None,
    changed: bool | None = None,
) -> dict[str, Any]:
    shown = [None if key is None else key_info.key_result(params, key, params["name"]) for key in (before, after)]
    if isinstance(before, Record) and shown[0] is not None:
        shown[0]["name"] = before.name
    return {
        "changed": shown[0] != shown[1] if changed is None else changed,
        "key": shown[1],
        "diff": {"before": shown[0] or {}, "after": shown[1] or {}},
    }
