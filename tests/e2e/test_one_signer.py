# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alice's node is disturbed in every way that could make two signers of one. The tests build on each other and run in the order of this file.

The consumer makes no block without alice's signature, so each new block after a disturbance shows that she signs again. Meanwhile what the nodes
have of each other's votes is watched; at the end everything that bob's node was ever sent is looked through.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.filter.node_key import node_key
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import LATE_SECONDS, LOOK_SECONDS
from tests.integration.vote_scan import (
    Vote,
    Watch,
    alarms,
    contradictions,
    pooled_evidence,
    read_chain,
    votes_of_state,
    votes_of_wal,
)
from tests.testbed.devnet import Devnet
from tests.testbed.parts import CHAIN

pytestmark = pytest.mark.timeout(600)

CHAIN_ID = "signer-1"
SECOND = "second"  # a second monitor of alice's
AS_SECOND = {"interchain_load_balancer_address": "", "consumer_launch_timeout": 60}
PREVOTE = 4  # the step of a round in which a validator has voted
WAL = "$(ls cs.wal/wal.* 2>/dev/null) cs.wal/wal"
POOL = "evidence.db/*"


@dataclass
class Signing:
    """The consumer, who signs it for alice, and what was seen of its votes so far."""

    devnet: Devnet
    consumer_id: str
    watch: Watch
    address: str
    own: list[Vote] = field(default_factory=list)  # what alice's node had of votes before its volume was lost

    def namespace(self, name: str = "alice") -> str:
        return f"{name}-consumer-{self.consumer_id}"

    def url(self, name: str) -> str:
        return url_of(self.devnet, name, self.consumer_id)

    def pod(self, name: str = "alice") -> dict[str, Any] | None:
        return self.devnet.get("pod", "node-0", self.namespace(name))

    def launch(self, name: str = "alice", **variables: Any) -> str:
        """Run the playbook of the launch as alice's operator."""
        return launch(self.devnet, self.consumer_id, name, **variables)

    def scale(self, replicas: int, name: str = "alice") -> None:
        self.devnet.kubectl(
            "scale", "statefulset", "node", "--namespace", self.namespace(name), f"--replicas={replicas}"
        )

    def goes_on(self) -> None:
        """Wait for blocks that come after all that has happened by now."""
        height = self.devnet.node_height("bob", self.consumer_id)
        self.devnet.wait(
            "three more blocks",
            lambda: self.devnet.node_height("bob", self.consumer_id) >= height + 3,
            150,
            f"kubectl logs --namespace {self.namespace()} node-0",
        )

    def data(self, name: str, files: str) -> bytes:
        """Return the content of files below the data folder of a node's volume."""
        script = f"cd /home/node/data && cat {files} | base64"
        text = self.devnet.kubectl(
            "exec", "--namespace", self.namespace(name), "node-0", "--container", "node", "--", "sh", "-c", script
        )
        assert text.strip()
        return base64.b64decode(text)

    def state(self, name: str) -> tuple[int, int, set[Vote]]:
        """Return height and step of a node, and the votes that it has on that height."""
        state = self.devnet.rpc("dump_consensus_state", self.url(name))["round_state"]
        height = int(state["height"])
        return (
            height,
            int(state["step"]),
            {vote for vote in votes_of_state(json.dumps(state), name) if vote.height == height},
        )

    def stop(self) -> set[Vote]:
        """Stop alice's node; return what she had voted on the block at which the chain now stands."""
        self.scale(0)
        self.devnet.wait("alice's pod to go", lambda: self.pod() is None, 90, f"kubectl get pods -n {self.namespace()}")
        _height, _step, votes = self.state("bob")
        return {vote for vote in votes if vote.address == self.address}

    def stands(self, observer: str, before: set[Vote]) -> None:
        """Wait until an observer's node is where a signer would have voted on the next block, with bob's vote on it; alice's are those of before."""
        votes: set[Vote] = set()

        def voted() -> bool:
            try:
                height, step, found = self.state(observer)
            except OSError:
                return False
            votes.clear()
            votes.update(found)
            others = {vote.address for vote in votes} - {self.address}
            return (
                height == self.devnet.node_height("bob", self.consumer_id) + 1 and step >= PREVOTE and len(others) > 0
            )

        where = f"kubectl logs -n {self.namespace(observer)} node-0"
        self.devnet.wait(f"{observer}'s node to stand where bob's does", voted, 120, where)
        assert {vote for vote in votes if vote.address == self.address} <= before

    def remembered(self, name: str) -> dict[str, str]:
        return self.devnet.decision(name, self.consumer_id)


