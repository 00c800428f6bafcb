# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each key is reachable by each source, in their order, and each wrong value is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.configuration import (
    BY_NAME,
    KEYS,
    OTHER_VARIABLES,
    Key,
    as_variables,
    checked_variables,
    read,
    shown,
)

ROOT = Path(__file__).resolve().parents[3]
OPERATOR = "cosmosvaloper1qyqszqgpqyqszqgpqyqszqgpqyqszqgph84tp0"
# Two values for each key, as YAML holds them.
VALUES: dict[str, tuple[Any, Any]] = {
    "validator": ("alice", "bob"),
    "operator_address": (OPERATOR, OPERATOR),
    "provider_rpc_url": (["http://a:1"], ["https://b:2", "tcp://c:3/rpc"]),
    "mnemonic_file": ("/a", "/b"),
    "hd_path": ("m/44'/118'/0'/0/0", "m/44'/118'/1'/0/0"),
    "keyring_backend": ("file", "kubernetes"),
    "gas_prices": ("0.01stake", "auto"),
    "catalogue": ([{"image": "a:1"}], []),
    "relayer": (True, False),
    "relayer_grpc_url": ("http://a:9090", "https://b:443"),
    "consumer_gas_price": (0.01, 0.5),
    "relayer_least_balance": (0, 100000),
    "load_balancer_type": ("metallb", "aws"),
    "load_balancer_annotations": ({"a": "b"}, {}),
    "provider_p2p_port": (26656, 30000),
    "storage_size": ("10Gi", "1.5T"),
    "storage_access_mode": ("ReadWriteOnce", "ReadWriteOncePod"),
    "node_selector": ({"disk": "fast"}, {}),
    "tolerations": ([{"operator": "Exists"}], []),
    "affinity": ({"nodeAffinity": {}}, {}),
    "policy": ({"mode": "none"}, {"max_consumers": 3}),
    "require_digest": (True, False),
    "auto_update_consumers": (True, False),
    "hybrid_peer_updates": (True, False),
    "repair": ("safe", "report"),
    "confirm_endpoints": (1, 2),
    "max_outstanding": (8, 9),
    "metrics_port": (9464, 9465),
}
WRONG: dict[str, tuple[Any, str]] = {
    "validator": ("Alice", "must be a DNS label"),
    "operator_address": ("cosmos1qyqszqgpqyqszqgpqyqszqgpqyqszqgpjnp7du", "not an operator address"),
    "provider_rpc_url": ("localhost:26657", "is not an RPC address"),
    "mnemonic_file": (["a"], "is not a text"),
    "hd_path": ("44/118", "is not a path such as"),
    "keyring_backend": ("kwallet", "is none of file, test, os, kubernetes"),
    "gas_prices": ("cheap", "is not a price"),
    "catalogue": ([{"picture": "a:1"}], "picture"),
    "relayer": ("often", "is not true or false"),
    "relayer_grpc_url": ("localhost", "is not an address"),
    "consumer_gas_price": ("cheap", "is not a price"),
    "relayer_least_balance": (-1, "is not a whole number"),
    "load_balancer_type": ("haproxy", "is none of metallb, aws, gcp, azure, other"),
    "load_balancer_annotations": ([], "is not a dictionary"),
    "provider_p2p_port": (70000, "is not a whole number from 1 to 65535"),
    "storage_size": ("ten", "is not a size"),
    "storage_access_mode": ("ReadWriteMany", "is none of"),
    "node_selector": ("fast", "is not JSON"),
    "tolerations": ({}, "is not a list of dictionaries"),
    "affinity": (1, "is not a dictionary"),
    "policy": ({"mode": "some"}, "mode"),
    "require_digest": ("never", "is not true or false"),
    "auto_update_consumers": ("perhaps", "is not true or false"),
    "hybrid_peer_updates": ("sometimes", "is not true or false"),
    "repair": ("always", "is none of safe, report"),
    "confirm_endpoints": (0, "is not a whole number from 1 to 100"),
    "max_outstanding": (True, "is not a whole number from 1 to 1000"),
    "metrics_port": (80, "is not a whole number from 1024 to 65535"),
}


def values(key: Key) -> tuple[Any, Any]:
    return VALUES.get(key.name) or ((30, 60) if key.kind == "seconds" else ("one", "two"))


def wrong(key: Key) -> tuple[Any, str]:
    if key.name in WRONG:
        return WRONG[key.name]
    return ("soon", "is not a whole number") if key.kind == "seconds" else (5, "is not a text")


