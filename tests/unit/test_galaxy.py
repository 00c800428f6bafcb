# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Galaxy refuses a collection for: its importer ends with an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LONGEST_AUTHOR = 64
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def test_authors_are_short() -> None:
    description = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert all(len(author) <= LONGEST_AUTHOR for author in description["authors"])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_described(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert f"# interchain.security.{role}\n" in readme
    # Its example takes options that there are.
    example = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])
    specification = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    known = {name for entry in specification["argument_specs"].values() for name in entry.get("options", {})}
    for play in example:
        for used in play.get("roles", []):
            assert set(used.get("vars", {})) <= known | {"consumer_id"}


@pytest.mark.parametrize("name", ["execution-environment.yml", "extensions/eda/decision-environment.yml"])
def test_environments_are_of_one_version(name: str) -> None:
    environment = yaml.safe_load((ROOT / name).read_text())
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert environment["version"] == 3
    (own,) = [
        entry
        for entry in environment["dependencies"]["galaxy"]["collections"]
        if entry["name"] == "interchain.security"
    ]
    assert own["version"] == f"v{version}"
    assert ((ROOT / name).parent / environment["dependencies"]["python"]).resolve() == ROOT / "requirements.txt"
