# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decisions of a monitor that was not there, on a real provider: consumers created, joined or changed without it.

The tests share one provider and run in the order of this file: the last ones start the node again with less history.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    HeightNotAvailable,
    InterchainError,
    InvalidInput,
)
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    consumer_info,
    opt_in_decision,
)
from ansible_collections.interchain.security.plugins.module_utils.operations.state import memories
from tests.integration.single_node import CHAIN_ID, Node
from tests.operation import run_operation
from tests.testbed.parts import CHAIN

pytestmark = pytest.mark.timeout(200)

GOVERNMENT = "cosmos10d07y265gmmuvt4z0w9aw880jnsr700j6zn9kn"
HARSH = {
    "double_sign": {"slash_fraction": "1.0", "jail_duration": 600_000_000_000, "tombstone": True},
    "downtime": {"slash_fraction": "1.0", "jail_duration": 600_000_000_000, "tombstone": False},
}


class Provider:
    """A provider whose validator also owns its consumers; alice's monitor keeps its memory in ``state``."""

    def __init__(self, node: Node, state: Path) -> None:
        self.node = node
        self.client = ProviderClient([node.url], CHAIN_ID)
        self.state = state
        state.mkdir()

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, f"no {what} within {seconds} s"
            time.sleep(0.1)

    @property
    def height(self) -> int:
        return self.client.status().latest_height

    @property
    def operator(self) -> str:
        return self.client.validators()[0].operator_address

    def transact(self, *arguments: str) -> None:
        """Send a transaction and wait until it is in a block, and worked."""
        command = ["tx", *arguments, "--from", "alice", "--keyring-backend", "test", "--chain-id", CHAIN_ID]
        command += ["--node", self.node.url.replace("http", "tcp"), "--gas", "2000000", "--yes", "--output", "json"]
        answer = json.loads(self.node._run(*command))
        assert answer["code"] == 0, answer["raw_log"]
        done = self.wait("transaction in a block", lambda: self.client.transaction(answer["txhash"]))
        assert done.code == 0, done.log

    def file(self, content: Any) -> str:
        path = self.node.home / "message.json"
        path.write_text(json.dumps(content))
        return str(path)

    def create(self, chain_id: str, spawn_in: float | None = 3600, **parts: Any) -> str:
        """Create a consumer that launches in so many seconds; return its consumer_id."""
        known = {entry.consumer_id for entry in self.client.consumers()}
        now = datetime.now(UTC)
        spawn = now + timedelta(seconds=spawn_in or 0)
        revision = re.search(r"-([0-9]+)$", chain_id)
        record: dict[str, Any] = {
            "chain_id": chain_id,
            "metadata": {"name": "demo", "description": "-", "metadata": "-"},
            "initialization_parameters": {
                "initial_height": {"revision_number": int(revision[1]) if revision else 0, "revision_height": 1},
                "spawn_time": spawn.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "unbonding_period": 1209600000000000,
                "ccv_timeout_period": 2419200000000000,
                "transfer_timeout_period": 1800000000000,
                "consumer_redistribution_fraction": "0.75",
                "blocks_per_distribution_transmission": 1000,
                "historical_entries": 10000,
            },
            "power_shaping_parameters": {"top_N": 0},
            **parts,
        }
        if spawn_in is None:
            del record["initialization_parameters"]
        self.transact("provider", "create-consumer", self.file(record))
        (created,) = {entry.consumer_id for entry in self.client.consumers()} - known
        return created

    def decide(self, consumer_id: str, *, remember: bool = False, **options: Any) -> dict[str, Any]:
        """Ask for the decision as alice's monitor does, and only for it unless it is to be remembered."""
        return run_operation(
            opt_in_decision,
            check_mode=not remember,
            provider_rpc_url=[self.node.url],
            consumer_id=consumer_id,
            operator_address=options.pop("operator_address", None) or self.operator,
            state_directory=str(self.state),
            **options,
        )

    def memories(self) -> dict[str, Mapping[str, str]]:
        """Return what alice's monitor has written down, by consumer_id."""
        return memories({"state_directory": str(self.state), "state_namespace": None, "kubeconfig": None})

    def created_at(self, consumer_id: str) -> int:
        (found,) = self.client.transactions(f"create_consumer.consumer_id='{consumer_id}'", 1, 1)
        return found.height


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("catch_up")
    node = Node(CHAIN.ensure() / "interchain-security-pd", folder / "provider")
    node.configure(timeout_commit='"200ms"')
    genesis_file = node.home / "config/genesis.json"
    genesis = json.loads(genesis_file.read_text())
    genesis["app_state"]["gov"]["params"].update(voting_period="2s", expedited_voting_period="1s")
    genesis["app_state"]["provider"]["params"]["blocks_per_epoch"] = "5"
    genesis_file.write_text(json.dumps(genesis))
    node.start()
    try:
        made = Provider(node, folder / "state")
        made.wait("block", lambda: answers(made))
        yield made
    finally:
        node.kill()


