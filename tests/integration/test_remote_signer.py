# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A consumer's node whose key is in no cluster: a real tmkms holds it and signs, for a chain that nobody else makes blocks of."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.operations import consumer_key_assignment
from tests.integration.consumer_place import VALIDATOR, Place, Pod, config_of, wait_for
from tests.integration.remote_signer import RemoteSigner
from tests.operation import run_operation

# Five playbooks and a chain that stands still twice; each step has its own deadline.
pytestmark = pytest.mark.timeout(300)

CHAIN_ID = "remote-1"
# What a node says when it has to sign and nobody is there; it says so again every three seconds.
WAITS = "Blocking for connection"
SIGNED = 2  # block_id_flag of a vote for the block


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "place")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[RemoteSigner]:
    made = RemoteSigner(tmp_path / "signer")
    yield made
    made.stop()


def assign(place: Place, consumer_id: str, public_key: str) -> None:
    """Opt in and give the provider a key of which only the public half is known here."""
    place.owner.opt_in(consumer_id)
    done = run_operation(
        consumer_key_assignment,
        provider_rpc_url=[place.node.url],
        mnemonic=place.node.mnemonic,
        consumer_id=consumer_id,
        consumer_public_key=public_key,
    )
    assert done["changed"]


def catalogue(place: Place, consumer_id: str, signer: RemoteSigner) -> dict[str, Any]:
    """Return variables with which a consumer's node waits for the signer, which comes from outside of the cluster."""
    remote = {
        "public_key": signer.public_key,
        "from": [{"ipBlock": {"cidr": "192.0.2.7/32"}}],
        "service_type": "LoadBalancer",
    }
    base = {"base_genesis": {"file": str(place.base_genesis)}}
    return {"interchain_catalogue": [base, {"consumer_id": consumer_id, "remote_signer": remote}]}


def signers(pod: Pod, height: int) -> set[str]:
    """Return the addresses of the keys whose signatures for a block are in its commit."""
    commit = pod.rpc(f"commit?height={height}")["signed_header"]["commit"]
    return {entry["validator_address"] for entry in commit["signatures"] if entry["block_id_flag"] == SIGNED}


def contents(place: Place) -> Iterator[tuple[str, str, bytes]]:
    """Yield what all Secrets and ConfigMaps of the cluster hold: the object, the name of a part, and that part."""
    for kind in ("Secret", "ConfigMap"):
        for entry in place.cluster.select(kind):
            name = f"{kind} {entry['metadata']['namespace']}/{entry['metadata']['name']}"
            for part, text in (entry.get("data") or {}).items():
                yield name, part, base64.b64decode(text) if kind == "Secret" else text.encode()
            for part, text in (entry.get("binaryData") or {}).items():
                yield name, part, base64.b64decode(text)


def test_a_remote_signer_signs_and_its_key_stays_with_it(place: Place, signer: RemoteSigner, tmp_path: Path) -> None:
    consumer_id, other = (place.create_consumer(spawn_in=10, chain_id=CHAIN_ID) for _number in range(2))
    place.owner.opt_in(other)
    assign(place, consumer_id, signer.public_key)
    remote = catalogue(place, consumer_id, signer)
    place.converge("stage", consumer_id, **remote)
    place.await_launch(consumer_id)
    result = place.converge("launch", consumer_id, **remote)
    assert result["refusal"] == ""
    assert result["launched"]["mode"] == "sign"
    assert result["launched"]["consensus_public_key"] == signer.public_key
    assert config_of(place, consumer_id)["priv_validator_laddr"] == "tcp://0.0.0.0:26659"

    pod = Pod(place, consumer_id, tmp_path / "home")
    pod.stage()
    signer.start(CHAIN_ID, pod.signer_port)
    try:
        pod.start()
        wait_for("blocks", lambda: pod.height() >= 3)
        assert [entry["pub_key"]["value"] for entry in pod.rpc("validators")["validators"]] == [signer.public_key]
        own = hashlib.sha256(base64.b64decode(signer.public_key)).hexdigest()[:40].upper()
        assert signers(pod, 1) == signers(pod, 2) == {own}

        signer.stop()
        waited = pod.log.read_text().count(WAITS)
        # The first time it may have noticed only a moment ago. Each time it waits for three seconds, in which there are blocks otherwise.
        wait_for("the node to miss its signer", lambda: pod.log.read_text().count(WAITS) >= waited + 2)
        height, signed = pod.height(), signer.signed_height()
        wait_for("the node to miss it again", lambda: pod.log.read_text().count(WAITS) >= waited + 3)
        assert pod.height() == height
        assert signer.signed_height() == signed
        signer.start(CHAIN_ID, pod.signer_port)
        wait_for("more blocks", lambda: pod.height() >= height + 3)
        assert signers(pod, height + 2) == {own}
        assert signer.signed_height() > signed
    finally:
        pod.kill()

    # A key file of CometBFT holds the seed and the public half after it, in base64: of that, what does not depend on the latter.
    secret = base64.b64encode(signer.seed[:30])
    held = list(contents(place))
    assert "keys" in {name.rpartition("/")[2] for name, _part, _content in held}
    assert [(name, part) for name, part, content in held if secret in content] == []
    assert "priv_validator_key.json" not in {part for _name, part, _content in held}
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert [path for path in files if secret in path.read_bytes()] == []
    assert not (tmp_path / "home/config/priv_validator_key.json").exists()
    idle = json.loads((tmp_path / "home/data/idle_key.json").read_text())
    assert idle["pub_key"]["value"] != signer.public_key
    service = place.get("Service", "signer", f"{VALIDATOR}-consumer-{consumer_id}")
    assert service is not None
    spec = service["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    quota = place.get("ResourceQuota", "node", f"{VALIDATOR}-consumer-{consumer_id}")
    assert quota is not None
    assert quota["spec"]["hard"]["services.loadbalancers"] == "1"

    # The operator gives the signer's key to another consumer of the same chain_id, when the first has gone.
    place.converge("stop", consumer_id)
    moved = catalogue(place, other, signer)
    place.converge("stage", other, **moved)
    result = place.converge("launch", other, **moved)["launched"]
    assert result["mode"] == "follow"
    assert result["reasons"] == [f"consumer {consumer_id} has the same chain_id and is signed with the same key here"]
