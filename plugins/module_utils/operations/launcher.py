# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start the node of a launched consumer that is staged: its genesis, whether it signs, its keys, and what the monitor remembers of that.

The order is what makes a cut run harmless: the fence before the key, the key and the memory before the node.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import (
    Change,
    Cluster,
    merge_changes,
)
from ansible_collections.interchain.security.plugins.module_utils.cluster.fence import Fence
from ansible_collections.interchain.security.plugins.module_utils.cluster.genesis_store import GenesisStore
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import (
    BASE_GENESIS,
    GENESIS,
    KEY_FILE,
    NODE_KEY_FILE,
    SEEN_ELSEWHERE,
    TAKEN_OVER,
    Place,
    look,
)
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    ConsumerNotFound,
    HeightNotAvailable,
    InvalidInput,
    QueryFailed,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    announcement,
    genesis,
    node_settings,
    routes,
    signing,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import Consumer, ConsumerValidator
from ansible_collections.interchain.security.plugins.module_utils.ics.names import ID_LABEL
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import Signer, StagedSettings
from ansible_collections.interchain.security.plugins.module_utils.ics.peers import peers_of
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations.consumer_genesis import build
from ansible_collections.interchain.security.plugins.module_utils.operations.membership import (
    Launch,
    launch_of,
    members_of,
)
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address

HASH = "interchain-security/genesis-hash"
# A launch is to take a second: the first pause is short, and each is twice as long as the one before, up to two seconds.
GENESIS_TRIES, GENESIS_RETRY_SECONDS, LONGEST_GENESIS_RETRY_SECONDS = 8, 0.2, 2.0


@dataclass(frozen=True)
class Owner:
    """Whose nodes they are, and where that validator's monitor keeps its keys, its memory and its fences."""

    validator: str
    operator_address: str
    monitor_namespace: str
    fence_namespace: str


@dataclass(frozen=True)
class _Chain:
    """What the provider says of a consumer. ``launch`` is None when its height is gone; ``assigned`` is the own key (base64) assigned by now, empty
    for none; ``powers`` are votes by now, by consensus address; ``age`` is how many seconds of block time ago the chain launched."""

    launch: Launch | None
    own: Validator
    assigned: str
    members: Sequence[Validator]
    powers: Mapping[str, int]
    age: float

    @property
    def seat(self) -> ConsumerValidator | None:
        """What this validator is in the chain's initial set, None when it is not there or the launch is not known any more."""
        initial = self.launch.validators if self.launch else ()
        return next((member for member in initial if member.operator_address == self.own.operator_address), None)

    @property
    def initial_key(self) -> str:
        """This validator's key (base64) in the initial set, empty for none."""
        return self.seat.consumer_public_key if self.seat else ""


