# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider chain, by default of alice, bob and charlie, with a monitor each, on the testbed's cluster.

Every step of a validator is a playbook of the collection, run with the variables that a validator would give; only keys and genesis are made here. What
tests do often, as the owner of consumers, and what they look at again and again, is done in this process: a program for each would take most of a processor.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from .errors import TestbedError
from .parts import CHAIN, KUBERNETES
from .progress import REPORT_EVERY_SECONDS, say, wait_until

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".build/collections"
if str(COLLECTIONS) not in sys.path:
    sys.path.insert(0, str(COLLECTIONS))

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster  # noqa: E402
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import BASE_GENESIS  # noqa: E402
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError  # noqa: E402
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of  # noqa: E402
from ansible_collections.interchain.security.plugins.module_utils.operations import consumer, consumer_info  # noqa: E402
from ansible_collections.interchain.security.plugins.module_utils.runner import Operation  # noqa: E402
from tests.operation import InvalidOptions, run_operation  # noqa: E402

CHAIN_ID = "provider-1"
OWNER = "owner"
POWERS = {
    "alice": 600_000_000,
    "bob": 400_000_000,
    "charlie": 200_000_000,
}  # utokens at stake
FUNDS = "10000000000000stake"
GAS_PRICES = "0.01stake"
PLAYBOOK_SECONDS = 600.0
POLL_SECONDS = 0.25
# What is read of the cluster, as kubectl names it: API version and kind.
KINDS = {
    "configmap": ("v1", "ConfigMap"),
    "deployment": ("apps/v1", "Deployment"),
    "endpointslice": ("discovery.k8s.io/v1", "EndpointSlice"),
    "namespace": ("v1", "Namespace"),
    "persistentvolumeclaim": ("v1", "PersistentVolumeClaim"),
    "pod": ("v1", "Pod"),
    "role": ("rbac.authorization.k8s.io/v1", "Role"),
    "secret": ("v1", "Secret"),
    "service": ("v1", "Service"),
    "statefulset": ("apps/v1", "StatefulSet"),
}


@dataclass(frozen=True)
class Settings:
    """What differs between the devnets of the quick start, the tests and the benchmarks. Times in seconds."""

    powers: Mapping[str, int] = field(default_factory=lambda: POWERS)
    unbonding_seconds: int = 1_209_600
    blocks_per_epoch: int = 5
    timeout_commit: str = "1s"
    catalogue: Sequence[Mapping[str, Any]] = ()  # of every validator


