# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin: hosts, groups, filters, cache, and what it refuses. What it reads is tested with the module consumer_info."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments

from ansible_collections.interchain.security.plugins.inventory import consumers as tested
from ansible_collections.interchain.security.plugins.module_utils.errors import ChainUnreachable
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_info

PLUGIN = "interchain.security.consumers"
HOSTILE = "{{ lookup('pipe', 'touch /tmp/x') }}/../$(id)-1"
OPERATOR = "cosmosvaloper1alice"
OWNER = "cosmos1owner"


def consumer(consumer_id: str, phase: str, **more: Any) -> dict[str, Any]:
    return {
        "consumer_id": consumer_id,
        "chain_id": "demo-1",
        "phase": phase,
        "owner_address": OWNER,
        "name": HOSTILE,
        "top_n": 0,
        "opted_in": [],
        **more,
    }


CONSUMERS = [
    consumer("0", "launched", opted_in=[OPERATOR], node={"mode": "sign"}, opt_in={"decision": "opt_in"}),
    consumer("1", "initialized", chain_id=HOSTILE, owner_address="cosmos1other", opted_in=[OPERATOR]),
    consumer("12", "registered", top_n=50, node=None, opt_in=None),
    consumer("20", "stopped", opt_in={"decision": "stay_out"}),
]


