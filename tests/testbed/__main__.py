# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the testbed: `python -m tests.testbed <command>` from the root of the project."""

from __future__ import annotations

import argparse
import sys

from . import cluster
from .errors import TestbedError
from .progress import say


def show_status() -> None:
    for line in cluster.status():
        say(line)


def bring_up() -> None:
    cluster.up()
    show_status()


def show_addresses() -> None:
    found = cluster.addresses()
    print(f"{found[0]}-{found[-1]}")


COMMANDS = {
    "build": (cluster.build, "build everything of the embedded cluster into the cache"),
    "up": (bring_up, "choose a cluster and bring it up; repeatable"),
    "down": (cluster.down, "remove the cluster and all that belongs to it"),
    "status": (show_status, "say what is up"),
    "kubeconfig": (lambda: print(cluster.kubeconfig()), "print the path of the cluster's kubeconfig"),
    "addresses": (show_addresses, "print the first and last load balancer address"),
    "load-image": (cluster.load_image, "give the monitor's image with the present code to the cluster"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_command, text) in COMMANDS.items():
        commands.add_parser(name, help=text)
    command, _text = COMMANDS[parser.parse_args().command]
    try:
        command()
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
