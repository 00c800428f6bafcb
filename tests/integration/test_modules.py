# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules on a real provider, as modules (a new Python) and as action plugins: both do and say the same.

What each of them does in every case is tested beside this, in a Python of the test's own, which takes less time.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.provider_operations import Provider, provider
from tests.integration.single_node import CHAIN_ID

COLLECTIONS = Path(__file__).resolve().parents[2] / ".build/collections"
NODE_ID = "f42037be88df876cd27dd60dc225b1afa90c4d75"
CREATED = "{{ r1.consumer_id }}"  # by the second call of a cycle
Call = tuple[str, bool, dict[str, Any]]
pytestmark = pytest.mark.timeout(300)


def run_modules(chain: Provider, *calls: Call) -> list[dict[str, Any]]:
    """Run the main() of modules, each in a Python of its own."""
    results: list[dict[str, Any]] = []
    for module, check, arguments in calls:
        if CREATED in arguments.values():
            arguments = {**arguments, "consumer_id": results[1]["consumer_id"]}
        parameters = {
            "provider_rpc_url": [chain.node.url],
            "_ansible_check_mode": check,
            "_ansible_diff": True,
            **arguments,
        }
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
        assert chain.alice.mnemonic not in done.stdout
        results.append({key: value for key, value in result.items() if key != "invocation"})
    return results