class Launcher:
    """Starts consumers' nodes; several threads may use one. Running it again changes nothing, and it can be cut anywhere."""

    def __init__(self, client: ProviderClient, cluster: Cluster, owner: Owner) -> None:
        self._client, self._cluster, self._owner = client, cluster, owner
        status = client.use_current()
        self._provider_chain_id = status.chain_id
        self._block_time: datetime = status.latest_block_time
        self._why_old = status.why_old(datetime.now(UTC))
        self._validators = client.validators()
        self._signed = self._signed_here()

    def start(
        self,
        consumer: Consumer,
        sighting: signing.Sighting = signing.Sighting.UNKNOWN,
        *,
        take_over: bool = False,
    ) -> dict[str, Any]:
        """Start the node, if it may, and return what was decided and done. ``consumer`` is launched.

        ``take_over``: the operator says that whoever signed with the key held here elsewhere is gone for good.
        """
        place = look(self._cluster, self._owner.validator, self._owner.monitor_namespace, consumer.consumer_id)
        missing = place.missing or ([] if self._base_fits(place, consumer) else ["base genesis"])
        if missing or place.settings is None:
            return {"changed": False, "launched": True, "staged": False, "missing": missing}
        staged = StagedSettings.parse(place.settings)
        chain = self._read(consumer, started_before=place.genesis is not None)
        held = staged.remote_signer_public_key or _key_in_use(place, chain)
        fence = Fence(self._cluster, self._owner.fence_namespace, held, consumer.chain_id)
        holder = fence.holder() if held else ""
        facts = _with_memory(
            self._facts(place, staged, consumer, chain, held, holder, sighting), place.memory, take_over
        )
        decision, changes = _decide(fence, facts, place, staged.double_sign_check_height)
        result = {
            "launched": True,
            "staged": True,
            "missing": [],
            "mode": decision.mode.value,
            "reasons": list(decision.reasons),
            "watching": decision.watch,
            "look_seconds": decision.look_seconds,
            "taken_over": facts.taken_over,
        }
        if decision.mode is signing.Mode.STAY_OUT:
            refusal = {"launch_refused": "true", "phase": "launched"}
            stay_out = {"decision": "stay_out", "reason": decision.reasons[0], **refusal}
            changes.append(self._remember(place, stay_out))
            return {**result, **merge_changes(changes)}

        signer = Signer.NONE
        if decision.mode is signing.Mode.SIGN:
            signer = Signer.REMOTE if facts.remote_signer else Signer.LOCAL
        genesis_hash, written = self._genesis(place, chain.launch, staged)
        # The validators that have opted in by now, with what they announce now.
        found = peers_of(chain.members, consumer.chain_id, self._owner.operator_address)
        start = node_settings.StartSettings(
            owner_mark=signing.owner_mark(consumer.consumer_id, consumer.chain_id),
            volume=place.volume,
            signer=signer,
            double_sign_check_height=decision.double_sign_check_height,
            external_address=place.external_address,
            peers=found.addresses,
        )
        changes += [
            *written,
            self._write_keys(place, place.keys[held] if signer is Signer.LOCAL else None),
            self._remember(place, _memory(place, facts, decision, genesis_hash, signer)),
            self._write_config(place, node_settings.files(staged, start)),
            self._run(place, node_settings.signer_mark(signer, held)),
        ]
        launched = self._client.consumer(consumer.consumer_id).phase is Phase.LAUNCHED
        if not launched:  # it was stopped in this very moment, and whoever stops its node may have come before us
            changes.append(self._cluster.patch(_stateful_set(place, {"replicas": 0})))
        return {
            **result,
            **merge_changes(changes),
            "launched": launched,
            "assign_key": decision.assign_key,
            "consensus_public_key": held or None,
            "double_sign_check_height": decision.double_sign_check_height,
            "genesis_hash": genesis_hash,
            "external_address": place.external_address,
            "p2p_peers": list(found.addresses),
            "skipped_peers": [{"operator_address": name, "reason": reason} for name, reason in found.skipped.items()],
            "volume": place.volume,
        }

    # -- what is known -----------------------------------------------------------------------------------------------------

    def _own(self) -> Validator:
        operator = self._owner.operator_address
        for validator in self._validators:
            if validator.operator_address == operator:
                return validator
        raise InvalidInput(f"operator_address: {operator[:80]} is no validator of the provider chain")

    def _signed_here(self) -> dict[str, set[str]]:
        """Return which consumers were signed here, by public key (base64)."""
        selector = f"interchain-security/validator={self._owner.validator},{ID_LABEL}"
        signed: dict[str, set[str]] = {}
        for memory in self._cluster.select("ConfigMap", self._owner.monitor_namespace, selector):
            data = memory.get("data") or {}
            for key in filter(None, (data.get("signing_key"), data.get("remote_signing_key"))):
                signed.setdefault(key, set()).add(str(memory["metadata"]["labels"][ID_LABEL]))
        return signed

    def _read(self, consumer: Consumer, *, started_before: bool) -> _Chain:
        own = self._own()
        return _Chain(
            launch=self._launch(consumer.consumer_id, started_before=started_before),
            own=own,
            assigned=self._client.consumer_keys(consumer.consumer_id).get(consensus_address(own), ""),
            members=members_of(self._client, consumer.consumer_id, self._validators),
            powers=self._powers(consumer.consumer_id),
            age=(self._block_time - (consumer.spawn_time or self._block_time)).total_seconds(),
        )

    def _launch(self, consumer_id: str, *, started_before: bool) -> Launch | None:
        """Read the launch. For a node that has its genesis it may be gone: the provider keeps the state of its heights for a time only."""
        tries, pause = GENESIS_TRIES, GENESIS_RETRY_SECONDS
        while True:
            tries -= 1
            try:
                return launch_of(self._client, consumer_id)
            except HeightNotAvailable:
                if started_before:
                    return None
                raise
            except QueryFailed:
                if tries <= 0:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_GENESIS_RETRY_SECONDS)

    def _facts(
        self,
        place: Place,
        staged: StagedSettings,
        consumer: Consumer,
        chain: _Chain,
        held: str,
        holder: str,
        sighting: signing.Sighting,
    ) -> signing.Facts:
        memory, launch = place.memory, chain.launch
        return signing.Facts(
            consumer_id=consumer.consumer_id,
            chain_id=consumer.chain_id,
            provider_chain_id=self._provider_chain_id,
            provider_key=public_key_base64(chain.own.consensus_public_key),
            initial_key=chain.initial_key,
            assigned_key=chain.assigned,
            assigned_key_kept=chain.assigned in place.keys,
            held_key=held,
            has_node_key=NODE_KEY_FILE in place.node_key_data,
            volume=place.volume,
            recorded_key=memory.get("signing_key", ""),
            recorded_volume=memory.get("volume", ""),
            fence_holder=holder,
            own_power=chain.seat.power if chain.seat else 0,
            total_power=sum(member.power for member in launch.validators) if launch else 0,
            own_power_now=chain.powers.get(consensus_address(chain.own), 0),
            total_power_now=sum(chain.powers.values()),
            started_before=place.genesis is not None,
            remote_signer=bool(staged.remote_signer_public_key),
            same_key_chains=self._twins(place, held),
            age=chain.age,
            announced_elsewhere=announcement.elsewhere(chain.own.details, routes.service_hosts(place.service)),
            provider_old=self._why_old,
            sighting=sighting,
            opted_in=chain.own in chain.members,
            retired_keys=_retired(memory),
            look_back_off=memory.get(signing.LOOK_BACK) == "off",
        )

    def _powers(self, consumer_id: str) -> dict[str, int]:
        """Return the votes that validators have by now, by consensus address; none when the provider does not tell, as of a chain just stopped."""
        try:
            return self._client.consumer_powers(consumer_id)
        except (ConsumerNotFound, QueryFailed):
            return {}

    def _twins(self, place: Place, held: str) -> dict[str, str]:
        """Return the other consumers that were signed here with the same key, with the chain_ids that they have on the provider."""
        twins = {}
        for other in self._signed.get(held, set()) - {place.consumer_id}:
            with suppress(ConsumerNotFound):  # of another provider chain: no vote of it counts here
                twins[other] = self._client.consumer(other).chain_id
        return twins

    def _base_fits(self, place: Place, consumer: Consumer) -> bool:
        """Is the base genesis the one that the chain's owner named, if any? He may have done so when it was staged already."""
        stated = consumer.initialization.genesis_hash.hex()
        if place.genesis is not None or not stated:
            return True
        base = GenesisStore(self._cluster, place.namespace, BASE_GENESIS).read()
        return base is not None and genesis.hash_of(base) == stated

    # -- what is written ---------------------------------------------------------------------------------------------------

    def _genesis(self, place: Place, launch: Launch | None, staged: StagedSettings) -> tuple[str, list[Change]]:
        """Return the hash of the genesis. One that was made before is kept: the chain runs on it."""
        if place.genesis is not None:
            return (place.genesis["metadata"].get("annotations") or {}).get(HASH, ""), []
        base = GenesisStore(self._cluster, place.namespace, BASE_GENESIS).read()
        if base is None or launch is None:
            raise ClusterError(
                f"the base genesis went away while the genesis was made: look into namespace {place.namespace}"
            )
        built = build(launch, base, f"ConfigMap {place.namespace}/{BASE_GENESIS}", staged.genesis)
        store = GenesisStore(self._cluster, place.namespace, GENESIS)
        return built.content_hash, store.create(built.text, place.labels, {HASH: built.content_hash})

    def _write_keys(self, place: Place, key: str | None) -> Change:
        """Give the node its keys. Without the right to sign, the consensus key is not in its namespace at all."""
        data = {NODE_KEY_FILE: place.node_key_data[NODE_KEY_FILE], KEY_FILE: key}
        return self._cluster.merge(_object(place, "Secret", "keys", data))

    def _write_config(self, place: Place, files: Mapping[str, str]) -> Change:
        return self._cluster.merge(_object(place, "ConfigMap", "config", files))

    def _run(self, place: Place, signer: str) -> Change:
        """Let the node run. Another signer starts it anew; the old pod is gone before the new one starts."""
        template = {"metadata": {"annotations": {node_settings.SIGNER_MARK: signer}}}
        return self._cluster.patch(_stateful_set(place, {"replicas": 1, "template": template}))

    def _remember(self, place: Place, data: Mapping[str, str]) -> Change:
        definition = _object(place, "ConfigMap", f"consumer-{place.consumer_id}", data)
        definition["metadata"]["namespace"] = place.monitor_namespace
        return self._cluster.merge(definition)


