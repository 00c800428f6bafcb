# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""May this node sign? Facts of the chain and of the cluster in, a decision with its reasons out.

What keeps two signers of one key apart, from the outside in:

* the chain: it names one key per validator and consumer; a monitor that does not hold that key runs a node that cannot sign;
* the fence: a Lease named by key and chain, held by one volume; only while it is held does the consumer's namespace have the Secret
  with the key, and a pod that is to sign does not start without it;
* the watch: who comes late to a chain that he never signed, or cannot know whether he does, or is not where the validator announces its
  nodes, follows it first and looks whether anybody else signs or signed with his key;
* the pair of key and volume that signed before, remembered by the monitor: the key never signs on another volume;
* of several keys the one that counts on the chain: a new one takes over when the chain's own set holds it, and the old one never signs again;
* a StatefulSet of one replica: the old pod is gone before the new one starts;
* the volume: its owner and its own name are written on it, and the node signs on no other one; the database on it lets one process in;
* the sign state on that volume, which the node itself keeps;
* ``double_sign_check_height``: the node looks for own signatures in the newest blocks before it joins consensus.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

LATE_SECONDS = 60.0  # of block time after the launch
# So long nobody has to be seen to sign: a vote that was seen by no commit shows in the round that runs.
LOOK_SECONDS = 10.0
# Who is not where the validator announces its nodes looks longer, and longer than the one who is may still begin without a look of its own.
LOOK_ELSEWHERE_SECONDS = 60.0

# Of a consumer's document.
COUNTING = "counting_key"  # the key that was seen in the chain's own validator set in the place of the one that signed
RETIRED = "retired_keys"  # those that signed here and were replaced, as a JSON list
LOOK_BACK = "look_back"  # "off" while a node that found its own signature in the newest blocks is to start all the same


class Mode(enum.Enum):
    """What the node of a launched consumer does."""

    SIGN = "sign"  # it signs as soon as the chain's validator set holds its key
    FOLLOW = "follow"  # a full node without a key
    STAY_OUT = "stay_out"  # no node


class Sighting(enum.Enum):
    """What a node that follows the chain has seen of the key held here."""

    UNKNOWN = "unknown"  # it has not seen the chain's newest blocks (yet)
    NOBODY = "nobody"  # nobody signs with it
    SOMEBODY = "somebody"


@dataclass(frozen=True)
class Facts:
    """What is known when the node of a launched consumer is to be started. Public keys in base64, empty for none; powers are votes.

    ``initial_key`` is this validator's key in the chain's initial set (empty: not a member), ``assigned_key`` the key assigned to it on
    the provider by now, ``opted_in`` whether it takes part by now.
    ``held_key`` is the public half of the key that the monitor holds, or that its remote signer is said to hold.
    ``recorded_key`` and ``recorded_volume`` are what signed here before. ``same_key_chains`` maps the other consumers that are signed
    with the held key here to their chain_id. ``fence_holder`` is the volume that holds the fence, empty when nobody does. ``age`` is how
    many seconds of block time ago the chain launched; ``sighting`` counts for a chain that was never signed from here.
    ``provider_old`` says why what is known of the provider chain may be old, empty when it is not. ``taken_over``: whoever signed with the
    held key elsewhere is gone for good. ``retired_keys`` signed here and were replaced. ``own_power`` and ``total_power`` are those of the
    initial set, ``own_power_now`` and ``total_power_now`` those that the provider knows by now, 0 when it knows none. ``look_back_off``: it
    could not start for its own signature. ``announced_elsewhere`` is the address at which the validator announces its nodes, empty when that may
    be the one of this cluster. ``assigned_key_kept``: the assigned key is kept here too, whichever is held.
    """

    consumer_id: str
    chain_id: str
    provider_chain_id: str
    provider_key: str
    initial_key: str
    assigned_key: str
    held_key: str
    has_node_key: bool
    volume: str
    recorded_key: str = ""
    recorded_volume: str = ""
    fence_holder: str = ""
    own_power: int = 0
    total_power: int = 0
    own_power_now: int = 0
    total_power_now: int = 0
    remote_signer: bool = False
    same_key_chains: Mapping[str, str] = field(default_factory=dict)
    age: float = 0.0
    provider_old: str = ""
    sighting: Sighting = Sighting.UNKNOWN
    taken_over: bool = False
    opted_in: bool = False
    started_before: bool = False
    retired_keys: Collection[str] = ()
    look_back_off: bool = False
    assigned_key_kept: bool = False
    announced_elsewhere: str = ""

    @property
    def signed_here(self) -> bool:
        """Tell whether the held key signed before on the volume that is there, which has its sign state and holds its fence."""
        signed = bool(self.held_key) and self.held_key == self.recorded_key
        return signed and bool(self.volume) and self.recorded_volume == self.fence_holder == self.volume

    @property
    def begins(self) -> bool:
        """Tell whether the held key, which never signed from here, was replaced between the launch and now by one that is kept here too."""
        initial = _initial(self.initial_key, self.age)
        return self.held_key == initial != "" and self.assigned_key_kept and not self.recorded_key

    @property
    def goes_on(self) -> bool:
        """Tell whether the held key signs here already, or begins to, while the provider names another one by now.

        Only the held one counts on the chain until its set changes. It is on one volume behind one fence, and another key cannot double sign with it.
        """
        expected = self.assigned_key or self.initial_key
        counts = self.signed_here or self.begins
        return counts and not self.remote_signer and expected not in ("", self.held_key, self.provider_key)

    @property
    def joins_late(self) -> bool:
        """Tell whether the validator takes part now and did not at the launch, as far as that is known."""
        return self.opted_in and not self.initial_key


