# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError as exc:
    CRYPTOGRAPHY_IMPORT_ERROR: ImportError | None = exc
else:
    CRYPTOGRAPHY_IMPORT_ERROR = None

# CometBFT's names of the key type in its key files.
PRIVATE_KEY_TYPE = "tendermint/PrivKeyEd25519"
# An ed25519 private key in Go's form: 32 bytes seed, 32 bytes public key.
PRIVATE_KEY_LENGTH = 64


def node_id(text: str) -> str:
    """P2P identity of a node: hex of the first 20 bytes of SHA-256 of its public key (CometBFT p2p/key.go)."""
    try:
        content = json.loads(text)
        key_type = content["priv_key"]["type"]
        private_key = base64.b64decode(content["priv_key"]["value"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error) as exc:
        # The cause may quote the key: it is left out of the message on purpose.
        raise AnsibleFilterError("node_id needs the text of a CometBFT node_key.json") from exc
    if key_type != PRIVATE_KEY_TYPE or len(private_key) != PRIVATE_KEY_LENGTH:
        raise AnsibleFilterError(f"node_id needs a {PRIVATE_KEY_TYPE} of {PRIVATE_KEY_LENGTH} bytes")
    return hashlib.sha256(private_key[32:]).digest()[:20].hex()


def node_key(seed: str) -> str:
    """Text of a node_key.json made from a secret seed of 32 bytes, written as 64 hexadecimal digits."""
    if CRYPTOGRAPHY_IMPORT_ERROR is not None:
        raise AnsibleFilterError("node_key needs the Python package cryptography") from CRYPTOGRAPHY_IMPORT_ERROR
    try:
        secret = bytes.fromhex(seed)
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError("node_key needs a seed of 64 hexadecimal digits") from exc
    if len(secret) != 32:
        raise AnsibleFilterError("node_key needs a seed of 64 hexadecimal digits")
    public_key = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    value = base64.b64encode(secret + public_key).decode("ascii")
    return json.dumps({"priv_key": {"type": PRIVATE_KEY_TYPE, "value": value}})


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"node_id": node_id, "node_key": node_key}
