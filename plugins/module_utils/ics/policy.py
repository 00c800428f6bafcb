# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a validator takes part in a consumer: the validator's policy and what is known go in, a decision with all its reasons comes out.

Pure, so that the same facts give the same decision wherever it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import InfractionParameters
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import DENOM
from ansible_collections.interchain.security.plugins.module_utils.ics.memory import Memory
from ansible_collections.interchain.security.plugins.module_utils.ics.names import checked_consumer_id
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

NAME = "interchain_policy"
MATCH_FIELDS = ("consumer_id", "owner", "chain_id")
_COIN = re.compile(rf"([0-9]{{1,30}})({DENOM.pattern})")
_QUANTITY = re.compile(r"([0-9]{1,15})(|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5}


class Mode(Enum):
    """Whom the policy lets in: those that the selection rule names, everybody, or nobody."""

    SELECTED = "selected"
    ALL = "all"
    NONE = "none"


class OnViolation(Enum):
    """What to do about a consumer that was accepted and breaks the policy later."""

    ALARM = "alarm"
    OPT_OUT = "opt_out"


class Action(Enum):
    """What is to be done on the chain now."""

    NONE = "none"
    OPT_IN = "opt_in"
    ASSIGN_KEY = "assign_key"
    OPT_OUT = "opt_out"


# -- the policy ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matches:
    """Consumers that a validator names: by consumer_id, by the owner's address, or by chain_id (exact; strangers choose it freely)."""

    consumer_id: frozenset[str] = frozenset()
    owner: frozenset[str] = frozenset()
    chain_id: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.consumer_id or self.owner or self.chain_id)

    def found(self, candidate: Candidate) -> str:
        """Return the field by which a consumer is named, or an empty string."""
        values = {
            "consumer_id": candidate.consumer_id,
            "owner": candidate.owner_address,
            "chain_id": candidate.chain_id,
        }
        return next((name for name in MATCH_FIELDS if values[name] in getattr(self, name)), "")


@dataclass(frozen=True)
class Coin:
    """An amount in the smallest unit of its denom."""

    amount: int
    denom: str


@dataclass(frozen=True)
class Policy:
    """A validator's policy. Fractions lie in 0..1, jail times are seconds, ``max_storage`` is bytes.

    None for a fraction or a jail time means the provider's own; None for another bound means that there is none.
    """

    mode: Mode = Mode.SELECTED
    allow: Matches = field(default_factory=Matches)
    deny: Matches = field(default_factory=Matches)
    max_double_sign_slash_fraction: Decimal | None = None
    max_downtime_slash_fraction: Decimal | None = None
    max_double_sign_jail: int | None = None
    max_downtime_jail: int | None = None
    max_consumers: int | None = None
    max_storage: int | None = None
    fee_budget: Coin | None = None
    on_violation: OnViolation = OnViolation.ALARM

    @classmethod
    def parse(cls, given: object) -> Policy:
        """Read the dictionary ``interchain_policy``; InvalidInput names the option that cannot be used."""
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise InvalidInput(f"{NAME} must be a dictionary, not {type(given).__name__}")
        unknown = sorted(str(key)[:40] for key in given if key not in _READERS)
        if unknown:
            raise InvalidInput(f"{NAME} has no option {', '.join(unknown)}; there are {', '.join(_READERS)}")
        values = {
            key: _READERS[key](f"{NAME}.{key}", value)
            for key, value in given.items()
            if value is not None and not (value == "" and key not in ("mode", "on_violation"))
        }
        return cls(**values)


def _choice(kind: type[Enum]) -> Any:
    def read(name: str, value: object) -> Enum:
        for member in kind:
            if value == member.value:
                return member
        raise InvalidInput(f"{name} must be one of {', '.join(m.value for m in kind)}, not {str(value)[:40]!r}")

    return read


