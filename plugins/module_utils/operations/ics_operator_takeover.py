# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take the keys of an installation of the Go monitor (sourcenetwork/ics-operator) over, then stop what signs with them.

Its chart makes the Deployment ``monitor`` and, for keys from a mnemonic, a Secret that holds it. Its monitor makes for each consumer a Deployment
in a namespace named by the chain_id, whose data are on no volume, and keeps assigned keys in Secrets of the namespace ``provider``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, decoded
from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import Secret, SecretKeyStore
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import (
    KEY_FILE,
    TAKEN_OVER,
    labels_of,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    ConsumerNotFound,
    InvalidInput,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key, takeover
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey
from ansible_collections.interchain.security.plugins.module_utils.ics.names import CONSUMER_ID, checked_validator_name
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.takeover import Decision, KeyStep
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_key import kept_key
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "validator": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "former_namespace": {"type": "str", "default": "provider"},
    "former_validator": {"type": "str"},
    "without_key": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "leave_running": {"type": "list", "elements": "str", "default": []},
    "needs_account": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 180},
    "kubeconfig": {"type": "path"},
}
KEYS = "app.kubernetes.io/component=consumer-validator-key"
MONITORS = "app.kubernetes.io/component=monitor"
ACCOUNTS = "app.kubernetes.io/component=keys"
# Where that monitor keeps the keys, wherever it runs itself.
KEY_NAMESPACE = "provider"
NODES, RELAYERS = "app=consumer-chain", "app=hermes"
VALIDATOR_LABEL = "validator"
ENDED = ("Succeeded", "Failed")
NOT_STARTED = "The keys are copied; nothing here signs with them yet"
WITH_KEYS = (Phase.REGISTERED, Phase.INITIALIZED, Phase.LAUNCHED)