def _object(place: Place, kind: str, name: str, data: Mapping[str, str | None]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": place.namespace, "labels": place.labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": dict(data)}


def _stateful_set(place: Place, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "node", "namespace": place.namespace}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def _with_memory(facts: signing.Facts, memory: Mapping[str, str], take_over: bool) -> signing.Facts:
    """Add what is known of others with the held key: who was seen to sign counts, however long he is silent, until he is known to be gone."""
    held = facts.held_key
    if held and (take_over or memory.get(TAKEN_OVER) == held):
        return replace(facts, taken_over=True)
    if held and memory.get(SEEN_ELSEWHERE) == held:
        return replace(facts, sighting=signing.Sighting.SOMEBODY)
    return facts


def _key_in_use(place: Place, chain: _Chain) -> str:
    memory = place.memory
    return signing.key_in_use(
        place.keys,
        place.first_key,
        recorded=memory.get("signing_key", ""),
        recorded_here=memory.get("volume", "") in ("", place.volume),
        counting=memory.get(signing.COUNTING, ""),
        initial=chain.initial_key,
        assigned=chain.assigned,
        age=chain.age,
    )


def _retired(memory: Mapping[str, str]) -> list[str]:
    """Return the keys that signed here and were replaced."""
    try:
        found = json.loads(memory.get(signing.RETIRED) or "[]")
    except ValueError as error:
        raise ClusterError(f"what the monitor remembers of replaced keys cannot be read: {error}") from error
    return [str(key) for key in found]