def _matches(name: str, value: object) -> Matches:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be a dictionary of lists with the keys {', '.join(MATCH_FIELDS)}")
    unknown = sorted(str(key)[:40] for key in value if key not in MATCH_FIELDS)
    if unknown:
        raise InvalidInput(f"{name} has no option {', '.join(unknown)}; there are {', '.join(MATCH_FIELDS)}")
    found: dict[str, frozenset[str]] = {}
    for key, entries in value.items():
        if not isinstance(entries, (list, tuple)):
            raise InvalidInput(f"{name}.{key} must be a list")
        texts = []
        for entry in entries:
            if isinstance(entry, bool) or not isinstance(entry, (str, int)) or entry == "":
                raise InvalidInput(f"{name}.{key} must hold texts only, not {str(entry)[:40]!r}")
            texts.append(str(entry))
        if key == "consumer_id":
            try:
                texts = [checked_consumer_id(text) for text in texts]
            except InvalidInput as error:
                raise InvalidInput(f"{name}.{key}: {error}") from error
        found[key] = frozenset(texts)
    return Matches(**found)


def _fraction(name: str, value: object) -> Decimal:
    try:
        number = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= 1:
        raise InvalidInput(f"{name} must be a fraction between 0 and 1 such as 0.05, not {str(value)[:40]!r}")
    return number


def _count(unit: str) -> Any:
    def read(name: str, value: object) -> int:
        text = "" if isinstance(value, bool) else str(value).strip()
        if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
            raise InvalidInput(f"{name} must be a number of {unit}, 0 or more, not {str(value)[:40]!r}")
        return int(text)

    return read


def bytes_of(name: str, value: object) -> int:
    """Read a quantity of storage as Kubernetes writes it (``10Gi``) into bytes; InvalidInput names the option ``name``."""
    found = None if isinstance(value, bool) else _QUANTITY.fullmatch(str(value).strip())
    if not found:
        raise InvalidInput(f"{name} must be a quantity of storage such as 100Gi, not {str(value)[:40]!r}")
    base = 1024 if found[2].endswith("i") else 1000
    return int(found[1]) * int(base ** _POWERS[found[2].rstrip("i")])


def _coin(name: str, value: object) -> Coin:
    found = _COIN.fullmatch(str(value).strip())
    if not found:
        raise InvalidInput(f"{name} must be an amount for a day such as 500000stake, not {str(value)[:40]!r}")
    return Coin(int(found[1]), found[2])


_READERS: dict[str, Any] = {
    "mode": _choice(Mode),
    "allow": _matches,
    "deny": _matches,
    "max_double_sign_slash_fraction": _fraction,
    "max_downtime_slash_fraction": _fraction,
    "max_double_sign_jail": _count("seconds"),
    "max_downtime_jail": _count("seconds"),
    "max_consumers": _count("consumers"),
    "max_storage": bytes_of,
    "fee_budget": _coin,
    "on_violation": _choice(OnViolation),
}


