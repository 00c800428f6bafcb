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
    """What is wrong, and so what may be done about it."""

    UNKNOWN = "unknown"  # the provider knows no such consumer
    DELETED = "deleted"  # the chain is gone, its objects are not
    STOPPED = "stopped"  # the chain was stopped, its node was not
    HALF_MADE = "half_made"  # a deployment was cut
    EXPIRED_KEY = "expired_key"  # the key of a deleted chain that nobody can bring evidence against any more


@dataclass(frozen=True)
class Holding:
    """What the cluster holds of one consumer. ``key_kept_until`` is when the key of a deleted consumer may go, None when it is not set."""

    consumer_id: str
    namespace: bool
    node: bool
    node_wanted: bool
    fences: int
    key: bool
    key_kept_until: datetime | None
    decision: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in a sentence without its full stop."""

    consumer_id: str
    kind: Leftover
    reason: str


def find(holding: Holding, phase: Phase | None, now: datetime) -> list[Finding]:
    """Return what is wrong with a holding; ``phase`` is None when the provider knows no such consumer."""

    def finding(kind: Leftover, reason: str) -> list[Finding]:
        return [Finding(holding.consumer_id, kind, reason)]

    if phase is None:
        return finding(
            Leftover.UNKNOWN,
            "the provider knows no such consumer: these objects are of another provider chain, or the provider's node lags behind",
        )
    if phase is Phase.DELETED:
        found = []
        if holding.namespace or holding.fences:
            found += finding(Leftover.DELETED, "the consumer is deleted, its objects are still there")
        if holding.key and holding.key_kept_until is not None and holding.key_kept_until <= now:
            found += finding(
                Leftover.EXPIRED_KEY,
                "the unbonding time after the deletion is over: its consensus key is of no use any more",
            )
        return found
    if phase is Phase.STOPPED:
        return finding(Leftover.STOPPED, "the consumer is stopped, its node is not") if holding.node_wanted else []
    if phase is Phase.LAUNCHED and holding.namespace and holding.decision == "opt_in" and not holding.node_wanted:
        return finding(Leftover.HALF_MADE, "the consumer is launched, its node was prepared and does not run")
    if holding.namespace and holding.decision != "opt_in":
        return finding(Leftover.HALF_MADE, "a node was prepared for a consumer that this validator stays out of")
    return []
