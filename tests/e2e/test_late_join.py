# SPDX-License-Identifier: GPL-3.0-or-later
"""A validator opts in after the launch: its node follows, signs once a relayer has told the chain of it, and is stopped after it has left again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from tests.testbed.devnet import Devnet

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("relayers")]

COMMITTED, NIL = 2, 3  # BlockIDFlag of a commit: the validator has signed
MEMBERS = ("alice", "bob")
RELAYER = "make hermes-status"


@pytest.fixture
def consumer_id(devnet: Devnet) -> Iterator[str]:
    """A consumer that alice and bob have launched, and of which charlie's monitor stays out."""
    made = devnet.create_consumer("late-join-1", spawn_in=3600)
    devnet.await_members(made, MEMBERS)
    devnet.set_spawn_time(made, 10)
    for name in MEMBERS:
        devnet.wait(
            f"height 2 of {name}'s node",
            lambda name=name: devnet.node_height(name, made) >= 2,  # type: ignore[misc]
            180,
            "make logs",
        )
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
    def height(self) -> int:
        return self._devnet.node_height("alice", self._consumer_id)

    def validators(self, height: int | None = None) -> set[str]:
        found = self._devnet.rpc(f"validators?height={height or self.height}", self._url)["validators"]
        return {entry["pub_key"]["value"] for entry in found}

    def signed(self) -> set[str]:
        """Return who signed the newest block whose commit is complete."""
        commit = self._devnet.rpc(f"commit?height={self.height - 1}", self._url)["signed_header"]["commit"]
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
