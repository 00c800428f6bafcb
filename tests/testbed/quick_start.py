# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing to a consumer chain that makes blocks and hears of the provider: `make quick-start`.

Prints what it does with seconds per step, and ends with the status table; running it again changes nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from . import cluster
from .devnet import POWERS, ROOT, Devnet  # puts the collection on sys.path
from .errors import TestbedError
from .progress import say

from ansible_collections.interchain.security.plugins.module_utils.cluster import relayer_look  # isort: skip
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient  # isort: skip
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc  # isort: skip
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel  # isort: skip
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Decision, Step  # isort: skip

DIRECTORY = ROOT / ".build/devnet"
CHAIN_ID = "demo-1"
SPAWN_SECONDS = 30
MEMBERS = ("alice", "bob")  # the selection names them: 1000 of 1200 million utokens
HEIGHT = 5
MORE = "50000000stake"
RELAYER = "make hermes-status, and make logs"


class Timeline:
    """Steps with the seconds that each took."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float]] = []

    def step(self, what: str, action: Callable[[], object]) -> None:
        """Do a step and say what it was and how long it took."""
        say(f"==> {what}")
        started = time.monotonic()
        action()
        self.steps.append((what, time.monotonic() - started))
        say(f"    {self.steps[-1][1]:.1f} s")

    def show(self) -> None:
        """Print all steps."""
        say("\nTimeline")
        for what, seconds in self.steps:
            say(f"  {seconds:7.1f} s  {what}")
        say(f"  {sum(seconds for _what, seconds in self.steps):7.1f} s  in all\n")


def chains(devnet: Devnet, consumer_id: str) -> tuple[ProviderClient, NodeRpc]:
    """Return the provider and the consumer chain, asked through alice's nodes."""
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    if service is None:
        raise TestbedError(f"alice runs no node of consumer {consumer_id}")
    return ProviderClient([devnet.rpc_url()]), NodeRpc([f"http://{service['spec']['clusterIP']}:26657"])


def channel(devnet: Devnet, consumer_id: str) -> Decision:
    """Return how far the CCV channel is."""
    provider, chain = chains(devnet, consumer_id)
    return ccv_channel.decide(relayer_look.sight(provider, chain, provider.consumer(consumer_id)))


def received(devnet: Devnet, consumer_id: str) -> int:
    """Return how many VSC packets the consumer has received on the open channel."""
    provider, chain = chains(devnet, consumer_id)
    return relayer_look.packets(provider, chain, channel(devnet, consumer_id)).received


def start() -> None:
    """Run the quick start."""
    timeline = Timeline()
    timeline.step("Bring up the cluster", cluster.up)
    devnet = Devnet(DIRECTORY, cluster.kubeconfig(), cluster.addresses())
    timeline.step("Make keys and genesis of alice, bob and charlie", devnet.prepare)
    timeline.step("Deploy the provider chain", devnet.deploy_providers)
    timeline.step("Deploy one monitor per validator", devnet.deploy_monitors)
    timeline.step("Announce the validators' endpoints on chain", devnet.announce)
    existing = [entry["consumer_id"] for entry in devnet.consumers() if entry["chain_id"] == CHAIN_ID]
    if existing:
        consumer_id = existing[0]
        say(f"==> Consumer {consumer_id} ({CHAIN_ID}) exists already")
    else:
        spawn = {"chain_id": CHAIN_ID, "spawn_time": f"+{SPAWN_SECONDS}s"}
        timeline.step(f"Create the consumer {CHAIN_ID}", lambda: devnet.playbook("create_consumer", None, **spawn))
        consumer_id = next(entry["consumer_id"] for entry in devnet.consumers() if entry["chain_id"] == CHAIN_ID)
    where = "make logs, and make status"
    timeline.step(
        "Wait until every monitor has decided",
        lambda: devnet.wait(
            "decisions", lambda: all(devnet.decision(name, consumer_id).get("decision") for name in POWERS), 120, where
        ),
    )
    for name in POWERS:
        remembered = devnet.decision(name, consumer_id)
        say(f"    {name}: {remembered['decision']}: {remembered.get('reason', '')}")
    timeline.step(
        "Wait for the launch on the provider chain",
        lambda: devnet.wait("the launch", lambda: devnet.consumer(consumer_id)["phase"] == "launched", 180, where),
    )
    for name in MEMBERS:
        timeline.step(
            f"Wait for height {HEIGHT} of {name}'s consumer node",
            lambda name=name: devnet.wait(  # type: ignore[misc]
                f"height {HEIGHT} at {name}",
                lambda: devnet.node_height(name, consumer_id) >= HEIGHT,
                180,
                f"kubectl logs --namespace {name}-consumer-{consumer_id} node-0, and {where}",
            ),
        )
    timeline.step(
        "Wait until the relayers have opened the CCV channel",
        lambda: devnet.wait("the channel", lambda: channel(devnet, consumer_id).step is Step.OPEN, 180, RELAYER),
    )
    if received(devnet, consumer_id) == 0:
        operator = devnet.variables("alice")["interchain_operator_address"]
        timeline.step(
            "Give alice more power on the provider",
            lambda: devnet.transact("alice", "staking", "delegate", operator, MORE),
        )
        timeline.step(
            "Wait until a VSC packet has told the consumer of it",
            lambda: devnet.wait("the first packet", lambda: received(devnet, consumer_id) > 0, 120, RELAYER),
        )
    timeline.show()
    say(devnet.playbook("status", None))


def main() -> int:
    """Run the quick start and return the exit code."""
    try:
        start()
    except TestbedError as error:
        say(f"\nquick-start failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
