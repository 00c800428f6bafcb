# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that reach a provider chain."""

from __future__ import annotations


class ModuleDocFragment:
    """Used by every module of this collection."""

    DOCUMENTATION = r"""
options:
  provider_rpc_url:
    description:
      - RPC addresses of nodes of the provider chain, for example V(http://127.0.0.1:26657).
      - The first that answers is used; where much depends on it, the first that keeps up with the chain.
    type: list
    elements: str
    required: true
  provider_chain_id:
    description:
      - The chain_id that the provider must have; a node of another chain is refused.
    type: str
  request_timeout:
    description:
      - Seconds that a request to a node may take.
    type: float
    default: 10.0
attributes:
  check_mode:
    description: Can run in check mode and predict the change without making it.
    support: full
requirements:
  - bech32
  - cosmpy >= 0.12
  - cryptography
  - httpx
  - kubernetes
  - protobuf
  - tenacity
author:
  - Interchain Security Monitor contributors (@interchain-security-monitor)
"""