def answers(provider: Provider) -> bool:
    try:
        return provider.height >= 2
    except InterchainError:  # the node is starting
        return False


def test_a_consumer_seen_late_is_decided_at_its_creation(provider: Provider) -> None:
    consumer_id = provider.create("late-1")
    created = provider.created_at(consumer_id)
    provider.wait("block", lambda: provider.height >= created + 3)
    decided = provider.decide(consumer_id)
    assert (decided["decision"], decided["action"], decided["height"]) == ("opt_in", "opt_in", created)
    assert decided["reasons"][0].startswith("rank 1 of 1")
    # What is known of it changes nothing: neither a later hint nor the memory of the decision.
    assert provider.decide(consumer_id, height=created + 2)["height"] == created
    assert provider.decide(consumer_id, height=created)["height"] == created
    assert provider.decide(consumer_id, remember=True)["changed"]
    again = provider.decide(consumer_id, height=created + 2, previous_phase="registered")
    assert (again["decision"], again["height"], again["changed"]) == ("opt_in", created, False)
    (shown,) = run_operation(
        consumer_info,
        provider_rpc_url=[provider.node.url],
        consumer_id=consumer_id,
        state_directory=str(provider.state),
    )["consumers"]
    assert shown["opt_in"] == {"decision": "opt_in", "reasons": decided["reasons"], "height": created, "alarm": ""}


def test_a_phase_change_is_decided_at_its_own_height(provider: Provider) -> None:
    consumer_id = provider.create("change-1")
    height = provider.created_at(consumer_id) + 1
    decided = provider.decide(consumer_id, height=height, previous_phase="registered")
    assert decided["height"] == height


def test_consumers_of_one_block_do_not_share_the_last_place(provider: Provider) -> None:
    """Twelve decisions at once with room for three besides what runs already."""
    chosen = [provider.create(f"place{number}-1", spawn_in=None) for number in range(1, 7)]
    running = sum(entry["decision"] == "opt_in" for entry in provider.memories().values())
    with ThreadPoolExecutor(max_workers=12) as pool:
        options = {"remember": True, "policy": {"max_consumers": running + 3}}
        answers = list(pool.map(lambda consumer_id: provider.decide(consumer_id, **options), chosen * 2))
    decisions = {answer["consumer_id"]: answer["decision"] for answer in answers}
    assert sorted(decisions.values()) == ["opt_in"] * 3 + ["stay_out"] * 3
    written = provider.memories()
    assert {consumer_id: written[consumer_id]["decision"] for consumer_id in chosen} == decisions


def test_what_the_policy_refuses_is_told_with_every_reason(provider: Provider) -> None:
    consumer_id = provider.create("harsh-1", infraction_parameters=HARSH)
    policy = {"deny": {"chain_id": ["harsh-1"]}, "max_consumers": 0, "fee_budget": "1stake", "max_storage": "1Gi"}
    decided = provider.decide(consumer_id, policy=policy)
    assert (decided["decision"], decided["action"]) == ("stay_out", "none")
    text = "; ".join(decided["reasons"])
    for reason in (
        "denies its chain_id",
        "slash fraction for double sign 1 is over the provider's own 0.05",
        "slash fraction for downtime 1 is over the provider's own",
        "the policy's most is 0",
        "the policy's most is 1073741824",
    ):
        assert reason in text
    with pytest.raises(InvalidInput, match="interchain_policy has no option modus"):
        provider.decide(consumer_id, policy={"modus": "all"})
    with pytest.raises(InvalidInput, match="operator_address: 'nobody' is no validator"):
        provider.decide(consumer_id, operator_address="nobody")


def test_who_opted_in_by_hand_is_served_with_a_key_of_its_own(provider: Provider) -> None:
    consumer_id = provider.create("hand-1")
    provider.transact("provider", "opt-in", consumer_id)
    decided = provider.decide(consumer_id)
    assert (decided["decision"], decided["action"], decided["is_opted_in"]) == ("opt_in", "assign_key", True)
    key = json.dumps({"@type": "/cosmos.crypto.ed25519.PubKey", "key": "BmzKO4Ogew8tG6Sd+eTXCeCE55bYMLzVHzeWQvOMoBs="})
    provider.transact("provider", "assign-consensus-key", consumer_id, key)
    assert provider.decide(consumer_id)["action"] == "none"


