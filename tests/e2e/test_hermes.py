# SPDX-License-Identifier: GPL-3.0-or-later
"""The relayers of a consumer's validators: one CCV channel whoever is lost on the way, and packets that arrive whoever is there to carry them."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.ibc import light_client
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.cluster import relayer_look
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Decision, End, Sight, Step
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import ICS_OPERATOR_ACCOUNT
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import CONDITIONS, Packets
from ansible_collections.interchain.security.plugins.module_utils.operations import relayer_health
from tests.e2e.conftest import SHARED_BINARY
from tests.testbed.devnet import Devnet
from tests.testbed.errors import TestbedError
from tests.testbed.hermes_by_hand import ByHand

pytestmark = [pytest.mark.timeout(1200), pytest.mark.usefixtures("relayers")]

SELECTED = ("alice", "bob")
ALL = (*SELECTED, "charlie")


class World:
    """A consumer that its members have launched, seen through alice's nodes."""

    def __init__(self, devnet: Devnet, chain_id: str, members: Sequence[str], **options: Any) -> None:
        self.devnet, self.members = devnet, members
        self.consumer_id = devnet.create_consumer(chain_id, spawn_in=3600, **options)
        for name in members:
            if name not in SELECTED:
                devnet.playbook("opt_in", name, consumer_id=self.consumer_id)
        devnet.await_members(self.consumer_id, members)
        devnet.await_staged(self.consumer_id, SELECTED)
        devnet.set_spawn_time(self.consumer_id, 10)
        self.wait("height 2 of alice's node", lambda: devnet.node_height("alice", self.consumer_id) >= 2, 180)
        self.provider = ProviderClient([devnet.rpc_url()])
        service = devnet.get("service", "node", self.namespace("alice"))
        assert service is not None
        self.url = f"http://{service['spec']['clusterIP']}:26657"
        self.chain = NodeRpc([self.url])

    def namespace(self, name: str) -> str:
        return f"{name}-consumer-{self.consumer_id}"

    def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        try:
            self.devnet.wait(what, condition, seconds, "make logs, and kubectl logs deployment/hermes")
        except TestbedError as error:
            raise TestbedError("\n".join([str(error), *self.troubles()])) from error

    def troubles(self) -> Iterator[str]:
        """Yield what the relayers were troubled by last, and how their monitors see them."""
        for name in self.members:
            yield f"{name}: {self.conditions(name)}"
            for pod in self.pods(name):
                where = ("--namespace", self.namespace(name), "--tail=400", "--ignore-errors")
                told = self.devnet.kubectl("logs", pod["metadata"]["name"], *where).splitlines()
                yield from [line[:400] for line in told if "ERROR" in line or "WARN" in line][-5:]

    def sight(self) -> Sight:
        return relayer_look.sight(self.provider, self.chain, self.provider.consumer(self.consumer_id))

    def channel(self) -> Decision:
        return ccv_channel.decide(self.sight())

    def await_step(self, step: Step, seconds: float) -> None:
        self.wait(f"the step {step.value}", lambda: self.channel().step is step, seconds)

    def packets(self) -> Packets:
        return relayer_look.packets(self.provider, self.chain, self.channel())

    def delegate(self, name: str, tokens: int) -> None:
        """Give a validator more power on the provider: the next VSC packet tells the consumer."""
        operator = self.devnet.variables(name)["interchain_operator_address"]
        self.devnet.transact(name, "staking", "delegate", operator, f"{tokens}stake")

    def delegate_unseen(self, name: str, tokens: int) -> None:
        """Do so, and wait for a packet that is not delivered."""
        known = self.packets()
        assert known.sent == known.received
        self.delegate(name, tokens)
        self.wait("a packet that nobody carries", lambda: self.packets().sent > known.sent, 60)
        assert self.packets().received == known.received

    def deliver(self, name: str) -> None:
        """Give a validator more power, and wait until somebody has told the consumer."""
        known = self.packets()
        self.delegate(name, 50_000_000)
        self.wait("the packet", lambda: self.packets().received > known.received, 120)

    def powers(self) -> set[int]:
        found = self.devnet.rpc("validators?per_page=100", self.url)["validators"]
        return {int(entry["voting_power"]) for entry in found}

    def all_sign(self) -> bool:
        """Tell whether the newest commit has the signature of each validator."""
        signatures = self.devnet.rpc("commit", self.url)["signed_header"]["commit"]["signatures"]
        return len(signatures) == len(self.members) and all(entry["block_id_flag"] == 2 for entry in signatures)

    def await_power(self, power: int, by: str) -> None:
        self.wait(f"{by} to deliver the power {power}", lambda: power in self.powers(), 120)

    def scale(self, replicas: int, *names: str) -> None:
        for name in names:
            where = ("--namespace", self.namespace(name))
            self.devnet.kubectl("scale", "deployment", "hermes", *where, f"--replicas={replicas}")
        for name in names:
            if replicas:
                self.wait(f"{name}'s relayer", lambda name=name: self.relays(name), 90)  # type: ignore[misc]
            else:
                self.wait(f"{name}'s relayer to go", lambda name=name: not self.pods(name), 60)  # type: ignore[misc]

    def pods(self, name: str) -> list[dict[str, Any]]:
        where = ("--namespace", self.namespace(name))
        text = self.devnet.kubectl(
            "get", "pods", *where, "--selector=app.kubernetes.io/name=hermes", "--output", "json"
        )
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    def restarts(self, name: str) -> int:
        """Return how often the container of a validator's only relayer was started again."""
        (pod,) = self.pods(name)
        count: int = pod["status"]["containerStatuses"][0]["restartCount"]
        return count

    def deployment(self, name: str) -> dict[str, Any]:
        return self.devnet.get("deployment", "hermes", self.namespace(name)) or {}

    def relays(self, name: str) -> bool:
        found = self.deployment(name)
        current = found and found["status"].get("observedGeneration") == found["metadata"]["generation"]
        return bool(current) and found["status"].get("updatedReplicas") == found["status"].get("readyReplicas") == 1

    def conditions(self, name: str) -> dict[str, str]:
        """Return the reason of each condition of a validator's relayer, as its monitor keeps them."""
        return {entry["type"]: entry["reason"] for entry in self.kept_conditions(name)}

    def kept_conditions(self, name: str) -> list[dict[str, str]]:
        """Return the conditions of a validator's relayer, as its monitor keeps them."""
        found: list[dict[str, str]] = json.loads(self.devnet.decision(name, self.consumer_id).get(CONDITIONS, "[]"))
        return found

    def await_condition(self, name: str, kind: str, reason: str) -> None:
        self.wait(f"{name}'s monitor to see {kind} {reason}", lambda: self.conditions(name).get(kind) == reason, 180)


