# SPDX-License-Identifier: GPL-3.0-or-later
"""What a relayer has to tell a launched chain: who joins it, who leaves it, and which key counts by now.

A validator opts in after the launch: its node follows, signs once the chain has heard of it, and is stopped after it has left again. Then one
without whom the chain stands still replaces its key. The tests build on each other and run in the order of this file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from tests.integration.vote_scan import Watch, contradictions, read_chain, votes_of_wal
from tests.testbed.devnet import Devnet

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("relayers")]

COMMITTED, NIL = 2, 3  # BlockIDFlag of a commit: the validator has signed
MEMBERS = ("alice", "bob")
RELAYER = "make hermes-status"
PAUSE = 20.0  # seconds between two blocks of a chain that goes on, on a busy machine
WAL = "cd /home/node/data && cat $(ls cs.wal/wal.* 2>/dev/null) cs.wal/wal | base64"


@pytest.fixture(scope="module")
def consumer_id(devnet: Devnet, relayers: None) -> Iterator[str]:
    """A consumer that alice and bob have launched, and of which charlie's monitor stays out."""
    made = devnet.create_consumer("late-join-1", spawn_in=3600)
    devnet.await_members(made, MEMBERS)
    devnet.set_spawn_time(made, 10)
    devnet.await_height(MEMBERS, made, 2)
    yield made
    devnet.remove_consumer(made)


class Chain:
    """What alice's node tells of the consumer chain."""

    def __init__(self, devnet: Devnet, consumer_id: str) -> None:
        self._devnet, self._consumer_id = devnet, consumer_id
        service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
        assert service is not None
        self._url = f"http://{service['spec']['clusterIP']}:26657"

    @property
    def url(self) -> str:
        return self._url

    @property
    def height(self) -> int:
        return self._devnet.node_height("alice", self._consumer_id)

    def time(self, height: int) -> datetime:
        header = self._devnet.rpc(f"commit?height={height}", self._url)["signed_header"]["header"]
        return datetime.fromisoformat(header["time"][:23].rstrip("Z") + "+00:00")

    def validators(self, height: int | None = None) -> set[str]:
        found = self._devnet.rpc(f"validators?height={height or self.height}", self._url)["validators"]
        return {entry["pub_key"]["value"] for entry in found}

    def signed(self, height: int | None = None) -> set[str]:
        """Return who signed a block, or the newest one whose commit is complete."""
        commit = self._devnet.rpc(f"commit?height={height or self.height - 1}", self._url)["signed_header"]["commit"]
        return {
            entry["validator_address"] for entry in commit["signatures"] if entry["block_id_flag"] in (COMMITTED, NIL)
        }


def relayer(devnet: Devnet, consumer_id: str, kind: str) -> tuple[str, str]:
    """Return reason and message of a condition of charlie's relayer, as his monitor keeps it; empty before it has looked."""
    kept = json.loads(devnet.decision("charlie", consumer_id).get("relayer_conditions", "[]"))
    return next(((entry["reason"], entry["message"]) for entry in kept if entry["type"] == kind), ("", ""))


def test_a_validator_joins_a_launched_chain_and_leaves_it(devnet: Devnet, consumer_id: str) -> None:
    namespace = f"charlie-consumer-{consumer_id}"
    chain = Chain(devnet, consumer_id)
    assert devnet.get("namespace", namespace) is None
    devnet.playbook("opt_in", "charlie", consumer_id=consumer_id)
    secret = devnet.get("secret", f"consumer-{consumer_id}-key", "charlie-monitor")
    assert secret is not None
    key = consensus_key.from_key_file(base64.b64decode(secret["data"]["priv_validator_key.json"]).decode())
    devnet.wait(
        "charlie's node to have all blocks",
        lambda: devnet.node_height("charlie", consumer_id) >= chain.height - 1 > 0,
        180,
        "make logs",
    )
    devnet.wait(
        "charlie's node to be one that may sign",
        lambda: devnet.decision("charlie", consumer_id).get("node_mode") == "sign",
        180,
        "make logs",
    )
    assert "joined the chain late" in devnet.decision("charlie", consumer_id)["node_reasons"]
    devnet.wait("charlie's key to sign", lambda: key.address in chain.signed(), 240, RELAYER)
    assert len(chain.validators(1)) == 2
    assert key.public_key_base64 not in chain.validators(1)
    assert len(chain.validators()) == 3

    # The genesis has nothing for its relayer, and who would send it some is not the monitor's business: it is told what to do.
    own = account_key.from_mnemonic(devnet.variables("charlie")["monitor_relayer_mnemonic"], "consumer").account_address
    devnet.wait(
        "what is wrong with charlie's relayer",
        lambda: relayer(devnet, consumer_id, "Wallets")[0] == "Empty",
        120,
        RELAYER,
    )
    message = relayer(devnet, consumer_id, "Wallets")[1]
    assert f"account {own} on the consumer cannot pay" in message
    assert "send it more than 100000stake" in message
    assert "joined later" in message
    devnet.wait("charlie's relayer", lambda: relayer(devnet, consumer_id, "Relayer")[0] == "Ready", 120, RELAYER)
    where = ("--namespace", namespace, "--selector=app.kubernetes.io/name=hermes")
    restarts = "jsonpath={.items[*].status.containerStatuses[0].restartCount}"
    assert devnet.kubectl("get", "pods", *where, "--output", restarts) == "0"

    devnet.playbook("check_consumers", "charlie")
    promoted = int(devnet.decision("charlie", consumer_id)["promoted_height"])
    assert key.public_key_base64 in chain.validators(promoted)
    assert key.public_key_base64 not in chain.validators(promoted - 1)

    devnet.playbook("opt_out", "charlie", consumer_id=consumer_id)

    def stopped() -> bool:
        found = devnet.get("statefulset", "node", namespace)
        assert found is not None
        if found["spec"]["replicas"]:
            return False
        # Never while the chain counts on it.
        assert key.public_key_base64 not in chain.validators()
        return True

    devnet.wait("charlie's node to be stopped", stopped, 240, RELAYER)
    height = chain.height
    assert len(chain.validators(height)) == 2
    devnet.wait("the chain to go on", lambda: chain.height > height + 2, 60, "make logs")
    assert devnet.get("persistentvolumeclaim", "data", namespace) is not None
    remembered = devnet.decision("charlie", consumer_id)
    assert (remembered["decision"], remembered["node_mode"]) == ("stay_out", "")
    assert "opted out" in remembered["reason"]


