# SPDX-License-Identifier: GPL-3.0-or-later
"""Account keys are derived as BIP-39, BIP-32 and BIP-44 say; the vectors are those of the standards."""

from __future__ import annotations

import pytest
from cosmpy.mnemonic import derive_seed_from_mnemonic

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput

ABOUT = "abandon " * 11 + "about"
# BIP-32, test vector 1
SEED = bytes(range(16))


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("m", "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"),
        ("m/0'", "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"),
        ("m/0'/1", "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"),
        ("m/0'/1/2'", "cbce0d719ecf7431d88e6a89fa1483e02e35092af60c042b1df2ff59fa424dca"),
        ("m/0'/1/2'/2/1000000000", "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8"),
    ],
)
def test_bip_32(path: str, secret: str) -> None:
    assert account_key.derive(SEED, path).hex() == secret


def test_bip_39_with_a_passphrase() -> None:
    seed = derive_seed_from_mnemonic(ABOUT, "TREZOR")
    assert seed.hex().startswith("c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553")
    with_passphrase = account_key.from_mnemonic(ABOUT, passphrase="TREZOR")
    assert with_passphrase.private_bytes == account_key.derive(seed, "m/44'/118'/0'/0/0")
    assert with_passphrase.account_address != account_key.from_mnemonic(ABOUT).account_address


@pytest.mark.parametrize(
    ("prefix", "path", "address"),
    [
        ("cosmos", account_key.hd_path(), "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"),
        ("osmo", account_key.hd_path(), "osmo19rl4cm2hmr8afy4kldpxz3fka4jguq0a5m7df8"),
        ("cosmos", "44'/118'/0'/0/0", "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"),
    ],
)
def test_known_addresses(prefix: str, path: str, address: str) -> None:
    assert account_key.from_mnemonic(ABOUT, prefix, path).account_address == address


def test_paths_differ_in_each_part() -> None:
    paths = [
        account_key.hd_path(*numbers) for numbers in ((118, 0, 0), (60, 0, 0), (118, 1, 0), (118, 0, 1), (1100, 0, 0))
    ]
    assert paths[-1] == "m/44'/1100'/0'/0/0"
    assert len({account_key.from_mnemonic(ABOUT, path=path).account_address for path in paths}) == len(paths)


@pytest.mark.parametrize(
    "path", ["", "n/44'", "m/44'/118'/0'/0/0x", "m/44''", "m//1", "m/2147483648", "m/44'/118'/0'/0/0\n"]
)
def test_bad_paths(path: str) -> None:
    with pytest.raises(InvalidInput, match="hd_path must have"):
        account_key.derive(SEED, path)


@pytest.mark.parametrize("words", ["", "abandon", "abandon " * 12, "abandon " * 11 + "zzz", "abandon " * 13])
def test_a_bad_mnemonic_is_not_repeated_in_the_message(words: str) -> None:
    with pytest.raises(InvalidInput, match="the mnemonic cannot be used") as raised:
        account_key.from_mnemonic(words)
    assert "abandon" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_new_mnemonics_are_24_words_and_differ() -> None:
    first, second = account_key.new_mnemonic(), account_key.new_mnemonic()
    assert first != second
    assert len(first.split()) == 24
    assert account_key.from_mnemonic(f"  {first}\n").account_address.startswith("cosmos1")


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 32, "ff" * 32])
def test_bad_private_keys(text: str) -> None:
    with pytest.raises(InvalidInput, match="the private key cannot be used"):
        account_key.from_hex(text)


def test_private_keys_and_prefixes() -> None:
    key = account_key.from_mnemonic(ABOUT)
    assert account_key.from_hex("0x" + key.private_bytes.hex(), "osmo").account_address.startswith("osmo1")
    with pytest.raises(InvalidInput, match="account_prefix"):
        account_key.from_hex(key.private_bytes.hex(), "Cosmos 1")
    assert key.private_bytes.hex() not in repr(key)