@dataclass(frozen=True)
class Decision:
    """What the node does and why; every reason is one sentence without its full stop.

    ``assign_key``: the held key has yet to be assigned on the provider. ``watch``: the node follows until it has seen whether anybody
    signs with the held key, or for ``look_seconds`` nobody. ``double_sign_check_height`` is in blocks.
    """

    mode: Mode
    reasons: tuple[str, ...]
    assign_key: bool = False
    watch: bool = False
    look_seconds: float = LOOK_SECONDS
    double_sign_check_height: int = 0


def decide(facts: Facts, check_height: int) -> Decision:
    """Decide; ``check_height`` is the double_sign_check_height that the operator wants."""
    out = _reasons_for_no_node(facts)
    if out:
        return Decision(Mode.STAY_OUT, tuple(out))
    # Without a key for this chain the provider's own one counts: the validator came late with one.
    with_providers = facts.initial_key == facts.provider_key or facts.joins_late
    late = with_providers and not facts.assigned_key
    follow = _reasons_not_to_sign(facts)
    if follow:
        return Decision(Mode.FOLLOW, tuple(follow), assign_key=late and not facts.held_key)
    if _is_late(facts) and facts.sighting is not Sighting.NOBODY:
        return _watched(facts, late)
    if facts.goes_on:
        reason = (
            "the provider names another key of this validator by now: until the chain's own validator set holds that one, only the key held "
            "here counts, and signs"
        )
    elif facts.initial_key == facts.held_key:
        reason = "the validator is in the initial set of the chain with the key held here"
    elif facts.joins_late and facts.assigned_key == facts.held_key:
        reason = "the validator joined the chain late with the key held here: the node signs once a validator set change puts it in"
    elif facts.assigned_key == facts.held_key:
        reason = "the key held here was assigned after the launch: the node signs once the chain has heard of that by a validator set change"
    elif facts.joins_late:
        reason = "the validator joins the chain late: the key held here is assigned, and the node signs once a validator set change puts it in"
    else:
        reason = (
            "the chain launched with the validator's provider key, which never leaves the provider: the key held here is assigned, and "
            "the node signs once the chain has heard of that by a validator set change"
        )
    reasons = [reason]
    if _starts_anyway(facts):
        reasons.append(
            "it starts without looking for its own signature in the newest blocks, which it found there again and again: the sign state on its "
            "volume keeps it from signing twice"
        )
    return Decision(
        Mode.SIGN,
        tuple(reasons),
        assign_key=late,
        double_sign_check_height=_check_height(facts, check_height),
    )


def key_in_use(
    kept: Collection[str],
    first: str,
    *,
    recorded: str,
    recorded_here: bool,
    counting: str,
    initial: str,
    assigned: str,
    age: float,
) -> str:
    """Return which of the ``kept`` keys of this validator the node is to hold, empty for none. All are public keys in base64.

    ``first`` is the one that is used when nothing is known. ``recorded`` signed before, on the volume that is there when ``recorded_here``.
    ``counting`` was seen in the chain's own validator set in its place: from then on, that one. Until then the recorded one, whatever was
    ``assigned`` on the provider meanwhile. ``initial`` is that of the initial set of a chain that launched ``age`` seconds of block time ago:
    when that is just now, one that was replaced before the first start counts there all the same.
    """
    if counting in kept and counting != recorded:
        return counting
    if recorded in kept and recorded_here:
        return recorded
    if assigned in kept and not recorded and _initial(initial, age) in kept:
        return initial
    return assigned if assigned in kept else first


def _initial(key: str, age: float) -> str:
    """Return the key of the initial set while the chain counts it for certain. Who comes late finds a chain that may count another one by now."""
    return key if age <= LATE_SECONDS else ""


def _is_late(facts: Facts) -> bool:
    """May somebody else have signed this chain with the held key before this cluster does for the first time?

    A chain whose only validator is this one has nobody to hear that from: there the fence has to do, unless what is known is old.
    """
    alone = bool(facts.initial_key) and facts.own_power == facts.total_power
    signed_here = facts.fence_holder or facts.recorded_key
    late = (facts.age > LATE_SECONDS or facts.announced_elsewhere != "") and not alone
    return not facts.remote_signer and not signed_here and (late or facts.provider_old != "")


