# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alice's monitor serves a consumer whose key only a tmkms in another namespace has. Without her votes its chain makes no block."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.remote_signer import RemoteSigner
from tests.testbed.components import HELPER_IMAGE
from tests.testbed.devnet import Devnet

# The first test also waits for the devnet, where no other file was run before it.
pytestmark = pytest.mark.timeout(900)

CHAIN_ID = "remotely-1"
SIGNER, STRANGER = "signer", "no-signer"
PORT = 26659
COMMITTED = 2  # BlockIDFlag of a commit: a vote for the block
# Two pods that only differ in their namespaces. The program is put into the first one.
PODS = "".join(
    f"""
---
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: tmkms, namespace: {namespace}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: tmkms
      image: {HELPER_IMAGE}
      command: [sh, -c, "until [ -e /signer/ready ]; do sleep 1; done; exec /signer/tmkms start --config /signer/tmkms.toml"]
      volumeMounts: [{{name: signer, mountPath: /signer}}]
  volumes:
    - {{name: signer, emptyDir: {{}}}}
"""
    for namespace in (SIGNER, STRANGER)
)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> RemoteSigner:
    return RemoteSigner(tmp_path_factory.mktemp("remote") / "signer")


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet, signer: RemoteSigner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A consumer that launches, with alice's tmkms at work; the catalogue names it before it is there."""
    next_id = str(max((int(entry["consumer_id"]) for entry in devnet.consumers()), default=-1) + 1)
    remote = {
        "public_key": signer.public_key,
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SIGNER}}}],
    }
    catalogue = [*devnet.settings.catalogue, {"consumer_id": next_id, "remote_signer": remote}]
    devnet.deploy_monitors(["alice"], interchain_catalogue=catalogue)
    start_signer(devnet, signer, f"signer.alice-consumer-{next_id}.svc:{PORT}", tmp_path_factory.mktemp("packed"))
    made = devnet.create_consumer(CHAIN_ID, spawn_in=3600)
    assert made == next_id
    devnet.await_members(made, ("alice", "bob"))
    devnet.set_spawn_time(made, 10)
    devnet.wait("block 3", lambda: devnet.node_height("alice", made) >= 3, 240, "make logs")
    yield made
    devnet.remove_consumer(made)
    devnet.deploy_monitors(["alice"])
    devnet.kubectl("delete", "namespace", SIGNER, STRANGER, "--wait=false")


def start_signer(devnet: Devnet, signer: RemoteSigner, address: str, directory: Path) -> None:
    """Run the signer in a pod, with its key and its own sign state on a volume of its own."""
    manifest = devnet.directory / "signers.yml"
    manifest.write_text(PODS)
    devnet.kubectl("apply", "--filename", str(manifest))
    for namespace in (SIGNER, STRANGER):
        devnet.kubectl("wait", "--for=condition=Ready", "pod/tmkms", "--namespace", namespace, "--timeout=60s")
    signer.pack(CHAIN_ID, address, directory / "packed", "/signer")
    devnet.kubectl("cp", f"{directory}/packed/.", f"{SIGNER}/tmkms:/signer")
    devnet.kubectl("exec", "--namespace", SIGNER, "tmkms", "--", "touch", "/signer/ready")


def test_the_chain_makes_blocks_with_the_signers_key_alone(
    devnet: Devnet, consumer_id: str, signer: RemoteSigner
) -> None:
    service = devnet.get("service", "node", f"bob-consumer-{consumer_id}")
    assert service is not None
    url = f"http://{service['spec']['clusterIP']}:26657"
    devnet.wait("bob to have block 3", lambda: devnet.node_height("bob", consumer_id) >= 3, 60, "make logs")
    commit = devnet.rpc("commit?height=2", url)["signed_header"]["commit"]
    signed = {entry["validator_address"] for entry in commit["signatures"] if entry["block_id_flag"] == COMMITTED}
    assert hashlib.sha256(base64.b64decode(signer.public_key)).hexdigest()[:40].upper() in signed
    # The monitor made no key for it, and gave the node none.
    assert devnet.get("secret", f"consumer-{consumer_id}-key", "alice-monitor") is None
    secret = devnet.get("secret", "keys", f"alice-consumer-{consumer_id}")
    assert secret is not None
    assert list(secret["data"]) == ["node_key.json"]


def test_a_new_pod_finds_its_signer_before_it_is_ready(devnet: Devnet, consumer_id: str) -> None:
    """It answers nothing until its signer has told it the public key."""
    namespace = f"alice-consumer-{consumer_id}"
    before = devnet.get("pod", "node-0", namespace)
    assert before is not None
    devnet.kubectl("delete", "pod", "node-0", "--namespace", namespace)
    height = devnet.node_height("bob", consumer_id)
    devnet.wait("more blocks", lambda: devnet.node_height("alice", consumer_id) >= height + 3, 180, "make logs")
    after = devnet.get("pod", "node-0", namespace)
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def reaches(devnet: Devnet, namespace: str, host: str) -> bool:
    """Tell whether a pod there can connect to the port. It says nothing then: the node would hear it out."""
    command = f"nc -w 5 {host} {PORT} -e true 2>/dev/null && echo yes || echo no"
    return devnet.kubectl("exec", "--namespace", namespace, "tmkms", "--", "sh", "-c", command).strip() == "yes"


def test_nobody_else_can_be_the_signer(devnet: Devnet, consumer_id: str) -> None:
    pod = devnet.get("pod", "node-0", f"alice-consumer-{consumer_id}")
    assert pod is not None
    for host in (f"signer.alice-consumer-{consumer_id}.svc", pod["status"]["podIP"]):
        assert not reaches(devnet, STRANGER, host)
        assert reaches(devnet, SIGNER, host)
