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
    payer,
    payers,
    pending,
    share_of,
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
    signs_as="consumer1a",
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


def wallets_of(seen: Relaying) -> tuple[str, str]:
    (found,) = [entry for entry in judge(seen, {}, 60) if entry.type == "Wallets"]
    return found.reason, found.message


def test_an_account_that_cannot_pay_says_which_one_needs_how_much_on_which_chain() -> None:
    reason, message = wallets_of(with_amount(WELL, "provider", 999))
    assert (reason, "relayer=" in message) == ("Low", False)
    assert (
        "account cosmos1a on the provider cannot pay for long: it holds 999stake; send it more than 1000stake"
        in message
    )


def test_an_empty_account_on_the_consumer_says_what_it_may_be() -> None:
    reason, message = wallets_of(with_amount(WELL, "consumer", 0))
    assert reason == "Empty"
    assert "account consumer1a on the consumer cannot pay for long: it holds 0stake because" in message
    assert message.endswith("joined later or had announced another one; send it more than 1000stake")


def test_both_accounts_are_asked_for_when_both_need_something() -> None:
    reason, message = wallets_of(with_amount(with_amount(WELL, "consumer", 0), "provider", 1))
    assert reason == "Empty"
    assert "cosmos1a on the provider cannot pay for long: it holds 1stake; send it more than 1000stake; " in message
    assert "consumer1a on the consumer" in message


def test_nobody_is_told_to_send_money_to_a_chain_that_takes_none_yet() -> None:
    closed = replace(with_amount(WELL, "consumer", 0), channel=Decision(Step.BEGIN_CONNECTION, "none"))
    reason, message = wallets_of(closed)
    assert reason == "Empty"
    assert "nobody can send it any before the channel is open" in message
    assert "send it more" not in message
    assert not starts(replace(closed, exists=False), "mark")


OWN = Wallet("consumer", "consumer1a", "stake", 0, 1000)
PUBLIC = Wallet("consumer", "consumer1public", "stake", 100_000, 1000)


@pytest.mark.parametrize(
    ("own", "public", "pays"),
    [
        (0, None, "consumer1a"),
        (0, 100_000, "consumer1public"),
        (999, 100_000, "consumer1public"),  # a stranger may have sent it something
        (1000, 100_000, "consumer1a"),
        (0, 1, "consumer1public"),  # enough for a step or two of the handshake
        (5, 5, "consumer1a"),
        (0, 0, "consumer1a"),  # drained: the own one is what has to be funded
    ],
)
def test_the_public_account_pays_until_the_own_one_can(own: int, public: int | None, pays: str) -> None:
    other = None if public is None else replace(PUBLIC, amount=public)
    assert payer(replace(OWN, amount=own), other).address == pays


def test_an_account_that_need_not_hold_anything_pays_once_it_holds_something() -> None:
    assert payer(replace(OWN, least=0), PUBLIC) == PUBLIC
    assert payer(replace(OWN, least=0, amount=1), PUBLIC).address == "consumer1a"
    assert share_of(replace(OWN, least=0), replace(PUBLIC, amount=1), 100_000, 3) == 0


@pytest.mark.parametrize(
    ("own", "public", "members", "share"),
    [
        (0, 100_000, 3, 25_000),
        (0, 30_000, 3, 15_000),  # others were there before: half of what is left
        (0, 1_999, 3, 0),  # not worth it
        (999, 100_000, 3, 25_000),
        (1000, 100_000, 3, 0),
        (0, 0, 3, 0),
        (0, 100_000, 99, 1000),
        (0, 100_000, 100, 0),
        (0, 100_000, 0, 50_000),
        (0, 10**30, 1, 50_000),
    ],
)
def test_each_member_gets_a_share_of_the_public_account(own: int, public: int, members: int, share: int) -> None:
    assert share_of(replace(OWN, amount=own), replace(PUBLIC, amount=public), 100_000, members) == share


