# SPDX-License-Identifier: GPL-3.0-or-later
"""The relayers of a consumer's validators: one CCV channel whoever is lost on the way, and packets that arrive whoever is there to carry them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils import relayer_look
from ansible_collections.interchain.security.plugins.module_utils.chain.account_key import new_mnemonic
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.ibc import light_client
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Decision, End, Sight, Step
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import Packets
from tests.testbed.devnet import Devnet

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("relayers")]

MEMBERS = ("alice", "bob")


class World:
    """A consumer that alice and bob have launched, seen through alice's nodes."""

    def __init__(self, devnet: Devnet, chain_id: str) -> None:
        self.devnet = devnet
        self.consumer_id = devnet.create_consumer(chain_id, spawn_in=3600)
        devnet.await_members(self.consumer_id, MEMBERS)
        devnet.set_spawn_time(self.consumer_id, 10)
        self.wait("height 2 of alice's node", lambda: devnet.node_height("alice", self.consumer_id) >= 2, 180)
        self.provider = ProviderClient([devnet.rpc_url()])
        service = devnet.get("service", "node", self.namespace("alice"))
        assert service is not None
        self.url = f"http://{service['spec']['clusterIP']}:26657"
        self.chain = NodeRpc([self.url])

    def namespace(self, name: str) -> str:
        return f"{name}-consumer-{self.consumer_id}"

    def wait(self, what: str, condition: Any, seconds: float) -> None:
        self.devnet.wait(what, condition, seconds, "make logs, and kubectl logs deployment/hermes")

    def sight(self) -> Sight:
        return relayer_look.sight(self.provider, self.chain, self.provider.consumer(self.consumer_id))

    def channel(self) -> Decision:
        return ccv_channel.decide(self.sight())

    def await_channel(self, seconds: float) -> Decision:
        self.wait("the CCV channel", lambda: self.channel().step is Step.OPEN, seconds)
        return self.channel()

    def packets(self) -> Packets:
        return relayer_look.packets(self.provider, self.chain, self.channel())

    def delegate(self, name: str, tokens: int) -> None:
        """Give a validator more power on the provider: the next VSC packet tells the consumer."""
        operator = self.devnet.variables(name)["interchain_operator_address"]
        self.devnet.transact(name, "staking", "delegate", operator, f"{tokens}stake")

    def powers(self) -> set[int]:
        found = self.devnet.rpc("validators?per_page=100", self.url)["validators"]
        return {int(entry["voting_power"]) for entry in found}

    def scale(self, name: str, replicas: int) -> None:
        where = ("--namespace", self.namespace(name))
        self.devnet.kubectl("scale", "deployment", "hermes", *where, f"--replicas={replicas}")
        if replicas == 0:
            self.wait(f"{name}'s relayer to go", lambda: not self.pods(name), 60)

    def pods(self, name: str) -> Sequence[dict[str, Any]]:
        where = ("--namespace", self.namespace(name))
        text = self.devnet.kubectl(
            "get", "pods", *where, "--selector=app.kubernetes.io/name=hermes", "--output", "json"
        )
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    def relays(self, name: str) -> bool:
        found = self.devnet.get("deployment", "hermes", self.namespace(name))
        return found is not None and (found.get("status") or {}).get("readyReplicas") == 1


@pytest.fixture(scope="module")
def world(devnet: Devnet) -> Iterator[World]:
    made = World(devnet, "relayed-1")
    yield made
    devnet.remove_consumer(made.consumer_id)


def open_channels(sight: Sight) -> list[tuple[str, str]]:
    """Return the channels of CCV that both ends call open."""
    ends = {entry.channel_id: entry for entry in sight.provider_channels if entry.state is End.OPEN}
    return [
        (entry.channel_id, entry.counterparty_id)
        for entry in sight.consumer_channels
        if entry.port == "consumer" and entry.state is End.OPEN and entry.counterparty_id in ends
    ]