def url_of(devnet: Devnet, name: str, consumer_id: str) -> str:
    service = devnet.get("service", "node", f"{name}-consumer-{consumer_id}")
    assert service is not None
    return f"http://{service['spec']['clusterIP']}:26657"


@pytest.fixture(scope="module")
def signing(devnet: Devnet) -> Iterator[Signing]:
    """The consumer with both nodes running; they are watched until the last test of this file is done."""
    consumer_id = devnet.create_consumer(CHAIN_ID, spawn_in=3600)
    members = {devnet.variables(name)["interchain_operator_address"] for name in ("alice", "bob")}
    devnet.wait("opt-ins", lambda: set(devnet.consumer(consumer_id)["opted_in"]) == members, 90, "make logs")
    copy_keys(devnet, consumer_id)
    with ThreadPoolExecutor() as pool:
        with devnet.monitor_away("alice"):
            devnet.set_spawn_time(consumer_id, 5)
            devnet.await_launch(consumer_id)
            second = pool.submit(launch, devnet, consumer_id, SECOND, **AS_SECOND)
            looks_for_long(devnet, consumer_id)
        devnet.await_height(("alice", "bob"), consumer_id, 3)
        second.result()
    urls = {name: url_of(devnet, name, consumer_id) for name in ("alice", "bob")}
    address = devnet.rpc("status", urls["alice"])["validator_info"]["address"][:12]
    with Watch(urls) as watch:
        yield Signing(devnet, consumer_id, watch, address)
    devnet.remove_consumer(consumer_id)
    namespaces = [f"{SECOND}-monitor", f"{SECOND}-consumer-{consumer_id}"]
    devnet.kubectl("delete", "namespace", *namespaces, "--ignore-not-found", "--timeout=100s")


def looks_for_long(devnet: Devnet, consumer_id: str) -> None:
    """Wait until the second monitor's node has followed the chain for longer than a late one has to look who signs."""

    def follows() -> bool:
        try:
            return int(devnet.rpc("net_info", url_of(devnet, SECOND, consumer_id))["n_peers"]) > 0
        except OSError:
            return False

    def deployed() -> bool:
        return devnet.decision(SECOND, consumer_id).get("node_mode") == "follow"

    where = f"kubectl logs --namespace {SECOND}-consumer-{consumer_id} node-0"
    devnet.wait("the second node to follow", lambda: deployed() and follows(), 120, where)
    height = devnet.height()
    blocks = LOOK_SECONDS + 5  # of a second
    devnet.wait("it to look who signs", lambda: devnet.height() >= height + blocks, 60, "make logs")


def copy_keys(devnet: Devnet, consumer_id: str) -> None:
    """Give the second monitor a copy of alice's key, and a P2P identity of its own."""
    monitor, kept = f"{SECOND}-monitor", f"consumer-{consumer_id}-key"
    found = devnet.get("secret", kept, "alice-monitor")
    assert found is not None
    key = base64.b64decode(found["data"]["priv_validator_key.json"]).decode()
    devnet.kubectl("create", "namespace", monitor)
    for name, file, text in (
        ("node-key", "node_key.json", node_key("2a" * 32)),
        (kept, "priv_validator_key.json", key),
    ):
        devnet.kubectl("create", "secret", "generic", name, "--namespace", monitor, f"--from-literal={file}={text}")


def launch(devnet: Devnet, consumer_id: str, name: str, **variables: Any) -> str:
    """Run the playbook of the launch as alice's operator, for a monitor of that name."""
    return devnet.playbook(
        "consumer_launched", "alice", consumer_id=consumer_id, interchain_validator=name, **variables
    )


def node_process(pod: dict[str, Any]) -> int:
    """Return the process of a pod's node as this machine numbers it; a cluster elsewhere has none here."""
    uid = pod["metadata"]["uid"]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, group = (entry / "cmdline").read_bytes().split(b"\0"), (entry / "cgroup").read_text()
        except OSError:
            continue  # it has ended
        if words[0].endswith(b"interchain-security-cd") and f"pod{uid}" in group.replace("_", "-"):
            found.append(int(entry.name))
    (process,) = found
    return process


