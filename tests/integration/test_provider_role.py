# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role provider on a real API server: where its genesis comes from, what it refuses, and what a second run changes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, decoded
from tests.integration.api_server import ApiServer
from tests.integration.consumer_place import Controllers
from tests.testbed.parts import CHAIN

GENESIS = json.dumps({"chain_id": "provider-1", "app_state": {}}, indent=1)
# The vector of BIP-39 for 32 bytes 7f.
WORDS = (
    "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner "
    "thank year wave sausage worth title"
)
HASH = hashlib.sha256(GENESIS.encode()).hexdigest()
NAMESPACE = "alice-provider"
pytestmark = pytest.mark.timeout(300)


class Served(BaseHTTPRequestHandler):
    """Gives the genesis."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(GENESIS)))
        self.end_headers()
        self.wfile.write(GENESIS.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/genesis.json"
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture(scope="module")
def cluster(server: ApiServer) -> Iterator[Cluster]:
    controllers = Controllers(server.kubeconfig)
    controllers.start()
    made = Cluster(str(server.kubeconfig))
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "files"}})
    made.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "chain", "namespace": "files"},
            "data": {"provider.json": GENESIS},
        }
    )
    yield made
    controllers.stop()


def deploy(server: ApiServer, **variables: Any) -> subprocess.CompletedProcess[str]:
    values = {
        "interchain_validator": "alice",
        "provider_priv_validator_key": "{}",
        "provider_node_key": "{}",
        "provider_wait": False,
        # No pod runs here that peers could be sent to.
        "provider_route_timeout": 1,
        **variables,
    }
    return server.playbook("deploy_provider", values)


def test_what_cannot_be_used_is_refused_before_anything_is_made(server: ApiServer, cluster: Cluster, url: str) -> None:
    for variables, message in (
        ({}, "Give one of provider_genesis,"),
        ({"provider_genesis": GENESIS, "provider_genesis_url": url}, "(now 2 of them)"),
        ({"provider_genesis_url": url}, "provider_genesis_sha256 must be the SHA-256"),
        ({"provider_genesis_url": url, "provider_genesis_sha256": "0" * 64}, f"has the SHA-256 {HASH}, not 000"),
        ({"provider_genesis_config_map": {"name": "chain"}}, "provider_genesis_config_map must say namespace and name"),
        ({"provider_genesis_config_map": {"namespace": "files", "name": "chain"}}, "There is no entry genesis.json in"),
        ({"provider_genesis": json.dumps({"app_state": {}})}, "it names no chain_id"),
        ({"provider_genesis": GENESIS, "provider_mnemonic": WORDS}, "Give one of provider_priv_validator_key,"),
        (
            {"provider_genesis": GENESIS, "provider_priv_validator_key": "", "provider_mnemonic": "legal winner"},
            "is no mnemonic of BIP-39",
        ),
    ):
        done = deploy(server, **variables)
        assert done.returncode != 0
        assert message in re.sub(r"\s+", " ", done.stdout), done.stdout[-3000:]
    assert cluster.get("Namespace", NAMESPACE) is None


def test_genesis_of_an_address_and_of_a_config_map(server: ApiServer, cluster: Cluster, url: str) -> None:
    """Both give the same node, and so the second run changes nothing."""
    more = {
        "provider_moniker": "Alice & Co.",
        "provider_seeds": ["a@seed:1", "b@seed:2"],
        "provider_resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    }
    first = deploy(server, provider_genesis_url=url, provider_genesis_sha256=HASH, **more)
    assert first.returncode == 0, first.stdout[-4000:]
    kept = cluster.get("ConfigMap", "genesis", NAMESPACE)
    assert kept is not None
    assert kept["data"]["genesis.json"] == GENESIS
    config = cluster.get("ConfigMap", "config", NAMESPACE)
    assert config is not None
    settings = tomllib.loads(config["data"]["config.toml"])
    assert (settings["moniker"], settings["p2p"]["seeds"]) == ("Alice & Co.", "a@seed:1,b@seed:2")
    node = cluster.get("StatefulSet", "node", NAMESPACE, "apps/v1")
    assert node is not None
    (container,) = node["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "128Mi"}}
    assert node["spec"]["replicas"] == 1

    again = deploy(
        server, provider_genesis_config_map={"namespace": "files", "name": "chain", "key": "provider.json"}, **more
    )
    assert again.returncode == 0, again.stdout[-4000:]
    assert re.search(r"changed=0 ", again.stdout), again.stdout[-3000:]
    after = cluster.get("ConfigMap", "genesis", NAMESPACE)
    assert after is not None
    assert after["metadata"]["resourceVersion"] == kept["metadata"]["resourceVersion"]


def test_the_key_of_a_mnemonic_is_the_one_that_the_chain_makes_of_it(
    server: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    subprocess.run(
        [str(CHAIN.ensure() / "interchain-security-pd"), "init", "bob", "--recover", "--home", str(tmp_path)],
        input=f"{WORDS}\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    recovered = json.loads((tmp_path / "config/priv_validator_key.json").read_text())
    words = {"mnemonic": base64.b64encode(f"{WORDS}\n".encode()).decode()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "words", "namespace": "files"}, "data": words}
    )
    done = deploy(
        server,
        interchain_validator="bob",
        provider_genesis=GENESIS,
        provider_priv_validator_key="",
        provider_node_key="",
        provider_mnemonic_secret={"namespace": "files", "name": "words"},
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "sausage" not in done.stdout
    keys = cluster.get("Secret", "keys", "bob-provider")
    assert keys is not None
    assert json.loads(decoded(keys["data"], "priv_validator_key.json")) == recovered
    assert json.loads(decoded(keys["data"], "node_key.json"))["priv_key"]["type"] == "tendermint/PrivKeyEd25519"
    assert keys["data"].keys() == {"priv_validator_key.json", "node_key.json"}