def test_packets_arrive_whichever_relayer_is_left(world: World) -> None:
    world.await_channel(180)
    assert len(open_channels(world.sight())) == 1
    world.wait("both relayers", lambda: all(world.relays(name) for name in MEMBERS), 240)

    world.delegate("alice", 50_000_000)
    world.wait("alice's new power on the consumer", lambda: 650 in world.powers(), 120)

    for name in MEMBERS:
        world.scale(name, 0)
    known = world.packets()
    world.delegate("alice", 50_000_000)
    world.wait("a packet that nobody carries", lambda: world.packets().sent > known.sent, 60)
    assert 700 not in world.powers()
    world.scale("bob", 1)
    world.wait("bob's relayer to deliver it", lambda: 700 in world.powers(), 120)

    world.scale("bob", 0)
    world.delegate("bob", 50_000_000)
    world.scale("alice", 1)
    world.wait("alice's relayer to deliver the next one", lambda: 450 in world.powers(), 120)
    assert len(open_channels(world.sight())) == 1


def conditions(world: World, name: str) -> dict[str, str]:
    """Return the reason of each condition of a validator's relayer, as its monitor keeps them."""
    kept = world.devnet.decision(name, world.consumer_id).get("relayer_conditions", "[]")
    return {entry["type"]: entry["reason"] for entry in json.loads(kept)}


def test_another_key_is_told_and_disturbs_nobody_else(world: World) -> None:
    devnet = world.devnet
    secret = ("secret", "relayer", "--namespace", "bob-monitor")
    other = base64.b64encode(new_mnemonic().encode()).decode()
    right = base64.b64encode(devnet.variables("bob")["monitor_relayer_mnemonic"].encode()).decode()
    devnet.kubectl("patch", *secret, "--patch", json.dumps({"data": {"mnemonic": other}}))
    try:
        world.wait("bob's monitor to see it", lambda: conditions(world, "bob")["Wallets"] == "Empty", 150)
        world.wait("bob's relayer with that key", lambda: conditions(world, "bob")["Relayer"] == "Ready", 150)
        world.delegate("bob", 50_000_000)
        world.wait("alice's relayer to deliver alone", lambda: 500 in world.powers(), 120)
        (pod,) = world.pods("bob")
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
        assert conditions(world, "alice")["Wallets"] == "CanPay"
        message = devnet.playbook("hermes_status", "bob", interchain_provider_rpc_url=[devnet.rpc_url()])
        assert "cannot pay for long" in message
    finally:
        devnet.kubectl("patch", *secret, "--patch", json.dumps({"data": {"mnemonic": right}}))
    world.wait("bob's monitor to take the right one", lambda: conditions(world, "bob")["Wallets"] == "CanPay", 150)


def test_an_expired_client_is_told_without_a_crash_loop(world: World) -> None:
    for name in MEMBERS:
        world.scale(name, 0)
    client = world.sight().consumer_client
    world.wait("the client to expire", lambda: light_client(world.chain, client).status == "Expired", 200)
    world.scale("alice", 1)
    world.wait("alice's relayer", lambda: world.relays("alice"), 60)
    world.wait("alice's monitor to see it", lambda: conditions(world, "alice")["Clients"] == "Expired", 150)
    assert conditions(world, "alice")["Channel"] == "Open"
    (pod,) = world.pods("alice")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_who_comes_next_finishes_what_the_first_one_began(devnet: Devnet) -> None:
    world = World(devnet, "handshake-1")
    world.wait("a connection that is not open", lambda: world.channel().step is Step.AWAIT_CONNECTION, 120)
    devnet.kubectl("scale", "statefulset", "monitor", "--namespace", "alice-monitor", "--replicas=0")
    devnet.kubectl("delete", "pod", "monitor-0", "--namespace", "alice-monitor", "--force", "--grace-period=0")
    try:
        devnet.kubectl("delete", "deployment", "hermes", "--namespace", world.namespace("alice"), "--ignore-not-found")
        world.wait("alice's relayer to go", lambda: not world.pods("alice"), 60)
        assert world.channel().step is not Step.OPEN
        world.await_channel(400)
    finally:
        devnet.kubectl("scale", "statefulset", "monitor", "--namespace", "alice-monitor", "--replicas=1")
    world.wait("alice's relayer to come back", lambda: world.relays("alice"), 300)
    assert len(open_channels(world.sight())) == 1
    world.delegate("bob", 50_000_000)
    known = world.packets().received
    world.wait("a packet on it", lambda: world.packets().received > known, 120)
    devnet.remove_consumer(world.consumer_id)
    for name in MEMBERS:
        world.wait(f"{name}'s relayer to stop with the consumer", lambda name=name: not world.pods(name), 120)  # type: ignore[misc]
