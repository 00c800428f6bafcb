# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files of CometBFT."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key


def test_a_key_survives_its_files() -> None:
    key = consensus_key.generate()
    assert consensus_key.from_key_file(key.key_file()) == key
    assert consensus_key.from_key_file(key.node_key_file()) == key
    assert key != consensus_key.generate()
    assert json.loads(key.key_file())["address"] == key.node_id.upper()


def test_a_private_key_is_not_printed() -> None:
    key = consensus_key.generate()
    assert base64.b64encode(key.seed).decode() not in repr(key)
    assert repr(key.seed) not in repr(key)


def test_halves_that_do_not_belong_together_are_refused() -> None:
    content = json.loads(consensus_key.generate().key_file())
    content["pub_key"] = json.loads(consensus_key.generate().key_file())["pub_key"]
    with pytest.raises(InvalidInput, match="belong together"):
        consensus_key.from_key_file(json.dumps(content))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"priv_key": 3}', '{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "AA=="}}']
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        consensus_key.from_key_file(text)


def test_the_form_of_a_consumer_key() -> None:
    assert consensus_key.consumer_key_json("AAAA") == '{"@type":"/cosmos.crypto.ed25519.PubKey","key":"AAAA"}'


@pytest.mark.parametrize(
    "form",
    [
        "{base64}",
        " {base64}\n",
        "PubKeyEd25519{{{hex}}}",
        '{{"@type":"/cosmos.crypto.ed25519.PubKey","key":"{base64}"}}',
        '{{"ed25519": "{base64}"}}',
        '{{"type": "tendermint/PubKeyEd25519", "value": "{base64}"}}',
    ],
)
def test_a_public_key_is_read_in_each_form_of_the_chain(form: str) -> None:
    key = consensus_key.generate()
    text = form.format(base64=key.public_key_base64, hex=key.public_key.hex().upper())
    assert consensus_key.parse_public_key(text) == key.public_key
    if text.startswith("{"):
        assert consensus_key.parse_public_key(json.loads(text)) == key.public_key
    assert consensus_key.parse_public_key(consensus_key.consumer_key_json(key.public_key_base64)) == key.public_key


@pytest.mark.parametrize(
    "given",
    [
        "",
        "$(id)",
        "AAAA",
        "{",
        "[]",
        {},
        {"@type": "/cosmos.crypto.secp256k1.PubKey", "key": "A" * 43 + "="},
        ["x"],
        None,
        7,
        "PubKeyEd25519{00}",
    ],
)
def test_another_public_key_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="not an ed25519 public key"):
        consensus_key.parse_public_key(given)
