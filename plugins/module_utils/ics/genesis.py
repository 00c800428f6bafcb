# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The genesis of a consumer chain: the same content from every validator's monitor."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import (
    address,
    announcement,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import ConsumerValidator

DENOM = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
LARGEST_AMOUNT = 10**30
METADATA_KEY = "interchain_security"
ICS_OPERATOR = "ics-operator"
PROFILES = ("relayers", ICS_OPERATOR)

# The one account that the monitor ics-operator funds. Its key is publicly known, so only chains shared with that monitor take this profile.
ICS_OPERATOR_ACCOUNT = "consumer1r5v5srda7xfth3hn2s26txvrcrntldju7725yc"
ICS_OPERATOR_MNEMONIC = " ".join(["abandon"] * 23 + ["art"])

# Of the Cosmos SDK, IBC and Interchain Security, where the name is not that of the module.
MODULE_ACCOUNT_NAMES = (
    "bonded_tokens_pool",
    "cons_redistribute",
    "cons_to_send_to_provider",
    "consumer_rewards_pool",
    "distribution",
    "fee_collector",
    "feeibc",
    "gov",
    "interchainaccounts",
    "mint",
    "nft",
    "not_bonded_tokens_pool",
    "protocolpool",
    "protocolpool_escrow",
    "transfer",
)

# A ConfigMap holds 1 MiB in all, counted before base64; what does not fit goes compressed, in parts of this size. A node mounts as many (role node).
LARGEST_PLAIN = 900_000
PART_SIZE = 1_000_000
MOST_PARTS = 32
LARGEST_GENESIS = 256 * 1024 * 1024


@dataclass(frozen=True)
class Funding:
    """What each relayer account holds at genesis, so that it can pay for the handshake of the CCV channel."""

    amount: int = 100_000_000
    denom: str = "stake"

    def __post_init__(self) -> None:
        if not 0 < self.amount <= LARGEST_AMOUNT:
            raise InvalidInput(f"the relayer amount must lie between 1 and {LARGEST_AMOUNT}")
        if not DENOM.fullmatch(self.denom):
            raise InvalidInput(f"not a denom: {self.denom[:60]!r}")


@dataclass(frozen=True)
class GenesisSettings:
    """What the operator says of a chain's genesis."""

    profile: str
    address_prefix: str
    funding: Funding

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> GenesisSettings:
        """Read genesis_profile, address_prefix, denom and relayer_amount; InvalidInput by their names."""
        if values["genesis_profile"] not in PROFILES:
            raise InvalidInput(f"genesis_profile must be one of {', '.join(PROFILES)}")
        if not re.fullmatch(r"[a-z]{1,20}", values["address_prefix"]):
            raise InvalidInput("address_prefix must be 1 to 20 lower-case letters, e.g. consumer")
        if not re.fullmatch(r"[0-9]{1,31}", values["relayer_amount"]):
            raise InvalidInput("relayer_amount must be a whole number of the denom, as text")
        funding = Funding(int(values["relayer_amount"]), values["denom"])
        return cls(values["genesis_profile"], values["address_prefix"], funding)


@dataclass(frozen=True)
class ConsumerGenesis:
    """A finished genesis: its canonical text and the SHA-256 of that text (hex)."""

    text: str
    content_hash: str


def funding_of(metadata: str, default: Funding) -> Funding:
    """Return the funding that the owner states in the consumer's metadata, else the default.

    The metadata is a stranger's text of at most 255 bytes. Only a JSON object with
    ``{"interchain_security": {"relayer_amount": <digits or int>, "relayer_denom": <denom>}}`` counts, and only within bounds.
    """
    try:
        stated = json.loads(metadata)[METADATA_KEY]
        amount, denom = (
            stated.get("relayer_amount", default.amount),
            stated.get("relayer_denom", default.denom),
        )
        if isinstance(amount, bool) or not re.fullmatch(r"[0-9]{1,31}", str(amount)) or not isinstance(denom, str):
            return default
        return Funding(int(amount), denom)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        InvalidInput,
    ):
        return default


def module_accounts(base: Mapping[str, Any]) -> frozenset[bytes]:
    """Return the raw addresses that belong to modules of the chain, as far as its base genesis and the names in use tell.

    With an account of another kind in such a place the chain's node panics at its first start.
    """
    state = base.get("app_state")
    names = {*MODULE_ACCOUNT_NAMES, *(state if isinstance(state, dict) else ())}
    return frozenset(address.decode(address.module_account(name, "module"))[1] for name in names)


def relayer_accounts(
    validators: Sequence[ConsumerValidator], address_prefix: str, modules: frozenset[bytes] = frozenset()
) -> list[str]:
    """Return the accounts to fund, in operator address order, each once.

    For every validator it is the address that it announced, unless that is one of ``modules``, else its operator's own account, under
    the consumer's prefix.
    """
    accounts: list[str] = []
    for validator in sorted(validators, key=lambda member: member.operator_address):
        announced = announcement.parse(validator.details).relayer
        account = address.with_prefix(validator.operator_address, address_prefix)
        with suppress(
            InvalidInput
        ):  # nothing announced, or not an address: a stranger's mistake must not stop the launch
            if address.decode(announced)[1] not in modules:
                account = address.with_prefix(announced, address_prefix)
        if account not in accounts:
            accounts.append(account)
    return accounts


