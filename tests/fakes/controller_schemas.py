# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which fields AWX 24.6 takes, of which type: the fields of its serializers that can be written, as JSON schemas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
NUMBER = {"type": "integer"}
IDS = {"type": "array", "items": NUMBER}


def fields(mandatory: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(mandatory),
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Kind:
    """A kind of objects: its type's name, what it takes, what a new one has that was not given, and what can be attached to it."""

    type_name: str
    schema: dict[str, Any]
    defaults: dict[str, Any] = field(default_factory=dict)
    associations: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


NAMED = {"name": TEXT, "description": TEXT}
LAUNCH_TIME = {
    "scm_branch": TEXT,
    "job_type": {"enum": ["run", "check"]},
    "job_tags": TEXT,
    "skip_tags": TEXT,
    "limit": TEXT,
    "diff_mode": FLAG,
    "verbosity": {"enum": [0, 1, 2, 3, 4, 5]},
    "execution_environment": NUMBER,
    "forks": NUMBER,
    "job_slice_count": NUMBER,
    "timeout": NUMBER,
    "inventory": NUMBER,
    "extra_data": {"type": "object"},
}
# CredentialTypeInputField and CredentialTypeInjectorField.
INPUTS = fields(
    required={"type": "array", "items": TEXT},
    fields={
        "type": "array",
        "items": fields(
            ("id", "label"),
            id={"type": "string", "pattern": "^[a-zA-Z_]+[a-zA-Z0-9_]*$", "not": {"const": "tower"}},
            type={"enum": ["string", "boolean"]},
            format={"enum": ["ssh_private_key", "url"]},
            choices={"type": "array", "minItems": 1, "items": TEXT, "uniqueItems": True},
            label=TEXT,
            help_text=TEXT,
            multiline=FLAG,
            secret=FLAG,
            ask_at_runtime=FLAG,
            default={},
        ),
    },
)
INJECTED: dict[str, Any] = {
    "type": "object",
    "patternProperties": {"^[a-zA-Z_{}]+[a-zA-Z0-9_{}]*$": {"anyOf": [TEXT, {"type": "array"}, {"type": "object"}]}},
    "additionalProperties": False,
}
INJECTORS = fields(
    file={
        "type": "object",
        "patternProperties": {"^template(\\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$": TEXT},
        "additionalProperties": False,
    },
    env={"type": "object", "patternProperties": {"^[a-zA-Z_]+[a-zA-Z0-9_]*$": TEXT}, "additionalProperties": False},
    extra_vars=INJECTED,
)
ASK = {
    f"ask_{name}_on_launch": FLAG
    for name in (
        "scm_branch",
        "diff_mode",
        "variables",
        "limit",
        "tags",
        "skip_tags",
        "job_type",
        "verbosity",
        "inventory",
        "credential",
        "execution_environment",
        "labels",
        "forks",
        "job_slice_count",
        "timeout",
        "instance_groups",
    )
}
RRULE = {
    "type": "string",
    "pattern": "^DTSTART:[0-9]{8}T[0-9]{6}Z RRULE:FREQ=(MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY);INTERVAL=[0-9]+",
}

OBJECTS = {
    "organizations": Kind("organization", fields(("name",), **NAMED)),
    "credential_types": Kind(
        "credential_type",
        fields(
            ("name", "kind"),
            **NAMED,
            kind={"enum": ["cloud", "net"]},
            inputs=INPUTS,
            injectors=INJECTORS,
            managed={"const": False},
        ),
    ),
    "credentials": Kind(
        "credential",
        fields(
            ("name", "credential_type"), **NAMED, organization=NUMBER, credential_type=NUMBER, inputs={"type": "object"}
        ),
    ),
    "execution_environments": Kind(
        "execution_environment",
        fields(
            ("name", "image"),
            **NAMED,
            organization=NUMBER,
            image=TEXT,
            credential=NUMBER,
            pull={"enum": ["", "always", "missing", "never"]},
        ),
    ),
    "projects": Kind(
        "project",
        fields(
            ("name",),
            **NAMED,
            local_path=TEXT,
            scm_type={"enum": ["", "git", "svn", "insights", "archive"]},
            scm_url=TEXT,
            scm_branch=TEXT,
            scm_refspec=TEXT,
            scm_clean=FLAG,
            scm_track_submodules=FLAG,
            scm_delete_on_update=FLAG,
            credential=NUMBER,
            timeout=NUMBER,
            organization=NUMBER,
            scm_update_on_launch=FLAG,
            scm_update_cache_timeout=NUMBER,
            allow_override=FLAG,
            default_environment=NUMBER,
            signature_validation_credential=NUMBER,
        ),
    ),
    "inventories": Kind(
        "inventory",
        fields(
            ("name", "organization"),
            **NAMED,
            organization=NUMBER,
            kind={"enum": ["", "smart", "constructed"]},
            host_filter={"type": ["string", "null"]},
            variables=TEXT,
            prevent_instance_group_fallback=FLAG,
        ),
    ),
    "hosts": Kind(
        "host",
        fields(("name", "inventory"), **NAMED, inventory=NUMBER, enabled=FLAG, instance_id=TEXT, variables=TEXT),
    ),
    "inventory_sources": Kind(
        "inventory_source",
        fields(
            ("name", "inventory"),
            **NAMED,
            inventory=NUMBER,
            source={
                "enum": ["file", "constructed", "scm", "ec2", "gce", "azure_rm", "vmware", "openstack", "controller"]
            },
            source_path=TEXT,
            source_vars=TEXT,
            source_project=NUMBER,
            scm_branch=TEXT,
            credential=NUMBER,
            execution_environment=NUMBER,
            enabled_var=TEXT,
            enabled_value=TEXT,
            host_filter=TEXT,
            overwrite=FLAG,
            overwrite_vars=FLAG,
            timeout=NUMBER,
            verbosity={"enum": [0, 1, 2]},
            limit=TEXT,
            update_on_launch=FLAG,
            update_cache_timeout=NUMBER,
        ),
    ),
    "labels": Kind("label", fields(("name", "organization"), name=TEXT, organization=NUMBER)),
    "notification_templates": Kind(
        "notification_template",
        fields(
            ("name", "organization", "notification_type"),
            **NAMED,
            organization=NUMBER,
            notification_type={
                "enum": ["awssns", "email", "grafana", "irc", "mattermost", "pagerduty", "slack", "webhook"]
            },
            notification_configuration={"type": "object"},
            messages={"type": ["object", "null"]},
        ),
    ),
    "teams": Kind("team", fields(("name", "organization"), **NAMED, organization=NUMBER)),
    "job_templates": Kind(
        "job_template",
        fields(
            ("name", "job_type", "project", "playbook"),
            **NAMED,
            **ASK,
            job_type={"enum": ["run", "check"]},
            inventory=NUMBER,
            # Its own is that of the project; what is sent is ignored.
            organization=NUMBER,
            project=NUMBER,
            playbook=TEXT,
            scm_branch=TEXT,
            forks=NUMBER,
            limit=TEXT,
            verbosity={"enum": [0, 1, 2, 3, 4, 5]},
            extra_vars=TEXT,
            job_tags=TEXT,
            force_handlers=FLAG,
            skip_tags=TEXT,
            start_at_task=TEXT,
            timeout=NUMBER,
            use_fact_cache=FLAG,
            execution_environment=NUMBER,
            host_config_key=TEXT,
            survey_enabled=FLAG,
            become_enabled=FLAG,
            diff_mode=FLAG,
            allow_simultaneous=FLAG,
            job_slice_count=NUMBER,
            webhook_service=TEXT,
            webhook_credential=NUMBER,
            prevent_instance_group_fallback=FLAG,
        ),
        dict.fromkeys(ASK, False),
        ("credentials", "labels", *(f"notification_templates_{when}" for when in ("started", "success", "error"))),
        roles=("admin", "execute", "read"),
    ),
    "workflow_job_templates": Kind(
        "workflow_job_template",
        fields(
            ("name",),
            **NAMED,
            **{name: FLAG for name in ASK if name.split("_on_")[0][4:] not in ("credential", "forks", "verbosity")},
            extra_vars=TEXT,
            organization=NUMBER,
            survey_enabled=FLAG,
            allow_simultaneous=FLAG,
            inventory=NUMBER,
            limit=TEXT,
            scm_branch=TEXT,
            webhook_service=TEXT,
            webhook_credential=NUMBER,
            job_tags=TEXT,
            skip_tags=TEXT,
        ),
        associations=(
            "labels",
            *(f"notification_templates_{when}" for when in ("started", "success", "error", "approvals")),
        ),
        roles=("admin", "execute", "approval", "read"),
    ),
    "workflow_job_template_nodes": Kind(
        "workflow_job_template_node",
        fields(
            ("workflow_job_template",),
            **LAUNCH_TIME,
            workflow_job_template=NUMBER,
            unified_job_template=NUMBER,
            identifier=TEXT,
            all_parents_must_converge=FLAG,
            # Sent by awx.awx and read only.
            type=TEXT,
        ),
        associations=("success_nodes", "failure_nodes", "always_nodes", "credentials", "labels"),
    ),
    "workflow_approval_templates": Kind("workflow_approval_template", fields(("name",), **NAMED, timeout=NUMBER)),
    "schedules": Kind(
        "schedule",
        fields(
            ("name", "unified_job_template", "rrule"),
            **NAMED,
            **LAUNCH_TIME,
            unified_job_template=NUMBER,
            enabled=FLAG,
            rrule=RRULE,
        ),
    ),
}
# JobTemplateSurveySpec._validate_spec_data.
SURVEY = fields(
    ("name", "description", "spec"),
    name=TEXT,
    description=TEXT,
    spec={
        "type": "array",
        "minItems": 1,
        "items": {
            **fields(
                ("type", "question_name", "variable", "required"),
                type={"enum": ["text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float"]},
                question_name=TEXT,
                question_description=TEXT,
                variable={"type": "string", "pattern": "^[a-zA-Z_]+[a-zA-Z0-9_]*$"},
                required=FLAG,
                default={"type": ["string", "integer", "number"]},
                choices={"type": ["array", "string"]},
                min=NUMBER,
                max=NUMBER,
            ),
            "allOf": [
                {
                    "if": {"properties": {"type": {"enum": ["multiplechoice", "multiselect"]}}},
                    "then": {"required": ["choices"]},
                },
                {
                    "if": {"properties": {"type": {"const": "integer"}}},
                    "then": {"properties": {"default": NUMBER}},
                    "else": {"properties": {"default": TEXT}},
                },
            ],
        },
    },
)
ASSOCIATION = fields(("id",), id=NUMBER, disassociate=FLAG)
# WorkflowJobTemplateNodeCreateApprovalSerializer.
APPROVAL = fields(("name",), name=TEXT, description=TEXT, timeout=NUMBER)

# JobLaunchSerializer, "accepted on launch".
LAUNCH = fields(
    extra_vars={"type": "object"},
    inventory=NUMBER,
    credentials=IDS,
    credential_passwords={"type": "object"},
    scm_branch=TEXT,
    diff_mode=FLAG,
    job_tags=TEXT,
    job_type={"enum": ["run", "check"]},
    skip_tags=TEXT,
    limit=TEXT,
    verbosity={"enum": [0, 1, 2, 3, 4, 5]},
    execution_environment=NUMBER,
    labels=IDS,
    forks=NUMBER,
    job_slice_count=NUMBER,
    timeout=NUMBER,
    instance_groups=IDS,
)
