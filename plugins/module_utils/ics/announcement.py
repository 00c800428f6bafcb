# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a validator tells others where it is reached: fields on one line of its ``details``.

``node=<node id> relayer=<bech32 address> p2p=<host>``, ``p2p=`` last. The other text of the details belongs to the
validator and is kept. Monitors of other makers read everything after the first ``p2p=`` up to the end of its line as the host.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

DETAILS_LIMIT = 280
NODE_ID = re.compile(r"[0-9a-f]{40}")
BECH32 = re.compile(r"[a-z]{1,20}1[02-9ac-hj-np-z]{38,58}")
DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)
_FIELDS = re.compile(r"(?:^|(?<=\s))(?:node=(?P<node>\S*)\s+)?(?:relayer=(?P<relayer>\S*)\s+)?p2p=(?P<p2p>.*)$")


@dataclass(frozen=True)
class Announcement:
    """The fields that a validator announced; an empty string for one it did not, or not in a usable form."""

    node: str = ""
    relayer: str = ""
    p2p: str = ""


def checked_host(text: str) -> str:
    """Return ``text`` when it is an IPv4 or IPv6 address or a DNS name (no port, no brackets), else raise InvalidInput."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if DNS_NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text):
            return text
    raise InvalidInput(f"not an IP address or DNS name: {text[:60]!r}")


def parse(details: str) -> Announcement:
    """Read the announcement of a validator's details; what strangers wrote in another form counts as absent."""
    for line in details.splitlines():
        found = _FIELDS.search(line)
        if not found:
            continue
        node, relayer = found["node"] or "", found["relayer"] or ""
        try:
            host = checked_host(found["p2p"].strip())
        except InvalidInput:
            host = ""
        return Announcement(
            node=node if NODE_ID.fullmatch(node) else "",
            relayer=relayer if BECH32.fullmatch(relayer) else "",
            p2p=host,
        )
    return Announcement()


def compose(details: str, announcement: Announcement) -> str:
    """Return ``details`` with the announcement in it and the validator's own text kept; InvalidInput when it does not fit."""
    if announcement.node and not NODE_ID.fullmatch(announcement.node):
        raise InvalidInput(f"node must be 40 hexadecimal digits, not {announcement.node[:60]!r}")
    if announcement.relayer and not BECH32.fullmatch(announcement.relayer):
        raise InvalidInput(f"relayer must be a bech32 account address, not {announcement.relayer[:80]!r}")
    fields = [f"node={announcement.node}"] if announcement.node else []
    fields += [f"relayer={announcement.relayer}"] if announcement.relayer else []
    fields.append(f"p2p={checked_host(announcement.p2p)}")
    own_text = [_FIELDS.sub("", line).rstrip() for line in details.splitlines()]
    text = "\n".join([line for line in own_text if line] + [" ".join(fields)])
    if len(text) > DETAILS_LIMIT:
        raise InvalidInput(
            f"details would have {len(text)} characters, {DETAILS_LIMIT} are allowed: shorten your own text"
        )
    return text
