# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a consumer's node starts with."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.node_settings import (
    Signer,
    StagedSettings,
    StartSettings,
    files,
)

LAUNCH = {
    "genesis_profile": "relayers",
    "address_prefix": "consumer",
    "denom": "stake",
    "relayer_amount": "100",
    "double_sign_check_height": 7,
    "remote_signer_public_key": "",
}
# As a catalogue might say it that wants what only the launch may say.
CONFIG = """
moniker = "alice"
priv_validator_key_file = "/elsewhere/key.json"
priv_validator_state_file = "/elsewhere/state.json"
priv_validator_laddr = "tcp://192.0.2.7:1"
[consensus]
double_sign_check_height = 0
timeout_commit = "1s"
[rpc]
unsafe = true
[p2p]
persistent_peers = "a@192.0.2.8:1"
addr_book_strict = false
[statesync]
enable = true
rpc_servers = "http://192.0.2.3:26657,http://192.0.2.4:26657"
trust_height = 1000
trust_hash = "ab"
trust_period = "168h"
"""


def staged(**launch: Any) -> StagedSettings:
    return StagedSettings.parse(
        {"config.toml": CONFIG, "app.toml": 'a = "b"\n', "launch.json": json.dumps({**LAUNCH, **launch})}
    )


def started(signer: Signer) -> dict[str, Any]:
    peers = ("x@192.0.2.2:27000", "y@[2001:db8::1]:27000")
    start = StartSettings("3-abc", "a-uid", signer, 10, "192.0.2.1:27000", peers)
    made = files(staged(), start)
    assert made["app.toml"] == 'a = "b"\n'
    assert made["owner"] == "3-abc"
    assert made["volume"] == "a-uid"
    assert made["signer"] == signer.value
    return tomllib.loads(made["config.toml"])


def test_the_launch_goes_over_what_was_staged() -> None:
    config = started(Signer.LOCAL)
    assert config["moniker"] == "alice"
    assert config["consensus"] == {"double_sign_check_height": 10, "timeout_commit": "1s"}
    assert config["rpc"] == {"unsafe": False}
    assert config["p2p"] == {
        "addr_book_strict": False,
        "external_address": "192.0.2.1:27000",
        "persistent_peers": "x@192.0.2.2:27000,y@[2001:db8::1]:27000",
    }
    assert config["priv_validator_key_file"] == "config/priv_validator_key.json"
    assert config["priv_validator_state_file"] == "data/priv_validator_state.json"
    assert config["priv_validator_laddr"] == ""


@pytest.mark.parametrize("signer", list(Signer))
def test_state_sync_is_the_operators(signer: Signer) -> None:
    """CometBFT does it on an empty volume only, whoever signs."""
    assert started(signer)["statesync"] == {
        "enable": True,
        "rpc_servers": "http://192.0.2.3:26657,http://192.0.2.4:26657",
        "trust_height": 1000,
        "trust_hash": "ab",
        "trust_period": "168h",
    }


@pytest.mark.parametrize(("signer", "address"), [(Signer.NONE, ""), (Signer.REMOTE, "tcp://0.0.0.0:26659")])
def test_a_node_without_a_key_leaves_the_kept_sign_state_alone(signer: Signer, address: str) -> None:
    config = started(signer)
    assert config["priv_validator_key_file"] == "data/idle_key.json"
    assert config["priv_validator_state_file"] == "data/idle_state.json"
    assert config["priv_validator_laddr"] == address


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genesis_profile": "another"}, "genesis_profile must be one of"),
        ({"address_prefix": "A"}, "address_prefix"),
        ({"denom": "x"}, "not a denom"),
        ({"relayer_amount": "-1"}, "relayer_amount"),
        ({"double_sign_check_height": -1}, "double_sign_check_height must be a number of blocks"),
        ({"double_sign_check_height": None}, "stage it again"),
    ],
)
def test_settings_that_cannot_be_used(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        staged(**change)


@pytest.mark.parametrize("data", [{}, {"config.toml": "", "app.toml": "", "launch.json": "[]"}])
def test_settings_that_are_none(data: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="the settings of the node cannot be used"):
        StagedSettings.parse(data)


def test_a_config_that_is_no_toml() -> None:
    broken = StagedSettings("= no", "", staged().genesis, 0, "")
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read"):
        files(broken, StartSettings("", "", Signer.NONE, 0, "", ()))
