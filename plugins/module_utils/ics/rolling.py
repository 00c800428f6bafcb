# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which node of a consumer chain may be taken down for an update, so that more than two thirds of the power of this cluster's nodes stays up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