def as_text(value: Any) -> str:
    """Write a value as an environment variable holds it."""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value) and value:
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_source_reaches_it_and_the_environment_counts_more(key: Key) -> None:
    low, high = values(key)
    (from_file,) = read({key.name: low}, {})
    assert (from_file.value, from_file.source) == (low, "config.yaml")
    for name in key.environment:
        (from_environment,) = read({key.name: low}, {name: as_text(high)})
        assert (from_environment.value, from_environment.source) == (high, name)
    (in_order,) = read(
        {}, {name: as_text(value) for name, value in zip(key.environment, (high, low, low), strict=False)}
    )
    assert in_order.source == key.environment[0]
    # Not set.
    assert read({}, {key.environment[0]: ""}) == []
    # As a variable.
    variables = as_variables([from_file])
    (again,) = checked_variables(variables)
    assert (again.key, again.value) == (key, low)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_what_cannot_be_used_is_refused_by_name(key: Key) -> None:
    value, message = wrong(key)
    good, _other = values(key)
    with pytest.raises(InvalidInput, match=rf"{key.name} \(config.yaml\): .*{re.escape(message)}"):
        read({key.name: value}, {})
    if isinstance(value, str):
        # Also where something else counts more.
        with pytest.raises(InvalidInput, match=rf"{key.name} \({key.environment[0]}\): .*{re.escape(message)}"):
            read({key.name: good}, {key.environment[0]: value})
    with pytest.raises(InvalidInput, match=rf"{key.name} \({re.escape(key.variable)}\): .*{re.escape(message)}"):
        checked_variables(as_variables([type(read({key.name: good}, {})[0])(key, value, "")]))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        read({"sync_intervall": 1, "repair": "x", "metrics_port": 1}, {}, "alice/config.yaml")
    lines = str(refused.value).splitlines()
    assert lines[0] == "sync_intervall (alice/config.yaml): there is no such key; sync_interval is meant?"
    assert [line.split()[0] for line in lines] == ["sync_intervall", "repair", "metrics_port"]


def test_an_unknown_variable_of_the_environment_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        read({}, {"INTERCHAIN_SYNC_INTERVALL": "1", "INTERCHAINS": "x", "SYNC_INTERVAL": "x"})
    (line,) = str(refused.value).splitlines()
    assert line == (
        "INTERCHAIN_SYNC_INTERVALL (environment): there is no such variable; INTERCHAIN_SYNC_INTERVAL is meant?"
    )


def test_variables_that_others_read_are_not_refused() -> None:
    parts = [*(ROOT / "tests/testbed").rglob("*.py"), *(ROOT / "scripts").iterdir(), *(ROOT / "plugins").rglob("*.py")]
    used = {
        name
        for file in parts
        if file.is_file()
        for name in re.findall(r"\bINTERCHAIN_[A-Z_]*[A-Z]\b", file.read_text())
    }
    used -= {name for key in KEYS for name in key.environment}
    assert used == OTHER_VARIABLES
    assert read({}, dict.fromkeys(used, "x")) == []


def test_no_password_of_an_address_is_shown() -> None:
    assert shown(["https://u:p@a:1", "http://b"]) == '["https://(hidden)@a:1", "http://b"]'
    with pytest.raises(InvalidInput) as refused:
        read({"provider_rpc_url": "ftp://u:secret@a"}, {})
    assert "secret" not in str(refused.value)


def test_names_are_unique() -> None:
    environment = [name for key in KEYS for name in key.environment]
    assert len(set(environment)) == len(environment)
    assert len(BY_NAME) == len(KEYS)


def test_the_roles_and_playbooks_read_each_variable() -> None:
    files = [*(ROOT / "roles").rglob("*.yml"), *(ROOT / "playbooks").rglob("*.yml")]
    texts = "".join(file.read_text() for file in files)
    for key in KEYS:
        assert re.search(rf"\b{key.variable.split('.')[0]}\b", texts), key.variable


# What is no business of config.yaml: secrets, and what tests and developers set.
NOT_KEYS = {
    "monitor_mnemonic",
    "monitor_relayer_mnemonic",
    "monitor_node_key",
    "monitor_image_pull_policy",
    "monitor_metrics_from",
    "monitor_rulebook",
    "monitor_extra_variables",
    "monitor_resources",
    "monitor_wait",
    "monitor_wait_timeout",
}


def test_each_option_of_the_monitor_has_its_key() -> None:
    """An option is a key itself, or its default reads the variable of one."""
    defaults = yaml.safe_load((ROOT / "roles/monitor/defaults/main.yml").read_text())
    variables = {key.variable for key in KEYS}
    without = {
        name
        for name, default in defaults.items()
        if name not in variables and not set(re.findall(r"interchain_[a-z0-9_]+", str(default))) & variables
    }
    assert without == NOT_KEYS


def test_the_documentation_lists_each() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for key in KEYS:
        also = "".join(f", `{name}`" for name in key.also)
        assert f"| `{key.name}` | {key.kind} | `{key.environment[0]}`{also} | {key.description} |" in text, key.name


def test_the_example_can_be_used() -> None:
    example = yaml.safe_load((ROOT / "docs/config.example.yaml").read_text())
    assert example.pop("plugin") == "interchain.security.configuration"
    assert read(example, {})


@pytest.mark.parametrize("role", ["consumer", "monitor", "node", "provider"])
def test_no_role_takes_a_volume_that_several_machines_may_mount(role: str) -> None:
    options = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    choices = options["options"][f"{role}_storage_access_mode"]["choices"]
    assert [read({"storage_access_mode": mode}, {})[0].value for mode in choices] == choices
    assert not {"ReadWriteMany", "ReadOnlyMany"} & set(choices)
