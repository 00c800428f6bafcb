# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWX asks for is what the playbooks and roles take, and what the rulebook hands over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.survey import survey_spec

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads !unsafe as text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(name: str) -> Any:
    return yaml.load((ROOT / name).read_text(), Loader)


VARIABLES = read("roles/awx/vars/main.yml")
MONITOR = read("roles/monitor/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
TEMPLATES = {entry["playbook"]: entry for entry in VARIABLES["awx_job_templates"]}
RULES = read("extensions/eda/rulebooks/monitor_controller.yml")[0]["rules"]


def options(value: Any) -> Mapping[str, Any]:
    """Return the options of a template; those that are templates name variables that are dictionaries."""
    if isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for name in re.findall(r"\bawx_[a-z_]+\b", value):
        if name == "awx_monitor_options":
            return MONITOR
        found |= options(VARIABLES[name])
    # Options that are written down within the template itself.
    return found | {name: {} for name in re.findall(r"'([a-z_]+)': {'type'", value)}


@pytest.mark.parametrize("playbook", TEMPLATES)
def test_a_playbook_takes_what_it_is_asked_for(playbook: str) -> None:
    text = (ROOT / f"playbooks/{playbook}.yml").read_text()
    if playbook == "deploy_monitor":
        assert "role: interchain.security.monitor" in text
        return
    # What tasks of a playbook's own folder read counts as well.
    for name in re.findall(r"tasks/[a-z_]+\.yml", text):
        text += (ROOT / "playbooks" / name).read_text()
    for option in options(TEMPLATES[playbook]["options"]):
        if option in ("event_height", "event_previous_phase", "event_attempt") and playbook.startswith("consumer_"):
            continue  # see the next test
        assert re.search(rf"\b{option}\b", text), option


def test_each_rule_has_its_template_which_takes_what_is_handed_over() -> None:
    for rule in RULES:
        (action,) = rule["actions"]
        launch = action["run_job_template"]
        playbook = launch["name"].split()[-1]
        handed_over = launch.get("job_args", {}).get("extra_vars", {})
        assert set(handed_over) <= set(options(TEMPLATES[playbook]["options"])), playbook


def test_who_signs_has_an_account_and_who_works_on_the_cluster_a_cluster() -> None:
    for playbook, template in TEMPLATES.items():
        text = (ROOT / f"playbooks/{playbook}.yml").read_text()
        if "vars/signer.yml" in text:
            assert "account" in template["credentials"], playbook
        if "role: interchain.security" in text or "include_role" in text or "kubernetes.core" in text:
            assert "cluster" in template["credentials"], playbook


def test_workflows_run_templates_that_are_there() -> None:
    for workflow in VARIABLES["awx_workflows"]:
        assert set(workflow["steps"]) - {"approval"} <= TEMPLATES.keys()
        asked = set(options(workflow["options"]))
        # What the first playbook takes is what the workflow asks for.
        assert set(options(TEMPLATES[workflow["steps"][0]]["options"])) <= asked
    (removal,) = [entry for entry in VARIABLES["awx_workflows"] if entry["name"] == "removal"]
    assert removal["steps"].index("approval") < removal["steps"].index("remove_consumer")


def test_credential_types_fill_variables_that_the_playbooks_read() -> None:
    texts = "".join(file.read_text() for file in (ROOT / "playbooks").rglob("*.yml"))
    fragments = json.dumps([file.read_text() for file in (ROOT / "plugins/inventory").glob("*.py")])
    for entry in VARIABLES["awx_credential_types"]:
        fields = {field["id"] for field in entry["inputs"]["fields"]}
        assert set(entry["inputs"]["required"]) <= fields
        for variable in entry["injectors"]["extra_vars"]:
            assert variable in texts
        for variable in entry["injectors"].get("env", {}):
            assert variable in fragments


def test_a_survey_asks_as_the_options_say() -> None:
    made = survey_spec(
        {
            "a": {"type": "str", "required": True, "description": ["One.", "Two."]},
            "b": {"type": "int", "default": 5},
            "c": {"type": "bool", "default": False},
            "d": {"type": "str", "choices": ["x", "y"], "default": "x"},
            "e": {"type": "dict", "default": {}},
            "f": {"type": "str", "no_log": True, "default": "secret"},
            "g": {"type": "str", "default": "{{ other }}"},
        }
    )
    asked = {question["variable"]: question for question in made["spec"]}
    assert {name: (question["type"], question.get("default")) for name, question in asked.items()} == {
        "a": ("text", None),
        "b": ("integer", 5),
        "c": ("multiplechoice", "false"),
        "d": ("multiplechoice", "x"),
        "e": ("textarea", None),
        "f": ("password", None),
        "g": ("text", None),
    }
    assert (asked["a"]["required"], asked["a"]["question_description"]) == (True, "One. Two.")
    assert (asked["c"]["choices"], asked["d"]["choices"]) == (["true", "false"], ["x", "y"])
    assert survey_spec({}) == {}


def test_a_survey_cannot_ask_for_everything() -> None:
    with pytest.raises(InvalidInput, match="a: a survey cannot ask for the type bytes"):
        survey_spec({"a": {"type": "bytes"}})
