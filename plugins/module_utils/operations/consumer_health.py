# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at all consumer nodes of a validator, keep what was found where it changed, and repair what can be repaired safely."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_look import look
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import kept_keys, public_half
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    InterchainError,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    DOCUMENT as CURSOR,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    busy_consumers,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    announcement,
    duty,
    memory,
    repair,
    routes,
    signing,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    Condition,
    Seen,
    from_text,
    judge,
    standing_in,
    to_text,
    with_since,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    ID_LABEL,
    checked_validator_name,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.receipt import CHECK
from ansible_collections.interchain.security.plugins.module_utils.ics.repair import Action, Limits, Past, Repair
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Standing, Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import (
    connection,
    consumer_health_info,
    consumer_leftovers_info,
)
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    **consumer_health_info.ARGUMENT_SPEC,
    "operator_address": {"type": "str"},
    "fence_namespace": {"type": "str"},
    "repair": {"type": "str", "choices": ["safe", "report"], "default": "report"},
    "repair_after": {"type": "int", "default": 180},
    "repair_pause": {"type": "int", "default": 600},
}
LABELS = {
    "app.kubernetes.io/part-of": "interchain-security-monitor",
    "app.kubernetes.io/managed-by": "interchain-security-monitor",
}


@dataclass
class Work:
    """One look at the consumers of a validator, and what comes of it."""

    cluster: Cluster
    validator: str
    monitor_namespace: str
    changes: list[Change]

    def write(self, name: str, data: Mapping[str, str], **labels: str) -> None:
        """Write entries of a state document; others stay."""
        metadata = {"name": name, "namespace": self.monitor_namespace, "labels": {**LABELS, **labels}}
        definition = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
        self.changes.append(self.cluster.merge(definition))

    def remember(self, consumer_id: str, data: Mapping[str, str]) -> None:
        """Write entries of a consumer's document."""
        labels = {"interchain-security/validator": self.validator, ID_LABEL: consumer_id}
        self.write(CONSUMER_PREFIX + consumer_id, data, **labels)


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, keep, repair; what cannot be looked at is a problem of its own and holds up nothing else."""
    validator = checked_validator_name(params["validator"])
    if params["repair_after"] < 0 or params["repair_pause"] < 0:
        raise InvalidInput("repair_after and repair_pause must be seconds, 0 for at once")
    limits = Limits(timedelta(seconds=params["repair_after"]), timedelta(seconds=params["repair_pause"]))
    monitor = params["monitor_namespace"] or f"{validator}-monitor"
    work = Work(Cluster(params["kubeconfig"], dry_run=check_mode), validator, monitor, [])
    documents = consumer_health_info.memories(work.cluster, monitor)
    wanted = consumer_health_info.with_nodes(work.cluster, validator, documents, params["consumer_id"])
    commits = consumer_health_info.checked_commits(params["commits"])
    seen, unseen = look(work.cluster, validator, monitor, wanted, commits)
    problems = consumer_health_info.told(unseen)
    phases = {name: memory.parse(name, wanted[name]).phase for name in seen}
    busy = busy_consumers((work.cluster.get("ConfigMap", CURSOR, monitor) or {}).get("data") or {})
    leftovers: list[dict[str, str]] = []
    joining: list[str] = []
    unwanted: list[str] = []
    standing: Standing | None = None
    endpoint = ""
    try:
        client = connection.provider_client(params)
        phase = functools.cache(lambda consumer_id: consumer_leftovers_info.phase_of(client, consumer_id))
        phases = {name: phase(name) for name in seen}
        if params["operator_address"] is not None:
            on_provider = _own(client, params["operator_address"])
            own = consensus_address(on_provider)
            standing = standing_of(client, on_provider)
            balancer = work.cluster.get("Service", routes.SERVICE, monitor)
            endpoint = announcement.compared(on_provider.details, routes.service_hosts(balancer))
            duties = set(client.has_to_validate(own))
            # A look at one consumer is part of what its own event does.
            left_alone = busy if params["consumer_id"] is None else set()
            joining = [
                name
                for name in sorted(duties, key=int)
                if params["consumer_id"] in (None, name)
                and name not in left_alone
                and duty.joins(documents.get(name, {}))
                and phase(name) is Phase.LAUNCHED
            ]
            unwanted = [
                name
                for name, found in seen.items()
                if name not in duties | left_alone
                and phases[name] is Phase.LAUNCHED
                and duty.may_end(found)
                and own not in client.opted_in(name)
            ]
        if params["consumer_id"] is None:
            fences = params["fence_namespace"] or monitor
            holdings = consumer_leftovers_info.held(work.cluster, validator, monitor, fences)
            leftovers = consumer_leftovers_info.find(holdings, phase, busy)
            work.write(CHECK, {"leftovers": json.dumps(leftovers), "endpoint": endpoint})
    except InterchainError as error:
        problems.append(f"what the provider says of the consumers is not known: {error}")

    health, converge, watching, switching = [], [], [], []
    for name, found in seen.items():
        remembered = wanted[name]
        if not consumer_health_info.is_node(found, remembered):
            continue
        before = from_text(remembered.get("conditions", ""))
        conditions = with_since(judge(replace(found, standing=standing or standing_in(before))), before, found.now)
        may = phases[name] is Phase.LAUNCHED and remembered.get("decision") == "opt_in" and name not in busy
        past = Past.parse(remembered)
        decision = repair.decide(found, conditions, past, limits) if may else Repair(Action.NOTHING)
        acts = params["repair"] == "safe" and decision.action is not Action.NOTHING
        try:
            promoted = duty.promotion(found, remembered)
            if remembered.get(signing.LOOK_BACK) and repair.cured(conditions):
                promoted[signing.LOOK_BACK] = ""  # the next launch looks back again
            _keep(work, name, before, conditions, past, promoted)
            if acts:
                _repair(work, name, found, decision, past)
            if may and _switches(work, name, found):
                switching.append(name)
        except ClusterError as error:
            problems.append(f"consumer {name}: {error}")
            acts = False
        if acts and decision.action in (Action.CONVERGE, Action.LOOK_BACK_OFF):
            converge.append(name)
        entry = consumer_health_info.result(name, found, conditions)
        entry.update(repair=decision.action.value, repair_reason=decision.reason, repaired=acts)
        health.append(entry)
        if may and found.wanted and remembered.get("watching") == "true":
            watching.append(name)
    return {
        **merge_changes(work.changes),
        "health": health,
        "leftovers": leftovers,
        "endpoint": endpoint,
        "converge": converge,
        "watching": watching,
        "switching": switching,
        "joining": joining,
        # The chain counts on a node whose next key is in its set.
        "unwanted": [name for name in unwanted if name not in switching],
        "problems": problems,
    }


def _own(client: ProviderClient, operator_address: str) -> Validator:
    for validator in client.validators():
        if validator.operator_address == operator_address:
            return validator
    raise InvalidInput(f"operator_address: {operator_address[:80]} is no validator of the provider chain")


def standing_of(client: ProviderClient, validator: Validator) -> Standing:
    """Return how a validator stands on the provider."""
    if validator.jailed:
        try:
            return Standing.TOMBSTONED if client.tombstoned(consensus_address(validator)) else Standing.JAILED
        except QueryFailed:  # one that was jailed before it was ever bonded has no signing info
            return Standing.JAILED
    return Standing.NORMAL if validator.status is BondStatus.BONDED else Standing.UNBONDED


def _keep(
    work: Work,
    consumer_id: str,
    before: Sequence[Condition],
    conditions: Sequence[Condition],
    past: Past,
    promoted: Mapping[str, str],
) -> None:
    """Write what is other than it was. A node that stays as it is costs no write."""
    data = {} if list(before) == list(conditions) else {"conditions": to_text(conditions)}
    if past.count and repair.cured(conditions):
        data["repair_count"] = "0"
    data |= promoted
    if data:
        work.remember(consumer_id, data)


def _switches(work: Work, consumer_id: str, seen: Seen) -> bool:
    """Tell whether the chain's set holds another key that is kept here in the place of the node's own, and keep which: its launch goes by that."""
    if seen.mode != "sign" or seen.in_validator_set is not False:
        return False  # most nodes: no Secret is read
    kept = [public_half(data) for data in kept_keys(work.cluster, work.monitor_namespace, consumer_id).values()]
    counting = duty.counts_instead(seen, kept)
    if counting:
        work.remember(consumer_id, {signing.COUNTING: counting})
    return bool(counting)


def _repair(work: Work, consumer_id: str, seen: Seen, decision: Repair, past: Past) -> None:
    """Write the repair down, then do it: cut in between it was done once too little, never once too often."""
    data = Past(seen.now, decision.action.value, decision.reason, past.count + 1).data()
    if decision.action is Action.LOOK_BACK_OFF:
        data[signing.LOOK_BACK] = "off"
    work.remember(consumer_id, data)
    if decision.action is Action.RESTART and seen.pod is not None:
        namespace = consumer_namespace(work.validator, consumer_id)
        # That very pod, with its grace period: the next one comes when the kubelet has said that this one is gone.
        work.changes.append(work.cluster.delete("Pod", "node-0", namespace, uid=seen.pod.uid))
