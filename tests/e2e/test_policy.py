# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What validators' policies let them do. The tests build on each other and run in the order of this file.

Alice and bob have no policy of their own, so the provider's terms bound what a consumer may cost them. Charlie, whom the selection rule does not
name, takes any terms, but one consumer at most and none of a chain_id. The consumers stay registered: no node is prepared for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed.devnet import POWERS, Devnet

# The first test also waits for the devnet, where no other file was run before it.
pytestmark = pytest.mark.timeout(900)

MEMBERS = ("alice", "bob")
HARSH = {
    "double_sign": {"slash_fraction": "1.0"},
    "downtime": {"slash_fraction": "1.0", "jail_duration": "600"},
}
USUAL = {
    "double_sign": {"slash_fraction": "0.05"},
    "downtime": {"slash_fraction": "0", "jail_duration": "600"},
}
CHARLIE = {
    "mode": "all",
    "deny": {"chain_id": ["denied-1"]},
    "max_double_sign_slash_fraction": 1,
    "max_downtime_slash_fraction": 1,
    "max_consumers": 1,
}
TOO_MUCH = "slash fraction for double sign 1 is over the provider's own 0.05"


@pytest.fixture(scope="module", autouse=True)
def charlies_policy(devnet: Devnet) -> Iterator[None]:
    devnet.deploy_monitors(["charlie"], interchain_policy=CHARLIE)
    yield
    devnet.deploy_monitors(["charlie"])


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """What later tests need of earlier ones."""
    return {}


def create(devnet: Devnet, chain_id: str) -> str:
    """Create a consumer that slashes everything, without a spawn time; return its consumer_id."""
    parameters = {"infraction_parameters": HARSH}
    devnet.playbook("create_consumer", None, chain_id=chain_id, spawn_time="unset", consumer_parameters=parameters)
    return str(max(int(entry["consumer_id"]) for entry in devnet.consumers()))


def remembered(devnet: Devnet, consumer_id: str, **wanted: str) -> None:
    """Wait until each validator's monitor remembers what is wanted of it, as ``key_name=value``."""
    for option, value in wanted.items():
        key, name = option.rsplit("_", 1)
        devnet.wait(
            f"{name}'s {key} of consumer {consumer_id} to be {value}",
            lambda key=key, name=name, value=value: devnet.decision(name, consumer_id).get(key) == value,  # type: ignore[misc]
            90,
            "make logs",
        )


def operator(devnet: Devnet, name: str) -> Any:
    return devnet.variables(name)["interchain_operator_address"]


def test_a_consumer_that_slashes_everything_is_refused(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["harsh"] = create(devnet, "harsh-1")
    remembered(devnet, consumer_id, decision_alice="stay_out", decision_bob="stay_out", decision_charlie="opt_in")
    for name in MEMBERS:
        assert TOO_MUCH in devnet.decision(name, consumer_id)["reason"]
    assert devnet.decision("charlie", consumer_id)["reason"] == "the policy takes part in all consumers"
    charlie = [operator(devnet, "charlie")]
    devnet.wait("charlie's opt-in", lambda: devnet.consumer(consumer_id)["opted_in"] == charlie, 60, "make logs")
    assert TOO_MUCH in " ".join(devnet.playbook("status", None).split())


def test_a_denied_chain_id_and_the_most_consumers_keep_a_validator_out(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = create(devnet, "denied-1")
    remembered(devnet, consumer_id, decision_charlie="stay_out", decision_alice="stay_out", decision_bob="stay_out")
    reason = devnet.decision("charlie", consumer_id)["reason"]
    assert "the policy denies its chain_id" in reason
    assert "1 consumers run here already, the policy's most is 1" in reason
    assert devnet.consumer(consumer_id)["opted_in"] == []


def test_better_terms_let_the_selected_in(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["harsh"]
    change = {"infraction_parameters": USUAL}
    devnet.playbook("update_consumer_parameters", None, consumer_id=consumer_id, consumer_parameters=change)
    remembered(devnet, consumer_id, decision_alice="opt_in", decision_bob="opt_in")
    everybody = sorted(operator(devnet, name) for name in POWERS)
    devnet.wait("opt-ins", lambda: devnet.consumer(consumer_id)["opted_in"] == everybody, 60, "make logs")


def test_worse_terms_raise_an_alarm_with_those_who_mind(devnet: Devnet, seen: dict[str, str]) -> None:
    consumer_id = seen["harsh"]
    change = {"infraction_parameters": HARSH}
    devnet.playbook("update_consumer_parameters", None, consumer_id=consumer_id, consumer_parameters=change)
    remembered(devnet, consumer_id, alarm_alice="true", alarm_bob="true")
    for name in MEMBERS:
        memory = devnet.decision(name, consumer_id)
        assert memory["decision"] == "opt_in"
        assert TOO_MUCH in memory["alarm_reason"]
    assert devnet.decision("charlie", consumer_id)["alarm"] == "false"
    status = " ".join(devnet.playbook("status", None).split())
    assert f"ALARM: {TOO_MUCH}" in status


def test_a_policy_that_cannot_be_used_is_refused_before_anything_changes(devnet: Devnet) -> None:
    before = devnet.get("statefulset", "monitor", "charlie-monitor")
    done = devnet.run_playbook("deploy_monitor", "charlie", {"interchain_policy": {"max_consumer": 1}})
    assert done.returncode != 0
    assert "interchain_policy has no option max_consumer" in " ".join(done.stdout.split())
    after = devnet.get("statefulset", "monitor", "charlie-monitor")
    assert before is not None
    assert after is not None
    assert before["metadata"]["generation"] == after["metadata"]["generation"]
