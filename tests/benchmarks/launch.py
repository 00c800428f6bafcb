# SPDX-License-Identifier: GPL-3.0-or-later
"""From the launch block being readable to the consumer's first block, in one run: a consumer that the monitors have staged, one of which nothing is
staged, and plain processes with everything prepared.

`make bench`. Needs the devnet of `make quick-start`. Prints the medians of ROUNDS launches each in seconds, and all first blocks; there is no threshold.
Each consumer is removed before the next one is made, so that none runs beside another one's launch.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer, consumer_genesis, opt_in
from tests.testbed import cluster
from tests.testbed.devnet import Devnet
from tests.testbed.errors import TestbedError
from tests.testbed.parts import CHAIN
from tests.testbed.quick_start import DIRECTORY

MEMBERS = ("alice", "bob")
ROUNDS = 3
POLL_SECONDS = 0.02
LIMIT_SECONDS = 180.0


def poll(what: str, condition: Callable[[], bool]) -> float:
    """Return the moment at which ``condition`` holds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TestbedError(f"benchmark: {what}: not after {LIMIT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def launch_readable(devnet: Devnet, consumer_id: str) -> float:
    """Return the moment at which the provider first says that the consumer is launched."""
    client = ProviderClient([devnet.rpc_url()])
    return poll("the launch", lambda: client.consumer(consumer_id).phase.value == "launched")


def create(devnet: Devnet, chain_id: str, spawn_in: int) -> str:
    created = devnet.operate(
        consumer,
        mnemonic_file=str(devnet.directory / "owner.mnemonic"),
        chain_id=chain_id,
        spawn_time=f"+{spawn_in}s",
    )
    return str(created["consumer_id"])


def first_block(devnet: Devnet, url: str) -> bool:
    try:
        return int(devnet.rpc("status", url)["sync_info"]["latest_block_height"]) >= 1
    except OSError:
        return False


def with_processes(devnet: Devnet, folder: Path) -> float:
    """Launch a consumer with plain processes, everything prepared; return the seconds to the first block."""
    consumer_id = create(devnet, f"plain-{int(time.time())}", 20)
    homes = {name: folder / name for name in MEMBERS}
    program = str(CHAIN.ensure() / "interchain-security-cd")
    for name, home in homes.items():
        subprocess.run(
            [program, "init", "base", "--chain-id", "base", "--home", str(home)], check=True, capture_output=True
        )
        key = folder / f"{name}.json"
        devnet.operate(
            opt_in,
            mnemonic_file=str(devnet.directory / f"{name}.mnemonic"),
            consumer_id=consumer_id,
            key_file=str(key),
        )
        shutil.copy(key, home / "config/priv_validator_key.json")
    base = (homes["alice"] / "config/genesis.json").read_text()
    node = subprocess.run(
        [program, "comet", "show-node-id", "--home", str(homes["alice"])], check=True, capture_output=True, text=True
    )
    started = launch_readable(devnet, consumer_id)
    genesis = devnet.operate(consumer_genesis, consumer_id=consumer_id, base_genesis=base)["genesis"]
    running = []
    try:
        for number, home in enumerate(homes.values()):
            (home / "config/genesis.json").write_text(genesis)
            arguments = [
                "start",
                "--home",
                str(home),
                "--minimum-gas-prices",
                "0stake",
                "--grpc.enable=false",
                "--api.enable=false",
            ]
            arguments += ["--rpc.laddr", f"tcp://127.0.0.1:{47657 + number}", "--rpc.pprof_laddr", ""]
            arguments += ["--p2p.laddr", f"tcp://127.0.0.1:{47757 + number}"]
            if number:
                arguments += ["--p2p.persistent_peers", f"{(node.stdout or node.stderr).strip()}@127.0.0.1:47757"]
            with (home / "log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [program, *arguments], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                    )
                )
        return poll("the first block of the processes", lambda: first_block(devnet, "http://127.0.0.1:47657")) - started
    finally:
        for process in running:
            process.terminate()
            process.wait(timeout=30)
        devnet.remove_consumer(consumer_id)


def moments(devnet: Devnet, consumer_id: str, started: float) -> tuple[float, float]:
    """Return the seconds from ``started`` to alice's pod object and to her node's first block."""
    namespace = f"alice-consumer-{consumer_id}"
    seen = Cluster(str(devnet.kubeconfig))
    pod = poll("the pod", lambda: seen.get("Pod", "node-0", namespace) is not None)
    service = seen.get("Service", "node", namespace)
    if service is None:
        raise TestbedError(f"benchmark: {namespace} has a pod but no service")
    block = poll("the first block", lambda: first_block(devnet, f"http://{service['spec']['clusterIP']}:26657"))
    return pod - started, block - started


def remove(devnet: Devnet, consumer_id: str) -> None:
    """Remove a consumer on the chain, and wait until its nodes are gone."""
    devnet.remove_consumer(consumer_id)
    for name in MEMBERS:
        namespace = f"{name}-consumer-{consumer_id}"
        if devnet.get("pod", "monitor-0", f"{name}-monitor") is None:  # nobody else stops it
            devnet.kubectl("scale", "statefulset", "node", "--namespace", namespace, "--replicas=0")
        poll(f"{name}'s node to go", lambda namespace=namespace: devnet.get("pod", "node-0", namespace) is None)  # type: ignore[misc]


def with_monitors(devnet: Devnet) -> tuple[float, float]:
    """Let the monitors launch a consumer that they have staged and wait for."""
    consumer_id = create(devnet, f"monitored-{int(time.time())}", 45)
    figures = moments(devnet, consumer_id, launch_readable(devnet, consumer_id))
    remove(devnet, consumer_id)
    return figures


def unstaged(devnet: Devnet) -> tuple[float, float]:
    """Launch a consumer of which nothing is staged, by the playbook of the launch, as after a monitor that was down."""
    consumer_id = create(devnet, f"unstaged-{int(time.time())}", 20)
    for name in MEMBERS:
        devnet.operate(
            opt_in,
            mnemonic_file=str(devnet.directory / f"{name}.mnemonic"),
            consumer_id=consumer_id,
            key_namespace=f"{name}-monitor",
            key_secret=f"consumer-{consumer_id}-key",
            kubeconfig=str(devnet.kubeconfig),
        )
    started = launch_readable(devnet, consumer_id)
    with ThreadPoolExecutor(max_workers=len(MEMBERS)) as pool:
        running = [
            pool.submit(
                devnet.playbook,
                "consumer_launched",
                name,
                consumer_id=consumer_id,
                interchain_provider_rpc_url=[devnet.rpc_url()],
            )
            for name in MEMBERS
        ]
        figures = moments(devnet, consumer_id, started)
        for done in running:
            done.result()
    remove(devnet, consumer_id)
    return figures


def main() -> int:
    """Run all three, and print the figures as one line of JSON."""
    devnet = Devnet(DIRECTORY, cluster.kubeconfig(), cluster.addresses())
    try:
        if devnet.prepare() or devnet.height() == 0:
            raise TestbedError("there is no running devnet: run `make quick-start` first")
        staged = [with_monitors(devnet) for _round in range(ROUNDS)]
        for name in MEMBERS:  # so that only the benchmark opts in to what the processes launch
            devnet.kubectl("scale", "statefulset", "monitor", "--namespace", f"{name}-monitor", "--replicas=0")
            poll(f"{name}'s monitor to go", lambda name=name: devnet.get("pod", "monitor-0", f"{name}-monitor") is None)  # type: ignore[misc]
        by_playbook = [unstaged(devnet) for _round in range(ROUNDS)]
        plain = []
        for _round in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                plain.append(with_processes(devnet, Path(folder)))
    except TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for name in MEMBERS:
            devnet.kubectl("scale", "statefulset", "monitor", "--namespace", f"{name}-monitor", "--replicas=1")
    pods, blocks = zip(*staged, strict=True)
    later_pods, later_blocks = zip(*by_playbook, strict=True)
    by_processes = statistics.median(plain)
    figures = {
        "staged_pod_object_seconds": statistics.median(pods),
        "staged_first_block_seconds": statistics.median(blocks),
        "unstaged_pod_object_seconds": statistics.median(later_pods),
        "unstaged_first_block_seconds": statistics.median(later_blocks),
        "processes_first_block_seconds": by_processes,
        "staged_minus_processes_seconds": statistics.median(blocks) - by_processes,
        "staged_over_processes": statistics.median(blocks) / by_processes,
        "unstaged_over_processes": statistics.median(later_blocks) / by_processes,
    }
    rounds = {"staged": blocks, "unstaged": later_blocks, "processes": plain}
    shown = {name: round(value, 2) for name, value in figures.items()}
    print(json.dumps({**shown, "rounds": {name: [round(one, 2) for one in found] for name, found in rounds.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
