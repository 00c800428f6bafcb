# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters node_key and node_id."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.filter import node_key
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key

SEED = "5a" * 32


def test_a_seed_makes_the_same_key_each_time() -> None:
    text = node_key.node_key(SEED)
    assert text == node_key.node_key(SEED)
    assert node_key.node_id(text) == consensus_key.from_seed(bytes.fromhex(SEED)).address.lower()


@pytest.mark.parametrize("seed", ["", "zz", SEED[:-2], 5, None])
def test_a_bad_seed_is_not_repeated(seed: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="node_key needs a seed of 64 hexadecimal digits") as raised:
        node_key.node_key(seed)
    assert SEED[:-2] not in str(raised.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", 5, '{"priv_key": {"type": "x", "value": ""}}'])
def test_a_bad_node_key(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"node_id needs the text of a CometBFT node_key\.json"):
        node_key.node_id(text)


@pytest.mark.parametrize("words", ["", "legal winner", "legal " * 12, 5])
def test_what_is_no_mnemonic_is_refused_without_its_words(words: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="consensus_key: the mnemonic cannot be used") as raised:
        node_key.consensus_key_of(words)
    assert "legal" not in str(raised.value)
