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
from collections.abc import Collection
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
    """Return ``text`` when it is an IPv4 or IPv6 address or a DNS name (no port, no brackets, no zone), else raise InvalidInput."""
    try:
        if "%" not in text:  # behind it, in a zone, Python takes any text for a part of the address
            return str(ipaddress.ip_address(text))
    except ValueError:
        if DNS_NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text):
            return text
    raise InvalidInput(f"not an IP address or DNS name: {text[:60]!r}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse(details: str) -> Announcement:
    """Read the announcement of a validator's details; what strangers wrote in another form counts as absent."""
    for line in details.split("\n"):
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


def has_field(name: str, details: str) -> bool:
    """Tell whether the details announce a field, in whatever form: ``node`` and ``relayer`` count on the line of ``p2p`` only."""
    found = next((match for line in details.split("\n") if (match := _FIELDS.search(line))), None)
    return found is not None and found[name] is not None


def compared(details: str, hosts: Collection[str]) -> str:
    """Return in a few words how what the details announce fits the addresses and DNS names that the load balancer has (none: not yet)."""
    announced = parse(details).p2p
    if not announced:
        return f"{', '.join(hosts)} is not announced" if hosts else "no address yet"
    return f"announces {announced}, has {', '.join(hosts)}" if hosts and elsewhere(details, hosts) else "announced"


def elsewhere(details: str, hosts: Collection[str]) -> str:
    """Return the address that the details announce when a load balancer that has these addresses and DNS names is not there, else an empty text."""
    announced = parse(details).p2p
    # A DNS name, of one or the other, may be the validator's own for it.
    if not _is_address(announced) or not all(_is_address(host) for host in hosts):
        return ""
    return "" if ipaddress.ip_address(announced) in {ipaddress.ip_address(host) for host in hosts} else announced


def compose(details: str, announcement: Announcement) -> str:
    """Return ``details`` with the announcement in it and the validator's own text kept; InvalidInput when it does not fit.

    An announcement that is there is replaced where it stands; own text behind its host goes before it, since the host ends
    its line. A new one is put on a line of its own at the end.
    """
    if announcement.node and not NODE_ID.fullmatch(announcement.node):
        raise InvalidInput(f"node must be 40 hexadecimal digits, not {announcement.node[:60]!r}")
    if announcement.relayer and not BECH32.fullmatch(announcement.relayer):
        raise InvalidInput(f"relayer must be a bech32 account address, not {announcement.relayer[:80]!r}")
    fields = [f"node={announcement.node}"] if announcement.node else []
    fields += [f"relayer={announcement.relayer}"] if announcement.relayer else []
    fields.append(f"p2p={checked_host(announcement.p2p)}")
    text = _with_fields(details, " ".join(fields))
    # What other monitors take for the host begins at the first "p2p=", wherever that stands.
    if text.count("p2p=") > 1:
        raise InvalidInput(
            "the details of the validator have another p2p= in their own text, where monitors would look for the host: "
            "take it out of the details first"
        )
    length = len(text.encode())
    if length > DETAILS_LIMIT:
        raise InvalidInput(
            f"invalid details length; got: {length}, max: {DETAILS_LIMIT}: shorten your own text in the details"
        )
    return text


def remove(details: str) -> str:
    """Return ``details`` without an announcement, the validator's own text kept."""
    return _with_fields(details, "")


def _with_fields(details: str, fields: str) -> str:
    """Put the fields where the first announcement is, or at the end; leave out every other announcement."""
    lines: list[str] = []
    for line in details.split("\n"):
        found = _FIELDS.search(line)
        if not found:
            lines.append(line)
            continue
        own = [line[: found.start()].rstrip(), *found["p2p"].split(maxsplit=1)[1:], fields]
        fields = ""
        kept = " ".join(part for part in own if part)
        if kept:
            lines.append(kept)
    if fields:
        lines[-1:] = [lines[-1], fields] if lines and lines[-1] else [fields]
    return "\n".join(lines)
