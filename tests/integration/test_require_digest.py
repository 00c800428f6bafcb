# SPDX-License-Identifier: GPL-3.0-or-later
"""Images by digest only: the roles refuse a tag before they ask anything of a cluster, and there is none here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api_server import COLLECTIONS

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: "interchain.security.{{ role }}", tasks_from: "{{ part }}"}
"""
DIGEST = f"example.com/image@sha256:{'a' * 64}"
REFUSAL = "and these have none: "
RECORD = {"consumer_id": "0", "chain_id": "demo-1"}
OPERATOR = "cosmosvaloper1qyqszqgpqyqszqgpqyqszqgpqyqszqgph84tp0"


def run(directory: Path, role: str, part: str, **variables: Any) -> str:
    """Run a part of a role, which fails at the latest where it asks the cluster; return what it said."""
    play = directory / "play.yml"
    play.write_text(PLAY)
    values = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "role": role,
        "part": part,
        "interchain_require_digest": True,
        "interchain_validator": "alice",
        "interchain_provider_rpc_url": ["http://127.0.0.1:1"],
        "interchain_operator_address": OPERATOR,
        **variables,
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", str(play), "-e", json.dumps(values)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "KUBECONFIG": str(directory / "none")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "hermes": ("preflight", {"hermes_consumer_id": "0"}, "docker.io/informalsystems/hermes:1.10.5."),
    "provider": ("preflight", {}, "ghcr.io/cosmos/interchain-security:v7.0.1."),
    "monitor": (
        "preflight",
        {
            "monitor_image": DIGEST,
            "interchain_image": DIGEST,
            "interchain_hermes_image": DIGEST,
            "interchain_catalogue": [{"consumer_id": "1", "image": "example.com/chain:latest"}, {"image": DIGEST}],
        },
        "example.com/chain:latest.",
    ),
    "consumer": (
        "stage",
        {
            "consumer_id": "0",
            "consumer_record": RECORD,
            "interchain_image": DIGEST,
            "interchain_hybrid_peer_updates": True,
            "interchain_gate_image": "example.com/gate:latest",
        },
        "example.com/gate:latest.",
    ),
}


@pytest.mark.parametrize("role", CASES)
def test_an_image_without_a_digest_is_refused_by_name(role: str, tmp_path: Path) -> None:
    part, given, refused = CASES[role]
    assert REFUSAL + refused in " ".join(run(tmp_path, role, part, **given).split())


def test_an_image_with_one_is_not(tmp_path: Path) -> None:
    assert REFUSAL not in run(tmp_path, "provider", "preflight", interchain_image=DIGEST)
