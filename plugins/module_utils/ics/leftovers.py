# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a cluster of a consumer that should not be, or not so: what the chain says beside what the cluster holds."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase


class Leftover(enum.Enum):
    """What is wrong."""

    UNKNOWN = "unknown"  # the provider knows no such consumer
    DELETED = "deleted"  # the chain is gone, its objects are not
    STOPPED = "stopped"  # the chain was stopped, its node was not
    HALF_MADE = "half_made"  # a deployment was cut
    EXPIRED_KEY = "expired_key"  # the key of a deleted chain that nobody can bring evidence against any more


class Remedy(enum.Enum):
    """What may be done about it when it is asked for."""

    REMOVE = "remove"  # the objects; the consensus key stays
    STOP = "stop"  # the node; volume and key stay
    REPAIR = "repair"  # the node is to run: removing it would be punished as downtime, and lose its sign state
    REMOVE_KEY = "remove_key"


@dataclass(frozen=True)
class Holding:
    """What the cluster holds of one consumer. ``key_kept_until`` is when the key of a deleted consumer may go, None when it is not set."""

    consumer_id: str
    namespace: bool
    node_wanted: bool
    fences: int
    key: bool
    key_kept_until: datetime | None
    decision: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in a sentence without its full stop, and what may be done about it."""

    consumer_id: str
    kind: Leftover
    remedy: Remedy
    reason: str


def find(holding: Holding, phase: Phase | None, now: datetime) -> list[Finding]:
    """Return what is wrong with a holding; ``phase`` is None when the provider knows no such consumer."""
    found = _objects(holding, phase)
    expired = holding.key_kept_until is not None and holding.key_kept_until <= now
    if phase in (None, Phase.DELETED) and holding.key and expired:
        reason = "the time is over in which evidence may come: its consensus key is of no use any more"
        found.append((Leftover.EXPIRED_KEY, Remedy.REMOVE_KEY, reason))
    return [Finding(holding.consumer_id, kind, remedy, reason) for kind, remedy, reason in found]


def _objects(holding: Holding, phase: Phase | None) -> list[tuple[Leftover, Remedy, str]]:
    objects = holding.namespace or holding.fences > 0
    if phase is None:
        reason = "the provider knows no such consumer: these objects are of another provider chain, or the provider's node lags behind"
        # A key alone that has its date was removed before.
        there = objects or (holding.key and holding.key_kept_until is None)
        return [(Leftover.UNKNOWN, Remedy.REMOVE, reason)] if there else []
    if phase is Phase.DELETED:
        reason = "the consumer is deleted, its objects are still there"
        return [(Leftover.DELETED, Remedy.REMOVE, reason)] if objects else []
    if phase is Phase.STOPPED:
        reason = "the consumer is stopped, its node is not"
        return [(Leftover.STOPPED, Remedy.STOP, reason)] if holding.node_wanted else []
    if not holding.namespace or holding.node_wanted:
        return []
    if holding.decision != "opt_in":
        reason = "a node was prepared for a consumer that this validator stays out of"
        return [(Leftover.HALF_MADE, Remedy.REMOVE, reason)]
    if phase is Phase.LAUNCHED:
        reason = "the consumer is launched, its node was prepared and does not run"
        return [(Leftover.HALF_MADE, Remedy.REPAIR, reason)]
    return []
