# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell how far the CCV channels of a validator's consumers are, and whether their relayers relay."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ask_all import ask_all
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster
from ansible_collections.interchain.security.plugins.module_utils.cluster.relayer_look import look
from ansible_collections.interchain.security.plugins.module_utils.errors import ConsumerNotFound
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer
from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Condition,
    as_results,
    from_text,
    is_well,
    summary,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import moment
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import (
    CONDITIONS,
    Relaying,
    judge,
    payers,
)
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_health_info,
    relayer_options,
)

ARGUMENT_SPEC: dict[str, Any] = {
    **relayer_options.RELAYER_OPTIONS,
    "consumer_id": {"type": "str"},
    "stuck_blocks": {"type": "int", "default": 60},
}
AT_ONCE = 4
ASK_SECONDS = 40.0  # for one consumer


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Ask both chains of each consumer that the validator runs a node of."""
    client = connection.provider_client(params)
    cluster = Cluster(params["kubeconfig"])
    found = look_at(params, client, cluster)
    channels = []
    for consumer, memory, seen in found:
        kept = from_text(memory.get(CONDITIONS, ""))
        conditions = with_since(judge(seen, memory, params["stuck_blocks"]), kept, seen.now)
        channels.append(result(consumer, seen, conditions))
    return {"changed": False, "channels": channels}


def look_at(
    params: dict[str, Any], client: ProviderClient, cluster: Cluster
) -> list[tuple[Consumer, dict[str, str], Relaying]]:
    """Look at the relayers of all launched consumers of which a node runs here, or of the one that is named."""
    monitor = params["monitor_namespace"] or f"{params['validator']}-monitor"
    documents = consumer_health_info.memories(cluster, monitor)
    wanted = consumer_health_info.with_nodes(cluster, params["validator"], documents, params["consumer_id"])
    consumers = {}
    for name in wanted:
        if not documents.get(name, {}).get("node_mode"):
            continue
        try:
            consumer = client.consumer(name)
        except ConsumerNotFound:
            continue
        if consumer.phase is Phase.LAUNCHED:
            consumers[name] = consumer
    validators = client.validators() if consumers else []

    def ask(consumer: Consumer) -> Relaying:
        # A client each: it is not made for several threads.
        return look(connection.provider_client(params), cluster, relayer_options.question(params, consumer), validators)

    questions = {name: (lambda consumer=consumer: ask(consumer)) for name, consumer in consumers.items()}
    found = []
    for name, seen in ask_all(questions, AT_ONCE, ASK_SECONDS).items():
        if seen is None:
            seen = Relaying(datetime.now(UTC), problem=f"it could not be looked at within {ASK_SECONDS:.0f} s")
        found.append((consumers[name], documents.get(name, {}), seen))
    return found


def result(consumer: Consumer, seen: Relaying, conditions: list[Condition]) -> dict[str, Any]:
    """Return one entry of the module's result."""
    channel, packets = seen.channel, seen.packets
    return {
        "consumer_id": consumer.consumer_id,
        "state": channel.step.value if channel else "unknown",
        "reason": channel.reason if channel else seen.problem,
        "consumer_connection": channel.consumer_connection if channel else "",
        "provider_connection": channel.provider_connection if channel else "",
        "consumer_channel": channel.consumer_channel if channel else "",
        "provider_channel": channel.provider_channel if channel else "",
        "vsc_sent": packets.sent if packets else None,
        "vsc_received": packets.received if packets else None,
        "vsc_pending": max(packets.sent - packets.received, 0) if packets else None,
        "wallets": [dataclasses.asdict(wallet) for wallet in payers(seen)],
        "clients": [
            {
                "chain": name,
                "client_id": found.client_id,
                "status": found.status,
                "expires": moment(found.expires) if found.expires else None,
            }
            for name, found in (seen.clients or {}).items()
        ],
        "restarts": seen.pod.restarts if seen.pod else 0,
        "well": is_well(conditions),
        "summary": summary(conditions),
        "conditions": as_results(conditions),
    }