# -- the facts -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """The consumer that is decided about.

    ``infraction`` is what an infraction costs on it; ``queued_infraction`` what it will cost once the provider's unbonding time is over, None
    when the owner queued nothing.
    """

    consumer_id: str
    chain_id: str
    owner_address: str
    phase: Phase
    p2p_port: int
    infraction: InfractionParameters
    queued_infraction: InfractionParameters | None = None


@dataclass(frozen=True)
class Facts:
    """What a decision rests on.

    ``height`` is that of the selection; ``height_note`` says why it is another than the consumer's creation's. ``is_selected`` may be False
    without a ``selection_reason`` where the selection was not asked for. ``is_opted_in`` and ``has_own_key`` are what the chain says now.
    ``memories`` are all consumers this validator's monitor remembers, this one included. ``storage_size`` is bytes of one node;
    ``fees_spent`` the fees of the last day in the budget's denom, None when they are not known.
    """

    consumer: Candidate
    height: int
    provider_infraction: InfractionParameters
    height_note: str = ""
    is_selected: bool = False
    selection_reason: str = ""
    top_n: int = 0
    is_in_top_n: bool = False
    is_opted_in: bool = False
    has_own_key: bool = False
    memories: tuple[Memory, ...] = ()
    storage_size: int = 0
    fees_spent: int | None = None

    @property
    def memory(self) -> Memory:
        """What is remembered of this consumer; an empty memory when nothing is."""
        wanted = self.consumer.consumer_id
        return next((entry for entry in self.memories if entry.consumer_id == wanted), Memory(wanted))

    @property
    def others(self) -> tuple[Memory, ...]:
        """The other consumers that this validator takes part in and that are not deleted."""
        return tuple(
            entry
            for entry in self.memories
            if entry.consumer_id != self.consumer.consumer_id
            and entry.decision == "opt_in"
            and entry.phase is not Phase.DELETED
        )


# -- the decision ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decision:
    """Whether the validator takes part (``opt_in`` or ``stay_out``), every reason, the height it rests on, and what to do on the chain now.

    ``alarm_reasons`` tell what a consumer that was accepted breaks of the policy; empty when there is nothing to worry about.
    """

    decision: str
    reasons: tuple[str, ...]
    height: int
    action: Action = Action.NONE
    alarm_reasons: tuple[str, ...] = ()


def is_open(facts: Facts) -> bool:
    """Tell whether the selection rule is to be asked: not for a consumer that is decided, that has to be validated, or that has launched."""
    before_launch = facts.consumer.phase in (Phase.REGISTERED, Phase.INITIALIZED)
    return before_launch and not facts.is_in_top_n and not facts.is_opted_in and facts.memory.decision != "opt_in"


def decide(policy: Policy, facts: Facts) -> Decision:
    """Decide about one consumer.

    A validator in the Top N has to validate, and one that opted in can only leave a launched consumer, so for these the policy cannot
    refuse any more: what it would refuse is an alarm. An earlier decision to opt in holds until the policy forbids the consumer.
    """
    violations = forbidden(policy, facts)
    phase = facts.consumer.phase
    if phase in (Phase.STOPPED, Phase.DELETED):
        return Decision("stay_out", (f"the consumer is {phase.value}",), facts.height)
    if facts.is_in_top_n or facts.is_opted_in:
        return _member(policy, facts, violations)
    remembered = facts.memory
    if phase is Phase.LAUNCHED:
        if remembered.decision == "stay_out" and remembered.reasons:
            return Decision("stay_out", remembered.reasons, remembered.height or facts.height)
        decided = remembered.decision == "opt_in"
        why = "it is not opted in although that was decided: it opted out, or the launch came first"
        return Decision(
            "stay_out", (*violations, why if decided else "the consumer was launched without it"), facts.height
        )
    if remembered.decision == "opt_in":
        # Cut before its transaction: the decision was made and holds, unless it can still be taken back.
        if violations:
            return Decision("stay_out", violations, facts.height)
        return Decision("opt_in", remembered.reasons, remembered.height or facts.height, Action.OPT_IN)
    refusals = [*violations, *no_room(policy, facts)]
    if policy.mode is Mode.SELECTED and not facts.is_selected:
        refusals.insert(0, facts.selection_reason)
    noted = (facts.height_note,) if facts.height_note else ()
    if refusals:
        return Decision("stay_out", (*refusals, *noted), facts.height)
    reason = facts.selection_reason if policy.mode is Mode.SELECTED else "the policy takes part in all consumers"
    return Decision("opt_in", (reason, *noted), facts.height, Action.OPT_IN)


def _member(policy: Policy, facts: Facts, violations: tuple[str, ...]) -> Decision:
    """Decide about a consumer that this validator takes part in, or will have to."""
    remembered = facts.memory
    kept = remembered.decision == "opt_in" and remembered.reasons
    if kept:
        reasons, height = remembered.reasons, remembered.height or facts.height
    elif facts.is_in_top_n:
        reasons, height = (f"it is in the Top {facts.top_n} % and has to validate",), facts.height
    else:
        reasons, height = ("it has opted in already, not by this monitor",), facts.height
    # Without a key of its own the consumer would be signed with the provider's.
    action = Action.NONE if facts.has_own_key else Action.ASSIGN_KEY
    made = Decision("opt_in", reasons, height, action)
    if not violations:
        return made
    if policy.on_violation is OnViolation.ALARM:
        return replace(made, alarm_reasons=violations)
    if facts.is_in_top_n:
        note = f"the Top {facts.top_n} % cannot opt out"
        return replace(made, alarm_reasons=(*violations, note))
    if facts.consumer.phase is not Phase.LAUNCHED:
        # Its seat in the initial set is taken: to leave it empty would be the downtime that the policy wants to avoid.
        note = "opting out is possible from the launch on and is done then; the node starts all the same, because a missing signer is punished"
        return replace(made, alarm_reasons=(*violations, note))
    return Decision("stay_out", ("opted out", *violations), facts.height, Action.OPT_OUT, violations)


def forbidden(policy: Policy, facts: Facts) -> tuple[str, ...]:
    """What the policy says against the consumer itself, now or once its queued terms apply: it holds after the opt-in too."""
    consumer = facts.consumer
    found = ["the policy takes part in no consumer"] if policy.mode is Mode.NONE else []
    denied = policy.deny.found(consumer)
    if denied:
        found.append(f"the policy denies its {denied}")
    if policy.allow and not policy.allow.found(consumer):
        found.append("the policy allows other consumers only")
    own = facts.provider_infraction
    found += _over_bounds(policy, consumer.infraction, own, "")
    if consumer.queued_infraction is not None:
        found += _over_bounds(policy, consumer.queued_infraction, own, "queued ")
    return tuple(found)


def _over_bounds(policy: Policy, costs: InfractionParameters, own: InfractionParameters, word: str) -> list[str]:
    """Compare what an infraction costs with the policy's bounds; where it has none, with what it costs on the provider."""
    found = []
    for kind, text in (("double_sign", "double sign"), ("downtime", "downtime")):
        cost, usual = getattr(costs, kind), getattr(own, kind)
        fraction, seconds = getattr(policy, f"max_{kind}_slash_fraction"), getattr(policy, f"max_{kind}_jail")
        for what, unit, value, given, default in (
            ("slash fraction", "", cost.slash_fraction, fraction, usual.slash_fraction),
            ("jail time", " s", cost.jail_duration, seconds, usual.jail_duration),
        ):
            bound, whose = (default, "the provider's own") if given is None else (Decimal(given), "the policy's")
            if value > bound:
                found.append(f"{word}{what} for {text} {_plain(value)}{unit} is over {whose} {_plain(bound)}{unit}")
    return found


