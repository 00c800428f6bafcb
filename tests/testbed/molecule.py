# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Molecule scenarios stand on, a cluster and a provider chain of one validator: `python -m tests.testbed.molecule up|down`.

The validator is called molecule, so that on a cluster given by KUBECONFIG its namespaces are nobody else's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

import yaml

from . import cache, cluster
from .devnet import CHAIN_ID, OWNER, ROOT, Devnet, Settings
from .errors import TestbedError
from .progress import say

DIRECTORY = ROOT / ".build/molecule"
KUBECONFIG = DIRECTORY / "kubeconfig"
GROUND = DIRECTORY / "ground.yml"
VALIDATOR = "molecule"
NAMESPACES = (f"{VALIDATOR}-provider", f"{VALIDATOR}-monitor")


def up() -> None:
    """Bring everything up and write down where it is; repeatable."""
    cluster.up()
    addresses = cluster.addresses()
    settings = Settings(powers={VALIDATOR: 600_000_000}, timeout_commit="500ms")
    devnet = Devnet(DIRECTORY / "devnet", cluster.kubeconfig(), addresses, settings)
    devnet.prepare()
    devnet.deploy_providers()
    KUBECONFIG.unlink(missing_ok=True)
    KUBECONFIG.symlink_to(cluster.kubeconfig().absolute())
    ground = {
        "addresses": addresses[:3],
        "chain_id": CHAIN_ID,
        "rpc_url": devnet.rpc_url(),
        "operator_address": devnet.variables(VALIDATOR)["interchain_operator_address"],
        "mnemonic_file": str(devnet.directory / f"{VALIDATOR}.mnemonic"),
        "owner_mnemonic_file": str(devnet.directory / f"{OWNER}.mnemonic"),
        "node_key_file": str(devnet.directory / f"homes/{VALIDATOR}/config/node_key.json"),
    }
    GROUND.write_text(yaml.safe_dump(ground))


def down() -> None:
    """Take down what `up` brought up. A cluster given by KUBECONFIG stays, without what was made in it."""
    cluster.down()
    if KUBECONFIG.exists():  # not the testbed's own, which has gone
        devnet = Devnet(DIRECTORY / "devnet", KUBECONFIG, [""], Settings(powers={VALIDATOR: 0}))
        devnet.kubectl("delete", "namespace", "--ignore-not-found", *NAMESPACES)
    if DIRECTORY.exists():
        shutil.rmtree(DIRECTORY)


COMMANDS = {"up": up, "down": down}


def main() -> int:
    """Run one command and return the exit code."""
    os.environ.setdefault(
        "INTERCHAIN_TESTBED", str(cache.root() / "testbed-molecule")
    )  # beside that of the quick start
    parser = argparse.ArgumentParser(prog="python -m tests.testbed.molecule", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        COMMANDS[parser.parse_args().command]()
    except TestbedError as error:
        say(f"molecule: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
