# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No private key and no mnemonic of the whole run is anywhere but where it belongs. The last tests by name, so they see what all others left."""

from __future__ import annotations

import base64
import json

import pytest

from tests.e2e.secret_scan import Leak, Secret, places_of, scan, secrets_of
from tests.testbed.devnet import POWERS, Devnet

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def secrets(devnet: Devnet) -> list[Secret]:
    return secrets_of(devnet)


def test_the_secrets_of_the_run_are_known(devnet: Devnet, secrets: list[Secret]) -> None:
    names = {secret.name for secret in secrets}
    for name in POWERS:
        assert {f"{name}.mnemonic (mnemonic)", f"{name}.mnemonic (account key)"} <= names
        assert f"homes/{name}/config/priv_validator_key.json" in names
        assert f"Secret {name}-monitor/node-key node_key.json" in names
        assert f"Secret {name}-monitor/validator (mnemonic)" in names
    assert any(name.startswith("Secret alice-monitor/consumer-") for name in names)


def test_every_form_of_every_secret_is_found(secrets: list[Secret]) -> None:
    for secret in secrets:
        for form in secret.forms:
            leaks, _seen = scan([secret], [("log", b"x " + form + b" y")])
            assert leaks == [Leak(secret.name, "log")]
    assert scan(secrets, [("log", b"nothing of the kind")]) == ([], ["log"])


def test_planted_secrets_are_found_in_the_cluster(devnet: Devnet, secrets: list[Secret]) -> None:
    """Alice's mnemonic wrapped in JSON in base64, bob's key file in base64, charlie's key in hex."""
    wrapped = json.dumps({"a": 1, "text": (devnet.directory / "alice.mnemonic").read_text()})
    file = (devnet.directory / "homes/bob/config/priv_validator_key.json").read_bytes()
    key = json.loads((devnet.directory / "homes/charlie/config/priv_validator_key.json").read_text())["priv_key"][
        "value"
    ]
    planted = {
        "mnemonic": base64.b64encode(wrapped.encode()).decode(),
        "file": base64.b64encode(b"?" + file).decode(),
        "key": base64.b64decode(key).hex().upper(),
    }
    literals = [f"--from-literal={name}={value}" for name, value in planted.items()]
    devnet.kubectl("create", "configmap", "planted", "--namespace", "default", *literals)
    try:
        config_maps = devnet.kubectl("get", "configmaps", "--all-namespaces", "--output", "json").encode()
        leaks, _seen = scan(secrets, [("configmaps", config_maps)])
    finally:
        devnet.kubectl("delete", "configmap", "planted", "--namespace", "default")
    found = {leak.secret for leak in leaks}
    assert "alice.mnemonic (mnemonic)" in found
    assert "homes/bob/config/priv_validator_key.json" in found
    assert "homes/charlie/config/priv_validator_key.json" in found
    assert "owner.mnemonic (mnemonic)" not in found


def test_no_secret_is_where_it_does_not_belong(devnet: Devnet, secrets: list[Secret]) -> None:
    leaks, seen = scan(secrets, places_of(devnet))
    assert leaks == []
    assert len(devnet.outputs) >= 9  # three of each validator, of the devnet's own
    for place in (
        "configmaps",
        "events",
        "pods",
        "statefulsets.apps",
        "log of alice-monitor/monitor-0",
        "output of playbook 1",
    ):
        assert place in seen
    for name in POWERS:
        assert f"files of {name}-monitor/monitor-0" in seen
