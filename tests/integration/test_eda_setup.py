# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role eda against a stand-in for the EDA controller's API: no package registry holds the controller itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.eda_controller import AWX_TYPE, PASSWORD, TOKEN, USER, EdaController
from tests.fakes.json_api import serving
from tests.integration import setup_playbook

ROOT = Path(__file__).resolve().parents[2]
URL, BRANCH = "https://git.example.com/monitor.git", "v0.1.0"
RULEBOOKS = ["monitor.yml", "monitor_controller.yml"]
KUBECONFIG = "apiVersion: v1\nkind: Config\nusers: [{name: monitor, user: {token: a-kubeconfig-token}}]\n"
SECRETS = (TOKEN, "a-kubeconfig-token", "an-awx-token", "a-node-password")
VARIABLES: dict[str, Any] = {
    "interchain_validator": "alice",
    "interchain_provider_rpc_url": ["https://node-0:26657", "https://node-1:26657"],
    "interchain_provider_chain_id": "provider-1",
    "awx_organization": "Validators",
    "awx_project_url": URL,
    "awx_project_branch": BRANCH,
    "eda_provider_username": "reader",
    "eda_provider_password": "a-node-password",
    "eda_kubeconfig": KUBECONFIG,
    "eda_awx": {"host": "https://awx.example.com/api/controller/", "oauth_token": "an-awx-token", "verify_ssl": True},
    "eda_rulebook_variables": {"check_interval": 120},
    # So that the test waits less than a person would mind.
    "eda_pause": 0.2,
}
MADE = [
    "made credential-types Interchain Security provider",
    "made credential-types Interchain Security cluster",
    "made eda-credentials alice provider",
    "made eda-credentials alice cluster",
    "made eda-credentials alice controller",
    "made decision-environments alice decision environment",
    "made projects alice rules",
    "made activations alice monitor",
]
pytestmark = pytest.mark.timeout(900)


def empty() -> EdaController:
    """Return an EDA controller as it is after its installation, with more organizations of such a name than a page holds."""
    made = EdaController()
    for number in range(25):
        made.add("organizations", name=f"Validators {number}")
    made.add("organizations", name="Validators")
    made.repositories[URL, BRANCH] = ("1" * 40, RULEBOOKS)
    return made


@pytest.fixture
def controller() -> EdaController:
    return empty()


@pytest.fixture
def url(controller: EdaController) -> Iterator[str]:
    with serving(controller) as found:
        yield found