class Read:
    """Stands for the chain: counts how often it is read, and with what."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.errors: list[Exception] = []

    def __call__(self, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
        self.calls.append(params)
        for error in self.errors:
            raise error
        return {"changed": False, "consumers": CONSUMERS, "height": 7, "block_time": "2026-11-26T00:00:00Z"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    made = Read()
    monkeypatch.setattr(consumer_info, "run", made)
    for name in ("PROVIDER_RPC_URL", "PROVIDER_CHAIN_ID", "KUBECONFIG", "K8S_AUTH_KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    return made


def plugin() -> tested.InventoryModule:
    """Return the plugin as the loader gives it; the loader itself does not get along with modules that were imported before."""
    documentation = yaml.safe_load(tested.DOCUMENTATION)
    add_fragments(documentation, tested.__file__, fragment_loader)
    constants.config.initialize_plugin_configuration_definitions("inventory", PLUGIN, documentation["options"])
    made = tested.InventoryModule()
    made._load_name = made.ansible_name = PLUGIN
    return made


def inventory(folder: Path, **options: Any) -> InventoryData:
    """Return the inventory that a configuration file makes."""
    file = folder / "consumers.yml"
    given = {"plugin": PLUGIN, "provider_rpc_url": ["http://127.0.0.1:1"], **options}
    file.write_text(yaml.safe_dump({name: value for name, value in given.items() if value is not None}))
    made, data = plugin(), InventoryData()
    assert made.verify_file(str(file))
    made.parse(data, DataLoader(), str(file))
    if options.get("cache"):
        made.update_cache_if_changed()
    data.reconcile_inventory()
    return data


def groups(data: InventoryData) -> dict[str, list[str]]:
    return {
        name: sorted(host.name for host in group.hosts)
        for name, group in data.groups.items()
        if name not in ("all", "ungrouped")
    }


def variables(data: InventoryData, host: str) -> dict[str, Any]:
    found: dict[str, Any] = data.hosts[host].get_vars()
    return found


def test_hosts_and_groups(read: Read, tmp_path: Path) -> None:
    data = inventory(tmp_path)
    assert groups(data) == {
        "phase_launched": ["consumer-0"],
        "phase_initialized": ["consumer-1"],
        "phase_registered": ["consumer-12"],
        "phase_stopped": ["consumer-20"],
        "owner_cosmos1owner": ["consumer-0", "consumer-12", "consumer-20"],
        "owner_cosmos1other": ["consumer-1"],
    }
    found = variables(data, "consumer-1")
    assert (found["consumer_id"], found["phase"], found["provider_height"]) == ("1", "initialized", 7)
    assert found["consumer"] == CONSUMERS[1]
    assert found["ansible_connection"] == "local"
    assert "consumer_role" not in found
    assert read.calls[0]["phase"] == ["registered", "initialized", "launched", "stopped"]


def test_what_the_validator_is_to_them(read: Read, tmp_path: Path) -> None:
    data = inventory(tmp_path, operator_address=OPERATOR, state_namespace="alice-monitor", kubeconfig="/k")
    assert {name: hosts for name, hosts in groups(data).items() if name.startswith("role_")} == {
        "role_signs": ["consumer-0"],
        "role_opted_in": ["consumer-1"],
        "role_undecided": ["consumer-12"],
        "role_stays_out": ["consumer-20"],
    }
    assert (read.calls[0]["state_namespace"], read.calls[0]["kubeconfig"]) == ("alice-monitor", "/k")


def test_constructed(read: Read, tmp_path: Path) -> None:
    data = inventory(
        tmp_path,
        compose={"label": "chain_id ~ '!'"},
        groups={"top": "consumer.top_n > 0"},
        keyed_groups=[{"prefix": "chain", "key": "chain_id"}],
        strict=True,
    )
    found = groups(data)
    assert found["top"] == ["consumer-12"]
    assert found["chain_demo_1"] == ["consumer-0", "consumer-12", "consumer-20"]
    # A stranger's text as the name of a group.
    assert all(name.replace("_", "").isalnum() and name.isascii() for name in found)
    assert variables(data, "consumer-1")["label"] == HOSTILE + "!"


def test_filters(read: Read, tmp_path: Path) -> None:
    data = inventory(tmp_path, filters=["phase != 'stopped'", "consumer.top_n == 0"])
    assert sorted(data.hosts) == ["consumer-0", "consumer-1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"filters": ["consumer.bottom_n == 0"]},
            "filters: 'consumer.bottom_n == 0' cannot be evaluated for consumer 0",
        ),
        ({"filters": ["chain_id"]}, "filters: 'chain_id' is 'demo-1' for consumer 0, not true or false"),
        ({"phase": ["lunched"]}, "phase"),
        ({"provider_rpc_url": None}, "provider_rpc_url"),
        ({"request_timeout": "soon"}, "request_timeout"),
    ],
)
def test_refused(read: Read, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleError, match=re.escape(message)):
        inventory(tmp_path, **options)


def test_the_chain_does_not_answer(read: Read, tmp_path: Path) -> None:
    read.errors = [ChainUnreachable("http://127.0.0.1:1 does not answer")]
    with pytest.raises(AnsibleError, match=re.escape("consumers: http://127.0.0.1:1 does not answer")):
        inventory(tmp_path)


def test_environment(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_RPC_URL", "http://u:p@a:1,http://b:2")
    monkeypatch.setenv("PROVIDER_CHAIN_ID", "provider-1")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    inventory(tmp_path, provider_rpc_url=None)
    (call,) = read.calls
    assert (call["provider_rpc_url"], call["provider_chain_id"]) == (["http://u:p@a:1", "http://b:2"], "provider-1")
    # A kubeconfig alone does not ask for a state store.
    assert call["kubeconfig"] is None
    # The file says more than the environment.
    inventory(tmp_path, provider_chain_id="provider-2")
    assert (read.calls[1]["provider_rpc_url"], read.calls[1]["provider_chain_id"]) == (
        ["http://127.0.0.1:1"],
        "provider-2",
    )


def test_cache(read: Read, tmp_path: Path) -> None:
    options = {
        "cache": True,
        "cache_plugin": "jsonfile",  # the name without a collection, see plugin()
        "cache_connection": str(tmp_path / "cache"),
        "cache_timeout": 3600,
    }
    first, second = inventory(tmp_path, **options), inventory(tmp_path, **options)
    assert len(read.calls) == 1
    assert groups(first) == groups(second)
    assert variables(second, "consumer-1") == variables(first, "consumer-1")


@pytest.mark.parametrize(
    ("name", "mine"), [("my.consumers.yaml", True), ("hosts.yml", False), ("consumers.ini", False)]
)
def test_which_files_are_its_own(read: Read, tmp_path: Path, name: str, mine: bool) -> None:
    (tmp_path / name).touch()
    assert plugin().verify_file(str(tmp_path / name)) is mine
