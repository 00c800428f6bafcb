# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes objects that make the embedded cluster usable: names, volumes, addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .components import HELPER_POD, Plan, local_path_config
from .kubectl import Kubectl

METALLB_TYPES = Path(__file__).parent / "manifests" / "metallb-crds.yaml"

SETUP_SCRIPT = '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n'
TEARDOWN_SCRIPT = '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n'


def as_yaml(objects: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(objects)


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def basic(plan: Plan) -> list[dict[str, Any]]:
    """Return everything but the address pool, whose type must be known first."""
    return [
        namespace("metallb-system"),
        namespace("local-path-storage"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "local-path-config", "namespace": "local-path-storage"},
            "data": {
                "config.json": json.dumps(local_path_config(plan)),
                "helperPod.yaml": HELPER_POD,
                "setup": SETUP_SCRIPT,
                "teardown": TEARDOWN_SCRIPT,
            },
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local-path",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        },
        # CoreDNS runs beside the kubelet, so its Service has no pods to select.
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {
                "clusterIP": plan.network.cluster_dns,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [plan.network.node_address], "conditions": {"ready": True}}],
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            ],
        },
    ]


def address_pool(addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "testbed", "namespace": "metallb-system"},
        "spec": {"addresses": [addresses], "autoAssign": True},
    }


def announcement() -> dict[str, Any]:
    """Return what makes MetalLB's speaker answer for the addresses of the pool."""
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"name": "testbed", "namespace": "metallb-system"},
        "spec": {"ipAddressPools": ["testbed"]},
    }


def pool_is_served(kubectl: Kubectl) -> bool:
    """Return whether MetalLB's controller has taken the address pool into use."""
    status = ["ipaddresspool", "testbed", "--namespace=metallb-system", "-o", "jsonpath={.status.availableIPv4}"]
    return kubectl.answer("get", *status).stdout != ""
