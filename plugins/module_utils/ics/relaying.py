# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does a consumer's relayer relay? What was seen of it and of the two chains in, conditions with their reasons out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.interchain.security.plugins.module_utils.ics.ccv_channel import TURN_SECONDS, Decision, Step
from ansible_collections.interchain.security.plugins.module_utils.ics.health import (
    FALSE,
    TRUE,
    UNKNOWN,
    Condition,
    Pod,
    moment,
)

PENDING = "relayer_pending"  # of a consumer's document: the oldest VSC packet that was not delivered, and the provider's height when that was first seen
CONDITIONS = "relayer_conditions"
CHANNEL = "ccv_channel"  # of a consumer's document: the next step of its handshake, or open
CONSUMER, PROVIDER = "consumer", "provider"
LATE_FRACTION = 4  # a client with less than this part of its trusting period left should have been updated long ago
STALLED = timedelta(seconds=TURN_SECONDS)  # a step of the handshake that a running Hermes has not finished by then


@dataclass(frozen=True)
class LightClient:
    """A light client; ``status`` is the chain's word, such as Active, Expired or Frozen, ``expires`` when it does without an update."""

    client_id: str
    status: str
    expires: datetime | None = None
    trusting_period: timedelta = timedelta()


@dataclass(frozen=True)
class Wallet:
    """What the relayer's account holds on a chain, in utokens of the denom that it pays fees with."""

    chain: str
    address: str
    denom: str
    amount: int
    least: int

    @property
    def can_pay(self) -> bool:
        """Whether it can pay for a while."""
        return self.amount >= max(self.least, 1)


@dataclass(frozen=True)
class Packets:
    """VSC packets by number: the last one that the provider sent and the last one that the consumer received; ``height`` is the provider's."""

    sent: int
    received: int
    height: int


@dataclass(frozen=True)
class Relaying:
    """What was seen. None and empty: it could not be asked, and ``problem`` says why. ``clients`` are on the (consumer, provider).

    ``refusal`` is why Hermes cannot relay for this consumer at all, ``signs_as`` the account on the consumer that it was deployed with. ``wallets`` are the
    validator's own, on the provider and on the consumer. ``public`` is the publicly known account on a consumer whose genesis funds no other one, and
    ``share`` what the own one is to get of it now.
    """

    now: datetime
    exists: bool = True
    wanted: bool = True
    pod: Pod | None = None
    settings: str = ""
    signs_as: str = ""
    problem: str = ""
    refusal: str = ""
    channel: Decision | None = None
    may_begin: bool = False
    wallets: tuple[Wallet, ...] = ()
    public: Wallet | None = None
    share: int = 0
    clients: Mapping[str, LightClient] | None = None
    packets: Packets | None = None


def payer(own: Wallet, public: Wallet | None) -> Wallet:
    """Return who pays on the consumer: the validator's own account, or the public one for as long as the own one cannot pay and holds less."""
    return own if public is None or own.can_pay or public.amount <= own.amount else public


