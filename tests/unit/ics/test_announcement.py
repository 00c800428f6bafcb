# SPDX-License-Identifier: GPL-3.0-or-later
"""Announcements in the details of validators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.announcement import (
    Announcement,
    compared,
    compose,
    elsewhere,
    parse,
    remove,
)

NODE = "f42037be88df876cd27dd60dc225b1afa90c4d75"
RELAYER = "cosmos1wsyhyljzxq2qx4xls6hevhm2u04gux4nptfnu3"


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ("", Announcement()),
        ("p2p=192.0.2.1", Announcement(p2p="192.0.2.1")),
        ("Validator alice - p2p=192.0.2.1", Announcement(p2p="192.0.2.1")),  # the form of the Go monitor
        (f"node={NODE} relayer={RELAYER} p2p=node.example.org", Announcement(NODE, RELAYER, "node.example.org")),
        (f"We run nodes.\nnode={NODE} p2p=2001:db8::1", Announcement(node=NODE, p2p="2001:db8::1")),
        ("node=nonsense p2p=192.0.2.1", Announcement(p2p="192.0.2.1")),
        ("relayer=$(touch x) p2p=192.0.2.1", Announcement(p2p="192.0.2.1")),
        ("p2p=$(touch x)", Announcement()),
        ("p2p={{ lookup('pipe','touch x') }}", Announcement()),
        ("p2p=192.0.2.1:26656", Announcement()),
        ("p2p=192.0.2", Announcement()),
        ("p2p=../../etc/passwd", Announcement()),
        ("p2p=192.0.2.1,deadbeef@evil:1", Announcement()),
        ("ap2p=192.0.2.1", Announcement()),
        ("p2p=2001:db8::1%$(touch x)", Announcement()),
        ("p2p=2001:db8::1%{{ 1 }}", Announcement()),
        ("p2p=2001:db8::1%x],", Announcement()),
        ("p2p=fe80::1%eth0", Announcement()),
    ],
)
def test_parse(details: str, expected: Announcement) -> None:
    assert parse(details) == expected


@pytest.mark.parametrize(
    ("details", "hosts", "told"),
    [
        ("", [], "no address yet"),
        ("", ["192.0.2.1"], "192.0.2.1 is not announced"),
        ("p2p=", ["lb.example.org"], "lb.example.org is not announced"),
        ("p2p=192.0.2.1", ["192.0.2.1"], "announced"),
        ("p2p=192.0.2.1", [], "announced"),
        ("p2p=192.0.2.1", ["192.0.2.2"], "announces 192.0.2.1, has 192.0.2.2"),
        ("p2p=192.0.2.1", ["192.0.2.2", "2001:db8::1"], "announces 192.0.2.1, has 192.0.2.2, 2001:db8::1"),
        ("p2p=2001:db8::1", ["192.0.2.2", "2001:db8::1"], "announced"),
        ("p2p=validator.example.org", ["192.0.2.2"], "announced"),
    ],
)
def test_whether_the_load_balancers_address_is_announced(details: str, hosts: list[str], told: str) -> None:
    assert compared(details, hosts) == told


@pytest.mark.parametrize(
    ("details", "hosts", "where"),
    [
        ("", ["192.0.2.1"], ""),
        ("p2p=192.0.2.1", ["192.0.2.1"], ""),
        ("p2p=192.0.2.1", ["192.0.2.2"], "192.0.2.1"),
        ("p2p=192.0.2.1", ["192.0.2.2", "192.0.2.1"], ""),
        ("p2p=192.0.2.1", [], "192.0.2.1"),
        ("p2p=192.0.2.1", ["lb.example.org"], ""),
        ("p2p=validator.example.org", ["192.0.2.2"], ""),
        ("p2p=validator.example.org", [], ""),
        ("p2p=2001:db8::1", ["2001:DB8:0::1"], ""),
    ],
)
def test_whether_the_validator_announces_another_address(details: str, hosts: list[str], where: str) -> None:
    assert elsewhere(details, hosts) == where


def test_compose_keeps_own_text_and_replaces_an_earlier_announcement() -> None:
    first = compose("We run nodes.\nSee example.org", Announcement(NODE, "", "192.0.2.1"))
    assert first == f"We run nodes.\nSee example.org\nnode={NODE} p2p=192.0.2.1"
    second = compose(first, Announcement(NODE, RELAYER, "192.0.2.2"))
    assert second == f"We run nodes.\nSee example.org\nnode={NODE} relayer={RELAYER} p2p=192.0.2.2"
    assert compose(second, Announcement(NODE, RELAYER, "192.0.2.2")) == second


@pytest.mark.parametrize(
    ("details", "composed", "removed"),
    [
        ("", "p2p=192.0.2.1", ""),
        ("own", "own\np2p=192.0.2.1", "own"),
        ("own\n\n  more", "own\n\n  more\np2p=192.0.2.1", "own\n\n  more"),
        ("own p2p=192.0.2.9", "own p2p=192.0.2.1", "own"),
        ("own p2p=192.0.2.9 behind it\nmore", "own behind it p2p=192.0.2.1\nmore", "own behind it\nmore"),
        ("p2p=192.0.2.9\nmore", "p2p=192.0.2.1\nmore", "more"),
        (f"p2p=192.0.2.9\nmore\nnode={NODE} p2p=192.0.2.8", "p2p=192.0.2.1\nmore", "more"),
    ],
)
def test_the_own_text_is_kept_and_the_host_ends_its_line(details: str, composed: str, removed: str) -> None:
    assert compose(details, Announcement(p2p="192.0.2.1")) == composed
    assert remove(details) == removed
    assert remove(composed) == removed


def test_an_own_text_that_hides_the_host_is_told() -> None:
    with pytest.raises(InvalidInput, match="another p2p= in their own text"):
        compose("our xp2p=protocol", Announcement(p2p="192.0.2.1"))


@pytest.mark.parametrize(
    "announcement",
    [
        Announcement(p2p="192.0.2.1:26656"),
        Announcement(p2p=""),
        Announcement(node="short", p2p="192.0.2.1"),
        Announcement(relayer="x", p2p="192.0.2.1"),
    ],
)
def test_compose_refuses_what_others_could_not_read(announcement: Announcement) -> None:
    with pytest.raises(InvalidInput):
        compose("", announcement)


def test_compose_says_when_the_details_get_too_long() -> None:
    with pytest.raises(InvalidInput, match="got: 284, max: 280"):
        compose("x" * 270, Announcement(p2p="192.0.2.1"))


@given(st.text(max_size=200))
def test_what_is_composed_is_read_back_whatever_the_own_text(own_text: str) -> None:
    announcement = Announcement(node=NODE, p2p="192.0.2.1")
    try:
        details = compose(own_text, announcement)
    except InvalidInput:
        return
    assert parse(details) == announcement
    assert compose(details, announcement) == details
