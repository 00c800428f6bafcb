# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the Go monitor (sourcenetwork/ics-operator, July 2025) in a cluster, with the names and labels that its chart and its code give them."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey

NAMESPACE = "provider"


def release(validator: str, mnemonic: str, hd_path: str) -> list[dict[str, Any]]:
    """Return what a release of the chart has: the monitor, the provider's node, and the account's mnemonic."""
    labels = {
        "helm.sh/chart": "ics-operator-0.1.0",
        "app.kubernetes.io/name": "ics-operator",
        "app.kubernetes.io/instance": validator,
        "app.kubernetes.io/managed-by": "Helm",
    }
    instance = {name: labels[name] for name in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}
    parts: list[dict[str, Any]] = [_namespace(NAMESPACE)]
    for part in ("monitor", "validator"):
        component = {"app.kubernetes.io/component": part}
        own = {**instance, **component}
        parts.append(
            _deployment(
                part,
                NAMESPACE,
                {**labels, **component},
                own,
                {**own, "validator": validator, "role": part},
                {"name": part, "image": "ics-monitor:latest"},
            )
        )
    data = {"mnemonic": mnemonic, "hd-path": hd_path}
    return [*parts, _secret(f"{validator}-keys", {**labels, "app.kubernetes.io/component": "keys"}, data)]


def consumer(validator: str, consumer_id: str, chain_id: str) -> list[dict[str, Any]]:
    """Return what its monitor makes for a consumer: namespace, node and relayer."""
    selector = {"app": "consumer-chain", "chain-id": chain_id, "validator": validator}
    labels = {
        **selector,
        "consumer-chain-id": chain_id,
        "app.kubernetes.io/name": "consumer-chain",
        "app.kubernetes.io/instance": f"{chain_id}-{validator}",
        "app.kubernetes.io/component": "daemon",
    }
    environment = [{"name": "CHAIN_ID", "value": chain_id}, {"name": "CONSUMER_ID", "value": consumer_id}]
    node = {"name": "consumer-daemon", "image": "ghcr.io/cosmos/interchain-security:v7.0.1", "env": environment}
    hermes = {"app": "hermes", "chain-id": chain_id, "validator": validator}
    relayer = {"name": "hermes", "image": "informalsystems/hermes:1.10.5"}
    return [
        _namespace(chain_id),
        _deployment(chain_id, chain_id, labels, selector, selector, node),
        _deployment(f"{chain_id}-hermes", chain_id, hermes, hermes, hermes, relayer),
    ]


def key(validator: str, consumer_id: str, text: str | ConsensusKey) -> dict[str, Any]:
    """Return the Secret with an assigned key."""
    labels = {
        "app.kubernetes.io/component": "consumer-validator-key",
        "consumer-id": consumer_id,
        "validator": validator,
    }
    content = text if isinstance(text, str) else text.key_file()
    return _secret(f"consumer-key-{consumer_id}-{validator}", labels, {"priv_validator_key.json": content})


def pod(deployment: dict[str, Any], machine: str = "") -> dict[str, Any]:
    """Return a pod of a Deployment; one that is on a machine goes only when the machine says so."""
    metadata, template = deployment["metadata"], deployment["spec"]["template"]
    name = {"name": f"{metadata['name']}-7d4b9c-x2x7p", "namespace": metadata["namespace"]}
    spec = {**template["spec"], **({"nodeName": machine} if machine else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**name, "labels": template["metadata"]["labels"]},
        "spec": spec,
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _secret(name: str, labels: dict[str, str], data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "data": {entry: base64.b64encode(text.encode()).decode() for entry, text in data.items()},
    }


def _deployment(
    name: str,
    namespace: str,
    labels: dict[str, str],
    selector: dict[str, str],
    pod_labels: dict[str, str],
    container: dict[str, Any],
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": pod_labels}, "spec": {"containers": [container]}},
        },
    }
