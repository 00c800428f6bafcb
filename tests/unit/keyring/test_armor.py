# SPDX-License-Identifier: GPL-3.0-or-later
"""Armored keys; that the chain's binary reads and writes the same is shown by the integration tests."""

from __future__ import annotations

import pytest

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput, KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.keyring import armor

SECRET = bytes(range(1, 33))
PASSPHRASE = "correct horse"
# A test vector of the Cosmos SDK, from the time when it encrypted with bcrypt and secretbox.
OLD = """-----BEGIN TENDERMINT PRIVATE KEY-----
salt: A790BB721D1C094260EA84F5E5B72289
kdf: bcrypt

HbP+c6JmeJy9JXe2rbbF1QtCX1gLqGcDQPBXiCtFvP7/8wTZtVOPj8vREzhZ9ElO
3P7YnrzPQThG0Q+ZnRSbl9MAS8uFAM4mqm5r/Ys=
=f3l4
-----END TENDERMINT PRIVATE KEY-----
"""


def test_what_is_encrypted_is_decrypted_and_differs_each_time() -> None:
    first, second = armor.encrypt(SECRET, PASSPHRASE), armor.encrypt(SECRET, PASSPHRASE)
    assert first != second
    assert armor.decrypt(first, PASSPHRASE) == armor.decrypt(second.replace("\n", "\r\n"), PASSPHRASE) == SECRET


def test_an_old_key_is_read() -> None:
    assert len(armor.decrypt(OLD, "123456789")) == 32
    with pytest.raises(KeyStoreError, match="the passphrase does not open"):
        armor.decrypt(OLD, "987654321")


def test_a_wrong_passphrase() -> None:
    with pytest.raises(KeyStoreError, match="the passphrase does not open the armored key"):
        armor.decrypt(armor.encrypt(SECRET, PASSPHRASE), "incorrect horse")


@pytest.mark.parametrize("passphrase", ["", "1234567", "x" * 73])
def test_passphrases_that_the_sdk_does_not_take(passphrase: str) -> None:
    with pytest.raises(InvalidInput, match="between 8 and 72 bytes"):
        armor.encrypt(SECRET, passphrase)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-----BEGIN TENDERMINT PRIVATE KEY-----", "-----BEGIN PGP MESSAGE-----", "not an armored key"),
        ("HbP+c6JmeJy9", "HbP+c6JmeJy8", "its checksum is wrong"),
        ("kdf: bcrypt", "kdf: none", "encrypted in an unknown way"),
        ("A790BB721D1C094260EA84F5E5B72289", "zz", "is damaged"),
        ("A790BB721D1C094260EA84F5E5B72289", "A790", "is damaged"),
        ("kdf: bcrypt", "kdf: bcrypt\ntype: ed25519", "of type 'ed25519'"),
    ],
)
def test_damaged_keys(old: str, new: str, message: str) -> None:
    assert old in OLD
    with pytest.raises(InvalidInput, match=message):
        armor.decrypt(OLD.replace(old, new), "123456789")