def test_a_second_monitor_that_launches_beside_the_first(signing: Signing) -> None:
    """It has a copy of alice's key and shares no fence, and alice's own monitor begins half a minute later: without a look, as it may within a minute.

    The second one is not where alice announces her nodes, so it looks until that minute is long over.
    """
    remembered = signing.remembered(SECOND)
    assert (remembered["node_mode"], remembered["double_sign_check_height"]) == ("follow", "0")
    assert "another node signs the chain with the key held here" in json.loads(remembered["node_reasons"])[0]
    assert "signing_key" not in remembered
    keys = signing.devnet.get("secret", "keys", signing.namespace(SECOND))
    assert keys is not None
    assert list(keys["data"]) == ["node_key.json"]


def test_a_pod_that_is_deleted_by_force_while_it_signs(signing: Signing) -> None:
    before = signing.pod()
    assert before is not None
    signing.devnet.kubectl("delete", "pod", "node-0", "--namespace", signing.namespace(), "--force", "--grace-period=0")
    signing.goes_on()
    after = signing.pod()
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def test_a_node_that_is_killed_in_its_pod(signing: Signing) -> None:
    before = signing.pod()
    assert before is not None
    (restarts,) = [entry["restartCount"] for entry in before["status"]["containerStatuses"]]
    os.kill(node_process(before), signal.SIGKILL)

    def restarted() -> bool:
        pod = signing.pod()
        assert pod is not None
        assert pod["metadata"]["uid"] == before["metadata"]["uid"]
        return bool(pod["status"]["containerStatuses"][0]["restartCount"] > restarts)

    signing.devnet.wait("the container to start again", restarted, 60, f"kubectl describe pod -n {signing.namespace()}")
    signing.goes_on()


def test_a_second_monitor_of_the_validator(signing: Signing) -> None:
    """It has a copy of alice's key. Its node follows; also when alice's own is away, and the chain waits for her vote."""
    devnet = signing.devnet
    second = {**AS_SECOND, "interchain_fence_namespace": "alice-monitor"}
    signing.launch(SECOND, **second)
    remembered = signing.remembered(SECOND)
    assert remembered["node_mode"] == "follow"
    assert "holds the fence of this key and chain" in json.loads(remembered["node_reasons"])[0]
    keys = devnet.get("secret", "keys", signing.namespace(SECOND))
    assert keys is not None
    assert list(keys["data"]) == ["node_key.json"]
    devnet.wait(
        "the second node to follow",
        lambda: devnet.node_height(SECOND, signing.consumer_id) >= 3,
        120,
        f"kubectl logs -n {signing.namespace(SECOND)} node-0",
    )
    before = signing.stop()
    signing.stands(SECOND, before)
    # Nor does it sign when it is asked to start anew while nobody does.
    signing.launch(SECOND, **second)
    assert signing.remembered(SECOND)["node_mode"] == "follow"
    signing.stands(SECOND, before)


def test_two_launches_at_the_same_time(signing: Signing) -> None:
    """Alice's node is away, as the test before has left it, and both have to bring it back."""
    for kind, name in (("secret", "keys"), ("configmap", "config")):
        signing.devnet.kubectl("delete", kind, name, "--namespace", signing.namespace())
    with ThreadPoolExecutor(max_workers=2) as pool:
        for running in [pool.submit(signing.launch) for _number in range(2)]:
            running.result()
    signing.goes_on()
    remembered = signing.remembered("alice")
    assert remembered["node_mode"] == "sign"
    listed = json.loads(signing.devnet.kubectl("get", "pods", "--namespace", signing.namespace(), "--output", "json"))
    nodes = [entry for entry in listed["items"] if entry["metadata"]["labels"]["app.kubernetes.io/name"] == "node"]
    assert [entry["metadata"]["name"] for entry in nodes] == ["node-0"]


def test_a_restart_by_another_pod_template(signing: Signing) -> None:
    before = signing.pod()
    assert before is not None
    signing.devnet.kubectl("rollout", "restart", "statefulset", "node", "--namespace", signing.namespace())
    signing.devnet.wait(
        "the next pod",
        lambda: (signing.pod() or before)["metadata"]["uid"] != before["metadata"]["uid"],
        90,
        f"kubectl describe statefulset -n {signing.namespace()}",
    )
    signing.goes_on()


