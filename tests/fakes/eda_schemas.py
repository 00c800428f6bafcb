# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which fields the EDA controller takes, of which type: those of eda-server's serializers that can be written, as JSON schemas.

They are stricter than it is: eda-server passes over a field that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.controller_schemas import FLAG, IDS, NUMBER, TEXT, fields

SEVERAL = {"type": "object"}
NAME = {"type": "string", "minLength": 1}
NULL_TEXT = {"type": ["string", "null"]}
NULL_NUMBER = {"type": ["integer", "null"]}
# core/utils/credentials.py: validate_schema and validate_injectors.
INPUTS = fields(
    required={"type": "array", "items": TEXT},
    metadata={"type": "array"},
    fields={
        "type": "array",
        "items": fields(
            ("id", "label"),
            id={"type": "string", "pattern": "^\\w+$", "not": {"pattern": "^[eE][dD][aA]_"}},
            label=NAME,
            type={"enum": ["string", "boolean"]},
            help_text=TEXT,
            secret=FLAG,
            multiline=FLAG,
            hidden=FLAG,
            choices={"type": "array", "items": TEXT},
            format={"enum": ["binary_base64", "pem_certificate", "ssh_private_key", "url", "vault_id"]},
            default={"type": ["string", "boolean"]},
        ),
    },
)
INJECTORS = fields(
    file={"type": "object", "propertyNames": {"pattern": "^template([.][^.]+)?$"}},
    env={"type": "object", "propertyNames": {"not": {"enum": ["ansible", "eda"]}}},
    extra_vars={"type": "object", "propertyNames": {"not": {"enum": ["ansible", "eda"]}}},
)
PROJECT = {
    "url": {"type": "string", "pattern": "^((https?|git|ssh|git[+]ssh)://|git@)"},
    "proxy": TEXT,
    "name": NAME,
    "description": TEXT,
    "organization_id": NUMBER,
    "eda_credential_id": NULL_NUMBER,
    "signature_validation_credential_id": NULL_NUMBER,
    "verify_ssl": FLAG,
    "scm_branch": NULL_TEXT,
    "scm_refspec": NULL_TEXT,
    "update_revision_on_launch": FLAG,
    "scm_update_cache_timeout": {"type": "integer", "minimum": 0, "maximum": 86400},
}
ACTIVATION = {
    "name": NAME,
    "description": TEXT,
    "is_enabled": FLAG,
    "restart_on_project_update": FLAG,
    "decision_environment_id": NUMBER,
    "rulebook_id": NUMBER,
    "extra_var": NULL_TEXT,
    "organization_id": NUMBER,
    "restart_policy": {"enum": ["always", "on-failure", "never"]},
    "awx_token_id": NULL_NUMBER,
    "log_level": {"enum": ["debug", "info", "error"]},
    "eda_credentials": IDS,
    "k8s_service_name": NULL_TEXT,
    "source_mappings": TEXT,
    "skip_audit_events": FLAG,
    "enable_persistence": FLAG,
    "rule_engine_credential_id": NULL_NUMBER,
    "k8s_pod_service_account_name": NULL_TEXT,
    "k8s_pod_labels": SEVERAL,
    "k8s_pod_annotations": SEVERAL,
    "k8s_pod_node_selector": SEVERAL,
    "k8s_pod_tolerations": {"type": "array"},
}


@dataclass(frozen=True)
class Kind:
    """A kind of objects: what is taken to make one and to change one, what a new one has that was not given, and how a name is looked for."""

    made: dict[str, Any] | None
    changed: dict[str, Any] | None
    defaults: dict[str, Any] = field(default_factory=dict)
    name_within: bool = False  # else names that begin with it are found


DECISION_ENVIRONMENT: dict[str, Any] = {
    "name": NAME,
    "description": TEXT,
    "image_url": NAME,
    "organization_id": NUMBER,
    "eda_credential_id": NULL_NUMBER,
    "pull_policy": {"enum": ["always", "never", "missing"]},
}
KINDS = {
    "organizations": Kind(None, None, {"description": ""}),
    "rulebooks": Kind(None, None, {"description": ""}, name_within=True),
    "credential-types": Kind(
        fields(("name",), name=NAME, description=TEXT, inputs=INPUTS, injectors=INJECTORS),
        fields(name=NAME, description=TEXT, inputs=INPUTS, injectors=INJECTORS),
        {"namespace": None, "kind": "cloud", "description": "", "inputs": {}, "injectors": {}, "managed": False},
    ),
    "eda-credentials": Kind(
        fields(
            ("name", "inputs", "credential_type_id", "organization_id"),
            name=NAME,
            description=TEXT,
            inputs=SEVERAL,
            credential_type_id=NUMBER,
            organization_id=NUMBER,
        ),
        fields(name=NAME, description=TEXT, inputs=SEVERAL, organization_id=NUMBER),
        {"description": "", "managed": False},
    ),
    "decision-environments": Kind(
        fields(("name", "image_url", "organization_id"), **DECISION_ENVIRONMENT),
        fields(**DECISION_ENVIRONMENT),
        {"description": "", "eda_credential_id": None, "pull_policy": "always"},
    ),
    "projects": Kind(
        fields(("url", "name", "organization_id"), **PROJECT, scm_type={"const": "git"}),
        fields(**PROJECT),
        {
            "description": "",
            "proxy": "",
            "scm_type": "git",
            "scm_branch": "",
            "scm_refspec": "",
            "git_hash": "",
            "verify_ssl": True,
            "eda_credential_id": None,
            "signature_validation_credential_id": None,
            "update_revision_on_launch": False,
            "scm_update_cache_timeout": 0,
            "last_synced_at": None,
            "import_state": "pending",
            "import_error": None,
        },
    ),
    "activations": Kind(
        fields(("name", "rulebook_id", "decision_environment_id", "organization_id"), **ACTIVATION),
        fields(**ACTIVATION),
        {
            "description": "",
            "is_enabled": True,
            "restart_on_project_update": False,
            "extra_var": None,
            "restart_policy": "on-failure",
            "awx_token_id": None,
            "log_level": "error",
            "eda_credentials": [],
            "status": "pending",
            "status_message": "Wait for a worker to be available to start activation",
            "edited_at": None,
        },
        name_within=True,
    ),
}