@pytest.mark.parametrize("members", [1, 2, 3, 10, 90])
def test_the_shares_of_all_members_leave_some_for_who_knows_no_other_account(members: int) -> None:
    left = 100_000
    for _member in range(members):
        share = share_of(OWN, replace(PUBLIC, amount=left), 100_000, members)
        assert share >= OWN.least
        left -= share
    assert left >= 100_000 // (members + 1)


def test_without_a_public_account_there_is_no_share() -> None:
    assert share_of(OWN, None, 100_000, 3) == 0


def test_the_public_account_is_replaced_by_the_own_one() -> None:
    begun = replace(
        with_amount(WELL, "consumer", 0),
        public=PUBLIC,
        channel=Decision(Step.BEGIN_CONNECTION, ""),
        exists=False,
        signs_as="",
    )
    assert wallets_of(begun)[0] == "PublicPays"
    assert [wallet.address for wallet in payers(begun)] == ["cosmos1a", "consumer1public"]
    assert starts(begun, "mark")

    opened = replace(begun, channel=OPEN, exists=True, signs_as="consumer1public")
    assert not starts(opened, "mark")  # no payment is taken before the first VSC packet
    assert starts(replace(opened, share=25_000), "mark")

    paid = replace(with_amount(opened, "consumer", 25_000), public=replace(PUBLIC, amount=75_000))
    assert wallets_of(paid)[0] == "CanPay"
    assert starts(paid, "mark")  # with its own key now
    assert not starts(replace(paid, signs_as="consumer1a"), "mark")


def test_a_drained_public_account_leaves_the_own_one_to_be_funded() -> None:
    drained = replace(with_amount(WELL, "consumer", 0), public=replace(PUBLIC, amount=0), signs_as="consumer1public")
    reason, message = wallets_of(drained)
    assert (reason, "account consumer1a on the consumer" in message) == ("Empty", True)
    assert message.endswith("send it more than 1000stake")
    assert starts(drained, "mark")


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


def restarts_handshake(seen: Relaying, relayer_seconds: int, channel_seconds: int) -> bool:
    ages = {"Relayer": relayer_seconds, "Channel": channel_seconds}
    kept = [
        replace(entry, since=(NOW - timedelta(seconds=ages.get(entry.type, 0))).strftime("%Y-%m-%dT%H:%M:%SZ"))
        for entry in judge(seen, {}, 60)
    ]
    return should_restart(seen, {entry.type: entry for entry in kept}, PAUSE, None)


@pytest.mark.parametrize("step", [Step.AWAIT_CONNECTION, Step.AWAIT_CHANNEL])
def test_hermes_is_restarted_for_a_handshake_that_it_has_given_up(step: Step) -> None:
    stalled = replace(WELL, packets=None, channel=Decision(step, "connection-0 is INIT on the consumer"))
    assert restarts_handshake(stalled, 90, 90)
    assert not restarts_handshake(stalled, 89, 90)  # it has begun only now
    assert not restarts_handshake(stalled, 90, 89)
    assert not restarts_handshake(with_amount(stalled, "provider", 0), 90, 90)
    assert not restarts_handshake(replace(stalled, pod=Pod("uid", ready=False)), 90, 90)
    expired = with_client(stalled, "consumer", LightClient("07-tendermint-0", "Expired"))
    assert not restarts_handshake(expired, 90, 90)


@pytest.mark.parametrize("step", [Step.BEGIN_CONNECTION, Step.BEGIN_CHANNEL, Step.CLOSED, Step.OPEN])
def test_a_step_that_is_not_for_hermes_restarts_none(step: Step) -> None:
    assert not restarts_handshake(replace(WELL, channel=Decision(step, "")), 9999, 9999)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (WELL, False),
        (replace(WELL, settings="older"), True),
        (replace(WELL, exists=False), True),
        (replace(WELL, signs_as="consumer1other"), True),
        (replace(WELL, wallets=()), False),
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
