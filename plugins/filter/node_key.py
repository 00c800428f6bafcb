# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key


def node_id(text: str) -> str:
    """P2P identity of a node: hex of the first 20 bytes of SHA-256 of its public key (CometBFT p2p/key.go)."""
    _check_library()
    try:
        return consensus_key.from_key_file(text).node_id
    except InvalidInput as error:
        raise AnsibleFilterError(f"node_id needs the text of a CometBFT node_key.json: {error}") from None


def node_key(seed: str) -> str:
    """Text of a node_key.json made from a secret seed of 32 bytes, written as 64 hexadecimal digits."""
    _check_library()
    try:
        return consensus_key.from_seed(bytes.fromhex(seed)).node_key_file()
    except (TypeError, ValueError, InvalidInput):
        # The cause may quote the seed: it is left out of the message on purpose.
        raise AnsibleFilterError("node_key needs a seed of 64 hexadecimal digits") from None


def consensus_key_of(words: str) -> str:
    """Text of the priv_validator_key.json that a chain's own ``init --recover`` makes of a mnemonic."""
    _check_library()
    if not account_key.HAS_COSMPY:
        raise AnsibleFilterError("consensus_key needs the Python package cosmpy")
    try:
        account_key.from_mnemonic(str(words))  # refuses what is none
        return consensus_key.from_words(str(words)).key_file()
    except InvalidInput as error:
        raise AnsibleFilterError(f"consensus_key: {error}") from None


def _check_library() -> None:
    if not consensus_key.HAS_CRYPTOGRAPHY:
        raise AnsibleFilterError("node_key, node_id and consensus_key need the Python package cryptography")


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"consensus_key": consensus_key_of, "node_id": node_id, "node_key": node_key}
