# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of a relayer, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import Decision, Step
from ansible_collections.interchain.security.plugins.module_utils.ics.health import Pod, is_well
from ansible_collections.interchain.security.plugins.module_utils.ics.relaying import (
    PENDING,
    LightClient,
    Packets,
    Relaying,
    Wallet,
    judge,
    pending,
    should_restart,
    starts,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = timedelta(days=10)
OPEN = Decision(Step.OPEN, "open", "connection-0", "connection-1", "channel-0", "channel-1")
WELL = Relaying(
    NOW,
    pod=Pod("uid"),
    settings="mark",
    channel=OPEN,
    may_begin=True,
    wallets=(
        Wallet("provider", "cosmos1a", "stake", 5000, 1000),
        Wallet("consumer", "consumer1a", "stake", 5000, 1000),
    ),
    clients={
        "consumer": LightClient("07-tendermint-0", "Active", NOW + PERIOD / 2, PERIOD),
        "provider": LightClient("07-tendermint-4", "Active", NOW + PERIOD / 2, PERIOD),
    },
    packets=Packets(sent=4, received=4, height=100),
)
PAUSE = timedelta(minutes=10)


def with_amount(seen: Relaying, chain: str, amount: int) -> Relaying:
    return replace(
        seen,
        wallets=tuple(replace(entry, amount=amount) if entry.chain == chain else entry for entry in seen.wallets),
    )


def with_client(seen: Relaying, chain: str, client: LightClient) -> Relaying:
    return replace(seen, clients={**(seen.clients or {}), chain: client})


def reasons(seen: Relaying, **memory: str) -> dict[str, str]:
    return {entry.type: entry.reason for entry in judge(seen, memory, 60)}


def test_all_is_well() -> None:
    assert is_well(judge(WELL, {}, 60))


@pytest.mark.parametrize(
    ("seen", "kind", "reason"),
    [
        (replace(WELL, exists=False, wanted=False), "Relayer", "Missing"),
        (replace(WELL, wanted=False), "Relayer", "Stopped"),
        (replace(WELL, exists=False, refusal="no such chain_id"), "Relayer", "ChainId"),
        (replace(WELL, pod=None), "Relayer", "NoPod"),
        (replace(WELL, pod=Pod("uid", running=False, waits="CrashLoopBackOff")), "Relayer", "Waiting"),
        (replace(WELL, pod=Pod("uid", ready=False)), "Relayer", "NotReady"),
        (replace(WELL, channel=Decision(Step.AWAIT_CHANNEL, "INIT")), "Channel", "AwaitChannel"),
        (replace(WELL, channel=Decision(Step.CLOSED, "closed")), "Channel", "Closed"),
        (with_amount(WELL, "provider", 0), "Wallets", "Empty"),
        (with_amount(WELL, "consumer", 0), "Wallets", "Empty"),
        (with_amount(WELL, "provider", 999), "Wallets", "Low"),
        (with_client(WELL, "provider", LightClient("07-tendermint-4", "Expired")), "Clients", "Expired"),
        (with_client(WELL, "consumer", LightClient("07-tendermint-0", "Frozen")), "Clients", "Frozen"),
        (
            with_client(WELL, "consumer", LightClient("07-tendermint-0", "Active", NOW + PERIOD / 5, PERIOD)),
            "Clients",
            "NearExpiry",
        ),
    ],
)
def test_what_is_wrong_has_its_reason(seen: Relaying, kind: str, reason: str) -> None:
    found = {entry.type: entry for entry in judge(seen, {}, 60)}
    assert (found[kind].status, found[kind].reason) == ("False", reason)
    others = [entry for entry in found.values() if entry.type not in (kind, "Packets") and entry.status != "True"]
    assert not others


def test_an_empty_account_on_the_consumer_says_what_it_may_be() -> None:
    found = {entry.type: entry for entry in judge(with_amount(WELL, "consumer", 0), {}, 60)}
    assert "consumer1a" in found["Wallets"].message
    assert "relayer=" in found["Wallets"].message


def test_chains_that_cannot_be_asked_leave_all_unknown() -> None:
    seen = Relaying(NOW, pod=Pod("uid"), problem="no answer")
    found = {entry.type: entry for entry in judge(seen, {}, 60)}
    assert found["Relayer"].status == "True"
    assert {found[kind].status for kind in ("Channel", "Wallets", "Clients", "Packets")} == {"Unknown"}
    assert found["Packets"].message == "no answer"


def test_before_its_turn_a_relayer_is_not_missing() -> None:
    seen = replace(WELL, exists=False, may_begin=False, channel=Decision(Step.BEGIN_CONNECTION, "none"))
    assert reasons(seen)["Relayer"] == "NotItsTurn"


def test_a_packet_is_stuck_when_it_is_the_same_one_for_many_blocks() -> None:
    late = replace(WELL, packets=Packets(sent=6, received=4, height=200))
    assert pending(late, {}) == "5 200"
    assert reasons(late)["Packets"] == "UnderWay"
    assert pending(late, {PENDING: "5 150"}) == "5 150"
    assert reasons(late, **{PENDING: "5 150"})["Packets"] == "UnderWay"
    assert reasons(late, **{PENDING: "5 139"})["Packets"] == "Stuck"
    # Others came through meanwhile.
    assert pending(late, {PENDING: "4 100"}) == "5 200"
    assert reasons(late, **{PENDING: "4 100"})["Packets"] == "UnderWay"


def test_nothing_pending_is_not_remembered_and_an_unasked_chain_keeps_what_was() -> None:
    assert pending(WELL, {PENDING: "5 150"}) == ""
    assert pending(replace(WELL, packets=None), {PENDING: "5 150"}) == "5 150"


@pytest.mark.parametrize("text", ["", "5", "a b", "5 b", "٥ ٥", "5 6 7"])
def test_a_memory_that_cannot_be_read_counts_as_none(text: str) -> None:
    late = replace(WELL, packets=Packets(sent=6, received=4, height=200))
    assert pending(late, {PENDING: text}) == "5 200"


def restarts(seen: Relaying, last: datetime | None = None, **memory: str) -> bool:
    return should_restart(seen, {entry.type: entry for entry in judge(seen, memory, 60)}, PAUSE, last)


STUCK = replace(WELL, packets=Packets(sent=6, received=4, height=300))
LONG_AGO = {PENDING: "5 100"}


def test_hermes_is_restarted_for_stuck_packets_after_a_pause() -> None:
    assert restarts(STUCK, **LONG_AGO)
    assert not restarts(STUCK, NOW - timedelta(minutes=9), **LONG_AGO)
    assert restarts(STUCK, NOW - timedelta(minutes=11), **LONG_AGO)
    assert not restarts(WELL)


@pytest.mark.parametrize(
    "seen",
    [
        with_amount(STUCK, "provider", 0),
        with_client(STUCK, "provider", LightClient("07-tendermint-4", "Expired")),
        replace(STUCK, pod=Pod("uid", ready=False)),
        replace(STUCK, wanted=False),
        Relaying(NOW, pod=Pod("uid"), problem="no answer"),
    ],
)
def test_a_restart_that_cannot_help_is_left_out(seen: Relaying) -> None:
    assert not restarts(seen, **LONG_AGO)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (WELL, False),
        (replace(WELL, settings="older"), True),
        (replace(WELL, exists=False), True),
        (replace(WELL, exists=False, may_begin=False), True),  # the channel is open: everybody relays
        (replace(WELL, exists=False, channel=Decision(Step.AWAIT_CHANNEL, "")), True),
        (replace(WELL, exists=False, may_begin=False, channel=Decision(Step.AWAIT_CHANNEL, "")), False),
        (replace(WELL, channel=Decision(Step.BEGIN_CHANNEL, "")), True),
        (replace(WELL, channel=Decision(Step.AWAIT_CHANNEL, "")), False),
        (replace(with_amount(WELL, "consumer", 0), channel=Decision(Step.BEGIN_CHANNEL, "")), False),
        (replace(WELL, exists=False, channel=Decision(Step.CLOSED, "")), False),
        (Relaying(NOW, exists=False), False),
        (replace(WELL, exists=False, refusal="no such chain_id"), False),
    ],
)
def test_when_a_relayer_is_deployed(seen: Relaying, expected: bool) -> None:
    assert starts(seen, "mark") is expected
