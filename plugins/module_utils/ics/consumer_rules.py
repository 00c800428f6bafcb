# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The provider's own conditions on a consumer, in the provider's own words, so that they can be told before a transaction is sent.

Source of each rule and of its words: the messages' ValidateBasic and the message server of Interchain Security v7.0.1. What is
true of state (owner, phase) is checked where state is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import address
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    InfractionParameters,
    InitializationParameters,
    PowerShapingParameters,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.provider import FOR_EVER

MAX_CHAIN_ID = 50  # bytes, as all lengths here
MAX_NAME = 50
MAX_DESCRIPTION = 10_000
MAX_METADATA = 255
MAX_HASH = 64
MAX_LISTED_VALIDATORS = 1000
MAX_REWARD_DENOMS = 3
RESERVED_CHAIN_IDS = ("neutron-1", "stride-1")
PERIODS = {
    "unbonding_period": "UnbondingPeriod",
    "ccv_timeout_period": "CcvTimeoutPeriod",
    "transfer_timeout_period": "TransferTimeoutPeriod",
}
COUNTS = {
    "blocks_per_distribution_transmission": "BlocksPerDistributionTransmission",
    "historical_entries": "HistoricalEntries",
}
VALIDATOR_LISTS = {"allowlist": "Allowlist", "denylist": "Denylist", "prioritylist": "Prioritylist"}
# A dot matches no line break, here as in Go.
_REVISION = re.compile(r".*[^\n-]-([1-9][0-9]*)")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DENOM = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
_IBC_HASH = re.compile(r"[0-9a-fA-F]{64}")
_IDENTIFIER = re.compile(r"[a-zA-Z0-9._+\-#\[\]<>]*")


@dataclass(frozen=True)
class Problem:
    """A condition that does not hold: the module's option, and the provider's words."""

    option: str
    words: str


def refuse(problems: Sequence[Problem], consumer: str) -> None:
    """Raise InvalidInput that lists all problems, if there are any."""
    if problems:
        listed = "; ".join(f"{problem.option}: {problem.words}" for problem in problems)
        raise InvalidInput(f"the provider would refuse {consumer}, nothing was sent: {listed}")


def revision_of(chain_id: str) -> int:
    """Return the revision number of a chain_id: what follows its last hyphen (``name-4``), or 0 when it has no such end."""
    found = _REVISION.fullmatch(chain_id)
    return int(found[1]) if found else 0


def chain_id_problems(chain_id: str) -> Iterator[Problem]:
    """Check a chain_id. Any text of 1 to 50 bytes will do; it need not be unique."""
    yield from _text("chain_id", "ChainId", chain_id, MAX_CHAIN_ID)
    if chain_id in RESERVED_CHAIN_IDS:
        yield Problem("chain_id", "cannot use a reserved chain id")
    if revision_of(chain_id) >= 2**64:
        yield Problem("chain_id", "its revision number does not fit into 64 bits")


def metadata_problems(name: str, description: str, metadata: str) -> Iterator[Problem]:
    """Check the metadata of a consumer."""
    yield from _text("name", "name", name, MAX_NAME)
    yield from _text("description", "description", description, MAX_DESCRIPTION)
    yield from _text("metadata", "metadata", metadata, MAX_METADATA)


def missing_initialization(parameters: InitializationParameters) -> list[str]:
    """Return the names of the parameters that are unset and without which a consumer cannot launch."""
    needed = {name: getattr(parameters, name) for name in (*PERIODS, *COUNTS, "consumer_redistribution_fraction")}
    missing = [name for name, value in needed.items() if not value]
    if parameters.initial_height == (0, 0):
        missing.insert(0, "initial_height")
    if parameters.spawn_time is None:
        missing.append("spawn_time")
    return missing


