# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role eda compares, and that it gives the rulebook of the EDA controller just the variables that this takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.eda_controller import changes, outdated

ROOT = Path(__file__).resolve().parents[2]
RULEBOOK = (ROOT / "extensions/eda/rulebooks/monitor_controller.yml").read_text()
CREDENTIAL = {"name": "alice cluster", "credential_type_id": 4, "organization_id": 2}
SHOWN = {"name": "alice cluster", "credential_type": {"id": 4}, "organization": {"id": 2}}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_options_and_defaults_of_the_role_are_the_same() -> None:
    documented = read("roles/eda/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in documented.items()} == read("roles/eda/defaults/main.yml")
    assert {name for name, option in documented.items() if option.get("no_log")} == {
        "eda_controller_token",
        "eda_controller_password",
        "eda_provider_password",
        "eda_kubeconfig",
    }


def test_the_rulebook_gets_what_it_takes_and_nothing_twice() -> None:
    """The controller refuses an activation whose variables are given by a credential as well."""
    by_credentials: set[str] = set()
    for file in ("provider_rpc", "cluster"):
        by_credentials |= set(read(f"extensions/eda/credential_types/{file}.yml")["injectors"]["extra_vars"])
    variables = read("roles/eda/vars/main.yml")
    by_activation = {*variables["eda_rulebook_options"], "job_template_prefix", "organization"}
    for name in ("job_template_prefix", "organization"):
        assert f"'{name}': " in variables["eda_activation_variables"]
    assert not by_credentials & by_activation
    taken = set(re.findall(r"{{ ([a-z_]+) [|}]", RULEBOOK)) - {"event"}
    assert by_credentials | by_activation == taken


def test_what_the_role_names_is_there() -> None:
    variables = read("roles/eda/vars/main.yml")
    assert (ROOT / "extensions/eda/rulebooks" / variables["eda_rulebook"]).is_file()
    for kind, inputs in (("provider_rpc", "eda_provider_inputs"), ("cluster", "eda_cluster_inputs")):
        fields = {field["id"] for field in read(f"extensions/eda/credential_types/{kind}.yml")["inputs"]["fields"]}
        assert variables[inputs].keys() == fields


@pytest.mark.parametrize(
    ("wanted", "found", "changed"),
    [
        ({"url": "a", "scm_branch": "b"}, {}, {"url": "a", "scm_branch": "b"}),
        ({"url": "a", "scm_branch": "b"}, {"id": 1, "url": "a", "scm_branch": "c", "proxy": "p"}, {"scm_branch": "b"}),
        ({"organization_id": 2}, {"organization": {"id": 2}}, {}),
        ({"organization_id": 2}, {"organization": {"id": 3}}, {"organization_id": 2}),
        ({"rulebook_id": 5}, {"rulebook": None}, {"rulebook_id": 5}),
        ({"eda_credentials": [1, 2]}, {"eda_credentials": [{"id": 2}, {"id": 1}]}, {}),
        ({"eda_credentials": [1, 2]}, {"eda_credentials": [{"id": 2}]}, {"eda_credentials": [1, 2]}),
        ({"inputs": {"fields": []}}, {"inputs": {"fields": [], "required": []}}, {"inputs": {"fields": []}}),
    ],
)
def test_only_what_differs_is_sent(wanted: dict[str, Any], found: dict[str, Any], changed: dict[str, Any]) -> None:
    assert changes(wanted, found) == changed


@pytest.mark.parametrize(
    ("wanted", "shown", "update", "sent"),
    [
        # Held, and not to be replaced.
        ({"host": "a", "token": "x"}, {"host": "a", "token": "$encrypted$"}, False, {}),
        ({"host": "b", "token": "x"}, {"host": "a", "token": "$encrypted$"}, False, {"host": "b"}),
        ({"host": "a", "token": "x"}, {"host": "a", "token": "$encrypted$"}, True, {"token": "x"}),
        # Not held yet.
        ({"token": "x"}, {}, False, {"token": "x"}),
        # Not wanted: taken away only with the secrets.
        ({"token": ""}, {"token": "$encrypted$"}, False, {}),
        ({"token": ""}, {"token": "$encrypted$"}, True, {"token": ""}),
        ({"token": ""}, {}, True, {}),
        # An input that is not shown is empty.
        ({"host": ""}, {}, False, {}),
        ({"verify": False}, {}, False, {"verify": False}),
        # What nobody asks about stays.
        ({}, {"host": "a"}, True, {}),
    ],
)
def test_secrets_are_sent_when_they_are_asked_for(
    wanted: dict[str, Any], shown: dict[str, Any], update: bool, sent: dict[str, Any]
) -> None:
    expected = {"inputs": sent} if sent else {}
    assert changes({**CREDENTIAL, "inputs": wanted}, {**SHOWN, "inputs": shown}, ["token"], update) == expected


def test_an_activation_is_outdated_when_something_is_younger_than_it() -> None:
    old = {"name": "old", "modified_at": "2026-11-26T10:00:00.900000Z"}
    new = {"name": "new", "modified_at": "2026-11-26T10:00:03Z"}
    project = {"name": "rules", "git_hash": "a"}
    made = {"created_at": "2026-11-26T10:00:02.500000Z", "edited_at": None}
    assert outdated({}, project, [old, new]) == []
    assert outdated(made, project, [old, {}, new]) == ["new"]
    assert outdated({**made, "edited_at": "2026-11-26T10:00:03.000100Z"}, project, [old, new]) == []
    # The same second, once without a fraction.
    assert outdated({**made, "edited_at": "2026-11-26T10:00:00Z"}, project, [old]) == []


def test_an_activation_is_outdated_when_its_last_process_runs_other_rules() -> None:
    made = {
        "created_at": "2026-11-26T10:00:00Z",
        "instances": [{"id": 9, "git_hash": "b"}, {"id": 10, "git_hash": "a"}],
    }
    assert outdated(made, {"name": "rules", "git_hash": "a"}, []) == []
    assert outdated(made, {"name": "rules", "git_hash": "b"}, []) == ["rules"]
    assert outdated(made, {}, []) == []
    assert outdated({**made, "instances": []}, {"name": "rules", "git_hash": "b"}, []) == []
