# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection out of its tarball, in an environment that knows nothing of the checkout: documented as a whole, and its playbooks load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring

from tests.testbed import collection

NAMESPACE = "interchain.security"
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def collections() -> Path:
    return collection.installed()


@pytest.fixture(scope="module")
def files(collections: Path) -> list[Path]:
    """Files of the collection, as its tarball lists them."""
    listed = json.loads((collections / collection.PLACE / "FILES.json").read_text())["files"]
    return [Path(entry["name"]) for entry in listed if entry["ftype"] == "file"]


def run(collections: Path, directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of Ansible in an empty directory, as an empty home has it."""
    return subprocess.run(
        [str(TOOLS / command[0]), *command[1:]],
        env={
            "HOME": str(directory),
            "PATH": f"{TOOLS}{os.pathsep}{os.defpath}",
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
        },
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def plugins(files: list[Path], folder: str, ending: str) -> set[str]:
    return {f"{NAMESPACE}.{file.stem}" for file in files if file.parent == Path(folder) and file.suffix == ending}


def test_everything_is_documented(collections: Path, files: list[Path], tmp_path: Path) -> None:
    # Ends with an error when the documentation of anything cannot be read.
    done = run(collections, tmp_path, "ansible-doc", "--metadata-dump", NAMESPACE)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)["all"]
    filters = {
        f"{NAMESPACE}.{name}"
        for file in files
        if file.parent == Path("plugins/filter") and file.suffix == ".yml"
        for name in [yaml.safe_load((collections / collection.PLACE / file).read_text())["DOCUMENTATION"]["name"]]
    }
    roles = {f"{NAMESPACE}.{file.parts[1]}" for file in files if file.parts[0] == "roles"}
    expected = {
        "module": plugins(files, "plugins/modules", ".py"),
        "inventory": plugins(files, "plugins/inventory", ".py"),
        "filter": filters,
        "role": roles,
    }
    for kind, names in expected.items():
        assert names
        assert set(found[kind]) == names
    for names in (found["module"], found["inventory"], found["filter"]):
        for name, entry in names.items():
            assert entry["doc"]["short_description"], name
    for name, entry in found["role"].items():
        assert entry["entry_points"]["main"]["options"], name


def test_the_event_source_is_documented(collections: Path) -> None:
    """ansible-doc knows no event sources."""
    source = collections / collection.PLACE / "extensions/eda/plugins/event_source/ccv.py"
    documentation = read_docstring(str(source))["doc"]
    assert documentation["short_description"]
    assert "provider_rpc_url" in documentation["options"]


def test_every_playbook_loads(collections: Path, files: list[Path], tmp_path: Path) -> None:
    names = sorted(plugins(files, "playbooks", ".yml"))
    assert f"{NAMESPACE}.deploy_monitor" in names
    done = run(collections, tmp_path, "ansible-playbook", "--syntax-check", *names)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.count("playbook: ") == len(names)