def _watched(facts: Facts, assign_key: bool) -> Decision:
    if facts.sighting is Sighting.SOMEBODY:
        if facts.taken_over:
            reason = "the key held here is taken over, but the newest blocks are signed with it elsewhere: the node follows until nobody does so any more"
            return Decision(Mode.FOLLOW, (reason,), assign_key=assign_key, watch=True)
        reason = (
            "another node signs the chain with the key held here, or did so lately: stop it and move its volume here, or assign a new key; when it "
            f"is gone for good, run the playbook repair_consumer with consumer_id={facts.consumer_id} and consumer_take_over_key={facts.consumer_id}"
        )
        return Decision(Mode.FOLLOW, (reason,), assign_key=assign_key)
    why = f"the chain launched {facts.age:.0f} s ago"
    if facts.announced_elsewhere:
        why = f"the validator announces its nodes at {facts.announced_elsewhere}, which is not this cluster's load balancer"
    why = facts.provider_old or why
    reason = f"{why}, and the chain was never signed from here: the node follows it until it has seen that nobody else signs with the key held here"
    return Decision(Mode.FOLLOW, (reason,), assign_key=assign_key, watch=True, look_seconds=_look_seconds(facts))


def _look_seconds(facts: Facts) -> float:
    """Return for how long nobody has to be seen. One of two that look at the same time has to look longer, and it is not the announced one."""
    if not facts.announced_elsewhere:
        return LOOK_SECONDS
    return max(LATE_SECONDS - facts.age, 0.0) + LOOK_ELSEWHERE_SECONDS


def fence_name(public_key: str, chain_id: str) -> str:
    """Return the name of the Lease that lets one volume sign a chain with a key. A chain_id is a stranger's text: only its hash shows."""
    return f"signer-{hashlib.sha256(f'{public_key}|{chain_id}'.encode()).hexdigest()[:40]}"


def owner_mark(consumer_id: str, chain_id: str) -> str:
    """Return what is written on a volume at the first start: whose sign state it holds."""
    return f"{consumer_id}-{hashlib.sha256(chain_id.encode()).hexdigest()[:40]}"


def _reasons_for_no_node(facts: Facts) -> list[str]:
    reasons = []
    if facts.chain_id == facts.provider_chain_id:
        reasons.append("its chain_id is the provider's own: what is signed for one would count on the other")
    if not facts.initial_key and not facts.assigned_key and not facts.started_before and not facts.opted_in:
        reasons.append("the validator is not in the chain's initial set and has not opted in since")
    if not facts.has_node_key:
        reasons.append("the P2P identity is missing: there is no Secret node-key in the monitor's namespace")
    if not facts.volume:
        reasons.append("the volume for the chain's data is missing")
    return reasons


def _reasons_not_to_sign(facts: Facts) -> list[str]:
    held = facts.held_key
    if not held:
        return ["no consensus key for this consumer is held here"]
    reasons = []
    if held == facts.provider_key:
        reasons.append("the key held here is the provider's own: signing two chains with it risks a double sign")
    expected = facts.assigned_key or facts.initial_key
    if expected not in ("", held, facts.provider_key) and not facts.goes_on:
        reasons.append(
            "the chain expects another consensus key of this validator than the one held here: another monitor or a person signs for it"
        )
    if held in facts.retired_keys:
        reasons.append("the key held here was replaced by another one: what was replaced never signs again")
    twins = sorted(other for other, chain_id in facts.same_key_chains.items() if chain_id == facts.chain_id)
    if twins:
        reasons.append(f"consumer {', '.join(twins)} has the same chain_id and is signed with the same key here")
    if not facts.remote_signer:
        if facts.recorded_key == held and facts.recorded_volume not in ("", facts.volume):
            reasons.append(
                "the volume with the sign state of this key is gone; signing with the same key again could be a double sign: "
                "assign a new key, or restore that volume"
            )
        if facts.fence_holder not in ("", facts.volume):
            reasons.append(f"volume {facts.fence_holder} holds the fence of this key and chain: another node may sign")
    return reasons


def _starts_anyway(facts: Facts) -> bool:
    return facts.look_back_off and facts.signed_here and not facts.remote_signer


def _check_height(facts: Facts, wanted: int) -> int:
    """With a third of the power or more the check is off: the chain stands still without this node, so its own last signature would stay
    within the newest blocks and it could never start again. The present power counts, where it is known."""
    if _starts_anyway(facts):
        return 0
    own, total = facts.own_power, facts.total_power
    if facts.total_power_now:
        own, total = facts.own_power_now, facts.total_power_now
    return 0 if own * 3 >= total else wanted