def no_room(policy: Policy, facts: Facts) -> tuple[str, ...]:
    """What this validator has no room or money for: asked before it takes part, never afterwards."""
    found = []
    running = [entry for entry in facts.others if entry.phase is not Phase.STOPPED]
    same_port = [entry.consumer_id for entry in running if entry.p2p_port == facts.consumer.p2p_port]
    if same_port:
        found.append(f"port {facts.consumer.p2p_port} is already used by consumer {', '.join(same_port)}")
    if policy.max_consumers is not None and len(running) >= policy.max_consumers:
        found.append(f"{len(running)} consumers run here already, the policy's most is {policy.max_consumers}")
    # A stopped consumer keeps its volume until it is deleted.
    needed = (len(facts.others) + 1) * facts.storage_size
    if policy.max_storage is not None and needed > policy.max_storage:
        found.append(f"its volume would make {needed} bytes of storage, the policy's most is {policy.max_storage}")
    budget = policy.fee_budget
    if budget is not None and facts.fees_spent is None:
        found.append("what was spent on fees in the last day is not known, so the fee budget cannot be kept")
    elif budget is not None and facts.fees_spent is not None and facts.fees_spent >= budget.amount:
        spent = f"{facts.fees_spent}{budget.denom}"
        found.append(f"fees of the last day are {spent}, the fee budget is {budget.amount}{budget.denom}")
    return tuple(found)


def _plain(number: Decimal) -> str:
    return format(number.normalize() + 0, "f")
