# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the rulebook for the EDA controller out of the one for the command line: the same rules, each launching a job template.

The controller gives a rulebook no inventory, so it cannot run a playbook itself. Run this after every change of monitor.yml:
python scripts/generate_controller_rulebook.py
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

RULEBOOKS = Path(__file__).resolve().parents[1] / "extensions/eda/rulebooks"
LIST_OF_RULES = RULEBOOKS / "monitor.yml"
GENERATED = RULEBOOKS / "monitor_controller.yml"
HEADER = """---
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by scripts/generate_controller_rulebook.py out of monitor.yml, which says why each rule is there: change that one.
# For the EDA controller: it runs no playbook, but launches the job templates that the role awx makes, named "<job_template_prefix> <playbook>".
"""
# Credentials of the controller hand these over; on the command line the pod's service account and the URL do.
MORE_OPTIONS = {
    # The controller writes the file, and ansible-rulebook alone knows where: no variable of a credential can name it.
    "kubeconfig": "{{ (eda | default({'filename': {}})).filename.kubeconfig | default('') }}",
    "username": "{{ username | default('') }}",
    "password": "{{ password | default('') }}",
}
COLLECTION = "interchain.security."


def controller_rulebook(rulebook: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rulebook with run_job_template in place of each run_playbook."""
    made = copy.deepcopy(rulebook)
    for ruleset in made:
        for source in ruleset["sources"]:
            source["interchain.security.ccv"] |= MORE_OPTIONS
        for rule in ruleset["rules"]:
            rule["actions"] = [
                {"run_job_template": _job_template(action["run_playbook"])} for action in rule["actions"]
            ]
    return made


def _job_template(run_playbook: dict[str, Any]) -> dict[str, Any]:
    given = dict(run_playbook)
    playbook = given.pop("name").removeprefix(COLLECTION)
    extra_vars = given.pop("extra_vars", None)
    return {
        "name": f"{{{{ job_template_prefix | default('interchain') }}}} {playbook}",
        "organization": "{{ organization | default('Default') }}",
        # The event itself stays here: the playbook reads the chain.
        "include_events": False,
        **given,
        **({"job_args": {"extra_vars": extra_vars}} if extra_vars else {}),
    }


class _Dumper(yaml.SafeDumper):
    """Writes YAML as the linter of this repository wants it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    quoted = '"' if "{{" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=quoted)


_Dumper.add_representer(str, _text)


def generate() -> str:
    """Return the text of monitor_controller.yml."""
    rulebook = yaml.safe_load(LIST_OF_RULES.read_text(encoding="utf-8"))
    return HEADER + yaml.dump(controller_rulebook(rulebook), Dumper=_Dumper, sort_keys=False, width=150)


if __name__ == "__main__":
    GENERATED.write_text(generate(), encoding="utf-8")