def test_a_member_of_the_top_n_is_served_before_it_is_opted_in(provider: Provider) -> None:
    """A Top N consumer belongs to the government of the provider, so it takes a proposal."""
    consumer_id = provider.create("top-1", spawn_in=12)
    update = {"consumer_id": consumer_id, "owner": "", "new_owner_address": GOVERNMENT}
    provider.transact("provider", "update-consumer", provider.file(update))
    proposal = {
        "title": "Top N",
        "summary": "-",
        "deposit": "10000000stake",
        "messages": [
            {
                "@type": "/interchain_security.ccv.provider.v1.MsgUpdateConsumer",
                "owner": GOVERNMENT,
                "consumer_id": consumer_id,
                "power_shaping_parameters": {"top_N": 60},
            }
        ],
    }
    provider.transact("gov", "submit-proposal", provider.file(proposal))
    provider.transact("gov", "vote", "1", "yes")
    provider.wait("Top N", lambda: provider.client.consumer(consumer_id).power_shaping.top_n == 60)
    before = provider.decide(consumer_id)
    assert (before["decision"], before["action"], before["is_in_top_n"]) == ("opt_in", "assign_key", True)
    assert before["reasons"] == ["it is in the Top 60 % and has to validate"]
    assert not before["is_opted_in"]
    # The policy cannot refuse it: it says so.
    forced = provider.decide(consumer_id, policy={"mode": "none", "on_violation": "opt_out"})
    assert (forced["decision"], forced["action"]) == ("opt_in", "assign_key")
    assert forced["alarm_reasons"] == ["the policy takes part in no consumer", "the Top 60 % cannot opt out"]
    provider.wait("launch", lambda: provider.client.consumer(consumer_id).phase.value == "launched")
    after = provider.decide(consumer_id)
    assert (after["decision"], after["is_opted_in"], after["is_in_top_n"]) == ("opt_in", True, True)


def test_terms_that_get_worse_are_an_alarm_before_they_hold(provider: Provider) -> None:
    consumer_id = provider.create("worse-1", spawn_in=2)
    provider.transact("provider", "opt-in", consumer_id)
    provider.wait("launch", lambda: provider.client.consumer(consumer_id).phase.value == "launched")
    assert provider.decide(consumer_id)["alarm_reasons"] == []
    update = {"consumer_id": consumer_id, "owner": "", "infraction_parameters": HARSH}
    provider.transact("provider", "update-consumer", provider.file(update))
    assert provider.client.consumer(consumer_id).infraction.downtime.slash_fraction == 0
    alarmed = provider.decide(consumer_id)
    assert alarmed["decision"] == "opt_in"
    assert any("queued slash fraction for downtime 1 is over" in reason for reason in alarmed["alarm_reasons"])
    assert alarmed["memory"]["alarm"] == "true"
    leaving = provider.decide(consumer_id, policy={"on_violation": "opt_out"})
    assert (leaving["decision"], leaving["action"], leaving["is_opted_in"]) == ("stay_out", "opt_out", True)
    provider.transact("provider", "opt-out", consumer_id)
    left = provider.decide(consumer_id, policy={"on_violation": "opt_out"})
    assert (left["decision"], left["action"], left["is_opted_in"]) == ("stay_out", "none", False)


def test_a_node_without_an_index_or_without_the_height_does_as_well_as_it_can(provider: Provider) -> None:
    consumer_id = provider.create("pruned-1")
    created = provider.created_at(consumer_id)
    provider.node.kill()
    provider.node.configure(indexer='"null"')
    provider.node.start()
    provider.wait("block", lambda: answers(provider))
    assert provider.decide(consumer_id)["height"] == created

    provider.node.kill()
    settings = provider.node.home / "config/app.toml"
    text = settings.read_text()
    for name, value in (("pruning", "custom"), ("pruning-keep-recent", "5"), ("pruning-interval", "10")):
        text = re.sub(rf"(?m)^{name} = .*$", f'{name} = "{value}"', text)
    settings.write_text(text)
    provider.node.start()
    provider.wait("block", lambda: answers(provider))
    provider.wait("pruning", lambda: pruned(provider, created))
    decided = provider.decide(consumer_id)
    assert decided["decision"] == "opt_in"
    assert decided["height"] > created
    note = (
        f"asked at height {decided['height']}, the oldest of which the node has the state: that of its creation is gone"
    )
    assert decided["reasons"][-1] == note
    changed = provider.decide(consumer_id, height=created, previous_phase="registered")
    assert f"that of height {created} is gone" in changed["reasons"][-1]


def pruned(provider: Provider, height: int) -> bool:
    try:
        provider.client.validators(height)
    except HeightNotAvailable:
        return True
    return False