def key_of(devnet: Devnet, name: str, namespace: str) -> consensus_key.ConsensusKey:
    """Return the consensus key of a Secret."""
    secret = devnet.get("secret", name, namespace)
    assert secret is not None
    return consensus_key.from_key_file(base64.b64decode(secret["data"]["priv_validator_key.json"]).decode())


def test_a_key_is_replaced_without_whose_votes_the_chain_stands_still(devnet: Devnet, consumer_id: str) -> None:
    """Bob has two fifths of the votes. His node goes on with the old key until the chain's own set holds the new one, and starts anew with that."""
    namespace, kept = f"bob-consumer-{consumer_id}", f"consumer-{consumer_id}-key"
    chain = Chain(devnet, consumer_id)
    # Without a channel, nobody hears of another key.
    devnet.wait("the relayers' way", lambda: chain_is_told(devnet, consumer_id), 300, RELAYER)
    old = key_of(devnet, "keys", namespace)
    pod = devnet.get("pod", "node-0", namespace)
    service = devnet.get("service", "node", namespace)
    assert pod is not None
    assert service is not None
    urls = {"alice": chain.url, "bob": f"http://{service['spec']['clusterIP']}:26657"}
    with Watch(urls) as watch:
        first = chain.height
        devnet.playbook("assign_key", "bob", consumer_id=consumer_id, key_secret=f"{kept}-2", rotate=True)
        new = key_of(devnet, f"{kept}-2", "bob-monitor")
        devnet.wait(
            "bob's node to sign with the new key",
            lambda: devnet.decision("bob", consumer_id).get("signing_key") == new.public_key_base64,
            400,
            RELAYER,
        )
        devnet.wait("bob's new key to sign", lambda: new.address in chain.signed(), 120, "make logs")
        height = chain.height
        devnet.wait("the chain to go on", lambda: chain.height > height + 5, 60, "make logs")
        tip = chain.height - 1

    # Each block has the vote of the key that counted for it, and of no other of his.
    switched = next(number for number in range(first, tip + 1) if new.public_key_base64 in chain.validators(number))
    assert switched > first
    for number in range(first, tip + 1):
        counts, other = (old, new) if number < switched else (new, old)
        assert counts.public_key_base64 in chain.validators(number)
        assert other.public_key_base64 not in chain.validators(number)
        assert {counts.address, other.address} & chain.signed(number) == {counts.address}
    # It paused for the restart alone, between the last block that the old key could vote on and the first that the new one did.
    pauses = [
        (number, (later - earlier).total_seconds())
        for number, (earlier, later) in enumerate(
            pairwise(chain.time(number) for number in range(first, tip + 1)), start=first + 1
        )
    ]
    assert [entry for entry in pauses if entry[1] > PAUSE and entry[0] not in (switched, switched + 1)] == []

    remembered = devnet.decision("bob", consumer_id)
    assert remembered["node_mode"] == "sign"
    assert json.loads(remembered["retired_keys"]) == [old.public_key_base64]
    assert key_of(devnet, "keys", namespace).public_key_base64 == new.public_key_base64
    assert key_of(devnet, kept, "bob-monitor").public_key_base64 == old.public_key_base64  # evidence may still come
    after = devnet.get("pod", "node-0", namespace)
    assert after is not None
    assert after["metadata"]["uid"] != pod["metadata"]["uid"]
    # Nor does a launch give the old one back.
    devnet.playbook("consumer_launched", "bob", consumer_id=consumer_id)
    assert key_of(devnet, "keys", namespace).public_key_base64 == new.public_key_base64

    votes = [*read_chain(chain.url, "alice").votes, *watch.votes]
    for name in MEMBERS:
        where = ("--namespace", f"{name}-consumer-{consumer_id}", "node-0", "--container", "node")
        votes += votes_of_wal(base64.b64decode(devnet.kubectl("exec", *where, "--", "sh", "-c", WAL)), name)
    assert {old.address[:12], new.address[:12]} <= {vote.address for vote in votes}
    assert contradictions(votes) == []


def chain_is_told(devnet: Devnet, consumer_id: str) -> bool:
    """Tell whether the relayers have a channel, by what the monitors keep of it."""
    return any(
        entry["type"] == "Channel" and entry["status"] == "True"
        for name in MEMBERS
        for entry in json.loads(devnet.decision(name, consumer_id).get("relayer_conditions") or "[]")
    )
