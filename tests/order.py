# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the files of tests are given to the processes that run them: a long one that began last would leave the others idle at the end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

# About how long they take on two cores, in seconds, beside each other.
LONGEST_END_TO_END = (
    "test_hermes",  # 1270
    "test_lifecycle",
    "test_one_signer",
    "test_health",
    "test_restart",
    "test_peers",
    "test_late_join",
    "test_remote_signer",
    "test_late_key",
    "test_policy",  # 280
)
# They look through what all others of their process have left.
LAST_END_TO_END = ("test_secrets",)
# test_monitor_kill fills the processors for five minutes: beside it are files in which nothing is pressing.
LONGEST_INTEGRATION = (
    "test_monitor_kill",  # 310
    "test_eda_setup",  # 570
    "test_awx",  # 230
    "test_modules",  # 90
    "test_cut_anywhere",  # 400
    "test_consumer_node",  # 500
    "test_storm",  # 400
    "test_consumer_peers",
    "test_consumer_health",
    "test_leftovers",
    "test_inventory",
    "test_provider_role",
    "test_source_faults_fake",
    "test_source_faults_real",
    "test_event_source",  # 60
    "test_state_sync",
)


def put_in_order(items: list[pytest.Item], first: Sequence[str], last: Sequence[str] = ()) -> None:
    """Sort tests by their files: those of ``first`` as they are named there, all that are not named, and those of ``last``. Within a file nothing changes."""
    places = {name: number for number, name in enumerate(first)}
    places |= {name: len(first) + 1 + number for number, name in enumerate(last)}
    items.sort(key=lambda item: places.get(item.path.stem, len(first)))
