# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due of a running node's peers, and when its node is restarted for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.interchain.security.plugins.module_utils.ics import node_settings
from ansible_collections.interchain.security.plugins.module_utils.ics.peer_updates import (
    NODE_PAUSE,
    TURN,
    TURN_BEGINS_WITHIN,
    UNREACHED_PAUSE,
    Past,
    Turn,
    after_restart,
    decide,
    missing,
    noted,
    settled,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import BondStatus, Validator

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A, B = "aa" * 20, "bb" * 20
WANTED = {"alice": f"{A}@192.0.2.1:26756", "bob": f"{B}@192.0.2.2:26756"}


def settle(past: Past, connected: set[str] | frozenset[str] = frozenset(), made: datetime | None = None) -> Past:
    return settled(past, WANTED, connected, made, NOW, HOUR)


def member(operator: str, status: BondStatus = BondStatus.BONDED) -> Validator:
    return Validator(operator, operator, 1, False, status, "", bytes(32))


def test_who_is_connected_counts_by_node_id_wherever_it_is_said_to_be() -> None:
    assert missing(WANTED, {A}) == [WANTED["bob"]]
    assert missing(WANTED, {A, B, "cc" * 20}) == []


def test_what_is_configured_already_is_not_due() -> None:
    past = noted(Past(), WANTED, [WANTED["alice"], f"{B}@old.example.com:26756"], NOW)
    assert dict(past.due) == {"bob": NOW}


def test_who_has_left_is_due_no_more() -> None:
    past = noted(Past(due={"gone": NOW}), WANTED, list(WANTED.values()), NOW)
    assert dict(past.due) == {}


@pytest.mark.parametrize(
    ("connected", "made", "due"),
    [
        (set(), NOW - HOUR, {"bob"}),  # the node is older than the address
        ({B}, NOW - HOUR, set()),  # it has dialled us
        (set(), NOW + timedelta(seconds=1), set()),  # the node was started anew since, and dials by itself
        (set(), None, {"bob"}),
    ],
)
def test_what_stays_due(connected: set[str], made: datetime | None, due: set[str]) -> None:
    assert set(settle(Past(due={"bob": NOW}), connected, made).due) == due


def test_a_node_that_lacks_nobody_is_left_alone() -> None:
    assert not decide(settle(Past(due={"bob": NOW}), {B}), WANTED, NOW, HOUR).restart


def test_a_restart_names_why() -> None:
    found = decide(Past(due={"bob": NOW}), WANTED, NOW, HOUR)
    assert found.restart
    assert found.operators == ("bob",)
    assert WANTED["bob"] in found.reason


def test_not_again_for_the_same_validator_wherever_it_moves() -> None:
    past = after_restart(Past(due={"bob": NOW}), ["bob"], NOW)
    assert dict(past.due) == {}
    moved = noted(past, {"bob": f"{'cd' * 20}@192.0.2.77:26756"}, [], NOW + NODE_PAUSE)
    again = decide(moved, WANTED, NOW + HOUR, HOUR)
    assert not again.restart
    assert "lately" in again.reason


@pytest.mark.parametrize(
    ("wanted", "connected", "after", "kept"),
    [
        (WANTED, {B}, HOUR - timedelta(seconds=1), True),
        (WANTED, {B}, HOUR, False),
        (WANTED, set(), HOUR, True),  # it was not there, wherever it says it is now
        ({}, {B}, HOUR, True),  # or it has taken its announcement back
        (WANTED, set(), UNREACHED_PAUSE, False),
    ],
)
def test_how_long_a_restart_for_a_validator_counts(
    wanted: dict[str, str], connected: set[str], after: timedelta, kept: bool
) -> None:
    past = settled(Past(restarted={"bob": NOW}), wanted, connected, NOW, NOW + after, HOUR)
    assert ("bob" in past.restarted) == kept


def test_not_for_anybody_shortly_after_a_restart() -> None:
    past = Past(due={"bob": NOW}, restarted={"alice": NOW})
    early = decide(past, WANTED, NOW + NODE_PAUSE - timedelta(seconds=1), HOUR)
    assert not early.restart
    assert "another peer" in early.reason
    assert decide(past, WANTED, NOW + NODE_PAUSE, HOUR).restart


def test_a_node_that_was_told_is_not_restarted() -> None:
    found = decide(Past(due={"bob": NOW}), WANTED, NOW + NODE_PAUSE, HOUR, told=True)
    assert not found.restart
    assert WANTED["bob"] in found.reason
    assert "goes on dialling" in found.reason
    assert decide(Past(), WANTED, NOW, HOUR, told=True).reason == ""


@given(st.lists(st.sampled_from(["alice", "bob"]), min_size=1, max_size=200))
def test_whatever_is_announced_in_a_day_a_node_is_restarted_seldom(moves: list[str]) -> None:
    """One of the two moves to an address that leads nowhere, again and again, at every check."""
    past, configured, restarts = Past(), dict(WANTED), 0
    step = timedelta(days=1) / len(moves)
    for number, mover in enumerate(moves):
        now = NOW + step * number
        wanted = {**configured, mover: f"{number:040x}@192.0.2.9:26756"}
        past = settled(noted(past, wanted, list(configured.values()), now), wanted, set(), NOW - HOUR, now, HOUR)
        configured = wanted
        verdict = decide(past, wanted, now, HOUR)
        if verdict.restart:
            restarts += 1
            past = after_restart(past, verdict.operators, now)
    assert 1 <= restarts <= 2


def restarts_within(hours: int, every: timedelta, late: dict[str, timedelta]) -> list[tuple[datetime, str]]:
    """Mallory moves to an address that leads nowhere; return when whose monitor restarts its node for that. They look at different times."""
    members = [member(name) for name in ("mallory", *late)]
    bad = {"mallory": f"{'ab' * 20}@192.0.2.1:26756"}
    done = []
    for name, delay in late.items():
        past = noted(Past(), bad, (), NOW + delay)
        for number in range(hours * HOUR // every):
            now = NOW + delay + every * number
            past = settled(past, bad, set(), NOW - HOUR, now, HOUR)
            if decide(past, bad, now, HOUR).restart and not Turn.of(name, members).refusal(now):
                done.append((now, name))
                past = after_restart(past, ["mallory"], now)
    return sorted(done)


@given(
    every=st.integers(45, 85).map(lambda seconds: timedelta(seconds=seconds)),
    delays=st.lists(st.integers(0, 1200), min_size=4, max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_one_bad_announcement_restarts_the_nodes_of_a_chain_one_after_the_other(
    every: timedelta, delays: list[int]
) -> None:
    """However late a monitor has heard of it, and even if all have waited for the same thing meanwhile."""
    late = dict(zip(("alice", "bob", "carol", "dave"), (timedelta(seconds=one) for one in delays), strict=True))
    done = restarts_within(2, every, late)
    assert sorted(name for _at, name in done) == sorted(late)
    for (before, _one), (after, _other) in pairwise(done):
        assert after - before >= TURN - TURN_BEGINS_WITHIN


def test_whose_turn_it_is() -> None:
    members = [member(name) for name in ("carol", "alice", "bob")]
    members += [member("aaron", BondStatus.UNBONDED)]
    assert [Turn.of(name, members) for name in ("alice", "bob", "carol")] == [Turn(rank, 3) for rank in range(3)]
    assert Turn.of("dave", members) == Turn(3, 4)  # it has left, and its node runs still
    assert Turn.of("alice", []).refusal(NOW) == ""
    assert "of the chain's 3 validators begins at 12:02 UTC" in Turn(1, 3).refusal(NOW)
    assert Turn(1, 3).refusal(NOW + TURN) == ""
    assert "begins at 12:08 UTC" in Turn(1, 3).refusal(NOW + TURN + TURN_BEGINS_WITHIN)


def test_what_is_kept_is_read_again() -> None:
    past = Past(due={"bob": NOW}, restarted={"alice": NOW})
    assert Past.parse(past.data()) == past
    assert Past().data() == {"peers_due": "", "peers_restarted": ""}


@pytest.mark.parametrize("text", ["", "x", "[]", '{"bob": 1}', '{"bob": "yesterday"}', "null"])
def test_what_cannot_be_understood_counts_as_not_there(text: str) -> None:
    assert Past.parse({"peers_due": text, "peers_restarted": text}) == Past()


CONFIG = 'moniker = "x"\n\n[p2p]\nexternal_address = "192.0.2.9:26756"\npersistent_peers = "a@b:1,c@d:2"\n\n[consensus]\ntimeout_commit = "1s"\n'


def test_only_the_peers_of_a_config_change() -> None:
    assert node_settings.peers_in(CONFIG) == ("a@b:1", "c@d:2")
    changed = node_settings.with_peers(CONFIG, ["e@f:3"])
    assert changed == CONFIG.replace("a@b:1,c@d:2", "e@f:3")
    assert node_settings.peers_in(node_settings.with_peers(CONFIG, [])) == ()


def test_peers_alone_do_not_make_a_node_run_otherwise() -> None:
    files = {"config.toml": CONFIG, "app.toml": "x = 1\n"}
    assert node_settings.starts_alike(files, {**files, "config.toml": node_settings.with_peers(CONFIG, [])})
    assert not node_settings.starts_alike(files, {**files, "config.toml": CONFIG.replace("1s", "2s")})
    assert not node_settings.starts_alike(files, {**files, "app.toml": "x = 2\n"})
    assert not node_settings.starts_alike(files, {"config.toml": "x", "app.toml": "x = 1\n"})
