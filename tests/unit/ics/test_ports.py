# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports agree with the monitors that are already deployed."""

from __future__ import annotations

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.ports import Ports, ports_of


@pytest.mark.parametrize(
    ("chain_id", "ports"),
    [
        ("testchain-0", Ports(27346, 27347, 9780)),
        ("consumer-1", Ports(28746, 28747, 11180)),
        ("consumer-1-1752458708-0", Ports(27116, 27117, 9550)),
    ],
)
def test_vectors(chain_id: str, ports: Ports) -> None:
    assert ports_of(chain_id) == ports


def test_any_text_has_ports() -> None:
    assert 26756 <= ports_of("{{ lookup('pipe','touch x') }}/../$(id)-1\n☃").p2p <= 36746
