# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role awx with the real modules of awx.awx, against a stand-in for AWX's API: no package registry holds AWX itself."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.controller import TOKEN, Controller
from tests.fakes.json_api import serving
from tests.integration import setup_playbook

ROOT = Path(__file__).resolve().parents[2]
MNEMONIC = "abandon " * 11 + "about"
SECRETS = (MNEMONIC, "a-bearer-token", "a-hook")
VARIABLES: dict[str, Any] = {
    "interchain_validator": "alice",
    "interchain_operator_address": "cosmosvaloper1rhqk6kfe5gqpf4rye7a4h7gpwh3z7mee4cs9vv",
    "interchain_provider_rpc_url": ["http://node-0:26657", "http://node-1:26657"],
    "interchain_provider_chain_id": "provider-1",
    "awx_organization": "Validators",
    "awx_mnemonic": MNEMONIC,
    "awx_kubernetes": {"host": "https://cluster:6443", "bearer_token": "a-bearer-token", "verify_ssl": True},
    "awx_notification": {"type": "slack", "configuration": {"channels": ["#ops"], "token": "a-hook"}},
    "awx_operator_teams": ["Operators"],
    "awx_approver_teams": ["Approvers"],
}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def controller() -> Controller:
    """Return an AWX as it is after its installation."""
    made = Controller()
    made.add("organizations", name="Validators")
    fields = [
        {"id": "host", "label": "Host"},
        {"id": "bearer_token", "label": "Token", "secret": True},
        {"id": "verify_ssl", "label": "Verify", "type": "boolean"},
        {"id": "ssl_ca_cert", "label": "CA", "secret": True},
    ]
    made.add(
        "credential_types",
        name="OpenShift or Kubernetes API Bearer Token",
        kind="kubernetes",
        managed=True,
        inputs={"fields": fields, "required": ["host", "bearer_token"]},
    )
    return made


@pytest.fixture
def url(controller: Controller) -> Iterator[str]:
    with serving(controller) as found:
        yield found


def set_up(url: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    return setup_playbook.run(
        "awx_setup", {**VARIABLES, **variables}, {"CONTROLLER_HOST": url, "CONTROLLER_OAUTH_TOKEN": TOKEN}
    )


def test_it_is_set_up_once(controller: Controller, url: str) -> None:
    first = set_up(url)
    assert first.returncode == 0, first.stdout[-2500:] + "\n".join(controller.refused)
    assert controller.refused == []
    assert not any(secret in first.stdout for secret in SECRETS)

    # What is looked at below was made by the first run alone.
    made = len(controller.changes)
    second = set_up(url)
    assert second.returncode == 0, second.stdout[-4000:]
    assert controller.changes[made:] == []
    assert re.search(r"changed=0 ", second.stdout), second.stdout[-500:]

    names = {entry["name"] for entry in controller.objects["job_templates"]}
    assert names >= {
        f"alice {playbook}"
        for playbook in (
            *("deploy_monitor", "update_consumer", "opt_in", "opt_out", "create_consumer", "remove_consumer"),
            *("update_consumer_parameters", "status", "check_consumers", "check_endpoint_sync"),
        )
    }
    template = controller.named("job_templates", "alice opt_in")
    assert template["playbook"] == "playbooks/opt_in.yml"
    attached = controller.associations[f"job_templates/{template['id']}/credentials"]
    credentials = {entry["name"] for entry in controller.objects["credentials"] if entry["id"] in attached}
    assert credentials == {"alice provider", "alice account", "alice cluster"}
    survey = controller.surveys[f"/api/v2/job_templates/{template['id']}/survey_spec/"]
    assert [(question["variable"], question["required"]) for question in survey["spec"]] == [("consumer_id", True)]

    inventory = controller.named("inventories", "alice consumers")
    assert json.loads(inventory["variables"]) == {
        "interchain_validator": "alice",
        "interchain_operator_address": VARIABLES["interchain_operator_address"],
    }
    source = controller.named("inventory_sources", "alice consumers")
    assert (ROOT / source["source_path"]).is_file()
    assert json.loads(controller.named("hosts", "localhost")["variables"]) == {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    assert controller.named("credentials", "alice provider")["inputs"] == {
        "provider_rpc_url": "http://node-0:26657,http://node-1:26657",
        "provider_chain_id": "provider-1",
    }
    check_removal(controller)
    check_rights(controller)
    assert {entry["name"] for entry in controller.objects["schedules"]} == {
        "alice check_consumers",
        "alice check_endpoint_sync",
    }


def check_removal(controller: Controller) -> None:
    """See that nothing but the approval leads to the playbook that stops a consumer for good."""
    workflow = controller.named("workflow_job_templates", "alice removal")
    nodes = {
        entry["id"]: entry
        for entry in controller.objects["workflow_job_template_nodes"]
        if entry["workflow_job_template"] == workflow["id"]
    }
    order = {
        nodes[number]["identifier"]: [
            nodes[following]["identifier"]
            for following in controller.associations.get(f"workflow_job_template_nodes/{number}/success_nodes", [])
        ]
        for number in nodes
    }
    assert order == {
        "show_consumer": ["approval"],
        "approval": ["remove_consumer"],
        "remove_consumer": ["status"],
        "status": [],
    }
    (approval,) = controller.objects["workflow_approval_templates"]
    by_name = {entry["identifier"]: entry for entry in nodes.values()}
    assert by_name["approval"]["unified_job_template"] == approval["id"]
    assert approval["timeout"] == 86400
    removal = controller.named("job_templates", "alice remove_consumer")
    assert by_name["remove_consumer"]["unified_job_template"] == removal["id"]


def check_rights(controller: Controller) -> None:
    """See that operators launch everything but the removal itself, which is the workflow's, and that only approvers approve."""
    operators, approvers = (controller.named("teams", name)["id"] for name in ("Operators", "Approvers"))
    workflow = controller.named("workflow_job_templates", "alice removal")["id"]
    removal = controller.named("job_templates", "alice remove_consumer")["id"]
    opt_in = controller.named("job_templates", "alice opt_in")["id"]
    may = controller.associations
    assert may[f"job_templates/{opt_in}/execute/teams"] == [operators]
    assert may[f"workflow_job_templates/{workflow}/execute/teams"] == [operators]
    assert may[f"workflow_job_templates/{workflow}/approval/teams"] == [approvers]
    assert f"job_templates/{removal}/execute/teams" not in may


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"interchain_operator_address": "cosmos1x"}, "interchain_operator_address"),
        (
            {"awx_keyring": {"key_name": "alice", "keyring_backend": "kubernetes"}},
            "Give awx_mnemonic or awx_keyring, not both",
        ),
        ({"awx_schedules": {"check_all": "x"}}, "awx_schedules names check_all"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_made(
    controller: Controller, url: str, variables: dict[str, Any], message: str
) -> None:
    done = set_up(url, **variables)
    assert done.returncode != 0
    assert message in re.sub(r"\s+", " ", done.stdout)
    assert controller.changes == []


def test_there_is_a_document_of_it() -> None:
    assert yaml.safe_load((ROOT / "extensions/awx/consumers.yml").read_text()) == {
        "plugin": "interchain.security.consumers"
    }
