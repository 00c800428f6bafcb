# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which image, binary and settings a consumer chain's node takes: the operator's catalogue.

The catalogue is the operator's own configuration. A consumer is matched by what nobody else can choose for it: its consumer_id, the
hash of its binary as its owner put it on chain, or its owner. Its chain_id and its names are strangers' text and match nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import (
    parse_public_key,
    public_key_base64,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import DENOM, PROFILES

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
BINARY = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._/-]{0,127}")
PREFIX = re.compile(r"[a-z]{1,20}")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
HASH = re.compile(r"([0-9a-f]{2}){1,64}")
OWNER = re.compile(r"[a-z]{1,20}1[02-9ac-hj-np-z]{38,58}")
CONSUMER_ID = re.compile(r"0|[1-9][0-9]{0,19}")
MATCHES = ("consumer_id", "binary_hash", "owner")  # the closest first
PEER_FIELDS = ("ipBlock", "namespaceSelector", "podSelector")
SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


@dataclass(frozen=True)
class BaseGenesis:
    """Where the base genesis comes from; all fields empty: from ``init`` of the binary.

    ``file`` is a path on the machine of the playbook, ``config_map`` (namespace, name, key).
    """

    url: str = ""
    file: str = ""
    config_map: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class RemoteSigner:
    """A signer outside of the node, such as tmkms or horcrux, that connects to it. Without a ``public_key`` (base64) there is none.

    ``sources`` are the peers of a network policy that it connects from; ``service_type`` is that of the Service it connects to.
    """

    public_key: str = ""
    sources: tuple[Mapping[str, Any], ...] = ()
    service_type: str = "ClusterIP"


@dataclass(frozen=True)
class Entry:
    """What one kind of consumer takes. The defaults are the demo chain's.

    ``resources``, ``config`` and ``app_config`` are dictionaries as in a pod, in config.toml and in app.toml; ``relayer_amount`` is in
    ``denom`` and counts where the consumer's metadata states none.
    """

    image: str = "ghcr.io/cosmos/interchain-security:v7.0.1"
    binary: str = "interchain-security-cd"
    base_genesis: BaseGenesis = BaseGenesis()
    genesis_profile: str = "relayers"
    address_prefix: str = "consumer"
    denom: str = "stake"
    relayer_amount: str = "100000000"
    resources: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    app_config: Mapping[str, Any] = field(default_factory=dict)
    remote_signer: RemoteSigner = RemoteSigner()


def find(
    catalogue: Sequence[Mapping[str, Any]], *, consumer_id: str, owner: str, binary_hash: str, default: Entry = Entry()
) -> Entry:
    """Return the entry of a consumer; InvalidInput, by the option's name, for anything in the catalogue that cannot be used.

    ``catalogue`` is a list of dictionaries. Each has at most one of consumer_id, binary_hash (hex) and owner, and what differs from the
    default entry; one that has none of them changes the default entry. The closest match wins: consumer_id, binary_hash, owner.
    A remote signer's key is for one consumer: only an entry with a consumer_id has one.
    """
    facts = {"consumer_id": consumer_id, "binary_hash": binary_hash.lower(), "owner": owner}
    best: tuple[int, Mapping[str, Any], str] | None = None
    seen: set[tuple[str, str]] = set()
    signers: dict[str, str] = {}  # by public key, where in the catalogue
    for number, item in enumerate(catalogue):
        where = f"catalogue[{number}]"
        kind, value = _match(where, item)
        if (kind, value) in seen:
            raise InvalidInput(
                f"{where}: a second entry for {f'{kind} {value}' if kind else 'all consumers'}; leave one"
            )
        seen.add((kind, value))
        fields = {name: content for name, content in item.items() if name not in MATCHES}
        entry = _with(default, where, fields)  # checks every entry, whichever consumer is asked for
        if "remote_signer" in fields:
            if kind != "consumer_id":
                raise InvalidInput(f"{where}.remote_signer is for one consumer: give the entry its consumer_id")
            first = signers.setdefault(entry.remote_signer.public_key, where)
            if first != where:
                raise InvalidInput(
                    f"{where}.remote_signer.public_key is that of {first} too: each consumer needs a key of its own"
                )
        if not kind:
            default = entry
        elif facts[kind] == value:
            rank = MATCHES.index(kind)
            if best is None or rank < best[0]:
                best = rank, fields, where
    # The entry that matches goes over the default entry, wherever in the list that stands.
    return default if best is None else _with(default, best[2], best[1])


def _match(where: str, item: Any) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        raise InvalidInput(f"{where} must be a dictionary")
    kinds = [kind for kind in MATCHES if kind in item]
    if len(kinds) > 1:
        raise InvalidInput(f"{where}: give one of {', '.join(MATCHES)}, not {' and '.join(kinds)}")
    if not kinds:
        return "", ""
    form = {"consumer_id": CONSUMER_ID, "binary_hash": HASH, "owner": OWNER}[kinds[0]]
    value = str(item[kinds[0]])
    value = value.lower() if kinds[0] == "binary_hash" else value
    if not form.fullmatch(value):
        raise InvalidInput(f"{where}.{kinds[0]} cannot be {value[:80]!r}")
    return kinds[0], value