def _decide(
    fence: Fence, facts: signing.Facts, place: Place, check_height: int
) -> tuple[signing.Decision, list[Change]]:
    """Decide, and take the fence for a node that is to sign with a key of the cluster. Who is too late for it does not sign."""
    decision = signing.decide(facts, check_height)
    if decision.mode is not signing.Mode.SIGN or facts.remote_signer:
        return decision, []
    holder, changes = fence.take(place.volume, place.labels)
    if holder != place.volume:
        decision = signing.decide(replace(facts, fence_holder=holder or "of nobody we know"), check_height)
    return decision, changes


def _memory(
    place: Place, facts: signing.Facts, decision: signing.Decision, genesis_hash: str, signer: Signer
) -> dict[str, str]:
    data = {
        "decision": "opt_in",
        "phase": "launched",
        "launch_failed": "false",
        "launch_refused": "false",
        "genesis_hash": genesis_hash,
        "node_mode": decision.mode.value,
        "node_reasons": json.dumps(list(decision.reasons)),
        "watching": "true" if decision.watch else "false",
        "double_sign_check_height": str(decision.double_sign_check_height),
    }
    if place.memory.get("decision") != "opt_in" or not place.memory.get("reason"):
        data["reason"] = decision.reasons[0]
    if not place.memory.get("p2p_port"):  # of a validator that opted in elsewhere
        data["p2p_port"] = str(ports_of(facts.chain_id).p2p)
    if facts.taken_over:
        data[TAKEN_OVER] = facts.held_key
    elif decision.mode is signing.Mode.FOLLOW and facts.sighting is signing.Sighting.SOMEBODY:
        data[SEEN_ELSEWHERE] = facts.held_key
    if signer is Signer.LOCAL:
        data.update(volume=place.volume, signing_key=facts.held_key)
        # In the same write: there is no moment at which both may sign.
        if facts.recorded_key not in ("", facts.held_key):
            data[signing.RETIRED] = json.dumps(sorted({*facts.retired_keys, facts.recorded_key}))
    if signer is Signer.REMOTE:
        data.update(remote_signing_key=facts.held_key)
    return data