def accounts_of(
    profile: str, validators: Sequence[ConsumerValidator], address_prefix: str, base: Mapping[str, Any]
) -> list[str]:
    """Return the accounts to fund under a profile: ``relayers`` (ours) or ``ics-operator`` (chains shared with that monitor)."""
    if profile == ICS_OPERATOR:
        return [address.with_prefix(ICS_OPERATOR_ACCOUNT, address_prefix)]
    return relayer_accounts(validators, address_prefix, module_accounts(base))


def checked_base(text: str, source: str, genesis_hash: str) -> dict[str, Any]:
    """Return the base genesis out of its text; InvalidInput when it is none or not the one that the chain's owner named.

    ``genesis_hash`` is the SHA-256 (hex) of the file as the consumer's initialization parameters state it; empty when they state none.
    """
    actual = hash_of(text)
    if genesis_hash and genesis_hash.lower() != actual:
        raise InvalidInput(
            f"the base genesis from {source} has SHA-256 {actual}, but the consumer's owner states genesis_hash "
            f"{genesis_hash.lower()[:128]} on chain: get the owner's file and name it in the catalogue (base_genesis)"
        )
    try:
        base = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the base genesis from {source} is not JSON: {error}") from error
    if not isinstance(base, dict):
        raise InvalidInput(f"the base genesis from {source} is not a JSON object")
    return base


def hash_of(text: str) -> str:
    """Return the SHA-256 of a genesis file in hex, as genesis_hash states it."""
    return hashlib.sha256(text.encode()).hexdigest()


def parts(text: str) -> list[bytes]:
    """Return a genesis as the parts that go into one ConfigMap each: empty when it fits into one as it is, else cut gzip data.

    The same text gives the same parts. InvalidInput when it is larger than any node would take, or needs more parts than a node mounts.
    """
    raw = text.encode()
    if len(raw) <= LARGEST_PLAIN:
        return []
    if len(raw) > LARGEST_GENESIS:
        raise InvalidInput(f"the genesis has {len(raw)} bytes; {LARGEST_GENESIS} are the most")
    packed = gzip.compress(raw, mtime=0)
    if len(packed) > MOST_PARTS * PART_SIZE:
        raise InvalidInput(f"the genesis has {len(packed)} bytes compressed; {MOST_PARTS * PART_SIZE} are the most")
    return [packed[start : start + PART_SIZE] for start in range(0, len(packed), PART_SIZE)]


def joined(pieces: Sequence[bytes]) -> str:
    """Return the text that :func:`parts` cut; InvalidInput when a piece is missing or changed."""
    try:
        return gzip.decompress(b"".join(pieces)).decode()
    except (OSError, EOFError, ValueError) as error:
        raise InvalidInput(f"the parts of the genesis do not belong together: {error}") from error


def rfc3339_seconds(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC, cut to whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(
    base: dict[str, Any],
    ccv_genesis: dict[str, Any],
    *,
    chain_id: str,
    spawn_time: datetime,
    initial_height: int,
    accounts: Sequence[str],
    funding: Funding,
) -> ConsumerGenesis:
    """Build the genesis from the base made by the consumer's binary.

    ``ccv_genesis`` is the provider's answer and replaces ``app_state.ccvconsumer`` unchanged. InvalidInput when the base is
    not the genesis of a consumer chain.
    """
    try:
        merged = json.loads(json.dumps(base))
        state = merged["app_state"]
        if "ccvconsumer" not in state:
            raise InvalidInput(
                "the base genesis has no app_state.ccvconsumer: it is not made by a consumer chain's binary"
            )
        auth, bank = state["auth"]["accounts"], state["bank"]
        known = json.dumps(auth)
        for account in accounts:
            if f'"{account}"' not in known:  # one of the base stays of the kind that it is
                auth.append(
                    {
                        "@type": "/cosmos.auth.v1beta1.BaseAccount",
                        "address": account,
                        "pub_key": None,
                        "account_number": str(len(auth)),
                        "sequence": "0",
                    }
                )
            _fund(bank["balances"], account, funding)
        supply = {coin["denom"]: int(coin["amount"]) for coin in bank["supply"]}
        supply[funding.denom] = supply.get(funding.denom, 0) + funding.amount * len(accounts)
        bank["supply"] = [{"denom": denom, "amount": str(supply[denom])} for denom in sorted(supply)]
        bank["balances"].sort(key=lambda balance: str(balance["address"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"the base genesis is not that of a Cosmos SDK chain: {error!r} is missing or of another type"
        ) from error
    state["ccvconsumer"] = ccv_genesis
    merged.update(
        chain_id=chain_id,
        genesis_time=rfc3339_seconds(spawn_time),
        initial_height=initial_height,
    )
    merged.pop("validators", None)
    text = canonical(merged)
    return ConsumerGenesis(text, hash_of(text))


def _fund(balances: list[dict[str, Any]], account: str, funding: Funding) -> None:
    """Add the funding to what the account has."""
    balance = next((one for one in balances if one["address"] == account), None)
    if balance is None:
        balance = {"address": account, "coins": []}
        balances.append(balance)
    coins = {coin["denom"]: int(coin["amount"]) for coin in balance["coins"]}
    coins[funding.denom] = coins.get(funding.denom, 0) + funding.amount
    balance["coins"] = [{"denom": denom, "amount": str(coins[denom])} for denom in sorted(coins)]


def canonical(content: Any) -> str:
    """Return JSON with sorted keys and no white space, in ASCII: equal content gives equal text."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
