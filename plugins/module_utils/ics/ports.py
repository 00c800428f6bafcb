# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports of a consumer chain: the same on every validator, without any talk between them.

Source of the rule: the Go monitor ``ics-operator``, with which chains are shared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

P2P_BASE = 26756
RPC_BASE = 26757
GRPC_BASE = 9190
SLOTS = 1000
STEP = 10


@dataclass(frozen=True)
class Ports:
    """TCP ports under which a validator's load balancer offers a consumer chain's node."""

    p2p: int
    rpc: int
    grpc: int


def ports_of(chain_id: str) -> Ports:
    """Return the ports of a chain_id: slot = first 8 bytes of its SHA-256 as a big-endian uint64, modulo 1000."""
    slot = int.from_bytes(hashlib.sha256(chain_id.encode()).digest()[:8], "big") % SLOTS
    return Ports(
        p2p=P2P_BASE + STEP * slot,
        rpc=RPC_BASE + STEP * slot,
        grpc=GRPC_BASE + STEP * slot,
    )
