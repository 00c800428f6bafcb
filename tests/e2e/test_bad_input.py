# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake gives one clear message, and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.devnet import Devnet

# Launches wait for block times and spawn times; a hang still ends here.
pytestmark = pytest.mark.timeout(900)


def state(devnet: Devnet) -> tuple[Any, ...]:
    """What must not change: consumers on the chain and namespaces, Secrets and memories in the cluster.

    The ConfigMap ``check`` is no part of it: a monitor makes it with its first periodic check, a minute after its start.
    """
    consumers = [(entry["consumer_id"], entry["opted_in"]) for entry in devnet.consumers()]
    listed = devnet.kubectl("get", "namespaces,secrets,configmaps", "--all-namespaces", "--output", "name")
    return consumers, sorted(name for name in listed.split() if name != "configmap/check")


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
    assert state(devnet) == before


def test_no_permission_in_the_cluster(devnet: Devnet) -> None:
    before = state(devnet)
    done = devnet.run_playbook("deploy_monitor", "alice", {}, environment={"K8S_AUTH_IMPERSONATE_USER": "nobody"})
    assert done.returncode != 0
    assert "No permission" in " ".join(done.stdout.split())
    assert state(devnet) == before