def _with(entry: Entry, where: str, fields: Mapping[str, Any]) -> Entry:
    """Return the entry with some fields changed; dictionaries are merged."""
    changes: dict[str, Any] = {}
    for name, value in fields.items():
        reader = _READERS.get(name)
        if reader is None:
            known = ", ".join([*MATCHES, *_READERS])
            raise InvalidInput(f"{where} has an unknown key {str(name)[:60]!r}; known are {known}")
        read = reader(f"{where}.{name}", value)
        if isinstance(read, Mapping):
            read = merged(getattr(entry, name), read)
        changes[name] = read
    return replace(entry, **changes)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both dictionaries in one; where both have a value, the second's, and dictionaries merge again."""
    result = dict(under)
    for name, value in over.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = merged(before, value) if both else value  # type: ignore[arg-type]
    return result


def _text(form: re.Pattern[str], wanted: str) -> Callable[[str, Any], str]:
    def read(where: str, value: Any) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise InvalidInput(f"{where} must be {wanted}, not {str(value)[:80]!r}")
        return value

    return read


def _amount(where: str, value: Any) -> str:
    if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,30}", str(value)):
        raise InvalidInput(f"{where} must be a whole number above 0, not {str(value)[:40]!r}")
    return str(value)


def _profile(where: str, value: Any) -> str:
    if value not in PROFILES:
        raise InvalidInput(f"{where} must be one of {', '.join(PROFILES)}, not {str(value)[:40]!r}")
    return str(value)


def _dictionary(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidInput(f"{where} must be a dictionary")
    return value


def _base_genesis(where: str, value: Any) -> BaseGenesis:
    given = _dictionary(where, value)
    unknown = [name for name in given if name not in ("init", "url", "file", "config_map")]
    if unknown or len(given) != 1:
        raise InvalidInput(f"{where} must have exactly one of init, url, file and config_map")
    ((kind, source),) = given.items()
    if kind == "init":
        if source is not True:
            raise InvalidInput(f"{where}.init can only be true")
        return BaseGenesis()
    if kind == "config_map":
        fields = _dictionary(f"{where}.config_map", source)
        if set(fields) - {"key"} != {"namespace", "name"}:
            raise InvalidInput(f"{where}.config_map needs namespace and name, and may have key (genesis.json)")
        name = _text(OBJECT_NAME, "the name of a Kubernetes object")
        return BaseGenesis(
            config_map=(
                name(f"{where}.config_map.namespace", fields["namespace"]),
                name(f"{where}.config_map.name", fields["name"]),
                _text(DATA_KEY, "a key of a ConfigMap")(f"{where}.config_map.key", fields.get("key", "genesis.json")),
            )
        )
    if not isinstance(source, str) or not source:
        raise InvalidInput(f"{where}.{kind} must be text")
    if kind == "file":
        return BaseGenesis(file=source)
    try:
        parts = urlsplit(source)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(f"{where}.url must begin with https:// or http://")
    return BaseGenesis(url=source)


def _remote_signer(where: str, value: Any) -> RemoteSigner:
    given = _dictionary(where, value)
    if set(given) - {"from", "service_type"} != {"public_key"}:
        raise InvalidInput(f"{where} needs public_key and from, and may have service_type ({SERVICE_TYPES[0]})")
    try:
        public_key = public_key_base64(parse_public_key(given["public_key"]))
    except InvalidInput as error:
        raise InvalidInput(f"{where}.public_key is {error}") from error
    service_type = given.get("service_type", SERVICE_TYPES[0])
    if service_type not in SERVICE_TYPES:
        raise InvalidInput(
            f"{where}.service_type must be one of {', '.join(SERVICE_TYPES)}, not {str(service_type)[:40]!r}"
        )
    return RemoteSigner(public_key, _sources(f"{where}.from", given.get("from")), service_type)


def _sources(where: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """Read the peers of a network policy. None of them would let everybody in, and a node asks its signer for no password."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InvalidInput(
            f"{where} must list who may connect to the node as its signer, as the peers of a network policy, such as "
            "[{ipBlock: {cidr: 192.0.2.7/32}}]: without it everybody could"
        )
    for peer in value:
        fields = _dictionary(where, peer)
        if not fields or not set(fields) <= set(PEER_FIELDS):
            raise InvalidInput(
                f"{where}: a peer of a network policy has {', '.join(PEER_FIELDS)}, not {str(peer)[:80]!r}"
            )
        for name, content in fields.items():
            _dictionary(f"{where}.{name}", content)
    return tuple(value)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "image": _text(IMAGE, "the name of an image"),
    "binary": _text(BINARY, "the name or path of the binary in the image"),
    "base_genesis": _base_genesis,
    "genesis_profile": _profile,
    "address_prefix": _text(PREFIX, "1 to 20 lower-case letters"),
    "denom": _text(DENOM, "a denom"),
    "relayer_amount": _amount,
    "resources": _dictionary,
    "config": _dictionary,
    "app_config": _dictionary,
    "remote_signer": _remote_signer,
}
