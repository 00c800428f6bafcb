# SPDX-License-Identifier: GPL-3.0-or-later
"""A devnet for the end-to-end tests: a real provider of three validators and their monitors on a real cluster.

The tests mostly wait, so two files run beside each other; each of the two processes has a cluster and a devnet of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.order import LAST_END_TO_END, LONGEST_END_TO_END, put_in_order
from tests.testbed import cache, cluster, collection
from tests.testbed.devnet import ROOT, Devnet, Settings
from tests.testbed.errors import TestbedError

# DELETED comes that long after STOPPED; the client on a consumer expires after two thirds of it without a relayer.
UNBONDING_SECONDS = 210
# Consumers with that binary_hash are shared with the monitor ics-operator, for all three validators.
SHARED_BINARY = "5a" * 32
SETTINGS = Settings(
    unbonding_seconds=UNBONDING_SECONDS,
    catalogue=[{"binary_hash": SHARED_BINARY, "genesis_profile": "ics-operator"}],
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long files begin first, and those that look through the whole run last."""
    put_in_order(items, LONGEST_END_TO_END, LAST_END_TO_END)


@pytest.fixture(scope="session")
def devnet() -> Iterator[Devnet]:
    """The devnet, on a cluster of its own that held nothing before and is gone afterwards."""
    name = f"e2e-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    os.environ["INTERCHAIN_TESTBED"] = str(cache.root() / f"testbed-{name}")  # beside the one of the quick start
    directory = ROOT / ".build" / name
    cluster.down()
    cluster.up()
    # Everything comes out of the tarball, as a user has it: the playbooks here, and the collection within the monitor's image.
    made = Devnet(directory, cluster.kubeconfig(), cluster.addresses(), SETTINGS, collection.installed())
    made.prepare()
    made.deploy_providers()
    made.deploy_monitors()
    made.announce()
    made.set_relayers(False)
    yield made
    try:
        save_logs(made, directory / "logs")
    finally:
        cluster.down()


@pytest.fixture(scope="module", autouse=True)
def nothing_runs_on(devnet: Devnet) -> Iterator[None]:
    """Remove what the tests of a file leave launched: its nodes, and the checks of them, would take time from the files that follow."""
    yield
    for entry in devnet.consumers():
        if entry["phase"] == "launched":
            devnet.remove_consumer(entry["consumer_id"])


@pytest.fixture(scope="module")
def relayers(devnet: Devnet) -> Iterator[None]:
    """Relayers for the consumers of a file's tests; without them every consumer of the other files would cost a handshake and three Hermes."""
    devnet.set_relayers(True)
    yield
    devnet.set_relayers(False)


def save_logs(devnet: Devnet, directory: Path) -> None:
    """Keep the logs of all pods for whoever looks for a failure's cause."""
    directory.mkdir(parents=True, exist_ok=True)
    pods = devnet.kubectl(
        "get",
        "pods",
        "--all-namespaces",
        "--output",
        "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{'\\n'}{end}",
    )
    for line in pods.splitlines():
        namespace, pod = line.split()
        if pod.startswith(("monitor-", "node-")):
            try:
                text = devnet.kubectl("logs", pod, "--namespace", namespace, "--ignore-errors")
            except TestbedError as error:
                if "NotFound" not in str(error):
                    raise
                text = f"{error}\n"  # the pod of a consumer that was removed just now
            (directory / f"{namespace}-{pod}.log").write_text(text)
