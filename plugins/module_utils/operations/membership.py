# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who validates a consumer chain at its launch, and with which key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    QueryFailed,
    WrongPhase,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import public_key_base64
from ansible_collections.interchain.security.plugins.module_utils.ics.consumer import (
    Consumer,
    ConsumerValidator,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase
from ansible_collections.interchain.security.plugins.module_utils.ics.validator import Validator
from ansible_collections.interchain.security.plugins.module_utils.operations.results import consensus_address


@dataclass(frozen=True)
class Launch:
    """A launched consumer: its CCV genesis, the provider height of its launch and its initial validators."""

    consumer: Consumer
    ccv_genesis: dict[str, Any]
    height: int
    validators: tuple[ConsumerValidator, ...]


def launch_of(client: ProviderClient, consumer_id: str) -> Launch:
    """Read a launch; WrongPhase when the consumer has not launched or has been stopped already.

    Who is behind each key is read at the launch height, so that every monitor finds the same whenever it looks.
    """
    consumer = client.consumer(consumer_id)
    if consumer.phase is not Phase.LAUNCHED:
        raise WrongPhase(
            f"consumer {consumer_id} is {consumer.phase.value}: its genesis exists only while it is launched"
        )
    genesis = client.ccv_genesis(consumer_id)
    try:
        height = int(genesis["provider"]["client_state"]["latest_height"]["revision_height"])
        members = [
            (entry["pub_key"]["ed25519"], int(entry["power"])) for entry in genesis["provider"]["initial_val_set"]
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise QueryFailed(f"the CCV genesis of consumer {consumer_id} cannot be used: {error!r}") from error
    if not members:
        raise QueryFailed(f"the CCV genesis of consumer {consumer_id} names no validator")
    assigned = client.consumer_keys(consumer_id, height)
    by_key = {}
    for validator in client.validators_at(height):
        own_key = public_key_base64(validator.consensus_public_key)
        by_key[assigned.get(consensus_address(validator), own_key)] = validator
    unknown = [key for key, _power in members if key not in by_key]
    if unknown:
        raise QueryFailed(
            f"no validator of height {height} has the consumer key {unknown[0]} of the CCV genesis of consumer {consumer_id}"
        )
    validators = tuple(
        ConsumerValidator(by_key[key].operator_address, key, power, by_key[key].details) for key, power in members
    )
    return Launch(consumer, genesis, height, validators)


def members_of(
    client: ProviderClient, consumer_id: str, validators: Sequence[Validator], height: int = 0
) -> list[Validator]:
    """Return those of the validators that are opted in to a consumer; both are of the same height."""
    opted_in = set(client.opted_in(consumer_id, height))
    return [validator for validator in validators if consensus_address(validator) in opted_in]
