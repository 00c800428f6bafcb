# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin on a real provider whose consumer's texts are templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.provider_operations import Provider, provider
from tests.integration.single_node import CHAIN_ID

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("inventory") / "provider") as running:
        yield running


def ansible(directory: Path, command: str, *arguments: str | Path, rpc: str) -> str:
    """Run a command of ansible with the provider's address in its environment; return what it wrote."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / command), *map(str, arguments)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "PROVIDER_RPC_URL": rpc},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stderr, done.stderr
    return done.stdout


def test_inventory(chain: Provider, tmp_path: Path) -> None:
    """Groups by phase, owner and role are there without any setting; a stranger's text stays text, also past a reader of the JSON."""
    done = tmp_path / "done"
    hostile = "{{ lookup('pipe', 'touch done') }}-1"
    first = chain.run("consumer", chain_id=hostile, description=hostile, spawn_time="+600s")
    chain.wait_for_transaction(first["tx_hash"])
    opted = chain.run("opt_in", consumer_id=first["consumer_id"], key_file=str(tmp_path / "key"))
    chain.wait_for_transaction(opted["tx_hash"])
    second = chain.run("consumer", chain_id="plain-1")
    chain.wait_for_transaction(second["tx_hash"])
    file = tmp_path / "consumers.yml"
    file.write_text(
        yaml.safe_dump(
            {
                "plugin": "interchain.security.consumers",
                "provider_chain_id": CHAIN_ID,
                "operator_address": chain.alice.operator,
                "compose": {"label": "chain_id"},
                "keyed_groups": [{"prefix": "chain", "key": "chain_id"}],
            }
        )
    )

    graph = ansible(tmp_path, "ansible-inventory", "--inventory", file, "--graph", rpc=chain.node.url)
    for group, member in (
        ("phase_initialized", "consumer-0"),
        ("phase_registered", "consumer-1"),
        (f"owner_{chain.alice.address}", "consumer-1"),
        ("role_opted_in", "consumer-0"),
        ("role_undecided", "consumer-1"),
        ("chain_plain_1", "consumer-1"),
    ):
        assert member in graph.split(f"@{group}:")[1].split("@")[0], (group, graph)

    listed = ansible(tmp_path, "ansible-inventory", "--inventory", file, "--list", rpc=chain.node.url)
    # As AWX does: keep the answer, and give it to Ansible by a script.
    script = tmp_path / "kept"
    (tmp_path / "kept.json").write_text(listed)
    script.write_text(f"#!/bin/sh\ncat {tmp_path}/kept.json\n")
    script.chmod(0o700)
    show = tmp_path / "show.yml"
    show.write_text(
        yaml.safe_dump(
            [
                {
                    "name": "Show",
                    "hosts": "consumer-0",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "name": "Show",
                            "ansible.builtin.debug": {
                                "msg": "{{ [chain_id, label, consumer.description, consumer.chain_id ~ ''] | to_json }}"
                            },
                        }
                    ],
                }
            ]
        )
    )
    for inventory in (file, script):
        said = ansible(tmp_path, "ansible-playbook", "--inventory", inventory, show, rpc=chain.node.url)
        message = json.loads(said.split('"msg": ')[1].rsplit("\n}", 1)[0])
        assert message == json.dumps([hostile] * 4) or message == [hostile] * 4, said
    assert not done.exists()
