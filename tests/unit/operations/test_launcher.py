# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a launch knows: of the provider chain, and of somebody else who signs with the key that is held here.
And how long it waits for a provider that does not answer.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import NodeStatus
from ansible_collections.interchain.security.plugins.module_utils.errors import QueryFailed
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import Facts, Mode, Sighting, decide
from ansible_collections.interchain.security.plugins.module_utils.operations import launcher
from ansible_collections.interchain.security.plugins.module_utils.operations.launcher import _with_memory

LATE = Facts(
    consumer_id="3",
    chain_id="demo-1",
    provider_chain_id="provider-1",
    provider_key="PROVIDER",
    initial_key="OWN",
    assigned_key="OWN",
    held_key="OWN",
    has_node_key=True,
    volume="volume-1",
    own_power=1,
    total_power=3,
    age=3600.0,
)
SEEN = {"key_seen_elsewhere": "OWN"}


@pytest.mark.parametrize(
    ("memory", "take_over", "mode", "watch"),
    [
        ({}, False, Mode.SIGN, False),
        # Silent by now, for longer than anybody can look back.
        (SEEN, False, Mode.FOLLOW, False),
        ({"key_seen_elsewhere": "FORMER"}, False, Mode.SIGN, False),
        (SEEN, True, Mode.SIGN, False),
        ({**SEEN, "taken_over_key": "OWN"}, False, Mode.SIGN, False),
        ({**SEEN, "taken_over_key": "FORMER"}, False, Mode.FOLLOW, False),
    ],
)
def test_who_was_seen_counts_until_he_is_known_to_be_gone(
    memory: dict[str, str], take_over: bool, mode: Mode, watch: bool
) -> None:
    decision = decide(_with_memory(replace(LATE, sighting=Sighting.NOBODY), memory, take_over), 10)
    assert (decision.mode, decision.watch) == (mode, watch)


@pytest.mark.parametrize(
    ("catching_up", "block_age", "mode"),
    [(False, 1, Mode.SIGN), (True, 1, Mode.FOLLOW), (False, 3600, Mode.FOLLOW)],
)
def test_the_launch_looks_whether_the_provider_node_keeps_up(
    monkeypatch: pytest.MonkeyPatch, catching_up: bool, block_age: int, mode: Mode
) -> None:
    """By the node's block time the chain has launched a second ago, whenever that was."""
    block_time = datetime.now(UTC) - timedelta(seconds=block_age)
    status = NodeStatus("provider-1", 7, block_time, catching_up)
    own = SimpleNamespace(operator_address="own", consensus_public_key=b"p" * 32, details="")
    client: Any = SimpleNamespace(
        use_current=lambda: status,
        validators=lambda: [own],
        consumer_powers=lambda _consumer_id: {},
        consumer_keys=lambda _consumer_id: {"address": "OWN"},
    )
    cluster: Any = SimpleNamespace(select=lambda *_arguments: [])
    monkeypatch.setattr(launcher, "consensus_address", lambda _validator: "address")
    monkeypatch.setattr(launcher, "members_of", lambda *_arguments: [own])
    monkeypatch.setattr(launcher, "launch_of", lambda *_arguments: None)
    place: Any = SimpleNamespace(
        consumer_id="3",
        memory={},
        node_key_data={"node_key.json": ""},
        volume="volume-1",
        genesis=None,
        keys={},
        service=None,
    )
    staged: Any = SimpleNamespace(remote_signer_public_key="")
    consumer: Any = SimpleNamespace(consumer_id="3", chain_id="demo-1", spawn_time=block_time - timedelta(seconds=1))
    made = launcher.Launcher(client, cluster, launcher.Owner("alice", "own", "alice-monitor", "alice-monitor"))
    chain = made._read(consumer, started_before=False)
    facts = made._facts(place, staged, consumer, chain, "OWN", "", Sighting.UNKNOWN)
    decision = decide(facts, 10)
    assert (decision.mode, decision.watch) == (mode, mode is Mode.FOLLOW)


GENESIS = object()


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [(0, []), (1, [0.2]), (3, [0.2, 0.4, 0.8]), (99, [0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])],
)
def test_a_query_that_fails_is_tried_again_after_pauses_that_grow(
    failures: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def launch_of(*_arguments: Any) -> object:
        if len(slept) < failures:
            raise QueryFailed("connection refused")
        return GENESIS

    monkeypatch.setattr(launcher, "launch_of", launch_of)
    monkeypatch.setattr(launcher.time, "sleep", slept.append)
    made = object.__new__(launcher.Launcher)
    made._client = None
    if failures < 99:
        assert made._launch("5", started_before=False) is GENESIS
    else:
        with pytest.raises(QueryFailed):
            made._launch("5", started_before=False)
    assert slept == pauses