class Devnet:
    """The devnet below ``directory`` on the cluster of ``kubeconfig``; ``addresses`` are load balancer addresses to use.

    ``collections`` is the path from which the playbooks come, by default the checkout.
    """

    def __init__(
        self,
        directory: Path,
        kubeconfig: Path,
        addresses: Sequence[str],
        settings: Settings = Settings(),
        collections: Path = COLLECTIONS,
    ) -> None:
        self.powers = settings.powers
        self.first = next(iter(self.powers))
        if len(addresses) < len(self.powers):
            needed = len(self.powers)
            raise TestbedError(f"the cluster offers {len(addresses)} load balancer addresses, {needed} are needed")
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.addresses = dict(zip(self.powers, addresses, strict=False))
        self.settings = settings
        self.collections = collections
        self.outputs: list[str] = []  # of all playbooks that were run
        self._relays = True  # whether monitors are deployed with the key of a relayer
        self._rpc_urls: dict[str, str] = {}  # by validator

    # -- keys and genesis --------------------------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Make keys and genesis unless they are there already for this cluster; return whether they were made."""
        identity = self.kubectl("get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}")
        marker = self.directory / "cluster"
        if marker.is_file() and marker.read_text() == identity:
            return False
        if self.directory.exists():
            subprocess.run(["rm", "-rf", "--", str(self.directory)], check=True)
        self.directory.mkdir(parents=True, mode=0o700)
        accounts = {name: self._account(name) for name in (*self.powers, OWNER)}
        relayers = {name: self._account(name, "relayer") for name in self.powers}
        for name in self.powers:
            self._chain(name, "init", name, "--chain-id", CHAIN_ID)
        first = self.first
        genesis = self._home(first) / "config/genesis.json"
        for account in (*accounts.values(), *relayers.values()):
            self._chain(first, "genesis", "add-genesis-account", account["address"], FUNDS)
        self._set_parameters(genesis)
        gentxs = self._home(first) / "config/gentx"
        gentxs.mkdir()
        for name, tokens in self.powers.items():
            if name != first:
                (self._home(name) / "config/genesis.json").write_text(genesis.read_text())
            self._chain(
                name,
                *(
                    "genesis",
                    "gentx",
                    name,
                    f"{tokens}stake",
                    "--chain-id",
                    CHAIN_ID,
                    "--keyring-backend",
                    "test",
                ),
                *("--output-document", str(gentxs / f"{name}.json")),
            )
        self._chain(first, "genesis", "collect-gentxs")
        for name in self.powers:
            self._write_variables(name, accounts[name], relayers[name], genesis.read_text())
        _write_private(self.directory / "owner.mnemonic", accounts[OWNER]["mnemonic"])
        marker.write_text(identity)
        return True

    def _account(self, name: str, key: str = "") -> dict[str, Any]:
        answer = self._chain(name, "keys", "add", key or name, "--keyring-backend", "test", "--output", "json")
        account: dict[str, Any] = json.loads(answer)
        return account

    def _home(self, name: str) -> Path:
        return self.directory / "homes" / name

    def _chain(self, name: str, *arguments: str) -> str:
        program = CHAIN.ensure() / "interchain-security-pd"
        command = [str(program), *arguments, "--home", str(self._home(name))]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise TestbedError(f"{' '.join(arguments[:2])} for {name} failed: {done.stderr.strip()[-600:]}")
        return done.stdout or done.stderr

    def _set_parameters(self, path: Path) -> None:
        genesis = json.loads(path.read_text())
        state = genesis["app_state"]
        state["provider"]["params"]["blocks_per_epoch"] = str(self.settings.blocks_per_epoch)
        state["staking"]["params"]["unbonding_time"] = f"{self.settings.unbonding_seconds}s"
        state["gov"]["params"].update(voting_period="20s", expedited_voting_period="10s")
        path.write_text(json.dumps(genesis))

    def _write_variables(self, name: str, account: dict[str, Any], relayer: dict[str, Any], genesis: str) -> None:
        """Write what a validator's operator would have: the inventory and the secrets of one validator."""
        config = self._home(name) / "config"
        peers = [
            f"{self._chain(other, 'comet', 'show-node-id').strip()}@{self.addresses[other]}:26656"
            for other in self.powers
            if other != name
        ]
        operator = self._chain(
            name,
            "keys",
            "show",
            name,
            "--bech",
            "val",
            "--address",
            "--keyring-backend",
            "test",
        ).strip()
        mnemonic_file = self.directory / f"{name}.mnemonic"
        _write_private(mnemonic_file, account["mnemonic"])
        _write_private(self.directory / f"{name}.relayer.mnemonic", relayer["mnemonic"])
        _write_private(
            self.directory / f"{name}.yml",
            yaml.safe_dump(
                {
                    **self._common(),
                    "interchain_validator": name,
                    "interchain_operator_address": operator,
                    "interchain_mnemonic_file": str(mnemonic_file),
                    "interchain_load_balancer_address": self.addresses[name],
                    "provider_genesis": genesis,
                    "provider_priv_validator_key": (config / "priv_validator_key.json").read_text(),
                    "provider_node_key": (config / "node_key.json").read_text(),
                    "provider_persistent_peers": peers,
                    "provider_timeout_commit": self.settings.timeout_commit,
                    "provider_wait": False,
                    "monitor_mnemonic": account["mnemonic"],
                    "monitor_relayer_mnemonic": relayer["mnemonic"],
                    "monitor_provider_rpc_url": [f"http://node.{name}-provider.svc:26657"],
                    "interchain_relayer_rpc_url": f"http://node.{name}-provider.svc:26657",
                }
            ),
        )

    def _common(self) -> dict[str, Any]:
        return {
            "interchain_provider_chain_id": CHAIN_ID,
            "interchain_gas_prices": GAS_PRICES,
            "interchain_storage_size": "1Gi",
            "interchain_catalogue": [dict(entry) for entry in self.settings.catalogue],
        }

    # -- the steps ---------------------------------------------------------------------------------------------------------

    def deploy_providers(self) -> None:
        """Deploy the three validators and wait for blocks."""
        self.for_each_validator("deploy_provider")
        self.wait(
            "blocks of the provider chain",
            lambda: self.height() >= 2,
            120,
            f"kubectl logs --namespace {self.first}-provider node-0",
        )
        self._write_inventory()

    def _write_inventory(self) -> None:
        """Write the inventory that the make targets use: the owner's view of the provider chain."""
        variables = {
            **self._common(),
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "interchain_provider_rpc_url": [self.rpc_url()],
            "interchain_mnemonic_file": str(self.directory / "owner.mnemonic"),
        }
        inventory = {"all": {"hosts": {"localhost": variables}}}
        (self.directory / "inventory.yml").write_text(yaml.safe_dump(inventory))

    def announce(self) -> None:
        """Announce each validator's endpoint on chain."""
        self.for_each_validator("validator_endpoint", interchain_provider_rpc_url=[self.rpc_url()])

    def deploy_monitors(self, names: Sequence[str] = (), **variables: Any) -> None:
        """Deploy the monitors of the given validators, of all when none is named."""
        self.for_each_validator("deploy_monitor", names, **variables)

    @contextmanager
    def monitor_away(self, name: str) -> Iterator[None]:
        """Take a validator's monitor away for a while."""
        namespace = f"{name}-monitor"
        self.kubectl("scale", "statefulset", "monitor", "--namespace", namespace, "--replicas=0")
        try:
            self.wait(
                f"{name}'s monitor to go", lambda: self.get("pod", "monitor-0", namespace) is None, 300, "make logs"
            )
            yield
        finally:
            self.kubectl("scale", "statefulset", "monitor", "--namespace", namespace, "--replicas=1")

    def await_members(self, consumer_id: str, names: Sequence[str]) -> None:
        """Wait until just these validators have opted in to a consumer."""
        members = {self.variables(name)["interchain_operator_address"] for name in names}
        self.wait("opt-ins", lambda: set(self.consumer(consumer_id)["opted_in"]) == members, 180, "make logs")

    def await_staged(self, consumer_id: str, names: Sequence[str]) -> None:
        """Wait until the nodes of these validators need nothing but the launch. One that is staged later launches late, and then looks first who signs."""
        for name in names:
            namespace = f"{name}-consumer-{consumer_id}"
            self.wait(
                f"{name}'s node to be staged",
                lambda namespace=namespace: self.get("configmap", BASE_GENESIS, namespace) is not None,  # type: ignore[misc]
                180,
                "make logs",
            )

    def await_launch(self, consumer_id: str, seconds: float = 60) -> None:
        """Wait until a consumer is launched."""
        self.wait("the launch", lambda: self.consumer(consumer_id)["phase"] == "launched", seconds, "make logs")

    def await_height(self, names: Sequence[str], consumer_id: str, height: int, seconds: float = 180) -> None:
        """Wait until the consumer node of each of these validators has a height, for each so many seconds."""
        for name in names:
            self.wait(
                f"height {height} of {name}'s node",
                lambda name=name: self.node_height(name, consumer_id) >= height,  # type: ignore[misc]
                seconds,
                f"make logs, and kubectl logs --namespace {name}-consumer-{consumer_id} node-0",
            )

    def create_consumer(self, chain_id: str, spawn_in: int = 30, **options: Any) -> str:
        """Create a consumer as its owner; return the consumer_id. ``spawn_in`` is in seconds from now on the chain's clock, ``options`` are the module's."""
        for entry in self.consumers():
            # The monitors would rightly stay out of it.
            if entry["chain_id"] != chain_id and ports_of(entry["chain_id"]) == ports_of(chain_id):
                other = f"consumer {entry['consumer_id']}, {entry['chain_id']}"
                raise TestbedError(f"devnet: {chain_id} would have the ports of {other}: name it otherwise")
        made = self._as_owner(chain_id=chain_id, spawn_time=f"+{spawn_in}s", **options)
        return str(made["consumer_id"])

    def set_spawn_time(self, consumer_id: str, spawn_in: int) -> None:
        """Move a consumer's spawn time as its owner, to so many seconds from now on the machine's clock."""
        moment = (datetime.now(UTC) + timedelta(seconds=spawn_in)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._as_owner(consumer_id=consumer_id, spawn_time=moment)

    def set_relayers(self, wanted: bool) -> None:
        """Give every monitor the key of its relayer, or take it away: without one, a validator relays nothing for consumers that launch."""
        self._relays = wanted
        for name in self.powers:
            where = ("secret", "relayer", "--namespace", f"{name}-monitor")
            self.kubectl("delete", *where, "--ignore-not-found")
            if wanted:
                file = self.directory / f"{name}.relayer.mnemonic"
                self.kubectl("create", "secret", "generic", *where[1:], f"--from-file=mnemonic={file}")

    def remove_consumer(self, consumer_id: str) -> None:
        """Remove a consumer as its owner."""
        self._as_owner(consumer_id=consumer_id, state="absent")

    def _as_owner(self, **options: Any) -> dict[str, Any]:
        """Do what the module ``consumer`` does with these options as the consumers' owner; return its result."""
        mnemonic = {"mnemonic_file": str(self.directory / "owner.mnemonic"), "gas_prices": GAS_PRICES}
        return self.operate(consumer, **mnemonic, **options)

    def operate(self, operation: Operation, **options: Any) -> dict[str, Any]:
        """Run the operation of a module against the provider chain; TestbedError when it cannot be done."""
        try:
            return run_operation(operation, provider_rpc_url=[self.rpc_url()], **options)
        except (InvalidOptions, InterchainError) as error:
            raise TestbedError(str(error)) from error

    def transact(self, validator: str, *message: str) -> None:
        """Send a transaction of a validator's account on the provider, and wait until it is in a block."""
        keys = ("--from", validator, "--keyring-backend", "test")
        node = ("--chain-id", CHAIN_ID, "--node", self.rpc_url().replace("http://", "tcp://"))
        answer = self._chain(
            validator,
            "tx",
            *message,
            *keys,
            *node,
            "--gas",
            "500000",
            "--fees",
            "5000stake",
            "--output",
            "json",
            "--yes",
        )
        sent = json.loads(answer)
        if sent["code"]:
            raise TestbedError(f"{' '.join(message)} of {validator} was refused: {sent['raw_log']}")

        def included() -> bool:
            try:
                found = self.rpc(f"tx?hash=0x{sent['txhash']}")
            except OSError:  # not in a block yet
                return False
            if found["tx_result"]["code"]:
                raise TestbedError(f"{' '.join(message)} of {validator} failed: {found['tx_result']['log']}")
            return True

        self.wait(f"{' '.join(message[:2])} of {validator}", included, 60, "make logs")

    def variables(self, validator: str) -> dict[str, Any]:
        """Return a validator's inventory variables."""
        found: dict[str, Any] = yaml.safe_load((self.directory / f"{validator}.yml").read_text())
        return found

    # -- looking -----------------------------------------------------------------------------------------------------------

    def rpc_url(self, name: str = "") -> str:
        """Return the RPC address of a validator's provider node (empty: the first one's), as the machine of the testbed reaches it."""
        namespace = f"{name or self.first}-provider"
        if namespace not in self._rpc_urls:
            service = self.get("service", "node", namespace)
            if service is None:
                raise TestbedError(f"there is no Service node in {namespace}: is the provider deployed?")
            self._rpc_urls[namespace] = f"http://{service['spec']['clusterIP']}:26657"
        return self._rpc_urls[namespace]

    def height(self) -> int:
        """Return the height of the provider chain; 0 when it does not answer."""
        try:
            return int(self.rpc("status")["sync_info"]["latest_block_height"])
        except (OSError, ValueError, KeyError, TestbedError):
            return 0

    def rpc(self, path: str, base: str | None = None) -> Any:
        """Return the result of a GET on a node's RPC, by default the first validator's provider node."""
        with urllib.request.urlopen(f"{base or self.rpc_url()}/{path}", timeout=10) as answer:
            return json.load(answer)["result"]

    def consumers(self) -> list[dict[str, Any]]:
        """Return all consumers as the module consumer_info gives them."""
        found: list[dict[str, Any]] = self.operate(consumer_info)["consumers"]
        return found

    def consumer(self, consumer_id: str) -> dict[str, Any]:
        """Return one consumer."""
        found: list[dict[str, Any]] = self.operate(consumer_info, consumer_id=consumer_id)["consumers"]
        return found[0]

    def opt_in_count(self, consumer_id: str) -> dict[str, int]:
        """Count the successful opt-in transactions for a consumer by operator address."""
        query = f"%22opt_in.consumer_id%3D%27{consumer_id}%27%22"
        counts: dict[str, int] = {}
        for found in self.rpc(f"tx_search?query={query}&per_page=100")["txs"]:
            for event in found["tx_result"]["events"]:
                if event["type"] == "opt_in":
                    attributes = {entry["key"]: entry["value"] for entry in event["attributes"]}
                    operator = attributes["provider_validator_address"]
                    counts[operator] = counts.get(operator, 0) + 1
        return counts

    def decision(self, validator: str, consumer_id: str) -> dict[str, str]:
        """Return what a monitor remembers of a consumer; empty when it has not looked at it."""
        found = self.get("configmap", f"consumer-{consumer_id}", f"{validator}-monitor")
        return {} if found is None else found["data"]

    def node_height(self, validator: str, consumer_id: str) -> int:
        """Return the height of a validator's consumer node; 0 when it makes no blocks (yet)."""
        service = self.get("service", "node", f"{validator}-consumer-{consumer_id}")
        if service is None:
            return 0
        try:
            answer = self.rpc("status", f"http://{service['spec']['clusterIP']}:26657")
        except OSError:
            return 0
        return int(answer["sync_info"]["latest_block_height"])

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return a Kubernetes object, or None when there is none. ``kind`` is one of KINDS."""
        api_version, api_kind = KINDS[kind]
        try:
            return self._cluster.get(api_kind, name, namespace, api_version)
        except InterchainError as error:
            raise TestbedError(str(error)) from error

    @cached_property
    def _cluster(self) -> Cluster:
        return Cluster(str(self.kubeconfig))

    # -- running -----------------------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Return the environment in which the collection's commands run against this devnet."""
        return {
            # With the tests' own path the playbooks would find the checkout as well.
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "KUBECONFIG": str(self.kubeconfig),
            "K8S_AUTH_KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def run_playbook(
        self,
        name: str,
        validator: str | None,
        variables: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection as a validator's operator, or as the owner of consumers; return how it ended."""
        inventory = self.directory / "inventory.yml"
        command = [
            str(ROOT / ".venv/bin/ansible-playbook"),
            f"interchain.security.{name}",
            *arguments,
        ]
        if inventory.is_file():
            command += ["-i", str(inventory)]
        if validator is not None:
            command += ["-e", f"@{self.directory / validator}.yml"]
        command += ["-e", json.dumps({"monitor_relayer": self._relays, **variables})]
        process = subprocess.Popen(
            command,
            env={**self.environment(), **(environment or {})},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started = time.monotonic()
        while True:
            try:
                output, _none = process.communicate(timeout=REPORT_EVERY_SECONDS)
                self.outputs.append(output)
                return subprocess.CompletedProcess(command, process.returncode, output, "")
            except subprocess.TimeoutExpired:
                say(
                    f"  {name}{f' of {validator}' if validator else ''}: running for {time.monotonic() - started:.0f} s"
                )
                if time.monotonic() - started > PLAYBOOK_SECONDS:
                    process.terminate()
                    output, _none = process.communicate()
                    raise TestbedError(
                        f"playbook {name} was not done after {PLAYBOOK_SECONDS:.0f} s:\n{output[-3000:]}"
                    ) from None

    def playbook(self, name: str, validator: str | None, **variables: Any) -> str:
        """Run a playbook and return its output; TestbedError with the end of it when it fails."""
        done = self.run_playbook(name, validator, variables)
        if done.returncode != 0:
            raise TestbedError(
                f"playbook {name}{f' of {validator}' if validator else ''} failed:\n{done.stdout[-4000:]}"
            )
        return done.stdout

    def for_each_validator(self, playbook: str, names: Sequence[str] = (), **variables: Any) -> None:
        """Run a playbook for several validators, for all when none is named, two at a time."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(self.playbook, playbook, name, **variables) for name in names or self.powers]:
                done.result()

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl on the testbed's cluster and return its output."""
        done = subprocess.run(
            # The embedded cluster's own kubectl comes out of the cache.
            [
                shutil.which("kubectl") or str(KUBERNETES.ensure() / "kubectl"),
                "--kubeconfig",
                str(self.kubeconfig),
                *arguments,
            ],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise TestbedError(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def wait(self, what: str, condition: Any, seconds: float, where: str) -> float:
        """Poll ``condition`` until it holds and return the seconds it took; TestbedError naming ``where`` to look after ``seconds``."""
        started = time.monotonic()
        wait_until(what, condition, seconds=seconds, where=where, poll=POLL_SECONDS)
        return time.monotonic() - started


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