def set_up(url: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    return setup_playbook.run(
        "eda_setup", {**VARIABLES, **variables}, {"AAP_HOSTNAME": url, "AAP_TOKEN": TOKEN}, *options
    )


def done(run: subprocess.CompletedProcess[str], controller: EdaController) -> int:
    """See that a run went well; return how many tasks changed something."""
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-1000:] + "\n".join(controller.refused)
    (count,) = re.findall(r"changed=(\d+)", run.stdout)
    return int(count)


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return what a run that failed said, on one line."""
    assert run.returncode != 0, run.stdout[-3000:]
    return re.sub(r"\s+", " ", run.stdout + run.stderr)


@pytest.fixture(scope="module")
def first() -> tuple[subprocess.CompletedProcess[str], EdaController]:
    """Set one up that has nothing yet, and say as much as can be said."""
    made = empty()
    with serving(made) as url:
        return set_up(url, "-vvv"), made


@pytest.fixture
def finished(first: tuple[subprocess.CompletedProcess[str], EdaController]) -> EdaController:
    """Return an EDA controller that is set up."""
    run, made = first
    done(run, made)
    return made.copy()


def test_all_is_made(first: tuple[subprocess.CompletedProcess[str], EdaController]) -> None:
    run, controller = first
    assert done(run, controller) == len(MADE)
    assert controller.refused == []
    assert controller.changes == MADE
    assert not [secret for secret in SECRETS if secret in run.stdout + run.stderr]

    held = {
        name: controller.named("eda-credentials", f"alice {name}") for name in ("provider", "cluster", "controller")
    }
    assert held["provider"]["inputs"] == {
        "provider_rpc_url": "https://node-0:26657,https://node-1:26657",
        "provider_chain_id": "provider-1",
        "username": "reader",
        "password": "a-node-password",
    }
    assert held["cluster"]["inputs"] == {"kubeconfig": KUBECONFIG, "state_namespace": "alice-monitor"}
    assert held["controller"]["inputs"] == VARIABLES["eda_awx"]
    for file in ("provider_rpc", "cluster"):
        wanted = yaml.safe_load((ROOT / f"extensions/eda/credential_types/{file}.yml").read_text())
        found = controller.named("credential-types", wanted["name"])
        assert {name: found[name] for name in ("description", "inputs", "injectors")} == {
            name: wanted[name] for name in ("description", "inputs", "injectors")
        }

    activation = controller.named("activations", "alice monitor")
    rulebook = controller.named("rulebooks", "monitor_controller.yml")
    assert (activation["rulebook_id"], activation["is_enabled"], activation["status"]) == (
        rulebook["id"],
        True,
        "running",
    )
    assert activation["restart_policy"] == "always"
    assert activation["eda_credentials"] == sorted(entry["id"] for entry in held.values())
    assert activation["filled"] == {
        "job_template_prefix": "alice",
        "organization": "Validators",
        "check_interval": 120,
        "provider_rpc_url": "https://node-0:26657,https://node-1:26657",
        "provider_chain_id": "provider-1",
        "username": "reader",
        "password": "a-node-password",
        "state_namespace": "alice-monitor",
    }


def test_a_second_time_nothing_is_changed_and_no_secret_is_needed(finished: EdaController) -> None:
    with serving(finished) as url:
        assert done(set_up(url, eda_provider_password="", eda_kubeconfig="", eda_awx={}), finished) == 0
    assert finished.refused == finished.changes == []


def test_what_differs_is_changed_and_the_activation_is_stopped_for_it(finished: EdaController) -> None:
    finished.repositories[URL, "v0.2.0"] = ("2" * 40, RULEBOOKS)
    others: dict[str, Any] = {
        "interchain_provider_rpc_url": "https://node-2:26657",
        "awx_project_branch": "v0.2.0",
        "eda_decision_environment_image": "registry.example.com/monitor-de:0.2.0",
        "eda_rulebook_variables": {"check_interval": 60},
        # Not asked for, so what is held stays.
        "eda_kubeconfig": "another",
        "eda_awx": {**VARIABLES["eda_awx"], "oauth_token": "another"},
    }
    with serving(finished) as url:
        checked = set_up(url, "--check", **others)
        assert done(checked, finished) == 6
        assert finished.changes == []
        assert not [request for request in finished.requests if not request.startswith("GET ")]
        assert "Would change the project alice rules (scm_branch)." in checked.stdout

        assert done(set_up(url, **others), finished) == 6
    assert finished.refused == []
    assert finished.changes == [
        "changed eda-credentials alice provider",
        "changed decision-environments alice decision environment",
        "changed projects alice rules",
        "disabled activations alice monitor",
        "changed activations alice monitor",
        "enabled activations alice monitor",
    ]
    activation = finished.named("activations", "alice monitor")
    assert activation["status"] == "running"
    assert activation["filled"]["provider_rpc_url"] == "https://node-2:26657"
    assert activation["filled"]["check_interval"] == 60
    assert activation["instances"][-1]["git_hash"] == "2" * 40
    assert finished.named("eda-credentials", "alice cluster")["inputs"]["kubeconfig"] == KUBECONFIG
    assert finished.named("eda-credentials", "alice controller")["inputs"]["oauth_token"] == "an-awx-token"


def test_secrets_are_replaced_when_that_is_asked_for(finished: EdaController) -> None:
    given = {"eda_kubeconfig": "another", "eda_provider_username": "", "eda_provider_password": ""}
    with serving(finished) as url:
        assert done(set_up(url, eda_update_secrets=True, **given), finished) == 6
    assert finished.named("eda-credentials", "alice cluster")["inputs"]["kubeconfig"] == "another"
    assert finished.named("activations", "alice monitor")["filled"]["password"] == ""


def test_a_run_that_was_cut_before_the_activation_is_made_up_for(finished: EdaController) -> None:
    """The activation still has the address that the credential had when it was made."""
    number = finished.named("eda-credentials", "alice provider")["id"]
    inputs = {"provider_rpc_url": "https://node-3:26657"}
    assert finished.answer("PATCH", f"/api/eda/v1/eda-credentials/{number}/", {"inputs": inputs})[0] == 200
    finished.changes.clear()
    with serving(finished) as url:
        assert done(set_up(url, interchain_provider_rpc_url="https://node-3:26657"), finished) == 3
    assert finished.changes == [f"{what} activations alice monitor" for what in ("disabled", "changed", "enabled")]
    assert finished.named("activations", "alice monitor")["filled"]["provider_rpc_url"] == "https://node-3:26657"


def test_the_rules_can_be_stopped(finished: EdaController) -> None:
    with serving(finished) as url:
        run = set_up(
            url,
            eda_enabled=False,
            eda_controller_token="",
            eda_controller_username=USER,
            eda_controller_password=PASSWORD,
        )
        assert done(run, finished) == 1
    assert PASSWORD not in run.stdout + run.stderr
    assert finished.changes == ["disabled activations alice monitor"]
    assert finished.named("activations", "alice monitor")["status"] == "stopped"


def test_check_mode_makes_nothing_and_tells_all(controller: EdaController, url: str) -> None:
    run = set_up(url, "--check")
    assert done(run, controller) == len(MADE)
    assert "Would make the activation alice monitor." in run.stdout
    assert controller.refused == controller.changes == controller.bodies == []


def test_an_import_that_fails_says_why_and_is_tried_again(controller: EdaController, url: str) -> None:
    there = controller.repositories.pop((URL, BRANCH))
    told = said(set_up(url))
    assert f"did not import {URL} at {BRANCH}." in told
    assert f"Remote branch {BRANCH} not found in upstream origin" in told
    assert controller.objects["activations"] == []

    controller.repositories[URL, BRANCH] = there
    assert done(set_up(url), controller) == 2
    assert controller.changes == [*MADE[:-1], "synced projects alice rules", MADE[-1]]
    assert controller.named("activations", "alice monitor")["status"] == "running"


def test_a_repository_without_the_rulebook_is_named(controller: EdaController, url: str) -> None:
    controller.repositories[URL, BRANCH] = ("1" * 40, [])
    assert f"{URL} at {BRANCH} has no rulebook monitor_controller.yml. This project contains no" in said(set_up(url))


def test_rules_that_do_not_run_are_told(finished: EdaController) -> None:
    finished.named("activations", "alice monitor").update(status="failed", status_message="the image cannot be pulled")
    with serving(finished) as url:
        told = said(set_up(url))
    assert "The activation alice monitor does not run, it is failed. the image cannot be pulled" in told


def test_a_credential_type_that_is_in_use_is_left_and_the_reason_told(finished: EdaController) -> None:
    finished.named("credential-types", "Interchain Security cluster")["injectors"] = {}
    with serving(finished) as url:
        told = said(set_up(url))
    assert "did not change the credential type Interchain Security cluster (injectors): HTTP 400" in told
    assert "Modifications to injectors are not allowed for credential types that are in use" in told
    assert "remove the credentials of this type" in told


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"interchain_validator": "Alice"}, "interchain_validator must be a DNS label"),
        ({"eda_controller_host": "eda.example.com"}, "Give the address of the EDA controller with https://"),
        ({"interchain_provider_chain_id": ""}, "interchain_provider_chain_id"),
        ({"interchain_provider_rpc_url": "https://me:x@node:26657"}, "give eda_provider_username and"),
        ({"eda_provider_username": ""}, "eda_provider_password is of no use without eda_provider_username"),
        ({"eda_rulebook_variables": {"username": "x"}}, "eda_rulebook_variables names username"),
        ({"eda_controller_host": "http://127.0.0.1:1"}, "Connection refused"),
        ({"eda_controller_token": "another"}, "HTTP 401, "),
        ({"eda_organization": "Validator"}, "has no organization Validator that the user may see"),
        ({"eda_kubeconfig": ""}, "has no credential alice cluster: give eda_kubeconfig"),
    ],
)
def test_what_is_wrong_is_named(controller: EdaController, url: str, variables: dict[str, Any], message: str) -> None:
    assert message in said(set_up(url, **variables))
    assert "activations" not in "".join(controller.changes)


def test_a_controller_without_its_type_for_awx_is_named(controller: EdaController, url: str) -> None:
    controller.objects["credential-types"].clear()
    assert f"has no credential type '{AWX_TYPE}'" in said(set_up(url))


def test_who_may_not_is_told_what_it_takes(controller: EdaController, url: str) -> None:
    controller.forbidden.add("credential-types")
    told = said(set_up(url))
    assert "did not make the credential type Interchain Security provider: HTTP 403" in told
    assert "for credential types an administrator" in told
    assert controller.changes == []
