# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a CCV channel by hand, with the commands of Hermes as a plain process beside the cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import tomli_w

from .devnet import CHAIN_ID, Devnet
from .errors import TestbedError
from .parts import HERMES

STEP_SECONDS = 240
CONSUMER_CLIENT = "07-tendermint-0"  # made by the CCV genesis


class ByHand:
    """Hermes for one consumer of the devnet, with the account of alice's relayer."""

    def __init__(self, devnet: Devnet, consumer_id: str, directory: Path) -> None:
        self._devnet, self._consumer_id = devnet, consumer_id
        self._directory = directory
        self._program = str(HERMES.ensure() / "hermes")
        self._chain_id = str(devnet.consumer(consumer_id)["chain_id"])
        self._config = directory / "config.toml"

    def prepare(self) -> None:
        """Write the configuration and the keys."""
        chains = [
            self._chain(CHAIN_ID, "alice-provider", "cosmos"),
            self._chain(self._chain_id, f"alice-consumer-{self._consumer_id}", "consumer"),
        ]
        modes: dict[str, Any] = {name: {"enabled": False} for name in ("clients", "connections", "channels", "packets")}
        config = {"global": {"log_level": "info"}, "mode": modes, "chains": chains}
        self._config.write_text(tomli_w.dumps(config))
        for chain_id in (CHAIN_ID, self._chain_id):
            mnemonic = self._devnet.directory / "alice.relayer.mnemonic"
            self._run("keys", "add", "--chain", chain_id, "--mnemonic-file", str(mnemonic))

    def open_channel(self) -> None:
        """Make the connection on the clients that the launch has made, and the channel on it."""
        client = self._devnet.consumer(self._consumer_id)["client_id"]
        ends = ("--a-chain", self._chain_id)
        self._run("create", "connection", *ends, "--a-client", CONSUMER_CLIENT, "--b-client", client)
        ports = ("--a-port", "consumer", "--b-port", "provider")
        order = ("--order", "ordered", "--channel-version", "1")
        self._run("create", "channel", *ends, "--a-connection", "connection-0", *ports, *order)

    def _command(self) -> list[str]:
        return [self._program, "--config", str(self._config)]

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self._directory)}  # its keys are below

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [*self._command(), *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise TestbedError(f"hermes {' '.join(arguments[:2])}: {done.stdout[-3000:]}{done.stderr[-3000:]}")

    def _chain(self, chain_id: str, namespace: str, prefix: str) -> dict[str, Any]:
        service = self._devnet.get("service", "node", namespace)
        if service is None:
            raise TestbedError(f"there is no Service {namespace}/node")
        address = service["spec"]["clusterIP"]
        return {
            "id": chain_id,
            "type": "CosmosSdk",
            "rpc_addr": f"http://{address}:26657",
            "grpc_addr": f"http://{address}:9090",
            "event_source": {"mode": "pull", "interval": "500ms"},
            "rpc_timeout": "10s",
            "account_prefix": prefix,
            "key_name": "relayer",
            "store_prefix": "ibc",
            "default_gas": 200_000,
            "max_gas": 4_000_000,
            "gas_price": {"price": 0.01, "denom": "stake"},
            "gas_multiplier": 1.5,
            "clock_drift": "10s",
            "max_block_time": "30s",
            "trust_threshold": {"numerator": "1", "denominator": "3"},
            "ccv_consumer_chain": prefix == "consumer",
            "address_type": {"derivation": "cosmos"},
        }
