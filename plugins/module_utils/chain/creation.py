# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""At which height a consumer was created, found again by a monitor that was not there."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.chain.client import ProviderClient
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ConsumerNotFound,
    HeightNotAvailable,
    QueryFailed,
)


@dataclass(frozen=True)
class FirstHeight:
    """The lowest height at which a node shows a consumer; ``is_creation`` is False when it has pruned older ones."""

    height: int
    is_creation: bool


def first_height(client: ProviderClient, consumer_id: str, newest: int, guess: int = 0) -> FirstHeight:
    """Find the lowest height at which the node shows a consumer that it shows at ``newest``.

    A consumer never goes once it is created, and a node has all heights from its oldest on: so the search halves. ``guess`` is looked at
    first; 0 takes the node's index of transactions for it, which a node may not keep.
    """
    low, high = 0, newest  # not shown at low, shown at high
    guess = guess or _indexed(client, consumer_id)
    for probe in (guess, guess - 1):
        if low < probe < high:
            low, high = (low, probe) if _shows(client, consumer_id, probe) else (probe, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _shows(client, consumer_id, middle) else (middle, high)
    return FirstHeight(high, low == 0 or not _is_pruned(client, consumer_id, low))


def _shows(client: ProviderClient, consumer_id: str, height: int) -> bool:
    try:
        client.consumer(consumer_id, height)
    except (ConsumerNotFound, HeightNotAvailable):
        return False
    return True


def _is_pruned(client: ProviderClient, consumer_id: str, height: int) -> bool:
    try:
        client.consumer(consumer_id, height)
    except HeightNotAvailable:
        return True
    except ConsumerNotFound:
        return False
    return False


def _indexed(client: ProviderClient, consumer_id: str) -> int:
    try:
        found = client.transactions(f"create_consumer.consumer_id='{consumer_id}'", 1, 1)
    except QueryFailed:
        return 0  # no index: the search needs a few more steps
    return found[0].height if found else 0
