# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nodes of a provider chain of one validator as plain processes."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

CHAIN_ID = "provider-events"
UNBONDING = "15s"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class NodeProcess:
    """A node with its home and its ports on one address; inside is a command that runs another one elsewhere, if any."""

    def __init__(self, binary: Path, home: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        self._binary = binary
        self._address = address
        self._inside = tuple(inside)
        self._port, self._peer_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.home = home
        self.url = f"http://{address}:{self._port}"

    def _run(self, *arguments: str) -> str:
        command = [str(self._binary), *arguments, "--home", str(self.home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-2000:]}"
        return done.stdout

    @property
    def peer(self) -> str:
        """Where other nodes find it: id@address:port."""
        return f"{self._run('comet', 'show-node-id').strip()}@{self._address}:{self._peer_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the node is not running"
        return self._process.pid

    def configure(self, **settings: str) -> None:
        """Set lines of config.toml; a name stands for every line that it begins."""
        config_file = self.home / "config" / "config.toml"
        config = config_file.read_text()
        for name, value in settings.items():
            config, found = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", config)
            assert found, f"config.toml has no {name}"
        config_file.write_text(config)

    def start(self) -> None:
        command = [*self._inside, str(self._binary), "start", "--home", str(self.home)]
        command += ["--minimum-gas-prices", "0stake", "--rpc.laddr", f"tcp://{self._address}:{self._port}"]
        command += ["--p2p.laddr", f"tcp://{self._address}:{self._peer_port}"]
        command += ["--grpc.enable=false", "--api.enable=false", "--rpc.pprof_laddr", ""]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class FullNode(NodeProcess):
    """A second node of the chain of another one, without a vote."""

    def __init__(self, of: Node, home: Path) -> None:
        super().__init__(of._binary, home, of._address, of._inside)
        self._run("init", "watcher", "--chain-id", CHAIN_ID)
        shutil.copy(of.home / "config" / "genesis.json", home / "config" / "genesis.json")
        self.configure(persistent_peers=f'"{of.peer}"', addr_book_strict="false", allow_duplicate_ip="true")


class Node(NodeProcess):
    """A provider chain of one validator."""

    def __init__(self, binary: Path, home: Path, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        super().__init__(binary, home, address, inside)
        self._run("init", "alice", "--chain-id", CHAIN_ID)
        account = self._run("keys", "add", "alice", "--keyring-backend", "test", "--output", "json")
        self.mnemonic: str = json.loads(account)["mnemonic"]
        self._run("genesis", "add-genesis-account", "alice", "1000000000000stake", "--keyring-backend", "test")
        self._run("genesis", "gentx", "alice", "600000000stake", "--chain-id", CHAIN_ID, "--keyring-backend", "test")
        self._run("genesis", "collect-gentxs")
        genesis_file = home / "config" / "genesis.json"
        genesis = json.loads(genesis_file.read_text())
        genesis["app_state"]["staking"]["params"]["unbonding_time"] = UNBONDING
        genesis_file.write_text(json.dumps(genesis))
        self.configure(timeout_commit='"500ms"')

    def transact(self, *arguments: str) -> None:
        """Send a transaction of the provider module; the node answers once it is in the mempool."""
        command = ["tx", "provider", *arguments, "--from", "alice", "--keyring-backend", "test", "--chain-id", CHAIN_ID]
        command += ["--node", f"tcp://{self._address}:{self._port}", "--gas", "2000000", "--yes", "--output", "json"]
        answer = json.loads(self._run(*command))
        assert answer["code"] == 0, answer["raw_log"]

    def create_consumer(self, spawn_time: datetime) -> None:
        """Create a consumer whose free text is an injection."""
        record = self.home / "consumer.json"
        hostile = "{{ lookup('pipe', 'id') }}"
        record.write_text(
            json.dumps(
                {
                    "chain_id": f"{hostile}-1",
                    "metadata": {"name": hostile, "description": hostile, "metadata": "{}"},
                    "initialization_parameters": {
                        "initial_height": {"revision_number": 1, "revision_height": 1},
                        "spawn_time": spawn_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "unbonding_period": 1209600000000000,
                        "ccv_timeout_period": 2419200000000000,
                        "transfer_timeout_period": 1800000000000,
                        "consumer_redistribution_fraction": "0.75",
                        "blocks_per_distribution_transmission": 1000,
                        "historical_entries": 10000,
                    },
                    "power_shaping_parameters": {"top_N": 0},
                }
            )
        )
        self.transact("create-consumer", str(record))
