# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook fits the rule engine, the event source and the playbooks. A rulebook that is named by its collection is not checked by the engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_rulebook import rules_parser
from ansible_rulebook.validators import Validate

from ansible_collections.interchain.security.plugins.module_utils.event_source.arguments import Arguments
from ansible_collections.interchain.security.plugins.module_utils.ics.phase import Phase

ROOT = Path(__file__).resolve().parents[2]
RULEBOOK = yaml.safe_load((ROOT / "extensions/eda/rulebooks/monitor.yml").read_text())
(RULESET,) = RULEBOOK
RULES = RULESET["rules"]
WITH_RECEIPT = [
    rule
    for rule in RULES
    if any(kind in rule["condition"] for kind in ("phase_changed", "consumer_updated", "membership_changed"))
]
# What an event carries, as the event source documents it.
FIELDS = ("event.consumer_id", "event.height", "event.previous_phase", "event.meta.uuid", "event.attempt")


def playbook(rule: dict[str, Any]) -> dict[str, Any]:
    (action,) = rule["actions"]
    found: dict[str, Any] = action["run_playbook"]
    return found


def test_the_engine_accepts_it() -> None:
    Validate.rulebook(RULEBOOK)
    (parsed,) = rules_parser.parse_rule_sets(RULEBOOK)
    assert len(parsed.rules) == len(RULES)


def test_the_source_knows_every_option() -> None:
    (source,) = RULESET["sources"]
    options = {field.name for field in dataclasses.fields(Arguments)}
    assert set(source["interchain.security.ccv"]) <= options


def test_every_phase_has_a_rule() -> None:
    for phase in Phase:
        conditions = [rule["condition"] for rule in RULES if f'event.phase == "{phase.value}"' in rule["condition"]]
        assert len(conditions) == 1, phase


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_what_it_runs_is_there(rule: dict[str, Any]) -> None:
    namespace, _separator, name = playbook(rule)["name"].rpartition(".")
    assert namespace == "interchain.security"
    assert (ROOT / f"playbooks/{name}.yml").is_file()


@pytest.mark.parametrize("rule", WITH_RECEIPT, ids=lambda rule: rule["name"])
def test_playbooks_of_a_consumer_wait_for_each_other_and_name_their_event(rule: dict[str, Any]) -> None:
    run = playbook(rule)
    assert run["lock"] == "consumer-{{ event.consumer_id }}"
    assert {"consumer_id", "event_height", "event_uuid", "event_attempt"} <= set(run["extra_vars"])
    assert set(run["extra_vars"].values()) <= {f"{{{{ {field} }}}}" for field in FIELDS}
    # A second retry would run beside the event source's own.
    assert run["retries"] == 1
