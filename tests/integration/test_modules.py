# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules on a real provider, as modules (a new Python) and as action plugins: both do and say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.single_node import Node
from tests.testbed.parts import CHAIN

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
pytestmark = pytest.mark.timeout(300)
Runner = Callable[..., dict[str, Any]]


def run_module(node: Node, module: str, /, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a module's main() in a Python of its own."""
    parameters = {"provider_rpc_url": [node.url], "_ansible_check_mode": check, "_ansible_diff": True, **arguments}
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.interchain.security.plugins.modules.{module}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def run_action(node: Node, module: str, /, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run the action plugin through `ansible`."""
    options = ["--check"] if check else []
    parameters = {"provider_rpc_url": [node.url], **arguments}
    done = subprocess.run(
        [
            "ansible",
            "localhost",
            "-m",
            f"interchain.security.{module}",
            "-a",
            json.dumps(parameters),
            "--diff",
            *options,
        ],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    start = done.stdout.find("=> {")
    assert start >= 0, done.stdout + done.stderr
    result: dict[str, Any] = json.JSONDecoder().raw_decode(done.stdout[start + 3 :])[0]
    return {"failed": done.returncode != 0, **result}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A provider that makes blocks."""
    node = Node(CHAIN.ensure() / "interchain-security-pd", tmp_path_factory.mktemp("modules") / "provider")
    node.start()
    try:
        deadline = time.monotonic() + 60
        while run_module(node, "consumer_info").get("failed"):
            assert time.monotonic() < deadline, "the provider makes no blocks"
        yield node
    finally:
        node.kill()


@pytest.mark.parametrize("run", [run_module, run_action], ids=["module", "action"])
def test_cycle(running: Node, run: Runner, tmp_path: Path) -> None:
    """Create, repeat, change, repeat, opt in, repeat, remove, repeat; each in check mode first."""
    key = {"mnemonic": running.mnemonic}

    count = len(run(running, "consumer_info")["consumers"])
    predicted = run(running, "consumer", check=True, chain_id="cycle-1", **key)
    assert predicted["changed"]
    assert len(run(running, "consumer_info")["consumers"]) == count
    created = run(running, "consumer", chain_id="cycle-1", allow_duplicate=True, spawn_time="+600s", **key)
    assert created["changed"]
    consumer_id = created["consumer_id"]
    assert created["consumer"]["phase"] == "initialized"

    spawn_time = created["consumer"]["spawn_time"]
    change = {"consumer_id": consumer_id, "description": "another", "spawn_time": spawn_time, **key}
    assert run(running, "consumer", check=True, **change)["changed"]
    assert run(running, "consumer_info", consumer_id=consumer_id)["consumers"][0]["description"] == "-"
    changed = run(running, "consumer", **change)
    assert changed["changed"]
    if run is run_module:  # `ansible` prints the diff apart from the result
        assert changed["diff"]["after"]["description"] == "another"
    again = run(running, "consumer", **change)
    assert not again["changed"]
    assert again["tx_hash"] is None

    key_file = tmp_path / "priv_validator_key.json"
    opting = {"consumer_id": consumer_id, "key_file": str(key_file), **key}
    assert run(running, "opt_in", check=True, **opting)["changed"]
    assert not key_file.exists()
    opted = run(running, "opt_in", **opting)
    assert opted["changed"]
    assert json.loads(key_file.read_text())["pub_key"]["value"] == opted["consumer_public_key"]
    assert key_file.stat().st_mode & 0o777 == 0o600
    repeated = run(running, "opt_in", **opting)
    assert not repeated["changed"]
    assert repeated["consumer_public_key"] == opted["consumer_public_key"]
    key_file.rename(tmp_path / "elsewhere")
    lost = run(running, "opt_in", **opting)
    assert lost["failed"]
    assert "the key store holds none" in lost["msg"]
    assert not key_file.exists()

    early = run(running, "consumer", state="absent", consumer_id=consumer_id, **key)
    assert early["failed"]
    assert f"chain with consumer id: {consumer_id} has to be in its launched phase" in early["msg"]
    no_genesis = run(running, "consumer_genesis", consumer_id=consumer_id, base_genesis="{}")
    assert no_genesis["failed"]
    assert "its genesis exists only while it is launched" in no_genesis["msg"]

    host = f"192.0.2.{count + 1}"
    endpoint = {"p2p": host, "node": "f42037be88df876cd27dd60dc225b1afa90c4d75", **key}
    assert run(running, "validator_endpoint", check=True, **endpoint)["changed"]
    assert run(running, "validator_info")["validators"][0]["endpoint"]["p2p"] != host
    assert run(running, "validator_endpoint", **endpoint)["changed"]
    assert not run(running, "validator_endpoint", **endpoint)["changed"]
    validator = run(running, "validator_info")["validators"][0]
    assert validator["endpoint"] == {"node": endpoint["node"], "relayer": "", "p2p": host}
    selection = run(running, "validator_selection_info", operator_address=validator["operator_address"])
    assert selection["is_selected"]
    assert run(running, "consumer_info", consumer_id=consumer_id)["consumers"][0]["opted_in"] == [
        validator["operator_address"]
    ]


@pytest.mark.parametrize("run", [run_module, run_action], ids=["module", "action"])
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("consumer_info", {"consumer_id": "../1"}, "consumer_id must be a decimal number"),
        ("consumer_info", {"provider_rpc_url": ["http://127.0.0.1:1"]}, "does not answer"),
        ("consumer_info", {"provider_rpc_url": ["file:///etc/passwd"]}, "not an RPC address"),
        ("consumer_info", {"provider_chain_id": "other-1"}, "not of 'other-1'"),
        ("opt_in", {"consumer_id": "0", "key_file": "/nonexistent/key"}, "exactly one of mnemonic, mnemonic_file"),
        ("opt_in", {"consumer_id": "0", "key_file": "k", "mnemonic": "no such words"}, "the mnemonic cannot be used"),
        ("opt_in", {"consumer_id": "0"}, "key_namespace must name a Kubernetes object"),
        ("validator_endpoint", {"p2p": "$(id)"}, "not an IP address or DNS name"),
    ],
)
def test_bad_input(running: Node, run: Runner, name: str, arguments: dict[str, Any], message: str) -> None:
    result = run(running, name, **arguments)
    assert result["failed"]
    assert message in result["msg"]
    assert "no such words" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})
