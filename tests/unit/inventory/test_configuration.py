# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""config.yaml through Ansible itself: the file, the environment, --extra-vars, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
plugin: interchain.security.configuration
validator: alice
provider_rpc_url: https://user:secret@node-0:26657
storage_size: 20Gi
repair: report
check_interval: 30
"""


def check(folder: Path, text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make config-check` runs."""
    (folder / "config.yaml").write_text(text)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--inventory", "config.yaml"]
    return subprocess.run(
        [*command, "interchain.security.config_check", *arguments],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_INVENTORY_ENABLED": "auto",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
            **environment,
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_who_says_what(tmp_path: Path) -> None:
    done = check(
        tmp_path, CONFIG, "-e", "interchain_repair=safe", INTERCHAIN_STORAGE_SIZE="30Gi", K8S_NAMESPACE="watch"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip(' ",').split() for line in done.stdout.splitlines()]
    assert [
        row[:3] for row in rows if row and row[0] in ("validator", "storage_size", "repair", "monitor_namespace")
    ] == [
        ["validator", "alice", "config.yaml"],
        ["monitor_namespace", "watch", "K8S_NAMESPACE"],
        ["storage_size", "30Gi", "INTERCHAIN_STORAGE_SIZE"],
        ["repair", "safe", "variable"],
    ]
    assert ["check_interval", "30", "config.yaml", "monitor_check_interval"] in rows
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (
            CONFIG + "storage_sise: 1Gi\nmetrics_port: 1\n",
            (),
            "storage_sise (config.yaml): there is no such key; storage_size is meant?",
        ),
        (CONFIG, ("-e", "interchain_repair=always"), "repair (interchain_repair): 'always' is none of safe, report"),
        ("validator: alice\n", (), "plugin"),
    ],
)
def test_what_is_wrong_ends_it(tmp_path: Path, text: str, arguments: tuple[str, ...], message: str) -> None:
    done = check(tmp_path, text, *arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
