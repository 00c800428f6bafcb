# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule skips a step whose playbook is missing and succeeds all the same: here it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

MOLECULE = Path(__file__).resolve().parents[2] / "extensions/molecule"
SCENARIOS = sorted(file.parent.name for file in MOLECULE.glob("*/molecule.yml"))
PLAYBOOKS = {"check": "converge.yml", "idempotence": "converge.yml"}


def test_there_are_scenarios_beside_the_one_of_the_cluster() -> None:
    assert SCENARIOS == ["consumer", "default", "load_balancer"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_step_of_a_scenario_has_its_playbook(scenario: str) -> None:
    shared = yaml.safe_load((MOLECULE / "config.yml").read_text())
    own = yaml.safe_load((MOLECULE / scenario / "molecule.yml").read_text())
    steps = own.get("scenario", shared["scenario"])["test_sequence"]
    for step in steps:
        action, *playbooks = step.split()
        folder = MOLECULE / "default" if action in ("create", "destroy") else MOLECULE / scenario
        for playbook in playbooks or [PLAYBOOKS.get(action, f"{action}.yml")]:
            assert (folder / playbook).is_file(), step
    if any(step.startswith("side_effect") for step in steps):
        assert (MOLECULE / scenario / shared["ansible"]["playbooks"]["side_effect"]).is_file()
