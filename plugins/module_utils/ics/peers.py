# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which peers a consumer's node dials: what the chain's other validators announce on the provider.

A validator whose monitor announces no node id runs, as far as anybody can know, the monitor ics-operator, whose node keys are no
secret: their ids follow from the validator's moniker and the chain_id. A node of ours that dials such a one is let in.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.ics import announcement, consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.ports import ports_of
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits


@dataclass(frozen=True)
class Peers:
    """``by_operator`` maps operator addresses to ``node id@host:port``, in order; ``skipped`` maps those that have none to the reason."""

    by_operator: Mapping[str, str]
    skipped: Mapping[str, str]

    @property
    def addresses(self) -> tuple[str, ...]:
        """``node id@host:port`` of each."""
        return tuple(self.by_operator.values())


def peers_of(members: Iterable[Validator], chain_id: str, own_operator: str | None) -> Peers:
    """Return the peers of a node, in operator address order. ``members`` are the validators that take part in the chain.

    Nobody's mistake keeps another one out: who cannot be dialled is left out with the reason. A node goes on dialling one address for
    a node id only. Who announces that of another validator is left out, and that is the one with fewer tokens.
    """
    port = ports_of(chain_id).p2p
    by_operator: dict[str, str] = {}
    skipped: dict[str, str] = {}
    owners: dict[str, str] = {}  # operator addresses by the node ids that they announce
    for member in sorted(
        members, key=lambda one: (one.operator_address != own_operator, -one.tokens, one.operator_address)
    ):
        operator = member.operator_address
        announced = announcement.parse(member.details)
        node = announced.node or derived_node_id(member.moniker, chain_id)
        if operator == own_operator:
            owners[node] = operator
            continue
        reason = fault(member)
        if not reason and node in owners:
            reason = f"its node id is the one of {owners[node]}, who has as many tokens or more"
            if owners[node] == own_operator:
                reason = "its node id is the one that this validator announces itself"
        if reason:
            skipped[operator] = reason
            continue
        owners[node] = operator
        host = f"[{announced.p2p}]" if ":" in announced.p2p else announced.p2p
        by_operator[operator] = f"{node}@{host}:{port}"
    return Peers(dict(sorted(by_operator.items())), dict(sorted(skipped.items())))


def derived_node_id(moniker: str, chain_id: str) -> str:
    """Return the node id that the monitor ics-operator gives a validator's node of a chain; both texts are strangers' and are only hashed."""
    secret = hashlib.sha256(f"ics-consumer-{moniker}-{chain_id}".encode()).digest()
    # CometBFT hashes a secret once more to make a key of it.
    return consensus_key.from_seed(hashlib.sha256(secret).digest()).node_id


def fault(member: Validator) -> str:
    """Return why a validator cannot be dialled, empty when it can."""
    if member.jailed:
        return "it is jailed"
    if member.status is not BondStatus.BONDED:
        return f"it is {member.status.value}"
    announced = announcement.parse(member.details)
    if not announced.p2p:
        return _field_fault("p2p", member.details, "an IP address or a DNS name without a port")
    if not _is_reachable(announced.p2p):
        return f"the p2p= that its details announce, {announced.p2p}, is an address of its own machine or of nobody"
    if not announced.node and announcement.has_field("node", member.details):
        return _field_fault("node", member.details, "40 hexadecimal digits")
    return ""


def _field_fault(name: str, details: str, form: str) -> str:
    if announcement.has_field(name, details):
        return f"the {name}= that its details announce is not {form}"
    return f"its details announce no {name}="


def _is_reachable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return not re.search(r"(^|\.)localhost(\.localdomain)?$", host.lower())
    if isinstance(address, ipaddress.IPv6Address):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        address = inner or address
    if address == _BROADCAST:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast)
