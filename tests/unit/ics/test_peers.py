# SPDX-License-Identifier: GPL-3.0-or-later
"""Which peers a node dials."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics.peers import derived_node_id, peers_of
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator

NODE = "ab" * 20


def member(operator: str, details: str) -> Validator:
    return Validator(operator, operator, 1, False, BondStatus.BONDED, details, bytes(32))


def test_the_others_announcements_in_operator_order() -> None:
    members = [
        member("b", f"node={NODE} p2p=192.0.2.2"),
        member("a", f"Validator a\nnode={'0a' * 20} p2p=2001:db8::1"),
        member("own", f"node={'09' * 20} p2p=192.0.2.9"),
        member("c", "p2p=node.example.com"),
    ]
    found = peers_of(members, "testchain-0", "own")
    assert found.addresses == (
        f"{'0a' * 20}@[2001:db8::1]:27346",
        f"{NODE}@192.0.2.2:27346",
        f"{derived_node_id('c', 'testchain-0')}@node.example.com:27346",
    )
    assert found.skipped == {}


@pytest.mark.parametrize(
    ("moniker", "node_id"),
    [
        ("alice", "f42037be88df876cd27dd60dc225b1afa90c4d75"),
        ("bob", "d91c8d78dc984199d7ef797db3c5657d2891246f"),
    ],
)
def test_the_ids_of_the_other_monitors_nodes(moniker: str, node_id: str) -> None:
    """Vectors of ics-operator."""
    assert derived_node_id(moniker, "testchain-0") == node_id


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ("", "its details announce no p2p="),
        ("hello", "its details announce no p2p="),
        ("p2p=", "the p2p= that its details announce is not an IP address or a DNS name"),
        ("p2p=$(touch x)", "is not an IP address"),
        ("p2p={{ 1 }}", "is not an IP address"),
        ("p2p=192.0.2.1:26656", "is not an IP address"),
        ("p2p=[2001:db8::1]", "is not an IP address"),
        ("p2p=192.0.2.1 and more", "is not an IP address"),
        (f"p2p=2001:db8::1%]:1,{NODE}@10.96.0.1:443,{NODE}@[::2", "is not an IP address"),
        ("p2p=" * 70, "is not an IP address"),
        ("p2p=127.0.0.1", "an address of its own machine"),
        ("p2p=localhost", "an address of its own machine"),
        ("p2p=169.254.169.254", "an address of its own machine"),
        ("p2p=0.0.0.0", "an address of its own machine"),
        ("p2p=255.255.255.255", "an address of its own machine"),
        ("p2p=::ffff:127.0.0.1", "an address of its own machine"),
        ("p2p=64:ff9b::7f00:1", "an address of its own machine"),
        ("p2p=any.LOCALHOST", "an address of its own machine"),
        ("p2p=localhost.localdomain", "an address of its own machine"),
        ("node=ABC p2p=192.0.2.1", "the node= that its details announce is not 40 hexadecimal digits"),
    ],
)
def test_who_cannot_be_dialled_is_left_out_alone(details: str, reason: str) -> None:
    members = [member("a", details), member("b", f"node={NODE} p2p=192.0.2.2")]
    found = peers_of(members, "testchain-0", None)
    assert found.addresses == (f"{NODE}@192.0.2.2:27346",)
    assert list(found.skipped) == ["a"]
    assert reason in found.skipped["a"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"jailed": True}, "it is jailed"),
        ({"status": BondStatus.UNBONDED}, "it is unbonded"),
        ({"status": BondStatus.UNBONDING}, "it is unbonding"),
    ],
)
def test_who_does_not_validate_is_left_out(change: dict[str, object], reason: str) -> None:
    found = peers_of([replace(member("a", f"node={NODE} p2p=192.0.2.2"), **change)], "x-1", None)  # type: ignore[arg-type]
    assert found.addresses == ()
    assert found.skipped == {"a": reason}


def test_who_announces_the_node_of_somebody_else_does_not_take_its_place() -> None:
    own = member("own", f"node={'cd' * 20} p2p=192.0.2.9")
    members = [
        own,
        member("a", f"node={NODE} p2p=198.51.100.1"),
        replace(member("b", f"node={NODE} p2p=192.0.2.2"), tokens=5),
        replace(member("c", f"node={'cd' * 20} p2p=198.51.100.2"), tokens=9),
    ]
    found = peers_of(members, "testchain-0", "own")
    assert found.addresses == (f"{NODE}@192.0.2.2:27346",)
    assert found.skipped == {
        "a": "its node id is the one of b, who has as many tokens or more",
        "c": "its node id is the one that this validator announces itself",
    }


def test_a_copied_node_is_known_with_equal_tokens_too() -> None:
    members = [member(name, f"node={NODE} p2p=192.0.2.{number}") for number, name in enumerate("ab", start=1)]
    assert peers_of(members, "testchain-0", None).addresses == (f"{NODE}@192.0.2.1:27346",)


DETAILS = st.one_of(
    st.text(max_size=280),
    st.builds("p2p={}{}".format, st.ip_addresses(), st.text(max_size=200)),
    st.builds("node={} p2p={}%{}".format, st.text(max_size=41), st.ip_addresses(v=6), st.text(max_size=200)),
)


@given(DETAILS, st.text(max_size=70), st.text(min_size=1, max_size=50))
def test_a_strangers_text_never_makes_more_than_one_address(details: str, moniker: str, chain_id: str) -> None:
    stranger = Validator("a", moniker, 1, False, BondStatus.BONDED, details, bytes(32))
    found = peers_of([stranger], chain_id, None)
    assert len(found.addresses) + len(found.skipped) == 1
    for address in found.addresses:
        assert re.fullmatch(r"[0-9a-f]{40}@(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):[0-9]+", address)


def test_a_chain_of_one_has_no_peers() -> None:
    assert peers_of([member("own", "")], "testchain-0", "own").addresses == ()
