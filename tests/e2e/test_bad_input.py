# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake gives one clear message, and nothing changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils import supervisor
from ansible_collections.interchain.security.plugins.module_utils.event_source import cursor
from ansible_collections.interchain.security.plugins.module_utils.ics.names import ID_LABEL
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import CHECK, ENDPOINTS
from tests.testbed.devnet import Devnet

# Launches wait for block times and spawn times; a hang still ends here.
pytestmark = pytest.mark.timeout(900)


# What a monitor makes when it first has to: with its start, a minute later, when somebody announces something else.
OWN_DOCUMENTS = {CHECK, ENDPOINTS, supervisor.DOCUMENT, cursor.DOCUMENT}


def state(devnet: Devnet) -> set[str]:
    """Name what must not change: consumers on the chain, and namespaces, Secrets and memories in the cluster.

    The monitors go on meanwhile: their own documents are no part of it, nor is what there is of a consumer that another file stopped,
    which goes when that is deleted, or is in a namespace that goes already.
    """
    consumers = devnet.consumers()
    ended = {entry["consumer_id"] for entry in consumers if entry["phase"] in ("stopped", "deleted")}
    text = devnet.kubectl("get", "namespaces,secrets,configmaps", "--all-namespaces", "--output", "json")
    objects = [Object.read(entry) for entry in json.loads(text)["items"]]
    leaving = {
        entry.name for entry in objects if entry.kind == "Namespace" and (entry.leaves or entry.consumer_id in ended)
    }
    found = {
        f"consumer {entry['consumer_id']} of {entry['opted_in']}"
        for entry in consumers
        if entry["consumer_id"] not in ended
    }
    for entry in objects:
        if (
            entry.name not in leaving | OWN_DOCUMENTS
            and entry.namespace not in leaving
            and entry.consumer_id not in ended
        ):
            found.add(f"{entry.kind} {entry.namespace}/{entry.name}")
    return found


@dataclass(frozen=True)
class Object:
    """What is to be known of a Kubernetes object; empty what it does not have."""

    kind: str
    namespace: str
    name: str
    consumer_id: str
    leaves: bool

    @staticmethod
    def read(entry: dict[str, Any]) -> Object:
        metadata = entry["metadata"]
        consumer_id = metadata.get("labels", {}).get(ID_LABEL, "")
        leaves = "deletionTimestamp" in metadata
        return Object(entry["kind"], metadata.get("namespace", ""), metadata["name"], consumer_id, leaves)


@pytest.mark.parametrize(
    ("playbook", "validator", "variables", "message"),
    [
        pytest.param(
            "consumer_launched",
            "alice",
            {"consumer_id": "$(id)"},
            "consumer_id must be a decimal number",
            id="wrong consumer_id",
        ),
        pytest.param("remove_consumer", None, {"consumer_id": "999"}, "knows no consumer 999", id="unknown consumer"),
        pytest.param(
            "list_consumers",
            None,
            {"interchain_provider_rpc_url": ["http://127.0.0.1:1"]},
            "http://127.0.0.1:1 does not answer",
            id="unreachable node",
        ),
        pytest.param(
            "list_consumers", None, {"interchain_provider_chain_id": "other-1"}, "not of 'other-1'", id="wrong chain"
        ),
        pytest.param(
            "create_consumer",
            None,
            {"chain_id": "x-1", "interchain_mnemonic_file": "/nonexistent/mnemonic"},
            "cannot be read: No such file or directory",
            id="key missing",
        ),
        pytest.param(
            "create_consumer",
            None,
            {"chain_id": "x-1", "spawn_time": "tomorrow"},
            "spawn_time must be RFC 3339",
            id="bad spawn time",
        ),
        pytest.param(
            "create_consumer",
            None,
            {"chain_id": "x" * 51},
            "chain_id: ChainId is too long; got: 51, max: 50",
            id="long chain_id",
        ),
    ],
)
def test_bad_input(
    devnet: Devnet, playbook: str, validator: str | None, variables: dict[str, Any], message: str
) -> None:
    before = state(devnet)
    done = devnet.run_playbook(playbook, validator, variables)
    assert done.returncode != 0
    assert message in " ".join(done.stdout.split())
    assert state(devnet) ^ before == set()


def test_no_permission_in_the_cluster(devnet: Devnet) -> None:
    before = state(devnet)
    done = devnet.run_playbook("deploy_monitor", "alice", {}, environment={"K8S_AUTH_IMPERSONATE_USER": "nobody"})
    assert done.returncode != 0
    assert "No permission" in " ".join(done.stdout.split())
    assert state(devnet) ^ before == set()
