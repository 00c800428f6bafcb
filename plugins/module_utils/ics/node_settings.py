# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of a consumer's node: what staging wrote down, and what its launch adds to that.

Who signs, with which files, is said here alone: a catalogue cannot say it.
"""

from __future__ import annotations

import enum
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.catalogue import merged
from ansible_collections.interchain.security.plugins.module_utils.ics.genesis import GenesisSettings

with suppress(ImportError):  # a module reports it through missing_required_lib
    import tomli_w

CONFIG_FILE, APP_FILE, LAUNCH_FILE = "config.toml", "app.toml", "launch.json"
OWNER_FILE, SIGNER_FILE, VOLUME_FILE = "owner", "signer", "volume"
SIGNER_MARK = "interchain-security/signer"  # annotation of the pod's template
SIGNER_ADDRESS = "tcp://0.0.0.0:26659"


class Signer(enum.Enum):
    """Where a node's votes are signed."""

    LOCAL = "local"  # with the key in its namespace
    REMOTE = "remote"  # by a signer that connects to it
    NONE = "none"


def signer_mark(signer: Signer, public_key: str) -> str:
    """Return what the pod's template says of who signs. Another key (base64), or another place of it, starts the node anew."""
    return f"{signer.value}-{key_mark(public_key)}"


def key_mark(public_key: str) -> str:
    """Return the part of the mark by which a key (base64) is told from others."""
    return hashlib.sha256(public_key.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class StagedSettings:
    """What staging wrote down of a node. ``config`` is its config.toml and ``app`` its app.toml, as text.

    ``double_sign_check_height`` is in blocks; ``remote_signer_public_key`` in base64, empty for a key of the cluster.
    """

    config: str
    app: str
    genesis: GenesisSettings
    double_sign_check_height: int
    remote_signer_public_key: str

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> StagedSettings:
        """Read the data of the ConfigMap; InvalidInput when it is not what staging writes."""
        try:
            launch = json.loads(data[LAUNCH_FILE])
            check_height = int(launch["double_sign_check_height"])
            settings = cls(
                config=data[CONFIG_FILE],
                app=data[APP_FILE],
                genesis=GenesisSettings.of(launch),
                double_sign_check_height=check_height,
                remote_signer_public_key=str(launch["remote_signer_public_key"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the settings of the node cannot be used: {error!r}; stage it again") from error
        if check_height < 0:
            raise InvalidInput("double_sign_check_height must be a number of blocks, 0 for no look back")
        return settings


@dataclass(frozen=True)
class StartSettings:
    """What is known only when the chain has launched. ``external_address`` is host:port, empty when it is not known (yet).

    ``volume`` is the one on which the node may sign.
    """

    owner_mark: str
    volume: str
    signer: Signer
    double_sign_check_height: int
    external_address: str
    peers: Sequence[str]


def files(staged: StagedSettings, start: StartSettings) -> dict[str, str]:
    """Return the files that a node starts with, by their names; InvalidInput when the staged config.toml cannot be read."""
    try:
        config = tomllib.loads(staged.config)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the staged config.toml cannot be read: {error}") from error
    launched: dict[str, Any] = {
        "priv_validator_laddr": SIGNER_ADDRESS if start.signer is Signer.REMOTE else "",
        "priv_validator_key_file": "config/priv_validator_key.json",
        "priv_validator_state_file": "data/priv_validator_state.json",
        "node_key_file": "config/node_key.json",
        "consensus": {"double_sign_check_height": start.double_sign_check_height},
        # A pod that keeps its RPC to itself opens them by a flag.
        "rpc": {"unsafe": False},
        "p2p": {"external_address": start.external_address, "persistent_peers": ",".join(start.peers)},
    }
    if start.signer is not Signer.LOCAL:
        # CometBFT wants a key of its own all the same, and would write a new sign state over the kept one: both go elsewhere.
        launched.update(priv_validator_key_file="data/idle_key.json", priv_validator_state_file="data/idle_state.json")
    return {
        CONFIG_FILE: tomli_w.dumps(merged(config, launched)),
        APP_FILE: staged.app,
        OWNER_FILE: start.owner_mark,
        SIGNER_FILE: start.signer.value,
        VOLUME_FILE: start.volume,
    }


def peers_in(config: str) -> tuple[str, ...]:
    """Return the peers that a node's config.toml tells it to dial; InvalidInput when it cannot be read."""
    listed = str((_read(config).get("p2p") or {}).get("persistent_peers") or "")
    return tuple(filter(None, listed.split(",")))


def with_peers(config: str, peers: Sequence[str]) -> str:
    """Return a node's config.toml with other peers and everything else as it is; InvalidInput when it cannot be read."""
    return tomli_w.dumps(merged(_read(config), {"p2p": {"persistent_peers": ",".join(peers)}}))


def starts_alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two sets of files let a node run alike, whatever peers they name; what cannot be read is not alike."""
    try:
        first, second = (with_peers(found[CONFIG_FILE], ()) for found in (one, other))
    except (InvalidInput, KeyError):
        return False
    return first == second and one.get(APP_FILE) == other.get(APP_FILE)


def _read(config: str) -> dict[str, Any]:
    try:
        return tomllib.loads(config)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the node's config.toml cannot be read: {error}") from error
