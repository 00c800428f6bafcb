# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action groups of meta/runtime.yml name the modules that take the options which a playbook sets by module_defaults, and no others."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.operations import connection, consumer_key, state

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = "ansible_collections.interchain.security.plugins.module_utils.operations"
GROUPS: dict[str, list[str]] = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
MODULES = sorted(file.stem for file in (ROOT / "plugins/modules").glob("*.py"))
# An option of module_defaults that a module does not know makes its task fail.
OPTIONS = {
    "provider": set(connection.PROVIDER_OPTIONS),
    "signer": set(connection.SIGNER_OPTIONS),
    "consumer_key": set(consumer_key.OPTIONS),
    "state": set(state.STATE_OPTIONS),
    "keyring": set(connection.KEYRING_OPTIONS) - {"keyring_passphrase", "keyring_passphrase_file"},
}


def options(module: str) -> set[str]:
    return set(importlib.import_module(f"{OPERATIONS}.{module}").ARGUMENT_SPEC)


@pytest.mark.parametrize("group", OPTIONS)
def test_members_take_the_options(group: str) -> None:
    for module in GROUPS[group]:
        assert OPTIONS[group] - options(module) <= {"request_timeout"}, module


@pytest.mark.parametrize("group", ["provider", "signer", "consumer_key"])
def test_who_takes_the_options_is_a_member(group: str) -> None:
    assert {module for module in MODULES if OPTIONS[group] <= options(module)} == set(GROUPS[group])


def test_every_module_has_an_action_plugin() -> None:
    """In Ansible's own process a task takes 20 ms in place of 400."""
    assert sorted(file.stem for file in (ROOT / "plugins/action").glob("*.py")) == MODULES
