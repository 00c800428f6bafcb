# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ed25519 keys in the forms in which CometBFT and the provider chain write them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

try:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    HAS_CRYPTOGRAPHY = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_CRYPTOGRAPHY = False

COSMOS_TYPE = "/cosmos.crypto.ed25519.PubKey"
COMET_TYPE = "tendermint/PubKeyEd25519"
_GO_FORM = re.compile(r"PubKeyEd25519\{([0-9a-fA-F]{64})\}")
_PUBLIC_KEY_FORMS = (
    "not an ed25519 public key: expected 32 bytes in base64, as the provider binary shows it with "
    "`tendermint show-validator`, or another form of the chain's tools"
)


@dataclass(frozen=True, repr=False)
class ConsensusKey:
    """A private ed25519 key: a node's consensus key or P2P identity."""

    seed: bytes
    public_key: bytes

    @property
    def address(self) -> str:
        """The address of the key (upper-case hex): of a validator in a block, or a node's id when lower-case."""
        return hashlib.sha256(self.public_key).digest()[:20].hex().upper()

    @property
    def public_key_base64(self) -> str:
        """The public half in base64."""
        return public_key_base64(self.public_key)

    @property
    def node_id(self) -> str:
        """The P2P node id when the key is a node key."""
        return self.address.lower()

    def _private(self) -> dict[str, str]:
        return {
            "type": "tendermint/PrivKeyEd25519",
            "value": base64.b64encode(self.seed + self.public_key).decode(),
        }

    def key_file(self) -> str:
        """Return the content of a ``priv_validator_key.json``."""
        public = {"type": COMET_TYPE, "value": self.public_key_base64}
        return json.dumps(
            {"address": self.address, "pub_key": public, "priv_key": self._private()},
            indent=2,
        )

    def node_key_file(self) -> str:
        """Return the content of a ``node_key.json``."""
        return json.dumps({"priv_key": self._private()})


def generate() -> ConsensusKey:
    """Make a new key from the operating system's random source."""
    return from_seed(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
    )


def from_key_file(text: str) -> ConsensusKey:
    """Read a ``priv_validator_key.json`` or ``node_key.json``; InvalidInput when it is neither or its halves differ."""
    try:
        content = json.loads(text)
        private = content["priv_key"]
        if private["type"] != "tendermint/PrivKeyEd25519":
            raise InvalidInput("the key file holds a key of another type than ed25519")
        raw = base64.b64decode(private["value"], validate=True)
        named = content.get("pub_key", {}).get("value")
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise InvalidInput("not a CometBFT key file (priv_validator_key.json or node_key.json)") from error
    if len(raw) != 64:
        raise InvalidInput("the private key of the key file is not 64 bytes long")
    key = from_seed(raw[:32])
    if raw[32:] != key.public_key or named not in (None, key.public_key_base64):
        raise InvalidInput("the private and the public key of the key file do not belong together")
    return key


def public_key_base64(public_key: bytes) -> str:
    """Return the form in which genesis files and key files carry a public key."""
    return base64.b64encode(public_key).decode()


def parse_public_key(given: Any) -> bytes:
    """Read an ed25519 public key in any form in which the chain's tools show one; InvalidInput for anything else.

    Base64; ``PubKeyEd25519{HEX}`` (Go); ``{"@type": "/cosmos.crypto.ed25519.PubKey", "key": base64}`` (transactions);
    ``{"ed25519": base64}`` (genesis); ``{"type": "tendermint/PubKeyEd25519", "value": base64}`` (key files).
    """
    text = given
    if isinstance(given, str):
        in_hex = _GO_FORM.fullmatch(given.strip())
        if in_hex:
            return bytes.fromhex(in_hex[1])
        if given.strip().startswith("{"):
            try:
                given = json.loads(given)
            except ValueError as error:
                raise InvalidInput(_PUBLIC_KEY_FORMS) from error
    if isinstance(given, dict):
        if given.get("@type") == COSMOS_TYPE:
            text = given.get("key")
        elif given.get("type") == COMET_TYPE:
            text = given.get("value")
        else:
            text = given.get("ed25519")
    try:
        raw = base64.b64decode(text.strip(), validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise InvalidInput(_PUBLIC_KEY_FORMS)
    return raw


def consumer_key_json(public_key_base64: str) -> str:
    """Return the ``consumer_key`` of MsgOptIn and MsgAssignConsumerKey for a public key."""
    return json.dumps(
        {"@type": COSMOS_TYPE, "key": public_key_base64},
        separators=(",", ":"),
    )


def from_words(words: str) -> ConsensusKey:
    """Return the key that the chains' own ``init --recover`` makes of a mnemonic: the seed is the SHA-256 of its text (CometBFT's
    GenPrivKeyFromSecret). Whether it is a mnemonic is not looked at."""
    return from_seed(hashlib.sha256(" ".join(words.split()).encode()).digest())


def from_seed(seed: bytes) -> ConsensusKey:
    """Return the key of a secret seed; InvalidInput when it has not 32 bytes."""
    if len(seed) != 32:
        raise InvalidInput("the private key cannot be used: expected 32 bytes of an ed25519 seed")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return ConsensusKey(
        seed,
        public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
    )