@dataclass(frozen=True)
class Deployment:
    """A Deployment of the former installation; ``consumer_id`` is empty for its monitor and its relayers."""

    namespace: str
    name: str
    replicas: int
    selector: str
    consumer_id: str = ""

    @property
    def shown(self) -> str:
        """Its name as messages show it."""
        return f"Deployment {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Installation:
    """What the cluster holds of the former monitor. Keys and their faults by consumer_id."""

    monitors: list[Deployment]
    nodes: list[Deployment]
    relayers: list[Deployment]
    keys: dict[str, ConsensusKey] = field(repr=False)
    faults: dict[str, str]
    mnemonic: str = field(repr=False)
    hd_path: str

    @property
    def consumer_ids(self) -> set[str]:
        """The consumers that it has to do with."""
        return {*self.keys, *self.faults, *(node.consumer_id for node in self.nodes)}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, decide, copy the keys, stop the monitor, then its nodes and relayers, and see that they are gone."""
    if params["timeout"] <= 0:
        raise InvalidInput("timeout must be seconds")
    validator = checked_validator_name(params["validator"])
    monitor = params["monitor_namespace"] or f"{validator}-monitor"
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    found = look(cluster, params["former_namespace"], params["former_validator"] or validator)
    if not found.monitors and not found.nodes and not found.keys:
        raise InvalidInput(
            f"no installation of the Go monitor for {params['former_validator'] or validator} is in namespace {params['former_namespace']} "
            "of this cluster: give former_namespace and former_validator"
        )
    stores = {
        consumer_id: SecretKeyStore(monitor, f"consumer-{consumer_id}-key", consumer_id, params["kubeconfig"])
        for consumer_id in found.consumer_ids
    }
    decisions = takeover.decide_all(_facts(params, found, stores), params["without_key"], params["leave_running"])
    problems = [f"consumer {entry.consumer_id}: {entry.problem}" for entry in decisions if entry.problem]
    account = Secret(monitor, "validator", params["kubeconfig"])
    copy_account = bool(found.mnemonic) and account.read() is None
    if params["needs_account"] and not found.mnemonic and account.read() is None:
        problems.append(
            f"the mnemonic of the validator's account is neither in a Secret of namespace {params['former_namespace']} nor in {monitor}/validator: "
            "give monitor_mnemonic"
        )
    if problems:
        raise InvalidInput("nothing was changed: " + "; ".join(problems))
    copies = [entry for entry in decisions if entry.step is KeyStep.COPY]
    left = {entry.consumer_id for entry in decisions if entry.step is KeyStep.LEAVE}
    kept = {entry.namespace for entry in found.nodes if entry.consumer_id in left}
    of_consumers = [entry for entry in (*found.nodes, *found.relayers) if entry.namespace not in kept]
    stops = [entry for entry in (*found.monitors, *of_consumers) if entry.replicas]
    remembered: list[Change] = []
    if not check_mode:
        if copies or copy_account:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": monitor}})
        for entry in copies:
            stores[entry.consumer_id].create(found.keys[entry.consumer_id])
        if copy_account:
            account.create({"mnemonic": found.mnemonic}, {})
        # First the monitor: it would start its nodes again.
        stop(cluster, found.monitors, params["timeout"])
        stop(cluster, of_consumers, params["timeout"])
        # Their signatures are in the chain still: the launch has to know that they do not come back.
        for entry in decisions:
            held = stores[entry.consumer_id].read() if entry.step in (KeyStep.COPY, KeyStep.HELD) else None
            former = found.keys.get(entry.consumer_id)
            if held is not None and former is not None and held.public_key == former.public_key:
                remembered.append(_remember(cluster, validator, monitor, entry.consumer_id, held))
    return {
        "changed": bool(copies or stops or copy_account) or any(entry.changed for entry in remembered),
        "consumers": [_shown(entry) for entry in decisions],
        "stopped": [entry.shown for entry in stops],
        "account_copied": copy_account,
        "hd_path": found.hd_path,
    }


def _remember(cluster: Cluster, validator: str, monitor: str, consumer_id: str, key: ConsensusKey) -> Change:
    """Write down that whoever signed with a key that is held here now is gone."""
    metadata = {
        "name": f"consumer-{consumer_id}",
        "namespace": monitor,
        "labels": labels_of(validator, consumer_id),
    }
    data = {TAKEN_OVER: key.public_key_base64}
    return cluster.merge({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def look(cluster: Cluster, namespace: str, validator: str) -> Installation:
    """Read what the cluster holds of it."""
    keys: dict[str, ConsensusKey] = {}
    faults: dict[str, str] = {}
    for secret in cluster.select("Secret", KEY_NAMESPACE, f"{KEYS},{VALIDATOR_LABEL}={validator}"):
        name, consumer_id = secret["metadata"]["name"], str(secret["metadata"]["labels"].get("consumer-id"))
        if not CONSUMER_ID.fullmatch(consumer_id):
            raise InvalidInput(f"Secret {KEY_NAMESPACE}/{name}: its label consumer-id is no consumer_id")
        try:
            keys[consumer_id] = consensus_key.from_key_file(decoded(secret.get("data"), KEY_FILE))
        except InvalidInput as error:
            faults[consumer_id] = f"Secret {KEY_NAMESPACE}/{name} cannot be used: {error}"
    accounts = [entry.get("data") for entry in cluster.select("Secret", namespace, ACCOUNTS)]
    mnemonics = [data for data in accounts if decoded(data, "mnemonic")]
    return Installation(
        monitors=_deployments(cluster, MONITORS, validator, namespace),
        nodes=_deployments(cluster, NODES, validator),
        relayers=_deployments(cluster, RELAYERS, validator),
        keys=keys,
        faults=faults,
        mnemonic=decoded(mnemonics[0], "mnemonic").strip() if len(mnemonics) == 1 else "",
        hd_path=decoded(mnemonics[0], "hd-path").strip() if len(mnemonics) == 1 else "",
    )


def _deployments(cluster: Cluster, selector: str, validator: str, namespace: str | None = None) -> list[Deployment]:
    found = []
    for entry in cluster.select("Deployment", namespace, selector, "apps/v1"):
        # Without a name on its pods, it is of the only validator of that cluster.
        if entry["spec"]["template"]["metadata"]["labels"].get(VALIDATOR_LABEL, validator) != validator:
            continue
        labels = entry["spec"]["selector"]["matchLabels"]
        deployment = Deployment(
            namespace=entry["metadata"]["namespace"],
            name=entry["metadata"]["name"],
            replicas=int(entry["spec"].get("replicas", 1)),
            selector=",".join(f"{name}={value}" for name, value in sorted(labels.items())),
            consumer_id=_consumer_id(entry) if selector == NODES else "",
        )
        if selector == NODES and not CONSUMER_ID.fullmatch(deployment.consumer_id):
            raise InvalidInput(f"{deployment.shown}: its container has no CONSUMER_ID")
        found.append(deployment)
    return found


def _consumer_id(deployment: dict[str, Any]) -> str:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    values = [
        entry.get("value")
        for container in containers
        for entry in container.get("env") or []
        if entry["name"] == "CONSUMER_ID"
    ]
    return str(values[0]) if values else ""


def _facts(params: dict[str, Any], found: Installation, stores: dict[str, SecretKeyStore]) -> list[takeover.Facts]:
    client = connection.provider_client(params)
    own = consensus_address(_validator(client, params["operator_address"]))
    facts = []
    for consumer_id in found.consumer_ids:
        phase = _phase(client, consumer_id)
        powers = client.consumer_powers(consumer_id) if phase is Phase.LAUNCHED else {}
        assigned = client.consumer_keys(consumer_id).get(own) if phase in WITH_KEYS else None
        held, former = kept_key(stores[consumer_id], assigned), found.keys.get(consumer_id)
        facts.append(
            takeover.Facts(
                consumer_id=consumer_id,
                phase=phase,
                assigned_key=assigned or "",
                former_key="" if former is None else former.public_key_base64,
                former_fault=found.faults.get(consumer_id, ""),
                held_key="" if held is None else held.public_key_base64,
                own_power=powers.get(own, 0),
                total_power=sum(powers.values()),
            )
        )
    return facts


def _phase(client: ProviderClient, consumer_id: str) -> Phase | None:
    try:
        return client.consumer(consumer_id).phase
    except ConsumerNotFound:
        return None


def _validator(client: ProviderClient, operator_address: str) -> Validator:
    for validator in client.validators():
        if validator.operator_address == operator_address:
            return validator
    raise InvalidInput(f"{operator_address} is no validator of the provider chain; nothing was changed")


def stop(cluster: Cluster, deployments: list[Deployment], timeout: float) -> None:
    """Scale to no pod and wait until none is left; ClusterError when one stays, or when somebody else scales it up again."""
    for entry in deployments:
        metadata = {"name": entry.name, "namespace": entry.namespace}
        cluster.patch({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 0}})
    for entry in deployments:
        cluster.await_value(
            f"{entry.shown} to be without pods",
            partial(_is_gone, cluster, entry),
            timeout,
            where=f"what kubectl get pods --namespace {entry.namespace} --selector {entry.selector} shows may still sign: see that it is gone, "
            f"from its machine too, and run this again. {NOT_STARTED}",
            poll=1.0,
        )


def _is_gone(cluster: Cluster, deployment: Deployment) -> bool | None:
    found = cluster.get("Deployment", deployment.name, deployment.namespace, "apps/v1")
    if found is not None and found["spec"].get("replicas", 1):
        raise ClusterError(
            f"{deployment.shown} was scaled up again by somebody else: stop whoever does that, and run this again. {NOT_STARTED}"
        )
    pods = cluster.select("Pod", deployment.namespace, deployment.selector)
    return all((pod.get("status") or {}).get("phase") in ENDED for pod in pods) or None


def _shown(decision: Decision) -> dict[str, Any]:
    step = "" if decision.step is None else decision.step.value
    return {"consumer_id": decision.consumer_id, "key": step, "reason": decision.reason}
