# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role load_balancer tells each implementation, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROLE = Path(__file__).resolve().parents[2] / "roles/load_balancer"
ADDRESS = "192.0.2.1"


def templated(wanted: str, **given: Any) -> Any:
    """Return a variable of the role with the given ones over its defaults."""
    loader = DataLoader()
    variables: dict[str, Any] = {}
    for part in ("defaults", "vars"):
        variables |= loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True)
    return Templar(loader, variables=variables | given).template(variables[wanted])


@pytest.mark.parametrize(
    ("kind", "annotations"),
    [
        ("metallb", {"metallb.io/loadBalancerIPs": ADDRESS}),
        (
            "aws",
            {
                "service.beta.kubernetes.io/aws-load-balancer-type": "external",
                "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
                "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "instance",
            },
        ),
        ("gcp", {"cloud.google.com/l4-rbs": "enabled"}),
        ("azure", {"service.beta.kubernetes.io/azure-load-balancer-ipv4": ADDRESS}),
        ("other", {}),
    ],
)
def test_each_implementation_is_told_its_own(kind: str, annotations: dict[str, str]) -> None:
    own = {"own": "1"}
    given = {"load_balancer_type": kind, "load_balancer_address": ADDRESS, "load_balancer_annotations": own}
    assert templated("load_balancer_all_annotations", **given) == annotations | own
    over = dict.fromkeys(annotations, "other")
    assert templated("load_balancer_all_annotations", **given | {"load_balancer_annotations": over}) == over


@pytest.mark.parametrize("kind", ["metallb", "azure", "other"])
def test_without_an_address_none_is_asked_for(kind: str) -> None:
    assert templated("load_balancer_all_annotations", load_balancer_type=kind) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", "*"),
        ("service.beta.kubernetes.io/aws-load-balancer-ssl-cert", "arn"),
        ("service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", "proxy_protocol_v2.enabled=true"),
        (
            "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes",
            "proxy_protocol_v2.enabled=true,preserve_client_ip.enabled=false",
        ),
        ("load-balancer.hetzner.cloud/uses-proxyprotocol", "true"),
        ("service.kubernetes.io/ibm-load-balancer-cloud-provider-enable-features", "proxy-protocol"),
        ("service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol", True),
    ],
)
def test_a_proxy_in_front_of_the_nodes_is_found(name: str, value: Any) -> None:
    given = {"other": "1", name: value}
    assert templated("load_balancer_bad_annotations", load_balancer_annotations=given) == [f"{name}={value}"]


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"service.beta.kubernetes.io/aws-load-balancer-internal": True, "other": "1"},
        {"service.beta.kubernetes.io/aws-load-balancer-target-group-attributes": "proxy_protocol_v2.enabled=false"},
        {"service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "false"},
        {"load-balancer.hetzner.cloud/uses-proxyprotocol": False},
    ],
)
def test_annotations_that_put_nothing_in_front_are_taken(annotations: dict[str, Any]) -> None:
    assert templated("load_balancer_bad_annotations", load_balancer_annotations=annotations) == []
