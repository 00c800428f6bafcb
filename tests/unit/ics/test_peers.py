# SPDX-License-Identifier: GPL-3.0-or-later
"""Which peers a node dials."""

from __future__ import annotations

from ansible_collections.interchain.security.plugins.module_utils.ics.peers import peers_of

NODE = "ab" * 20


def test_the_others_announcements_in_operator_order() -> None:
    members = {
        "b": f"node={NODE} p2p=192.0.2.2",
        "a": f"node={NODE} p2p=2001:db8::1",
        "own": f"node={NODE} p2p=192.0.2.9",
        "c": "p2p=192.0.2.3",
        "d": "hello",
    }
    found = peers_of(members, "testchain-0", "own")
    assert found.addresses == (f"{NODE}@[2001:db8::1]:27346", f"{NODE}@192.0.2.2:27346")
    assert found.skipped == {
        "c": "its details announce no usable node=",
        "d": "its details announce no usable p2p= and no usable node=",
    }


def test_a_chain_of_one_has_no_peers() -> None:
    assert peers_of({"own": ""}, "testchain-0", "own").addresses == ()
