# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rulebook for the EDA controller is made of the same rules as the one for the command line."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible_rulebook import rules_parser
from ansible_rulebook.util import substitute_variables
from ansible_rulebook.validators import Validate
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments

ROOT = Path(__file__).resolve().parents[3]


def script() -> Any:
    specification = importlib.util.spec_from_file_location("generate", ROOT / "scripts/generate_controller_rulebook.py")
    assert specification is not None
    assert specification.loader is not None
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    return made


RULEBOOK = yaml.safe_load(script().GENERATED.read_text())
LISTED = yaml.safe_load(script().LIST_OF_RULES.read_text())
TYPES = {
    file.stem: yaml.safe_load(file.read_text())
    for file in sorted((ROOT / "extensions/eda/credential_types").glob("*.yml"))
}
ENVIRONMENT = NativeEnvironment(undefined=jinja2.StrictUndefined)


def test_it_is_freshly_made() -> None:
    made = script()
    assert made.GENERATED.read_text() == made.generate(), "run python scripts/generate_controller_rulebook.py"


def test_the_engine_accepts_it() -> None:
    Validate.rulebook(RULEBOOK)
    (parsed,) = rules_parser.parse_rule_sets(RULEBOOK)
    assert len(parsed.rules) == len(LISTED[0]["rules"])


def test_the_same_rules_hand_over_the_same_and_nothing_else() -> None:
    (ruleset,), (listed,) = RULEBOOK, LISTED
    for rule, original in zip(ruleset["rules"], listed["rules"], strict=True):
        assert (rule["name"], rule["condition"]) == (original["name"], original["condition"])
        (launch,), (run,) = rule["actions"], original["actions"]
        template, playbook = launch["run_job_template"], run["run_playbook"]
        assert template["name"].endswith(f"}} {playbook['name'].removeprefix('interchain.security.')}")
        assert template["include_events"] is False
        assert template.get("job_args", {}).keys() <= {"extra_vars"}, "no inventory and no limit"
        assert template.get("job_args", {}).get("extra_vars") == playbook.get("extra_vars")
        assert [template.get(name) for name in ("lock", "retries", "delay")] == [
            playbook.get(name) for name in ("lock", "retries", "delay")
        ]


def test_the_source_knows_every_option() -> None:
    (source,) = RULEBOOK[0]["sources"]
    assert set(source["interchain.security.ccv"]) <= {field.name for field in dataclasses.fields(Arguments)}


def test_the_credential_types_fill_what_the_rulebook_reads() -> None:
    text = script().GENERATED.read_text()
    for credential_type in TYPES.values():
        inputs = {field["id"] for field in credential_type["inputs"]["fields"]}
        assert set(credential_type["inputs"]["required"]) <= inputs
        for variable in credential_type["injectors"]["extra_vars"]:
            assert f"{{{{ {variable} " in text, f"{credential_type['name']}: {variable}"
        for file in credential_type["injectors"].get("file", {}):
            assert f".filename.{file.removeprefix('template.')} " in text


def test_a_credential_that_holds_no_more_than_it_must_can_be_used() -> None:
    """The controller renders with what a credential holds and nothing else: no other input, and no name of a file."""
    for credential_type in TYPES.values():
        held = dict.fromkeys(credential_type["inputs"]["required"], "x")
        for template in (
            *credential_type["injectors"]["extra_vars"].values(),
            *credential_type["injectors"].get("file", {}).values(),
        ):
            assert isinstance(ENVIRONMENT.from_string(template).render(held), str), template


@pytest.mark.parametrize(
    ("variables", "kubeconfig"),
    [
        ({"eda": {"filename": {"kubeconfig": "/tmp/written"}}}, "/tmp/written"),
        ({"eda": {"filename": {}}}, None),
        ({}, None),
    ],
)
def test_the_source_is_told_of_the_file_that_the_controller_writes(
    variables: dict[str, Any], kubeconfig: str | None
) -> None:
    (source,) = RULEBOOK[0]["sources"]
    given = {"provider_rpc_url": "http://node:26657", "provider_chain_id": "provider-1", **variables}
    arguments = Arguments.from_args(substitute_variables(source["interchain.security.ccv"], given))
    assert arguments.kubeconfig == kubeconfig
    assert arguments.username is None
