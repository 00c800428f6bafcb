# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which node of a consumer chain may be taken down: for an update by hand, so that more than two thirds of the power of this cluster's nodes stays up,
and by the monitor itself, so that the chain goes on without it; and what is left to do with its pod once all is written.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

OTHER_POD = "its pod is another one than its StatefulSet describes"
REPLACED = "its pod was replaced while the update was written"


@dataclass(frozen=True)
class LocalNode:
    """One validator's node of the chain in this cluster; ``power`` is that of its key in the chain's set, 0 outside of it."""

    power: int
    up: bool


def refusal(nodes: Mapping[str, LocalNode], validator: str) -> str:
    """Return why a validator's node may not be taken down now, empty when it may. ``nodes`` are the wanted ones by validator.

    A node that is down already costs nothing. One with a third of the power or more takes the majority with it whenever it goes: it may go while
    all others that have power are up.
    """
    own = nodes.get(validator)
    if own is None or not own.up:
        return ""
    total = sum(node.power for node in nodes.values())
    left = sum(node.power for name, node in nodes.items() if node.up and name != validator)
    down = [name for name, node in nodes.items() if node.power and not node.up]
    if not down or not own.power or left * 3 > total * 2:
        return ""
    return (
        f"without the node of {validator}, {left} of the power {total} of this cluster's nodes would be up, which is not more than two thirds: "
        f"bring back first the node of {', '.join(sorted(down))}"
    )


@dataclass(frozen=True)
class Votes:
    """The powers in a chain's newest set: the node's own (0 outside of it), that of the others who signed a new commit, and all together."""

    own: int
    others: int
    total: int


def halt(votes: Votes, *, rises: bool) -> str:
    """Return why the monitor may not restart a node for other peers now, empty when it may. ``rises``: the chain makes blocks.

    A node does not come back before its own last signature is out of the blocks that it looks back on. In a chain that makes none meanwhile it never
    would.
    """
    if not votes.own:
        return ""
    if votes.own * 3 >= votes.total:
        return (
            f"its validator has {votes.own} of the chain's power {votes.total}: without it there is no block, which a peer is not worth; "
            "the peers count from its next start on, which may be brought about by hand"
        )
    if not rises:
        return "the chain makes no blocks, and a node that signed the last ones might not come back"
    if votes.others * 3 > votes.total * 2:
        return ""
    return (
        f"without it {votes.others} of the chain's power {votes.total} sign, which is not more than two thirds: there would be no block, and it "
        "might not come back"
    )


@dataclass(frozen=True)
class SeenPod:
    """A node's pod: its uid, the revision of its StatefulSet that it was made by, and whether it is on its way down."""

    uid: str
    revision: str
    leaving: bool


class Step(enum.Enum):
    """What is to be done with a node's pod."""

    KEEP = "keep"
    AWAIT = "await"  # its controller replaces it
    DELETE = "delete"


def next_step(former: str, pod: SeenPod | None, revision: str) -> tuple[Step, str]:
    """Return what is to be done so that a pod of a StatefulSet's newest revision runs, and why; the reason is empty with KEEP.

    ``former`` is the uid of the pod that ran before the update; it and ``revision`` are empty when they are not known. A StatefulSet's controller
    replaces a pod of another revision by itself, sometimes before it is looked at here, but not one that never became ready.
    """
    if pod is None:
        return (Step.AWAIT, REPLACED) if former else (Step.KEEP, "")
    if revision and pod.revision != revision:
        return (Step.AWAIT if pod.leaving else Step.DELETE), OTHER_POD
    if pod.leaving or (former and pod.uid != former):
        return Step.AWAIT, REPLACED
    return Step.KEEP, ""
