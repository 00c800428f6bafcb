# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-rulebook runs the rulebook of the EDA controller: a real provider at one end, a stand-in for the controller's API at the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.controller import TOKEN, Controller
from tests.fakes.json_api import serving
from tests.integration.provider_operations import Provider, provider
from tests.integration.single_node import CHAIN_ID
from tests.testbed import collection

ROOT = Path(__file__).resolve().parents[2]
ORGANIZATION = {"organization": {"id": 1, "name": "Validators"}}
DEADLINE = 90.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Provider]:
    with provider(tmp_path / "provider") as running:
        yield running


@contextmanager
def rulebook(directory: Path, controller_url: str, **variables: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the rulebook with what an activation gives it, and no inventory."""
    (directory / "vars.yml").write_text(yaml.safe_dump(variables))
    tools = Path(sys.executable).parent
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [
                str(tools / "ansible-rulebook"),
                *("--rulebook", "interchain.security.monitor_controller"),
                *("--vars", str(directory / "vars.yml")),
                *("--controller-url", controller_url, "--controller-token", TOKEN),
            ],
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(collection.installed()),
                "EDA_JOB_TEMPLATE_REFRESH_DELAY": "0.2",
                # Java starts in less time when it does not prepare for a long life.
                "JAVA_TOOL_OPTIONS": "-Xrs -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            },
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def test_rules_launch_job_templates(chain: Provider, tmp_path: Path) -> None:
    """Each event launches the template of its playbook, with what the playbook takes and no more; a failed job is launched once again."""
    controller = Controller()
    for file in sorted((ROOT / "playbooks").glob("*.yml")):
        controller.add("job_templates", name=f"alice {file.stem}", summary_fields=ORGANIZATION)

    def launched(name: str) -> list[dict[str, Any]]:
        return [body for template, body in list(controller.launched) if template == f"alice {name}"]

    def until(what: str, name: str, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + DEADLINE
        while len(launched(name)) < count:
            said = (tmp_path / "output").read_text(errors="replace")[-3000:]
            assert process.poll() is None, f"the rulebook ended: {said}"
            assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}; {controller.launched}; {said}"
            time.sleep(0.1)
        return launched(name)

    with (
        serving(controller) as url,
        rulebook(
            tmp_path,
            url,
            provider_rpc_url=chain.node.url,
            provider_chain_id=CHAIN_ID,
            sync_interval=5,
            check_interval=0,
            job_template_prefix="alice",
            organization="Validators",
        ) as process,
    ):
        assert until("the start", "remove_deleted", 1) == [{"limit": "localhost", "extra_vars": {}}]

        controller.outcomes.append("failed")
        hostile = "{{ lookup('pipe', 'id') }}-1"
        made = chain.run("consumer", chain_id=hostile, spawn_time="+600s")
        chain.wait_for_transaction(made["tx_hash"])
        first, again = until("the consumer, and once more after a failed job", "consumer_initialized", 2)
        assert first == again
        extra_vars = first["extra_vars"]
        assert extra_vars.keys() == {
            "consumer_id",
            "event_height",
            "event_previous_phase",
            "event_uuid",
            "event_attempt",
        }
        assert str(extra_vars["consumer_id"]) == "0"
        assert int(extra_vars["event_height"]) > 1

        opted = chain.run("opt_in", consumer_id="0", key_file=str(tmp_path / "key"))
        chain.wait_for_transaction(opted["tx_hash"])
        removed = chain.run("consumer", chain_id="plain-1")
        chain.wait_for_transaction(removed["tx_hash"])
        (registered,) = until("another consumer", "consumer_registered", 1)
        assert str(registered["extra_vars"]["consumer_id"]) == "1"
    assert controller.refused == []
    # No stranger's text, and no event, went to the controller.
    assert hostile not in str(controller.launched)
    assert "ansible_eda" not in str(controller.launched)
