# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the peers of a validator's running consumer nodes at what the other validators announce.

The order is what makes a cut run harmless: what is due is remembered first, then the ConfigMap is written, then the node is told if it can be, and a
restart is remembered before it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.ask_all import ask_all
from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster import node_dial, node_restart
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.node_restart import Answer
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    ConsumerNotFound,
    InterchainError,
    InvalidInput,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    DOCUMENT as CURSOR,
)
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import (
    busy_consumers,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import peer_updates, rolling
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    ID_LABEL,
    checked_validator_name,
    consumer_namespace,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import (
    CONFIG_FILE,
    peers_in,
    with_peers,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.peer_updates import Past, Turn, Verdict
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import Peers, peers_of
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_health_info
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import members_of

ARGUMENT_SPEC: dict[str, Any] = {
    **connection.PROVIDER_OPTIONS,
    "consumer_id": {"type": "str"},
    "validator": {"type": "str", "required": True},
    "operator_address": {"type": "str", "required": True},
    "monitor_namespace": {"type": "str"},
    "ask": {"type": "str", "choices": ["changed", "always"], "default": "always"},
    "restart": {"type": "str", "choices": ["never", "fallback"], "default": "never"},
    "connect_timeout": {"type": "int", "default": 30},
    "restart_timeout": {"type": "int", "default": 180},
    "restart_pause": {"type": "int", "default": 3600},
    "kubeconfig": {"type": "path"},
}
AT_ONCE = 8  # nodes asked
ASK_SECONDS = 15.0  # for one of them
POLL_SECONDS = 2.0
RESTARTS_SECONDS = 240.0  # in one run no restart begins later; the next run goes on


@dataclass
class Node:
    """One running node, what is wanted of its peers, and what was found and done."""

    consumer_id: str
    namespace: str
    memory: Mapping[str, str]
    peers: Peers
    configured: tuple[str, ...]
    config: Mapping[str, Any]  # the ConfigMap
    past: Past
    turn: Turn
    can_be_told: bool  # whom to dial, while it runs
    was_told: bool = False
    refusal: str = ""  # why it could not be told
    answer: Answer | None = None
    problem: str = ""
    action: str = "nothing"
    reason: str = ""
    asked: bool = False

    @property
    def wanted(self) -> Mapping[str, str]:
        """``node id@host:port`` by operator address."""
        return self.peers.by_operator

    @property
    def connected(self) -> frozenset[str]:
        """The node ids that it is connected to, none when it was not asked."""
        return self.answer.peers if self.answer else frozenset()

    def waits(self, patience: timedelta) -> bool:
        """Tell whether somebody who is due is not connected yet, and may be so for that long."""
        now = datetime.now(UTC)
        young = {
            operator: self.wanted[operator]
            for operator, since in self.past.due.items()
            if operator in self.wanted and now - since < patience
        }
        return bool(peer_updates.missing(young, self.connected))


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Compare, write, look, and restart as the last resort."""
    for name in ("connect_timeout", "restart_timeout", "restart_pause"):
        if params[name] < 0:
            raise InvalidInput(f"{name} must be seconds, 0 for none")
    return _Run(params, check_mode).result()


@dataclass
class _Run:
    params: dict[str, Any]
    check_mode: bool
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.validator = checked_validator_name(self.params["validator"])
        self.monitor = self.params["monitor_namespace"] or f"{self.validator}-monitor"
        self.cluster = Cluster(self.params["kubeconfig"], dry_run=self.check_mode)
        self.pause = timedelta(seconds=self.params["restart_pause"])

    def result(self) -> dict[str, Any]:
        client = connection.provider_client(self.params)
        height = client.status().latest_height
        nodes = self._nodes(client, height)
        self._each(nodes, self._write)
        # Who it was restarted for is looked for until it is found.
        asked = [node for node in nodes if self.params["ask"] == "always" or node.past.due or node.past.restarted]
        self._tell(nodes)
        self._ask(asked)
        self._each(asked, self._settle)
        self._restart([node for node in asked if node.answer is not None])
        return {
            **merge_changes(self.changes),
            "height": height,
            "consumers": [_shown(node) for node in nodes],
            "problems": self.problems,
        }

    def _each(self, nodes: Sequence[Node], act: Callable[[Node], None]) -> None:
        """Do something for each node; one that it cannot be done for holds up no other."""
        for node in nodes:
            try:
                act(node)
            except InterchainError as error:
                node.problem = node.reason = str(error)
                self.problems.append(f"consumer {node.consumer_id}: {error}")

    # -- what is wanted ----------------------------------------------------------------------------------------------------

    def _nodes(self, client: ProviderClient, height: int) -> list[Node]:
        """Return the nodes that run: of launched consumers, in a namespace of this validator, wanted by their StatefulSet."""
        documents = consumer_health_info.memories(self.cluster, self.monitor)
        chosen = consumer_health_info.with_nodes(
            self.cluster, self.validator, documents, self.params["consumer_id"] or None
        )
        validators = client.validators(height) if chosen else []
        if chosen and not any(one.operator_address == self.params["operator_address"] for one in validators):
            raise InvalidInput(
                f"operator_address: {self.params['operator_address'][:80]} is no validator of the provider chain"
            )
        found = []
        for consumer_id, memory in chosen.items():
            try:
                node = self._node(client, height, validators, consumer_id, memory)
            except InterchainError as error:
                self.problems.append(f"consumer {consumer_id}: {error}")
                continue
            if node is not None:
                found.append(node)
        return found

    def _node(
        self,
        client: ProviderClient,
        height: int,
        validators: Sequence[Validator],
        consumer_id: str,
        memory: Mapping[str, str],
    ) -> Node | None:
        namespace = consumer_namespace(self.validator, consumer_id)
        stateful_set = self.cluster.get("StatefulSet", "node", namespace, "apps/v1")
        config = self.cluster.get("ConfigMap", "config", namespace)
        if stateful_set is None or not stateful_set["spec"]["replicas"] or config is None:
            return None
        try:
            consumer = client.consumer(consumer_id, height)
        except ConsumerNotFound:
            return None
        if consumer.phase is not Phase.LAUNCHED:
            return None
        members = members_of(client, consumer_id, validators, height)
        operator = self.params["operator_address"]
        peers = peers_of(members, consumer.chain_id, operator)
        configured = peers_in((config.get("data") or {}).get(CONFIG_FILE, ""))
        template = stateful_set["spec"]["template"]["spec"]
        gated = any(one["name"] == node_dial.GATE for one in template.get("initContainers") or [])
        turn = Turn.of(operator, members)
        return Node(consumer_id, namespace, memory, peers, configured, config, Past.parse(memory), turn, gated)

    # -- what is written ---------------------------------------------------------------------------------------------------

    def _write(self, node: Node) -> None:
        """Write the peers into the ConfigMap when they are others; the running node is not disturbed by that."""
        if node.configured == node.peers.addresses:
            return
        noted = peer_updates.noted(node.past, node.wanted, node.configured, datetime.now(UTC))
        self._remember(node, noted)
        metadata = node.config["metadata"]
        definition = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "config",
                "namespace": node.namespace,
                # Refused when a launch has written it meanwhile: who signs is in it too.
                "resourceVersion": metadata["resourceVersion"],
            },
            "data": {CONFIG_FILE: with_peers(node.config["data"][CONFIG_FILE], node.peers.addresses)},
        }
        self.changes.append(self.cluster.patch(definition))
        node.action, node.reason = "configured", "other peers are announced than were written down"

    def _remember(self, node: Node, past: Past) -> None:
        data = past.data()
        node.past = past
        if all(node.memory.get(name, "") == value for name, value in data.items()):
            return
        labels = {
            "app.kubernetes.io/part-of": "interchain-security-monitor",
            "app.kubernetes.io/managed-by": "interchain-security-monitor",
            "interchain-security/validator": self.validator,
            ID_LABEL: node.consumer_id,
        }
        metadata = {"name": CONSUMER_PREFIX + node.consumer_id, "namespace": self.monitor, "labels": labels}
        definition = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        self.changes.append(self.cluster.merge(definition))
        node.memory = {**node.memory, **data}

    # -- what the running node is told -------------------------------------------------------------------------------------

    def _tell(self, nodes: Sequence[Node]) -> None:
        """Tell the nodes that have other peers now, and those that somebody is due for still, whom to dial.

        One that refuses, or that cannot be told, is left to the restart: that is no problem of the run.
        """
        told = {
            node.consumer_id: node
            for node in nodes
            if node.can_be_told and node.wanted and (node.action == "configured" or node.past.due)
        }
        # The node is bound now, each call to its own. In check mode each is taken to agree.
        calls = {name: (lambda node=node: self._dial(node)) for name, node in told.items()}
        answers = dict.fromkeys(calls, "") if self.check_mode else ask_all(calls, AT_ONCE, ASK_SECONDS)
        for name, refusal in answers.items():
            if refusal == "":
                told[name].was_told, told[name].action = True, "dialled"
            else:
                told[name].refusal = f"it could not be told whom to dial: {refusal or 'no answer'}"

    def _dial(self, node: Node) -> str:
        """Make all peers the node's persistent ones, in place of those before; it dials those that it is not connected to. Returns why not."""
        try:
            node_dial.dial(self.cluster, node.namespace, node.peers.addresses)
        except ClusterError as error:
            return str(error) or type(error).__name__
        return ""

    # -- what is seen ------------------------------------------------------------------------------------------------------

    def _ask(self, nodes: Sequence[Node]) -> None:
        """Ask the nodes until all that are due are connected, or have been due for connect_timeout."""
        patience = timedelta(seconds=0 if self.check_mode else self.params["connect_timeout"])
        waiting = list(nodes)
        while waiting:
            # The node is bound now, each question to its own.
            questions = {node.consumer_id: (lambda node=node: self._question(node)) for node in waiting}
            for consumer_id, answer in ask_all(questions, AT_ONCE, ASK_SECONDS).items():
                node = next(one for one in waiting if one.consumer_id == consumer_id)
                node.asked = True
                if isinstance(answer, Answer):
                    node.answer, node.problem = answer, ""
                else:
                    node.problem = answer or f"it could not be asked within {ASK_SECONDS:.0f} s"
            waiting = [node for node in waiting if node.waits(patience)]
            if waiting:
                time.sleep(POLL_SECONDS)

    def _question(self, node: Node) -> Answer | str:
        try:
            return node_restart.ask(self.cluster, node.namespace)
        except ClusterError as error:
            return str(error)

    def _settle(self, node: Node) -> None:
        """Forget what is not due any more."""
        if node.answer is None:
            node.reason = f"the node could not be asked: {node.problem}"
            return
        pod = self.cluster.get("Pod", node_restart.POD, node.namespace)
        made = None if pod is None else node_restart.made_at(pod)
        now = datetime.now(UTC)
        self._remember(node, peer_updates.settled(node.past, node.wanted, node.connected, made, now, self.pause))

    # -- the last resort ---------------------------------------------------------------------------------------------------

    def _restart(self, nodes: Sequence[Node]) -> None:
        """Restart what has to be, one after the other; the next one only when the last one is back."""
        last = time.monotonic() + RESTARTS_SECONDS
        cursor = (self.cluster.get("ConfigMap", CURSOR, self.monitor) or {}).get("data") or {}
        busy, stop = busy_consumers(cursor), ""
        for node in nodes:
            verdict = peer_updates.decide(node.past, node.wanted, datetime.now(UTC), self.pause, told=node.was_told)
            if node.refusal:
                verdict = replace(verdict, reason="; ".join(filter(None, (verdict.reason, node.refusal))))
            node.reason = verdict.reason or node.reason
            if not verdict.restart:
                continue
            if self.params["restart"] == "never":
                node.reason = f"{verdict.reason}; its restart is not asked for"
            elif node.consumer_id in busy:
                node.reason = f"{verdict.reason}; not now: an event of the consumer is being dealt with"
            elif stop:
                node.reason = f"{verdict.reason}; not now: {stop}"
            elif time.monotonic() > last:
                node.reason = f"{verdict.reason}; not now: other nodes were restarted before it"
            else:
                stop = self._restart_one(node, verdict)

    def _restart_one(self, node: Node, verdict: Verdict) -> str:
        """Restart a node and wait until it is back; return why no other one is to be restarted."""
        put_off = self._halt(node) or node.turn.refusal(datetime.now(UTC))
        if put_off:
            node.reason = f"{verdict.reason}; not now: {put_off}"
            return ""
        try:
            pod = self.cluster.get("Pod", node_restart.POD, node.namespace)
            if pod is None or not node_restart.is_ready(pod):
                node.reason = f"{verdict.reason}; not now: its pod is not ready"
                return ""
            self._remember(node, peer_updates.after_restart(node.past, verdict.operators, datetime.now(UTC)))
            uid = str(pod["metadata"]["uid"])
            self.changes.append(node_restart.restart(self.cluster, node.namespace, uid))
            node.action = "restarted"
            if not self.check_mode:
                node.answer = node_restart.await_back(
                    self.cluster, node.namespace, uid, node.answer, self.params["restart_timeout"]
                )
        except ClusterError as error:
            node.problem = node.reason = str(error)
            self.problems.append(f"consumer {node.consumer_id}: {error}")
            return f"the node of consumer {node.consumer_id} is not back"
        return ""

    def _halt(self, node: Node) -> str:
        """Return why the chain would not go on without the node, as far as that is known."""
        try:
            votes = node_restart.votes(self.cluster, node.namespace)
        except ClusterError as error:
            return f"who signs is not known: {error}"
        return rolling.halt(votes, rises=node.answer is not None and node.answer.rises)


def _shown(node: Node) -> dict[str, Any]:
    """Return one entry of the module's result. What was not asked is not known."""
    known = node.answer is not None
    missing = peer_updates.missing(node.wanted, node.connected) if known else []
    wanted = node.peers.addresses
    rows = [
        {
            "consumer_id": node.consumer_id,
            "peer": address,
            "wanted": address in wanted,
            "configured": address in node.configured,
            "connected": peer_updates.node_id(address) in node.connected if known else None,
            "reason": "",
        }
        for address in dict.fromkeys((*wanted, *node.configured))
    ]
    rows += [
        {
            "consumer_id": node.consumer_id,
            "peer": operator,
            "wanted": False,
            "configured": False,
            "connected": None,
            "reason": reason,
        }
        for operator, reason in node.peers.skipped.items()
    ]
    return {
        "consumer_id": node.consumer_id,
        "wanted": list(wanted),
        "configured": list(node.configured),
        "connected": [address for address in wanted if address not in missing] if known else [],
        "missing": missing,
        "asked": node.asked,
        "in_sync": node.configured == wanted and not missing and not node.problem,
        "skipped": [{"operator_address": name, "reason": reason} for name, reason in node.peers.skipped.items()],
        "peers": rows,
        "action": node.action,
        "reason": node.reason,
    }