def initialization_problems(parameters: InitializationParameters, chain_id: str) -> Iterator[Problem]:
    """Check what a consumer of that chain_id would start with."""
    unset = [name for name in missing_initialization(parameters) if name != "spawn_time"]
    if len(unset) > 1:
        yield Problem(", ".join(unset), "missing initialization parameters")
    number, height = parameters.initial_height
    if (number, height) == (0, 0):
        yield Problem("initial_height", "InitialHeight cannot be zero")
    elif not 0 <= height < 2**64:
        yield Problem("initial_height", f"must be a block height, not {height}")
    if number != revision_of(chain_id):
        yield Problem("initial_revision_number", f"chain ID ({chain_id}) doesn't match revision number ({number})")
    for option, field in (("genesis_hash", "GenesisHash"), ("binary_hash", "BinaryHash")):
        length = len(getattr(parameters, option))
        if length > MAX_HASH:
            yield Problem(option, f"{field}: hash is too long; got: {length}, max: {MAX_HASH}")
    for words in _fraction_words(parameters.consumer_redistribution_fraction):
        yield Problem("consumer_redistribution_fraction", f"ConsumerRedistributionFraction: {words}")
    for option, field in COUNTS.items():
        count = getattr(parameters, option)
        if count <= 0:
            yield Problem(option, f"{field}: int must be positive")
        elif count >= 2**63:
            yield Problem(option, f"{field}: does not fit into 63 bits")
    for option, field in PERIODS.items():
        period = getattr(parameters, option)
        if period <= 0:
            yield Problem(option, f"{field}: duration must be positive")
        elif period > FOR_EVER:
            yield Problem(option, f"{field}: is longer than {FOR_EVER} seconds")
    if parameters.distribution_transmission_channel:
        yield from _identifier(
            "distribution_transmission_channel",
            "DistributionTransmissionChannel",
            parameters.distribution_transmission_channel,
            8,
        )
    if parameters.connection_id.strip():
        yield from _identifier("connection_id", "ConnectionId", parameters.connection_id, 10)


def power_shaping_problems(parameters: PowerShapingParameters, consensus_prefix: str) -> Iterator[Problem]:
    """Check power shaping; ``consensus_prefix`` is that of the provider's consensus addresses, e.g. ``cosmosvalcons``."""
    if parameters.top_n != 0 and not 50 <= parameters.top_n <= 100:
        yield Problem("top_n", "Top N can either be 0 or in the range [50, 100]")
    if not 0 <= parameters.validators_power_cap <= 100:
        yield Problem("validators_power_cap", "ValidatorsPowerCap has to be in the range [0, 100]")
    if not 0 <= parameters.validator_set_cap < 2**32:
        yield Problem("validator_set_cap", "must be a number of validators, 0 for no limit")
    if not 0 <= parameters.min_stake < 2**64:
        yield Problem("min_stake", "must be an amount of utoken, 0 for no limit")
    for option, field in VALIDATOR_LISTS.items():
        listed = getattr(parameters, option)
        if len(listed) > MAX_LISTED_VALIDATORS:
            words = f"consensus address list too long;  got: {len(listed)}, max: {MAX_LISTED_VALIDATORS}"
            yield Problem(option, f"{field}: {words}")
        for entry in listed:
            words = _consensus_address_words(entry, consensus_prefix)
            if words:
                yield Problem(option, f"{field}: invalid address {entry[:90]}: {words}")


def new_top_n_problems(parameters: PowerShapingParameters) -> Iterator[Problem]:
    """Check what holds for a consumer that is being created."""
    if parameters.top_n:
        yield Problem(
            "top_n",
            "cannot create a Top N chain through `MsgCreateConsumer`; "
            "first create the chain and then use `MsgUpdateConsumer` to make the chain Top N",
        )


def owner_problems(parameters: PowerShapingParameters, owner: str, new_owner: str, authority: str) -> Iterator[Problem]:
    """Check Top N against the owner before and after an update; ``authority`` is the account of the module gov."""
    if parameters.top_n and owner != authority:
        yield Problem("top_n", "an update to a Top N chain can only be done if chain is owner is the gov module")
    elif parameters.top_n and new_owner != authority:
        words = "a move to a new owner address that is not the gov module can only be done if `Top N` is set to 0"
        yield Problem("new_owner_address", words)


def new_owner_problems(new_owner: str, prefix: str) -> Iterator[Problem]:
    """Check the address of a new owner; ``prefix`` is that of the provider's accounts."""
    try:
        found, raw = address.decode(new_owner)
    except InvalidInput:
        found, raw = "", b""
    if found != prefix or address.encode(prefix, raw) != new_owner:
        yield Problem("new_owner_address", f"invalid new owner address {new_owner[:90]}")