def share_of(own: Wallet, public: Wallet | None, funded: int, members: int) -> int:
    """Return how much of the public account's money a validator's own account is to get; 0 when it needs none, or there is none worth a transaction.

    ``funded`` is what the genesis gave. It is shared among the members, with one part left for relayers that know no other account. More than half of what
    is left is never taken, so that somebody who comes late finds something too.
    """
    if public is None or own.can_pay:
        return 0
    part = min(funded // (members + 1), public.amount // 2)
    return part if part >= max(own.least, 1) else 0


def payers(seen: Relaying) -> tuple[Wallet, ...]:
    """Return the accounts that Hermes is to sign with, on the provider and on the consumer."""
    return tuple(payer(wallet, seen.public) if wallet.chain == CONSUMER else wallet for wallet in seen.wallets)


def pending(seen: Relaying, memory: Mapping[str, str]) -> str:
    """Return what a consumer's document has to say of the oldest packet that was not delivered; empty when all were."""
    packets = seen.packets
    if packets is None:
        return memory.get(PENDING, "")
    if packets.received >= packets.sent:
        return ""
    first = packets.received + 1
    number, height = _pending_of(memory)
    return f"{first} {height if number == first else packets.height}"


def _pending_of(memory: Mapping[str, str]) -> tuple[int, int]:
    parts = memory.get(PENDING, "").split()
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        return 0, 0
    return int(parts[0]), int(parts[1])


def judge(seen: Relaying, memory: Mapping[str, str], stuck_blocks: int) -> list[Condition]:
    """Return the conditions Relayer, Channel, Wallets, Clients and Packets.

    A VSC packet is stuck when it was not delivered ``stuck_blocks`` provider blocks after it was first seen.
    """
    return [_relayer(seen), _channel(seen), _wallets(seen), _clients(seen), _packets(seen, memory, stuck_blocks)]


def _relayer(seen: Relaying) -> Condition:
    def no(reason: str, message: str) -> Condition:
        return Condition("Relayer", FALSE, reason, message)

    if seen.refusal:
        return no("ChainId", seen.refusal)
    if not seen.exists:
        if seen.channel is not None and seen.channel.step is not Step.OPEN and not seen.may_begin:
            return no(
                "NotItsTurn",
                "it starts when the channel is open, or when the validators before this one have not opened it",
            )
        return no("Missing", "Hermes is not deployed (yet)")
    if not seen.wanted:
        return no("Stopped", "Hermes is stopped")
    pod = seen.pod
    if pod is None:
        return no("NoPod", "Hermes has no pod (yet)")
    ended = f"; it was started again {pod.restarts} times, last because: {pod.last_end}" if pod.restarts else ""
    if not pod.running:
        return no("Waiting", f"its container does not run: {pod.waits or 'no reason is known'}{ended}")
    if not pod.ready:
        return no("NotReady", f"Hermes does not answer{ended}")
    return Condition("Relayer", TRUE, "Ready", f"Hermes runs{ended}")


def _unknown(kind: str, seen: Relaying) -> Condition:
    return Condition(kind, UNKNOWN, "NotAsked", seen.problem or "the chains were not asked")


def _channel(seen: Relaying) -> Condition:
    found = seen.channel
    if found is None:
        return _unknown("Channel", seen)
    if found.step is Step.OPEN:
        return Condition("Channel", TRUE, "Open", found.reason)
    return Condition("Channel", FALSE, found.step.name.title().replace("_", ""), found.reason)


def _wallets(seen: Relaying) -> Condition:
    if not seen.wallets:
        return _unknown("Wallets", seen)
    poor = [wallet for wallet in payers(seen) if wallet.amount < wallet.least]
    if poor:
        reason = "Empty" if any(wallet.amount == 0 for wallet in poor) else "Low"
        return Condition("Wallets", FALSE, reason, "; ".join(_request(seen, wallet) for wallet in poor))
    if seen.public in payers(seen):
        return Condition(
            "Wallets",
            TRUE,
            "PublicPays",
            "the account whose key everybody knows pays on the consumer until the validator's own one has got its share",
        )
    return Condition("Wallets", TRUE, "CanPay", "the relayer's accounts on both chains can pay")


def _request(seen: Relaying, wallet: Wallet) -> str:
    what = f"the relayer's account {wallet.address} on the {wallet.chain} cannot pay for long: it holds {wallet.amount}{wallet.denom}"
    if wallet.chain == CONSUMER and (seen.channel is None or seen.channel.step is not Step.OPEN):
        return f"{what}, and nobody can send it any before the channel is open, so another member has to open that"
    if wallet.chain == CONSUMER and wallet.amount == 0 and seen.public is None:
        what += (
            " because the genesis gives to the accounts that the members had announced at the launch (relayer=), and this validator joined later or had "
            "announced another one"
        )
    return f"{what}; send it more than {wallet.least}{wallet.denom}"


def _clients(seen: Relaying) -> Condition:
    if not seen.clients:
        return _unknown("Clients", seen)
    for where, client in seen.clients.items():
        if client.status != "Active":
            return Condition(
                "Clients",
                FALSE,
                client.status or "Unknown",
                f"client {client.client_id} on the {where} is {client.status.lower()}: no packet passes any more, and only governance can recover it",
            )
    for where, client in seen.clients.items():
        if client.expires is not None and client.expires - seen.now < client.trusting_period / LATE_FRACTION:
            return Condition(
                "Clients",
                FALSE,
                "NearExpiry",
                f"client {client.client_id} on the {where} expires soon: nobody updates it",
            )
    return Condition("Clients", TRUE, "Active", "the light clients on both chains are active")


def _packets(seen: Relaying, memory: Mapping[str, str], stuck_blocks: int) -> Condition:
    packets = seen.packets
    if packets is None:
        if seen.channel is not None and seen.channel.step is not Step.OPEN:
            return Condition("Packets", UNKNOWN, "NoChannel", "there is no open channel yet")
        return _unknown("Packets", seen)
    if packets.received >= packets.sent:
        return Condition("Packets", TRUE, "Delivered", "the consumer has every VSC packet that the provider sent")
    number, height = _pending_of(memory)
    if number == packets.received + 1 and packets.height - height > stuck_blocks:
        return Condition(
            "Packets",
            FALSE,
            "Stuck",
            f"VSC packet {number} was not delivered for more than {stuck_blocks} blocks of the provider",
        )
    return Condition("Packets", TRUE, "UnderWay", "a VSC packet is on its way")


def starts(seen: Relaying, settings: str) -> bool:
    """Tell whether the relayer is to be deployed, or deployed anew with other settings, or has a step of the handshake to begin."""
    if seen.channel is None or seen.channel.step is Step.CLOSED or seen.refusal:
        return False
    is_open = seen.channel.step is Step.OPEN
    signers = payers(seen)
    can_pay = all(wallet.amount > 0 for wallet in signers)
    if not is_open and not (seen.may_begin and can_pay):
        return False
    begins = seen.channel.step in (Step.BEGIN_CONNECTION, Step.BEGIN_CHANNEL)
    signs_as_another = any(wallet.chain == CONSUMER and wallet.address != seen.signs_as for wallet in signers)
    return not seen.exists or seen.settings != settings or signs_as_another or seen.share > 0 or begins


def should_restart(
    seen: Relaying, conditions: Mapping[str, Condition], pause: timedelta, last: datetime | None
) -> bool:
    """Tell whether Hermes is started anew: packets or a handshake are stuck, it runs, and neither its wallets nor the clients are the reason.

    A pod of Hermes holds nothing that another one could not read again. It looks for overlooked packets and unfinished handshakes when it starts.
    """
    well = all(conditions[kind].status == TRUE for kind in ("Relayer", "Wallets"))
    active = conditions["Clients"].status == TRUE or conditions["Clients"].reason == "NearExpiry"
    due = last is None or seen.now - last >= pause
    is_open = conditions["Channel"].status == TRUE
    stuck = is_open and (conditions["Packets"].reason == "Stuck" or conditions["Clients"].reason == "NearExpiry")
    return well and active and due and (stuck or _stalled(seen, conditions))


def _stalled(seen: Relaying, conditions: Mapping[str, Condition]) -> bool:
    """Tell whether a handshake waits for a Hermes that has run long enough to finish its step: Hermes gives a step up after a few seconds of errors."""
    if seen.channel is None or seen.channel.step not in (Step.AWAIT_CONNECTION, Step.AWAIT_CHANNEL):
        return False
    since = [moment(conditions[kind].since) for kind in ("Relayer", "Channel")]
    return all(entry is not None and seen.now - entry >= STALLED for entry in since)