@pytest.fixture(scope="module")
def world(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A consumer of all three, whose channel somebody else has made before their relayers had a key."""
    devnet.set_relayers(False)
    made = World(devnet, "relayed-1", ALL)
    by_hand = ByHand(devnet, made.consumer_id, tmp_path_factory.mktemp("hermes"))
    by_hand.prepare()
    by_hand.open_channel()
    assert not any(made.deployment(name) for name in ALL)
    devnet.set_relayers(True)
    yield made
    devnet.remove_consumer(made.consumer_id)
    devnet.deploy_monitors(["charlie"])  # asks its own provider node again


def open_channels(sight: Sight) -> list[tuple[str, str]]:
    """Return the channels of CCV that both ends call open."""
    ends = {entry.channel_id: entry for entry in sight.provider_channels if entry.state is End.OPEN}
    return [
        (entry.channel_id, entry.counterparty_id)
        for entry in sight.consumer_channels
        if entry.port == "consumer" and entry.state is End.OPEN and entry.counterparty_id in ends
    ]


def test_a_channel_that_somebody_else_has_made_is_used(world: World) -> None:
    channel, connections = world.channel(), world.sight().consumer_connections
    assert channel.step is Step.OPEN
    world.wait("all three relayers", lambda: all(world.relays(name) for name in ALL), 240)
    assert (world.channel(), world.sight().consumer_connections) == (channel, connections)
    assert len(open_channels(world.sight())) == 1
    world.delegate("alice", 50_000_000)
    world.await_power(650, "one of them")


def uid_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def processes(uid: str) -> Iterator[tuple[int, list[bytes]]]:
    """Yield pid and command of each process of a pod: the cluster's processes are this machine's."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if uid in (entry / "cgroup").read_text():
                yield int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")


def staying(pods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def hang(world: World, name: str) -> str:
    """Let a validator's Hermes do nothing any more; return the uid of its pod, empty when none runs."""
    for pod in staying(world.pods(name)):
        for pid, command in processes(uid_of(pod)):
            if command[0] == b"hermes" and b"start" in command:
                os.kill(pid, signal.SIGSTOP)
                return uid_of(pod)
    return ""


def is_killed(uid: str) -> bool:
    """Kill all that still runs in a pod; tell whether there was nothing any more."""
    found = [pid for pid, _command in processes(uid)]
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not found


def restarted(world: World, name: str) -> bool:
    """Look at a relayer as its monitor does, but with no patience for packets; tell whether it was restarted."""
    found = world.devnet.operate(
        relayer_health,
        validator=name,
        operator_address=world.devnet.variables(name)["interchain_operator_address"],
        consumer_id=world.consumer_id,
        kubeconfig=str(world.devnet.kubeconfig),
        stuck_blocks=0,
    )
    assert not found["problems"]
    return bool(found["relayers"][0]["restarted"])


def test_packets_arrive_whichever_relayer_is_left(world: World) -> None:
    world.scale(0, *ALL)
    world.delegate_unseen("alice", 50_000_000)
    assert 700 not in world.powers()
    world.scale(1, "bob")
    world.await_power(700, "bob's relayer")

    world.scale(0, "bob")
    world.scale(1, "charlie")
    hanging = hang(world, "charlie")
    assert hanging
    world.delegate_unseen("bob", 50_000_000)
    world.wait("charlie's relayer, which hangs, to be restarted", lambda: restarted(world, "charlie"), 30)
    world.await_power(450, "charlie's next relayer")
    # It takes no signal but the last one, after its grace period.
    world.wait("the one that hangs to go", lambda: hanging not in [uid_of(pod) for pod in world.pods("charlie")], 60)
    assert len(open_channels(world.sight())) == 1


def test_faults_are_told_and_disturb_nobody_else(world: World) -> None:
    """Bob's relayer has a wrong key, charlie's provider has moved and his node restarts, alice's relayer is away."""
    devnet = world.devnet
    world.scale(1, "bob")
    secret = ("secret", "relayer", "--namespace", "bob-monitor")
    other = base64.b64encode(account_key.new_mnemonic().encode()).decode()
    right = base64.b64encode(devnet.variables("bob")["monitor_relayer_mnemonic"].encode()).decode()
    devnet.kubectl("patch", *secret, "--patch", json.dumps({"data": {"mnemonic": other}}))
    former = {uid_of(pod) for pod in world.pods("charlie")}
    try:
        moved = "http://node.bob-provider.svc:26657"
        devnet.deploy_monitors(["charlie"], monitor_provider_rpc_url=[moved])

        def follows() -> bool:
            # The configuration is written before the pod that runs with it takes the place of the former one.
            config = devnet.get("configmap", "hermes", world.namespace("charlie")) or {}
            running = {uid_of(pod) for pod in world.pods("charlie")}
            told = f'rpc_addr = "{moved}"' in config["data"]["config.toml"]
            return told and not running & former and world.relays("charlie")

        world.wait("charlie's relayer to ask the other provider node", follows, 240)
        world.await_condition("bob", "Wallets", "Empty")
        world.await_condition("bob", "Relayer", "Ready")  # with that key

        (pod,) = world.pods("charlie")
        devnet.kubectl("delete", "pod", "node-0", "--namespace", world.namespace("charlie"))

        # Having all blocks is not enough: it ends once more while it finds its own signature in the newest ones.
        world.wait(
            "charlie's node to sign again",
            lambda: devnet.node_height("charlie", world.consumer_id) > 0 and world.all_sign(),
            120,
        )
        world.delegate("bob", 50_000_000)
        world.await_power(500, "charlie's relayer alone")
        assert [uid_of(entry) for entry in world.pods("charlie")] == [uid_of(pod)]
        assert [world.restarts(name) for name in ("bob", "charlie")] == [0, 0]
        world.await_condition("charlie", "Wallets", "CanPay")  # could not be asked while the node was away
        message = devnet.playbook("hermes_status", "bob", interchain_provider_rpc_url=[devnet.rpc_url()])
        assert "on the provider cannot pay for long: it holds 0stake; send it more than 100000stake" in message
        assert "on the consumer cannot pay for long: it holds 0stake because" in message
    finally:
        devnet.kubectl("patch", *secret, "--patch", json.dumps({"data": {"mnemonic": right}}))
    world.await_condition("bob", "Wallets", "CanPay")
    world.wait(
        "bob's relayer with its own key",
        lambda: world.relays("bob") and signs_as(world, "bob") == own_account(world, "bob"),
        120,
    )
    # Its client expires while the next test runs.
    world.scale(0, *ALL)


@contextmanager
def leader_lost(world: World, name: str) -> Iterator[None]:
    """Take a validator's monitor and relayer away at once; the monitor comes back at the end."""
    devnet = world.devnet
    hang(world, name)  # so that it goes no further meanwhile
    monitor = devnet.get("pod", "monitor-0", f"{name}-monitor")
    assert monitor is not None
    devnet.kubectl("scale", "statefulset", "monitor", "--namespace", f"{name}-monitor", "--replicas=0")
    now = ("--force", "--grace-period=0")
    devnet.kubectl("delete", "pod", "monitor-0", "--namespace", f"{name}-monitor", *now)
    try:
        # Its playbooks too: one could make the relayer anew.
        world.wait(f"{name}'s monitor to end", lambda: is_killed(uid_of(monitor)), 60)
        where = ("--namespace", world.namespace(name))
        devnet.kubectl("delete", "deployment", "hermes", *where, "--ignore-not-found", "--wait=false")
        devnet.kubectl("delete", "replicasets,pods", *where, "--selector=app.kubernetes.io/name=hermes", *now)
        world.wait(f"{name}'s relayer to go", lambda: not world.pods(name), 60)
        yield
    finally:
        devnet.kubectl("scale", "statefulset", "monitor", "--namespace", f"{name}-monitor", "--replicas=1")


@pytest.fixture(scope="module")
def shared(devnet: Devnet) -> World:
    """A consumer shared with the monitor ics-operator, where all begin with the account that everybody has the key of."""
    return World(devnet, "handshake-1", SELECTED, binary_hash=SHARED_BINARY)


def test_a_relayer_that_has_given_up_the_handshake_is_restarted(shared: World) -> None:
    shared.await_step(Step.AWAIT_CONNECTION, 120)
    shared.wait("alice's relayer", lambda: shared.relays("alice"), 90)
    hanging = hang(shared, "alice")
    assert hanging
    assert not restarted(shared, "alice")  # it may still go on with the step
    kept = [{**entry, "since": "2000-01-01T00:00:00Z"} for entry in shared.kept_conditions("alice")]
    patch = json.dumps({"data": {CONDITIONS: json.dumps(kept)}})
    where = ("--namespace", "alice-monitor", "--type=merge")
    shared.devnet.kubectl("patch", "configmap", f"consumer-{shared.consumer_id}", *where, f"--patch={patch}")
    assert restarted(shared, "alice") or relayer_health.RESTARTED in shared.devnet.decision("alice", shared.consumer_id)
    assert hanging not in [uid_of(pod) for pod in staying(shared.pods("alice"))]


def test_who_comes_next_finishes_what_the_first_one_began(shared: World) -> None:
    with ExitStack() as until_open:
        with leader_lost(shared, "alice"):
            assert shared.channel().step in (Step.AWAIT_CONNECTION, Step.BEGIN_CHANNEL)
            shared.await_step(Step.AWAIT_CHANNEL, 300)
            until_open.enter_context(leader_lost(shared, "bob"))
            assert shared.deployment("alice") == {}
            assert shared.channel().step is Step.AWAIT_CHANNEL
        shared.await_step(Step.OPEN, 300)
    assert len(open_channels(shared.sight())) == 1

    # With the first packet the chain begins to take payments.
    shared.deliver("bob")
    own = {name: own_account(shared, name) for name in SELECTED}
    for name in SELECTED:
        shared.wait(
            f"{name}'s relayer with an account of its own",
            lambda name=name: shared.relays(name) and signs_as(shared, name) == own[name],  # type: ignore[misc]
            180,
        )
    spent = shared.chain.account(ICS_OPERATOR_ACCOUNT)[1]
    shared.deliver("bob")
    assert shared.chain.account(ICS_OPERATOR_ACCOUNT)[1] == spent
    assert sum(shared.chain.account(address)[1] for address in own.values()) > 0


def own_account(world: World, name: str) -> str:
    """Return the address on the consumer of a validator's relayer."""
    mnemonic = world.devnet.variables(name)["monitor_relayer_mnemonic"]
    return str(account_key.from_mnemonic(mnemonic, "consumer").account_address)


def signs_as(world: World, name: str) -> str:
    """Return the address on the consumer that a validator's relayer was deployed with."""
    marks: dict[str, str] = world.deployment(name)["metadata"]["annotations"]
    return marks[relayer_look.ACCOUNT_MARK]


def test_an_expired_client_is_told_without_a_crash_loop_and_the_other_consumer_goes_on(
    world: World, shared: World
) -> None:
    """One validator relays both: what its relayer for the one cannot do must not reach the one for the other."""
    world.scale(0, *ALL)
    shared.scale(0, "bob")
    client = world.sight().consumer_client
    world.wait("the client to expire", lambda: light_client(world.chain, client).status == "Expired", 200)
    world.scale(1, "alice")
    world.await_condition("alice", "Clients", "Expired")
    assert world.conditions("alice")["Channel"] == "Open"

    (pod,) = shared.pods("alice")
    received = world.packets().received
    shared.deliver("alice")  # she is a validator of both
    assert world.packets().received == received
    shared.await_condition("alice", "Clients", "Active")
    assert shared.conditions("alice")["Channel"] == "Open"
    assert [uid_of(entry) for entry in shared.pods("alice")] == [uid_of(pod)]
    assert [each.restarts("alice") for each in (world, shared)] == [0, 0]


def test_a_relayer_stops_with_its_consumer(shared: World) -> None:
    shared.devnet.remove_consumer(shared.consumer_id)
    for name in SELECTED:
        shared.wait(f"{name}'s relayer to stop with the consumer", lambda name=name: not shared.pods(name), 120)  # type: ignore[misc]
        assert shared.deployment(name)["spec"]["replicas"] == 0
