# SPDX-License-Identifier: GPL-3.0-or-later
"""From the launch block being readable to the open CCV channel, in one run: by the monitors, and by hand with `hermes create connection` and `hermes create
channel` as soon as the node makes blocks, with everything prepared.

`make bench`. Needs the devnet of `make quick-start`. Prints seconds and their ratio; there is no threshold.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeRpc
from ansible_collections.interchain.security.plugins.module_utils.cluster import relayer_look
from ansible_collections.interchain.security.plugins.module_utils.ics import ccv_channel
from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Step
from tests.benchmarks.launch import MEMBERS, create, first_block, launch_readable, poll
from tests.testbed import cluster
from tests.testbed.devnet import Devnet
from tests.testbed.errors import TestbedError
from tests.testbed.hermes_by_hand import ByHand
from tests.testbed.quick_start import DIRECTORY

SPAWN_SECONDS = 45


def node_url(devnet: Devnet, consumer_id: str) -> str:
    service = devnet.get("service", "node", f"alice-consumer-{consumer_id}")
    if service is None:
        raise TestbedError(f"benchmark: consumer {consumer_id} was not staged by alice's monitor")
    return f"http://{service['spec']['clusterIP']}:26657"


def channel_open(devnet: Devnet, consumer_id: str) -> float:
    """Return the moment at which both chains call the channel open."""
    provider, chain = ProviderClient([devnet.rpc_url()]), NodeRpc([node_url(devnet, consumer_id)])
    consumer = provider.consumer(consumer_id)

    def is_open() -> bool:
        time.sleep(0.2)  # beside the POLL_SECONDS, so that looking takes no processor time from who works
        return ccv_channel.decide(relayer_look.sight(provider, chain, consumer)).step is Step.OPEN

    return poll("the channel", is_open)


def launched(devnet: Devnet, name: str) -> tuple[str, float, float]:
    """Launch a consumer by the monitors; return its id, and when the launch could be read and the first block was made."""
    consumer_id = create(devnet, f"{name}-{int(time.time())}", SPAWN_SECONDS)
    started = launch_readable(devnet, consumer_id)
    url = node_url(devnet, consumer_id)
    return consumer_id, started, poll("the first block", lambda: first_block(devnet, url))


def by_monitors(devnet: Devnet) -> tuple[float, float]:
    consumer_id, started, block = launched(devnet, "relayed")
    return block - started, channel_open(devnet, consumer_id) - started


def by_hand(devnet: Devnet) -> tuple[float, float]:
    """Without their relayers' keys the monitors start the nodes and leave the channel alone."""
    for name in MEMBERS:
        devnet.kubectl("delete", "secret", "relayer", "--namespace", f"{name}-monitor")
    try:
        consumer_id, started, block = launched(devnet, "by-hand")
        with tempfile.TemporaryDirectory() as folder:
            hermes = ByHand(devnet, consumer_id, Path(folder))
            before = time.monotonic()
            hermes.prepare()
            prepared = time.monotonic() - before  # could have been done before the launch
            hermes.open_channel()
        return block - started, channel_open(devnet, consumer_id) - started - prepared
    finally:
        for name in MEMBERS:
            mnemonic = (devnet.directory / f"{name}.relayer.mnemonic").read_text()
            devnet.kubectl(
                *("create", "secret", "generic", "relayer", "--namespace", f"{name}-monitor"),
                f"--from-literal=mnemonic={mnemonic}",
            )


def main() -> int:
    """Run both and print the figures as one line of JSON."""
    devnet = Devnet(DIRECTORY, cluster.kubeconfig(), cluster.addresses())
    try:
        if devnet.prepare() or devnet.height() == 0:
            raise TestbedError("there is no running devnet: run `make quick-start` first")
        block, channel = by_monitors(devnet)
        hand_block, hand_channel = by_hand(devnet)
    except TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    figures = {
        "monitors_first_block_seconds": block,
        "monitors_channel_seconds": channel,
        "by_hand_first_block_seconds": hand_block,
        "by_hand_channel_seconds": hand_channel,
        "monitors_to_by_hand": channel / hand_channel,
    }
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
