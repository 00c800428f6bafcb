# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start the node of a launched consumer, and with ``sweep`` those of all others that have launched meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.sweep_lock import SweepLock
from ansible_collections.interchain.security.plugins.module_utils.cluster.watch import HISTORY, RECENT, watch
from ansible_collections.interchain.security.plugins.module_utils.errors import InterchainError
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    CONSUMER_ID,
    ID_LABEL,
    checked_consumer_id,
    checked_validator_name,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.operations import connection
from ansible_collections.interchain.security.plugins.module_utils.operations.launcher import Launcher, Owner

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "consumer_id": {"type": "str", "required": True},
    "validator": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "fence_namespace": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 0},
    "watch_timeout": {"type": "int", "default": 0},
    "take_over_key": {"type": "bool", "default": False, "no_log": False},
    "sweep": {"type": "bool", "default": False},
    "kubeconfig": {"type": "path"},
}
FAST_POLL_SECONDS, SLOW_POLL_SECONDS, FAST_BEFORE_SPAWN_SECONDS = 0.1, 1.0, 3.0
SWEEP_THREADS = 4


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Wait for the launch when that is asked for, and start the node."""
    consumer_id = checked_consumer_id(params["consumer_id"])
    validator = checked_validator_name(params["validator"])
    client = connection.provider_client(params)
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    client.use_current()
    consumer = _await_launch(client, consumer_id, params["wait_timeout"])
    result: dict[str, Any] = {"changed": False, "consumer_id": consumer_id, "phase": consumer.phase.value}
    if consumer.phase is not Phase.LAUNCHED:
        return {**result, "launched": False}
    monitor_namespace = params["monitor_namespace"] or f"{validator}-monitor"
    owner = Owner(
        validator, params["operator_address"], monitor_namespace, params["fence_namespace"] or monitor_namespace
    )
    launcher = Launcher(client, cluster, owner)
    result.update(launcher.start(consumer, take_over=params["take_over_key"]))
    # A key that has yet to be assigned comes first: until then the provider's own one would be put into the chain's set.
    if result.get("watching") and not result.get("assign_key") and params["watch_timeout"] > 0 and not check_mode:
        namespace = consumer_namespace(validator, consumer_id)
        commits = RECENT if result["taken_over"] else HISTORY
        sighting = watch(
            cluster,
            namespace,
            result["consensus_public_key"],
            look_seconds=result["look_seconds"],
            timeout=params["watch_timeout"] + result["look_seconds"],
            commits=commits,
        )
        result.update(launcher.start(consumer, sighting), changed=True)
    if params["sweep"] and not check_mode:
        swept = _sweep(client, cluster, launcher, owner, consumer_id)
        result.update(swept=swept, changed=result["changed"] or any(entry["changed"] for entry in swept))
    return result


def _await_launch(client: ProviderClient, consumer_id: str, timeout: int) -> Consumer:
    """Return the consumer, launched or, when it cannot launch any more or in time, as it is."""
    deadline = time.monotonic() + timeout
    while True:
        consumer = client.consumer(consumer_id)
        waiting = consumer.phase is Phase.INITIALIZED and consumer.spawn_time is not None
        if not waiting or consumer.spawn_time is None or time.monotonic() >= deadline:
            return consumer
        # Block time decides, and follows the clock by a block or two: the clock only says when to look more often.
        near = consumer.spawn_time.timestamp() - time.time() < FAST_BEFORE_SPAWN_SECONDS
        time.sleep(FAST_POLL_SECONDS if near else SLOW_POLL_SECONDS)


def _sweep(
    client: ProviderClient, cluster: Cluster, launcher: Launcher, owner: Owner, but: str
) -> list[dict[str, Any]]:
    """Start what else is staged and launched: when many consumers launch in one block, one playbook starts them all.

    Each of them has an event of its own too, whose playbook then finds nothing to do, or what could not be done here.
    """
    selector = f"interchain-security/validator={owner.validator},{ID_LABEL}"
    waiting = set()
    for memory in cluster.select("ConfigMap", owner.monitor_namespace, selector):
        consumer_id, data = str(memory["metadata"]["labels"][ID_LABEL]), memory.get("data") or {}
        # A decision is written before the launch, what was done after it.
        if consumer_id != but and data.get("decision") == "opt_in" and data.get("phase") == Phase.INITIALIZED.value:
            waiting.add(consumer_id)
    if not waiting:
        return []
    with SweepLock(cluster, owner.monitor_namespace) as held:
        if not held:
            return []
        launched = [entry.consumer_id for entry in client.consumers(Phase.LAUNCHED) if entry.consumer_id in waiting]

        def start(consumer_id: str) -> dict[str, Any]:
            try:
                done = launcher.start(client.consumer(consumer_id)) if CONSUMER_ID.fullmatch(consumer_id) else {}
            except InterchainError as error:
                return {"consumer_id": consumer_id, "changed": False, "reason": str(error)}
            return {"consumer_id": consumer_id, "changed": done.get("changed", False), "reason": ""}

        with ThreadPoolExecutor(SWEEP_THREADS) as pool:
            return list(pool.map(start, launched))
