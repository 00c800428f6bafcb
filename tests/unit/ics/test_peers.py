# SPDX-License-Identifier: GPL-3.0-or-later
"""Which peers a node dials."""

from __future__ import annotations

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
        member("a", f"Validator a\nnode={NODE} p2p=2001:db8::1"),
        member("own", f"node={NODE} p2p=192.0.2.9"),
        member("c", "p2p=node.example.com"),
    ]
    found = peers_of(members, "testchain-0", "own")
    assert found.addresses == (
        f"{NODE}@[2001:db8::1]:27346",
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
        ("p2p=" * 70, "is not an IP address"),
        ("p2p=127.0.0.1", "an address of its own machine"),
        ("p2p=localhost", "an address of its own machine"),
        ("p2p=169.254.169.254", "an address of its own machine"),
        ("p2p=0.0.0.0", "an address of its own machine"),
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


@given(st.text(max_size=280), st.text(max_size=70), st.text(min_size=1, max_size=50))
def test_a_strangers_text_never_makes_more_than_one_address(details: str, moniker: str, chain_id: str) -> None:
    stranger = Validator("a", moniker, 1, False, BondStatus.BONDED, details, bytes(32))
    found = peers_of([stranger], chain_id, None)
    assert len(found.addresses) + len(found.skipped) == 1
    for address in found.addresses:
        assert not set(address) & set(" ,;\"'\\\n\t{}$`")


def test_a_chain_of_one_has_no_peers() -> None:
    assert peers_of([member("own", "")], "testchain-0", "own").addresses == ()