def infraction_problems(parameters: InfractionParameters) -> Iterator[Problem]:
    """Check what infractions cost. The provider takes any fraction from 0 to 1, whatever that does to its validators."""
    for option, field in (("double_sign", "DoubleSign"), ("downtime", "Downtime")):
        value = getattr(parameters, option)
        if value.jail_duration < 0:
            yield Problem(f"infraction_parameters.{option}", f"{field}.JailDuration cannot be negative")
        if value.jail_duration > FOR_EVER:
            yield Problem(
                f"infraction_parameters.{option}", f"{field}.JailDuration is longer than {FOR_EVER} seconds, for ever"
            )
        for words in _out_of_range(value.slash_fraction, f"{value.slash_fraction:.18f}"):
            yield Problem(f"infraction_parameters.{option}", f"{field}.SlashFraction: {words}")


def reward_denom_problems(denoms: Sequence[str]) -> Iterator[Problem]:
    """Check the reward denoms that a consumer allows for itself."""
    if len(denoms) > MAX_REWARD_DENOMS:
        yield Problem("allowlisted_reward_denoms", f"More than {MAX_REWARD_DENOMS} denoms")
    for denom in denoms:
        if not _DENOM.fullmatch(denom):
            yield Problem("allowlisted_reward_denoms", f"Invalid denom ({denom[:140]}): invalid denom: {denom[:140]}")
        elif denom.startswith("ibc/") and not _IBC_HASH.fullmatch(denom.removeprefix("ibc/")):
            yield Problem("allowlisted_reward_denoms", f"Invalid denom ({denom[:140]}): not ibc/ and a hash in hex")


def commission_problems(rate: Decimal, minimum: Decimal) -> Iterator[Problem]:
    """Check a commission rate on a consumer; ``minimum`` is the staking module's."""
    if not 0 <= rate <= 1:
        yield Problem("rate", "consumer commission rate should be in the range [0, 1]")
    elif rate < minimum:
        yield Problem("rate", f"commission rate cannot be less than {minimum:.18f}")


def checked_decimal(option: str, text: str) -> Decimal:
    """Read a decimal number of at most 18 places, as the chain does; InvalidInput that names the option."""
    found = _DECIMAL.fullmatch(text)
    if not found or len(found[1] or "") > 19:
        raise InvalidInput(f"{option} must be a decimal number with at most 18 places such as 0.05, not {text[:40]!r}")
    return Decimal(text)


def _fraction_words(text: str) -> Iterator[str]:
    if not text:
        yield "decimal string cannot be empty"
        return
    found = _DECIMAL.fullmatch(text)
    if not found:
        yield f"not a decimal number: {text[:40]!r}"
    elif len(found[1] or "") > 19:
        yield f"value '{text[:60]}' exceeds max precision"
    else:
        yield from _out_of_range(Decimal(text), text)


def _out_of_range(value: Decimal, shown: str) -> Iterator[str]:
    if value < 0:
        yield f"param cannot be negative, got {shown}"
    elif value > 1:
        yield f"param cannot be greater than 1, got {shown}"


def _text(option: str, field: str, text: str, limit: int) -> Iterator[Problem]:
    length = len(text.encode(errors="surrogateescape"))
    if not text.strip():
        yield Problem(option, f"{field} cannot be empty")
    elif not _is_text(text):
        yield Problem(option, "is not UTF-8")
    elif length > limit:
        yield Problem(option, f"{field} is too long; got: {length}, max: {limit}")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that were no UTF-8 came in as surrogates
        return False
    return True


def _identifier(option: str, field: str, text: str, shortest: int) -> Iterator[Problem]:
    """Check an IBC identifier (ICS 24)."""
    length = len(text.encode(errors="surrogateescape"))
    words = ""
    if not text.strip():
        words = "identifier cannot be blank"
    elif "/" in text:
        words = f"identifier {text[:80]} cannot contain separator '/'"
    elif not shortest <= length <= 64:
        words = f"identifier {text[:80]} has invalid length: {length}, must be between {shortest}-64 characters"
    elif not _IDENTIFIER.fullmatch(text):
        words = f"identifier {text[:80]} must contain only alphanumeric or the following characters"
    if words:
        yield Problem(option, f"{field}: {words}")


def _consensus_address_words(text: str, prefix: str) -> str:
    if not text.strip():
        return "empty address string is not allowed"
    try:
        found = address.decode(text)[0]
    except InvalidInput:
        return "decoding bech32 failed"
    return "" if found == prefix else f"invalid Bech32 prefix; expected {prefix}, got {found}"
