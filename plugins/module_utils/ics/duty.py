# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Late joining and leaving: for which launched consumers a node is to be started yet, and which node is not asked for any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ansible_collections.interchain.security.plugins.module_utils.ics.health import Seen

PROMOTED = "promoted_height"  # of a consumer's document: since which height of its chain the set holds the node's key; 0 while it does not


def joins(memory: Mapping[str, str]) -> bool:
    """Tell by a consumer's document whether its launched chain, which the validator has to validate, is without a node that ever ran.

    One whose launch is on its way, and one whose launch was refused for a reason, are left alone.
    """
    awaits_launch = memory.get("decision") == "opt_in" and memory.get("phase") in ("registered", "initialized")
    return not memory.get("node_mode") and memory.get("launch_refused") != "true" and not awaits_launch


def may_end(seen: Seen) -> bool:
    """Tell whether a node may be stopped that the provider does not ask for.

    The chain goes on with the set that it knows until a relayer has told it of the next one. With a third of the power missing it
    would stand still, and never hear of that. A node that is behind does not know the newest set.
    """
    return seen.wanted and (seen.mode != "sign" or (seen.in_validator_set is False and seen.catching_up is False))


def counts_instead(seen: Seen, kept: Collection[str]) -> str:
    """Return which of the keys that are ``kept`` for a signing node (public, base64) its chain's set holds in the place of the node's own.

    Empty while it holds the node's own, or none of them. A node that is behind does not know the newest set.
    """
    if seen.mode != "sign" or seen.in_validator_set is not False or seen.catching_up is not False:
        return ""
    found = set(kept) & seen.validator_keys
    return found.pop() if len(found) == 1 else ""


def promotion(seen: Seen, memory: Mapping[str, str]) -> dict[str, str]:
    """Return what a consumer's document has to say of the height since which the set holds its key; empty when it says so already."""
    if seen.promoted_height is None or str(seen.promoted_height) == memory.get(PROMOTED, "0"):
        return {}
    return {PROMOTED: str(seen.promoted_height)}