def test_a_second_monitor_that_shares_no_fence(signing: Signing) -> None:
    """As in another cluster. It comes late, so it looks first who signs, and sees alice."""
    devnet = signing.devnet
    spawned = datetime.fromisoformat(devnet.consumer(signing.consumer_id)["spawn_time"])

    def late() -> bool:
        now = datetime.fromisoformat(devnet.rpc("status")["sync_info"]["latest_block_time"][:19] + "+00:00")
        return (now - spawned).total_seconds() > LATE_SECONDS

    devnet.wait("a minute after the launch", late, 90, "make logs")
    signing.launch(SECOND, **AS_SECOND)
    remembered = signing.remembered(SECOND)
    assert remembered["node_mode"] == "follow"
    assert "another node signs the chain with the key held here" in json.loads(remembered["node_reasons"])[0]
    # That is kept: however long alice's node is away from now on, this one is not let in.
    assert remembered["key_seen_elsewhere"]


def test_a_lost_volume_ends_the_signing_and_says_so(signing: Signing) -> None:
    signing.own += votes_of_wal(signing.data("alice", WAL), "alice")
    assert pooled_evidence(signing.data("alice", POOL)) == set()
    before = signing.stop()
    # The pod that made its home is done, but holds it.
    signing.devnet.kubectl(
        "delete", "pods", "--namespace", signing.namespace(), "--selector=app.kubernetes.io/name=stage"
    )
    signing.devnet.kubectl(
        "delete", "persistentvolumeclaim", "data", "--namespace", signing.namespace(), "--timeout=60s"
    )
    signing.launch(consumer_launch_timeout=60)
    remembered = signing.remembered("alice")
    assert remembered["node_mode"] == "follow"
    assert "the volume with the sign state of this key is gone" in json.loads(remembered["node_reasons"])[0]
    keys = signing.devnet.get("secret", "keys", signing.namespace())
    assert keys is not None
    assert list(keys["data"]) == ["node_key.json"]
    signing.stands("alice", before)
    status = signing.devnet.playbook("status", None, status_validator="alice")
    assert "the volume with the sign state of this key is gone" in status


def test_nobody_has_signed_twice(signing: Signing) -> None:
    """What every node has and was sent, what the evidence pool and the logs say, and what the provider knows."""
    devnet = signing.devnet
    chain = read_chain(signing.url("bob"), "bob")
    assert chain.evidence == {}
    votes = [*chain.votes, *list(signing.watch.votes), *signing.own]
    of_alice = {vote.height for vote in chain.votes if vote.address == signing.address and vote.block.strip("0")}
    assert of_alice == set(range(1, chain.tip + 1))  # she signed each of them: what follows is about her key
    for name in ("bob", SECOND, "alice"):
        votes += votes_of_wal(signing.data(name, WAL), name)
        assert pooled_evidence(signing.data(name, POOL)) == set()
        log = devnet.kubectl("logs", "node-0", "--namespace", signing.namespace(name))
        assert log
        assert alarms(log) == []
    assert contradictions(votes) == []
    # Every vote with her key that anybody has seen was made by her node, the one with the sign state.
    made = {vote for vote in signing.own if vote.place == "made by alice" and vote.address == signing.address}
    until = max(vote.height for vote in made)
    seen = [vote for vote in votes if vote.address == signing.address and vote.height < until]
    assert {"blocks of bob", "sent to bob", f"sent to {SECOND}", "live at alice", "live at bob"} <= {
        vote.place for vote in seen
    }
    assert set(seen) <= made

    provider = read_chain(devnet.rpc_url(), "the provider")
    assert provider.evidence == {}
    assert contradictions(provider.votes) == []
    infos = query(devnet, "slashing", "signing-infos")["info"]
    assert len(infos) == 3
    for info in infos:
        assert not info.get("tombstoned", False)
        assert info["jailed_until"].startswith("1970-01-01")
    assert [entry for entry in query(devnet, "staking", "validators")["validators"] if entry.get("jailed", False)] == []


def query(devnet: Devnet, *words: str) -> Any:
    """Ask the provider by its own program."""
    program = str(CHAIN.ensure() / "interchain-security-pd")
    command = [program, "query", *words, "--node", devnet.rpc_url().replace("http", "tcp"), "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return json.loads(done.stdout)
