# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which peers a consumer's node dials: what the chain's other validators announce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.ics import announcement
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of


@dataclass(frozen=True)
class Peers:
    """``addresses`` are ``node id@host:port``; ``skipped`` maps the operator addresses that have none to the reason."""

    addresses: tuple[str, ...]
    skipped: Mapping[str, str]


def peers_of(members: Mapping[str, str], chain_id: str, own_operator: str | None) -> Peers:
    """Return the peers of a node, in operator address order. ``members`` maps the operator addresses to their ``details``."""
    port = ports_of(chain_id).p2p
    addresses, skipped = [], {}
    for operator, details in sorted(members.items()):
        if operator == own_operator:
            continue
        announced = announcement.parse(details)
        missing = [name for name, value in (("p2p", announced.p2p), ("node", announced.node)) if not value]
        if missing:
            skipped[operator] = (
                f"its details announce no usable {' and no usable '.join(f'{name}=' for name in missing)}"
            )
            continue
        host = f"[{announced.p2p}]" if ":" in announced.p2p else announced.p2p
        addresses.append(f"{announced.node}@{host}:{port}")
    return Peers(tuple(addresses), skipped)
