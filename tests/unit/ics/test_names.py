# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of objects."""

from __future__ import annotations

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.names import (
    checked_consumer_id,
    consumer_namespace,
)


def test_namespace() -> None:
    assert consumer_namespace("alice", "17") == "alice-consumer-17"
    assert len(consumer_namespace("a" * 20, str(2**64 - 1))) <= 63


@pytest.mark.parametrize("text", ["", "-1", "01", "1 ", "1\n", "x", "../1", "$(id)", "١", str(2**64), "9" * 21])
def test_anything_but_a_uint64_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        checked_consumer_id(text)


@pytest.mark.parametrize("name", ["", "Alice", "a" * 21, "-a", "a-", "a.b", "a/b", "{{ x }}", "a\n"])
def test_validator_names_are_labels(name: str) -> None:
    with pytest.raises(InvalidInput):
        consumer_namespace(name, "0")
