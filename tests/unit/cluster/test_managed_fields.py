# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a field manager has applied is read back from the object, without what others have set beside it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster.managed_fields import applied_by


def service(fields: dict[str, Any], **entry: Any) -> dict[str, Any]:
    """A Service with a port and an annotation of its own, and of others a node port and an annotation."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "p2p",
            "namespace": "x",
            "uid": "1",
            "annotations": {"ours": "1", "theirs": "2"},
            "finalizers": ["ours", "theirs"],
            "managedFields": [
                {"manager": "theirs", "operation": "Apply", "fieldsV1": {"f:spec": {"f:type": {}}}},
                {"manager": "us", "operation": "Apply", "fieldsV1": fields, **entry},
            ],
        },
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app": "node"},
            "ports": [{"port": 1, "protocol": "TCP", "nodePort": 30001}, {"port": 2, "protocol": "TCP"}],
        },
    }


IDENTITY = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "p2p", "namespace": "x"}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"f:spec": {}}, IDENTITY | {"spec": service({})["spec"]}),
        ({"f:spec": {"f:selector": {}}}, IDENTITY | {"spec": {"selector": {"app": "node"}}}),
        ({"f:spec": {"f:selector": {".": {}}}}, IDENTITY | {"spec": {"selector": {}}}),
        ({"f:spec": {"f:gone": {}}}, IDENTITY | {"spec": {}}),
        (
            {"f:metadata": {"f:annotations": {"f:ours": {}}, "f:finalizers": {'v:"ours"': {}}}},
            IDENTITY
            | {
                "metadata": {
                    "name": "p2p",
                    "namespace": "x",
                    "annotations": {"ours": "1"},
                    "finalizers": ["ours"],
                }
            },
        ),
        (
            {
                "f:spec": {
                    "f:ports": {'k:{"port":1,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}}},
                }
            },
            IDENTITY | {"spec": {"ports": [{"port": 1, "protocol": "TCP"}]}},
        ),
    ],
)
def test_the_applied_part_is_read_back(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert applied_by("us", service(fields)) == expected


@pytest.mark.parametrize("entry", [{"operation": "Update"}, {"subresource": "status"}, {"manager": "else"}])
def test_what_was_not_applied_by_the_manager_is_not_its_own(entry: dict[str, Any]) -> None:
    assert applied_by("us", service({"f:spec": {"f:selector": {}}}, **entry)) == IDENTITY


def test_an_object_without_managed_fields_has_no_owner() -> None:
    found = service({})
    del found["metadata"]["managedFields"]
    assert applied_by("us", found) == IDENTITY