def run_actions(chain: Provider, folder: Path, *calls: Call) -> list[dict[str, Any]]:
    """Run action plugins, all in one playbook."""
    tasks: list[dict[str, Any]] = [
        {
            "name": f"Call {module}",
            f"interchain.security.{module}": {"provider_rpc_url": [chain.node.url], **arguments},
            "check_mode": check,
            "diff": True,
            "ignore_errors": True,
            "register": f"r{number}",
        }
        for number, (module, check, arguments) in enumerate(calls)
    ]
    results = ", ".join(f"r{number}" for number in range(len(calls)))
    seen, playbook = folder / "results.json", folder / "playbook.yml"
    tasks.append(
        {
            "name": "Keep what they returned",
            "ansible.builtin.copy": {"content": f"{{{{ [{results}] | to_json }}}}", "dest": str(seen), "mode": "0600"},
        }
    )
    playbook.write_text(json.dumps([{"name": "Call", "hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        ["ansible-playbook", "-vv", str(playbook)],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert chain.alice.mnemonic not in done.stdout + done.stderr
    returned: list[dict[str, Any]] = json.loads(seen.read_text())
    return returned


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("modules") / "provider") as running:
        yield running


def check_documented(module: str, result: dict[str, Any]) -> None:
    """See that the module's documentation names each value that it returns."""
    source = importlib.import_module(f"ansible_collections.interchain.security.plugins.modules.{module}")
    documented: dict[str, Any] = yaml.safe_load(source.RETURN)
    assert result.keys() - {"changed", "diff", "failed", "exception"} <= documented.keys()
    for name, description in documented.items():
        values = result.get(name) or []
        for value in values if isinstance(values, list) else [values]:
            if "contains" in description:
                assert value.keys() <= description["contains"].keys(), name


@pytest.mark.parametrize("way", ["module", "action"])
def test_each_does_its_work_once(chain: Provider, tmp_path: Path, way: str) -> None:
    """Each managing module predicts its change, makes it, and leaves it as it is."""
    signed = {"mnemonic": chain.alice.mnemonic}
    of_created = {"consumer_id": CREATED, **signed}
    first, second = tmp_path / "first", tmp_path / "second"
    host = {"module": "192.0.2.1", "action": "192.0.2.2"}[way]
    managing: list[tuple[str, dict[str, Any]]] = [
        ("consumer", {"chain_id": f"{way}-1", "spawn_time": "+600s", **signed}),
        ("consumer", {"description": "another", "validators_power_cap": 40, **of_created}),
        ("opt_in", {"key_file": str(first), **of_created}),
        ("consumer_key_assignment", {"key_file": str(second), "rotate": True, **of_created}),
        ("consumer_commission", {"rate": "0.2", **of_created}),
        ("validator_endpoint", {"p2p": host, "node": NODE_ID, **signed}),
    ]
    calls = [(module, check, given) for module, given in managing for check in (True, False, False)]
    calls += [
        ("provider_info", False, {}),
        ("consumer_info", False, {"consumer_id": CREATED}),
        ("validator_info", False, {"operator_address": chain.alice.operator}),
        ("validator_selection_info", False, {"operator_address": chain.alice.operator}),
        ("consumer", False, {"state": "absent", **of_created}),
        ("consumer_genesis", False, {"consumer_id": CREATED, "base_genesis": "{}"}),
    ]
    results = run_modules(chain, *calls) if way == "module" else run_actions(chain, tmp_path, *calls)

    for number, (module, given) in enumerate(managing):
        predicted, made, repeated = results[3 * number : 3 * number + 3]
        assert (predicted.get("changed"), made.get("changed"), repeated.get("changed")) == (True, True, False), module
        assert (predicted["tx_hash"], repeated["tx_hash"]) == (None, None), module
        chain.wait_for_transaction(made["tx_hash"])
        assert made["diff"]["before"] != made["diff"]["after"], module
        assert "mnemonic" in given
    for (module, _check, _given), result in zip(calls, results, strict=True):
        if not result.get("failed"):
            check_documented(module, result)

    consumer_id = results[1]["consumer_id"]
    provider_info, consumer_info, validator_info, selection, early, no_genesis = results[-6:]
    assert provider_info["provider_chain_id"] == CHAIN_ID
    (record,) = consumer_info["consumers"]
    assert (record["description"], record["validators_power_cap"]) == ("another", 40)
    assert record["opted_in"] == [chain.alice.operator]
    opted, rotated = results[7], results[10]
    assert json.loads(first.read_text())["pub_key"]["value"] == opted["consumer_public_key"]
    assert rotated["previous_consumer_public_key"] == opted["consumer_public_key"]
    assert chain.client.consumer_keys(consumer_id) == {
        chain.consensus_address(chain.alice): rotated["consumer_public_key"]
    }
    (validator,) = validator_info["validators"]
    assert validator["endpoint"] == {"node": NODE_ID, "relayer": "", "p2p": host}
    assert selection["is_selected"]
    assert early["failed"]
    assert f"chain with consumer id: {consumer_id} has to be in its launched phase" in early["msg"]
    assert no_genesis["failed"]
    assert "its genesis exists only while it is launched" in no_genesis["msg"]


BAD_INPUT: list[tuple[str, dict[str, Any], str]] = [
    ("consumer_info", {"consumer_id": "../1"}, "consumer_id must be a decimal number"),
    ("consumer_info", {"provider_rpc_url": ["http://127.0.0.1:1"]}, "does not answer"),
    ("consumer_info", {"provider_rpc_url": ["file:///etc/passwd"]}, "not an RPC address"),
    ("consumer_info", {"provider_chain_id": "other-1"}, "not of 'other-1'"),
    ("opt_in", {"consumer_id": "0", "key_file": "/nonexistent/key"}, "exactly one of mnemonic, mnemonic_file"),
    ("opt_in", {"consumer_id": "0", "key_file": "k", "mnemonic": "no such words"}, "the mnemonic cannot be used"),
    ("opt_in", {"consumer_id": "0"}, "key_namespace must name a Kubernetes object"),
    ("validator_endpoint", {"p2p": "$(id)"}, "not an IP address or DNS name"),
    ("consumer_commission", {"consumer_id": "0", "rate": "a tenth"}, "rate must be a decimal number"),
    ("consumer_key_assignment", {"consumer_id": "0", "consumer_public_key": "k"}, "not an ed25519 public key"),
    ("consumer", {"chain_id": "x-1", "spawn_time": "now"}, "spawn_time must be RFC 3339"),
]


@pytest.mark.parametrize("way", ["module", "action"])
def test_bad_input(chain: Provider, tmp_path: Path, way: str) -> None:
    # A module is a whole Python each time; that it says the same as the action is seen from some.
    cases = BAD_INPUT[::3] if way == "module" else BAD_INPUT
    calls = [(module, False, given) for module, given, _message in cases]
    results = run_modules(chain, *calls) if way == "module" else run_actions(chain, tmp_path, *calls)
    for (module, given, message), result in zip(cases, results, strict=True):
        assert result["failed"], (module, given)
        assert message in result["msg"]
        assert "no such words" not in json.dumps(result)
