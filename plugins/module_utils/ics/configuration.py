# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user can set, in one list: the keys of config.yaml, their environment variables, and the variables that the playbooks read.

Precedence: a variable of the inventory or of the command line, then the environment, then config.yaml, then the roles' own defaults.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import address, catalogue, names
from ansible_collections.interchain.security.plugins.module_utils.ics.policy import Policy

ENVIRONMENT_PREFIX = "INTERCHAIN_"
LONGEST_WAIT = 86400  # seconds
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"[1-9][0-9]*(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?")
_GAS_PRICES = re.compile(r"auto|[0-9]+(\.[0-9]+)?[a-zA-Z][a-zA-Z0-9/:._-]{1,127}")
_HD_PATH = re.compile(r"m(/[0-9]{1,10}'?)+")
_URL = re.compile(r"(https?|tcp)://[^\s/]+(/\S*)?")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return value


def _matching(form: re.Pattern[str], what: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not form.fullmatch(_text(value)):
            raise ValueError(f"is not {what}")
        return str(value)

    return parse


def _choice(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return str(value)

    return parse


def _number(lowest: int, highest: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value) else value
        if isinstance(number, bool) or not isinstance(number, int) or not lowest <= number <= highest:
            raise ValueError(f"is not a whole number from {lowest} to {highest}")
        return number

    return parse


def _price(value: Any) -> float:
    try:
        price = float(value) if not isinstance(value, bool) and isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        price = -1.0
    if not math.isfinite(price) or price < 0:
        raise ValueError("is not a price such as 0.01")
    return price


def _truth(value: Any) -> bool:
    found = value if isinstance(value, bool) else _TRUTHS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not true or false")
    return found


def _urls(value: Any) -> list[str]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise ValueError("is neither an address nor a list of them")
    for entry in entries:
        if not isinstance(entry, str) or not _URL.fullmatch(entry.strip()):
            raise ValueError("is not an RPC address such as http://127.0.0.1:26657")
    return [entry.strip() for entry in entries]


def _json(value: Any) -> Any:
    """Return what JSON text stands for, as in an environment variable; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("is not JSON") from None


def _dictionary(value: Any) -> dict[str, Any]:
    found = _json(value)
    if not isinstance(found, dict):
        raise ValueError("is not a dictionary")
    return found


def _list(value: Any) -> list[Any]:
    found = _json(value)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError("is not a list of dictionaries")
    return found


def _validator(value: Any) -> str:
    return names.checked_validator_name(_text(value))


def _operator(value: Any) -> str:
    address.account_of(_text(value))
    return str(value)


def _policy(value: Any) -> dict[str, Any]:
    found = _dictionary(value)
    Policy.parse(found)
    return found


def _catalogue(value: Any) -> list[Any]:
    found = _list(value)
    catalogue.find(found, consumer_id="0", owner="", binary_hash="", default=catalogue.Entry())
    return found


@dataclass(frozen=True)
class Key:
    """One thing that can be set.

    ``variable`` is what the playbooks and roles read; with a dot in it, an entry of a dictionary. ``parse`` raises ValueError or
    InvalidInput. ``also`` are environment variables besides INTERCHAIN_<NAME>.
    """

    name: str
    variable: str
    kind: str
    parse: Callable[[Any], Any]
    description: str
    also: tuple[str, ...] = ()

    @property
    def environment(self) -> tuple[str, ...]:
        """The environment variables, the first that is set counts."""
        return (ENVIRONMENT_PREFIX + self.name.upper(), *self.also)


_namespace = _matching(_NAMESPACE, "a name of a namespace (a DNS label)")
_quantity = _matching(_QUANTITY, "a size such as 10Gi")
_seconds = _number(1, LONGEST_WAIT)

KEYS: tuple[Key, ...] = (
    Key(
        "validator",
        "interchain_validator",
        "text",
        _validator,
        "Name of the validator, a DNS label of at most 20 characters",
        ("VALIDATOR_NAME",),
    ),
    Key("operator_address", "interchain_operator_address", "text", _operator, "Operator address of the validator"),
    Key(
        "provider_rpc_url",
        "interchain_provider_rpc_url",
        "list",
        _urls,
        "RPC addresses of provider nodes",
        ("PROVIDER_RPC_URL",),
    ),
    Key(
        "provider_chain_id",
        "interchain_provider_chain_id",
        "text",
        _text,
        "The chain_id that these nodes must have",
        ("PROVIDER_CHAIN_ID", "CHAIN_ID"),
    ),
    Key(
        "mnemonic_file",
        "interchain_mnemonic_file",
        "text",
        _text,
        "File with the mnemonic of the account that signs by hand",
    ),
    Key(
        "hd_path",
        "interchain_hd_path",
        "text",
        _matching(_HD_PATH, "a path such as m/44'/118'/0'/0/0"),
        "How that account's key, and the monitor's, comes out of its mnemonic",
    ),
    Key(
        "key_name",
        "interchain_signer.key_name",
        "text",
        _text,
        "Key of that account in a keyring instead",
        ("VALIDATOR_KEY_NAME",),
    ),
    Key(
        "keyring_backend",
        "interchain_signer.keyring_backend",
        "text",
        _choice("file", "test", "os", "kubernetes"),
        "Kind of that keyring",
    ),
    Key("keyring_dir", "interchain_signer.keyring_dir", "text", _text, "Its directory"),
    Key(
        "keyring_passphrase_file",
        "interchain_signer.keyring_passphrase_file",
        "text",
        _text,
        "File with its passphrase",
    ),
    Key(
        "account_namespace",
        "interchain_signer.account_namespace",
        "text",
        _namespace,
        "Namespace of the Secret, with the keyring kubernetes",
    ),
    Key(
        "gas_prices",
        "interchain_gas_prices",
        "text",
        _matching(_GAS_PRICES, "a price such as 0.01stake, or auto"),
        "Price of gas of transactions",
    ),
    Key(
        "monitor_namespace",
        "interchain_monitor_namespace",
        "text",
        _namespace,
        "Namespace of the monitor",
        ("K8S_NAMESPACE",),
    ),
    Key(
        "fence_namespace",
        "interchain_fence_namespace",
        "text",
        _namespace,
        "Namespace of the fences, shared by all monitors of the validator",
    ),
    Key("monitor_image", "monitor_image", "text", _text, "Image of the monitor"),
    Key("image", "interchain_image", "text", _text, "Image of the consumers' nodes"),
    Key("catalogue", "interchain_catalogue", "list", _catalogue, "Which image, binary and settings a consumer takes"),
    Key("relayer", "monitor_relayer", "truth", _truth, "Whether the validator relays"),
    Key(
        "relayer_grpc_url",
        "interchain_relayer_grpc_url",
        "text",
        _matching(_URL, "an address such as http://127.0.0.1:9090"),
        "gRPC address of a provider node, for the relayers",
        ("PROVIDER_GRPC_URL",),
    ),
    Key("hermes_image", "interchain_hermes_image", "text", _text, "Image of the relayers"),
    Key(
        "consumer_gas_price",
        "interchain_consumer_gas_price",
        "number",
        _price,
        "What a unit of gas costs on consumers, in their own denom",
    ),
    Key(
        "relayer_least_balance",
        "interchain_relayer_least_balance",
        "number",
        _number(0, 2**53),
        "Below what balance the status says that a relayer cannot pay for long",
    ),
    Key(
        "load_balancer_type",
        "interchain_load_balancer_type",
        "text",
        _choice("metallb", "aws", "gcp", "azure", "other"),
        "Which implementation gives the load balancer's address",
    ),
    Key(
        "load_balancer_address",
        "interchain_load_balancer_address",
        "text",
        _text,
        "Address of the load balancer of all nodes",
    ),
    Key(
        "load_balancer_annotations",
        "interchain_load_balancer_annotations",
        "dictionary",
        _dictionary,
        "Annotations of its Service",
    ),
    Key(
        "provider_p2p_port",
        "interchain_provider_p2p_port",
        "number",
        _number(1, 65535),
        "Port of the provider chain's node at the load balancer",
    ),
    Key("storage_class", "interchain_storage_class", "text", _text, "Storage class of the volumes"),
    Key("storage_size", "interchain_storage_size", "text", _quantity, "Size of a consumer node's volume"),
    Key(
        "storage_access_mode",
        "interchain_storage_access_mode",
        "text",
        _choice("ReadWriteOnce", "ReadWriteOncePod"),
        "Access mode of that volume, ReadWriteOnce or ReadWriteOncePod",
    ),
    Key(
        "node_selector",
        "interchain_node_selector",
        "dictionary",
        _dictionary,
        "Labels of the machines that consumers' nodes run on",
    ),
    Key("tolerations", "interchain_tolerations", "list", _list, "Tolerations of the consumers' nodes"),
    Key("affinity", "interchain_affinity", "dictionary", _dictionary, "Affinity of the consumers' nodes"),
    Key("policy", "interchain_policy", "dictionary", _policy, "Which consumers the validator takes part in"),
    Key(
        "require_digest",
        "interchain_require_digest",
        "truth",
        _truth,
        "Whether every image must be named by its digest",
    ),
    Key(
        "auto_update_consumers",
        "interchain_auto_update_consumers",
        "truth",
        _truth,
        "Whether a running node may be restarted for a new peer",
        ("AUTO_UPDATE_CONSUMERS",),
    ),
    Key(
        "hybrid_peer_updates",
        "interchain_hybrid_peer_updates",
        "truth",
        _truth,
        "Whether a running node is told its new peers before it is restarted for them",
        ("HYBRID_PEER_UPDATES",),
    ),
    Key(
        "repair",
        "interchain_repair",
        "text",
        _choice("safe", "report"),
        "Whether nodes that are not well are repaired, or only told of",
    ),
    Key(
        "repair_after",
        "interchain_repair_after",
        "seconds",
        _seconds,
        "How long something must be wrong before it is repaired",
    ),
    Key("repair_pause", "interchain_repair_pause", "seconds", _seconds, "How long a repaired node is left alone"),
    Key("sync_interval", "monitor_sync_interval", "seconds", _seconds, "Time between two looks at all consumers"),
    Key(
        "check_interval",
        "monitor_check_interval",
        "seconds",
        _number(0, LONGEST_WAIT),
        "Time between two looks at the nodes, 0 for none",
    ),
    Key(
        "spawn_notice",
        "monitor_spawn_notice",
        "seconds",
        _number(0, LONGEST_WAIT),
        "Time before a spawn time at which it is announced",
    ),
    Key(
        "confirm_endpoints",
        "monitor_confirm_endpoints",
        "number",
        _number(1, 100),
        "Endpoints that have to agree before anything is done",
    ),
    Key("max_outstanding", "monitor_max_outstanding", "number", _number(1, 1000), "Playbooks at once"),
    Key(
        "action_timeout",
        "monitor_action_timeout",
        "seconds",
        _seconds,
        "After what time a silent playbook is started again",
    ),
    Key(
        "finish_timeout",
        "monitor_finish_timeout",
        "seconds",
        _seconds,
        "What time playbooks have to finish when the monitor stops",
    ),
    Key("metrics_port", "monitor_metrics_port", "number", _number(1024, 65535), "Port of health and metrics"),
)
BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}
_VARIABLES = frozenset(name for key in KEYS for name in key.environment)
# Of the same prefix, but of the test bed and of the supervisor.
OTHER_VARIABLES = frozenset(
    f"{ENVIRONMENT_PREFIX}{name}" for name in ("ADDRESSES", "CACHE", "TESTBED", "MONITOR_RESTARTS", "MONITOR_LAST_END")
)


@dataclass(frozen=True)
class Setting:
    """A key that is set: its parsed value, and where that comes from."""

    key: Key
    value: Any
    source: str


def read(file: Mapping[str, Any], environment: Mapping[str, str], file_name: str = "config.yaml") -> list[Setting]:
    """Return what a file and the environment set, in the order of KEYS.

    An empty environment variable counts as not set. InvalidInput names everything that is wrong, one line each.
    """
    problems = [_unknown(str(name), file_name) for name in file if name not in BY_NAME]
    problems += [_unknown_variable(name) for name in sorted(environment) if _is_unknown_variable(name)]
    found = []
    for key in KEYS:
        candidates = [(name, environment[name]) for name in key.environment if environment.get(name)]
        if key.name in file:
            candidates.append((file_name, file[key.name]))
        # What counts less is checked too: it would show up in the moment in which what counts goes away.
        settings = [_setting(key, value, source, problems) for source, value in candidates]
        if settings and settings[0] is not None:
            found.append(settings[0])
    _raise(problems)
    return found


def checked_variables(variables: Mapping[str, Any]) -> list[Setting]:
    """Return the settings that the variables of a play hold; InvalidInput as read() does. Values of dictionaries may be missing."""
    problems: list[str] = []
    found = []
    for key in KEYS:
        name, _dot, entry = key.variable.partition(".")
        holder = variables.get(name)
        value = holder.get(entry) if entry and isinstance(holder, Mapping) else None if entry else holder
        if value not in (None, ""):
            setting = _setting(key, value, key.variable, problems)
            if setting is not None:
                found.append(setting)
    _raise(problems)
    return found


def as_variables(settings: Iterable[Setting]) -> dict[str, Any]:
    """Return settings as the variables that playbooks and roles read."""
    variables: dict[str, Any] = {}
    for setting in settings:
        name, _dot, entry = setting.key.variable.partition(".")
        if entry:
            variables.setdefault(name, {})[entry] = setting.value
        else:
            variables[name] = setting.value
    return variables


def shown(value: Any) -> str:
    """Return a value as it may be shown: without the passwords of URLs."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"//[^/@\s\"]*@", "//(hidden)@", text)


def _setting(key: Key, value: Any, source: str, problems: list[str]) -> Setting | None:
    try:
        return Setting(key, key.parse(value), source)
    except (ValueError, InvalidInput) as error:
        reason = str(error) if isinstance(error, InvalidInput) else f"{shown(value)[:60]!r} {error}"
        problems.append(f"{key.name} ({source}): {reason}")
        return None


def _unknown(name: str, file_name: str) -> str:
    similar = difflib.get_close_matches(name, BY_NAME, n=1)
    return f"{name[:60]} ({file_name}): there is no such key{f'; {similar[0]} is meant?' if similar else ''}"


def _is_unknown_variable(name: str) -> bool:
    return name.startswith(ENVIRONMENT_PREFIX) and name not in _VARIABLES and name not in OTHER_VARIABLES


def _unknown_variable(name: str) -> str:
    similar = difflib.get_close_matches(name, _VARIABLES, n=1)
    return f"{name[:60]} (environment): there is no such variable{f'; {similar[0]} is meant?' if similar else ''}"


def _raise(problems: list[str]) -> None:
    if problems:
        raise InvalidInput("\n".join(problems))
