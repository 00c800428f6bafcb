# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain launches with the provider's own key of a validator: that key never signs it, and the one assigned late does once the chain has heard of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.operations import opt_in
from tests.testbed.devnet import Devnet

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("relayers")]

COMMITTED, NIL = 2, 3  # BlockIDFlag of a commit: the validator has signed


@pytest.fixture
def consumer_id(devnet: Devnet) -> Iterator[str]:
    """A consumer that launches while charlie's monitor is away, with charlie in it by hand and without a key of its own."""
    made = devnet.create_consumer("latekey-1", spawn_in=3600)
    devnet.await_members(made, ("alice", "bob"))
    with devnet.monitor_away("charlie"):
        devnet.operate(
            opt_in,
            mnemonic_file=str(devnet.directory / "charlie.mnemonic"),
            consumer_id=made,
            key_source="none",
        )
        devnet.set_spawn_time(made, 10)
        devnet.await_launch(made)
    yield made
    devnet.remove_consumer(made)


def test_a_key_that_is_assigned_late_signs_when_the_chain_has_heard_of_it(devnet: Devnet, consumer_id: str) -> None:
    devnet.await_height(("alice", "bob"), consumer_id, 2)
    namespace = f"charlie-consumer-{consumer_id}"
    devnet.wait(
        "charlie's node to be one that may sign",
        lambda: devnet.decision("charlie", consumer_id).get("node_mode") == "sign",
        180,
        "make logs",
    )
    secret = devnet.get("secret", "keys", namespace)
    assert secret is not None
    key = consensus_key.from_key_file(base64.b64decode(secret["data"]["priv_validator_key.json"]).decode())
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    assert service is not None
    url = f"http://{service['spec']['clusterIP']}:26657"

    def signed(height: int) -> set[str]:
        commit = devnet.rpc(f"commit?height={height}", url)["signed_header"]["commit"]
        return {
            entry["validator_address"] for entry in commit["signatures"] if entry["block_id_flag"] in (COMMITTED, NIL)
        }

    def signs() -> bool:
        return key.address in signed(devnet.node_height("alice", consumer_id) - 1)

    devnet.wait("charlie's own key to sign", signs, 240, "make hermes-status")
    # It took the place of the provider's key, which is in the initial set and in no commit.
    first = {
        entry["pub_key"]["value"]: entry["address"] for entry in devnet.rpc("validators?height=1", url)["validators"]
    }
    tip = devnet.node_height("alice", consumer_id)
    last = {
        entry["pub_key"]["value"]: entry["address"]
        for entry in devnet.rpc(f"validators?height={tip}", url)["validators"]
    }
    replaced = set(first) - set(last)
    assert set(last) - set(first) == {key.public_key_base64}
    assert len(replaced) == 1
    provider_keys = {entry["pub_key"]["value"] for entry in devnet.rpc("validators")["validators"]}
    assert replaced < provider_keys
    (never,) = (first[entry] for entry in replaced)
    assert not [height for height in range(1, tip) if never in signed(height)]
    reasons = json.loads(devnet.decision("charlie", consumer_id)["node_reasons"])
    assert "assigned after the launch" in reasons[0]
