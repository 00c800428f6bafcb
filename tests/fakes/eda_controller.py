# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for the EDA controller, which no package registry holds: its REST API v1 as far as the role eda calls it, written from the source of eda-server.

It keeps objects in memory and runs nothing. Bodies are checked against the fields of eda-server's serializers; what does not fit is refused and kept in
``refused``. What takes time there takes a few questions here: each look at a project or an activation moves it on by one step.
"""

from __future__ import annotations

import base64
import copy
import datetime
import threading
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import jinja2
import jsonschema
import yaml
from jinja2.nativetypes import NativeEnvironment

from tests.fakes import eda_schemas
from tests.fakes.json_api import Answer

TOKEN = "a-token-of-the-eda-stand-in"
USER, PASSWORD = "admin", "a-password-of-the-eda-stand-in"
PREFIX = "/api/eda/v1/"
PAGE_SIZE = 20
HELD = "$encrypted$"
AWX_TYPE = "Red Hat Ansible Automation Platform"
AWX_INPUTS = {
    "fields": [
        {"id": "host", "label": "Red Hat Ansible Automation Platform", "type": "string"},
        {"id": "username", "label": "Username", "type": "string"},
        {"id": "password", "label": "Password", "type": "string", "secret": True},
        {"id": "oauth_token", "label": "OAuth Token", "type": "string", "secret": True},
        {"id": "verify_ssl", "label": "Verify SSL", "type": "boolean", "secret": False},
        {"id": "request_timeout", "label": "Request Timeout", "type": "string", "secret": False, "default": "10"},
    ],
    "required": ["host"],
}
AWX_VARIABLES = {"aap_hostname": "{{host}}", "aap_username": "{{username}}", "aap_token": "{{oauth_token}}"}
BUSY = ("starting", "stopping", "deleting", "running", "unresponsive", "workers offline")
NEXT = {"pending": "starting", "starting": "running", "stopping": "stopped"}
RENDERER = NativeEnvironment(undefined=jinja2.StrictUndefined)


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status} {answer}")
        self.status, self.answer = status, answer


class EdaController:
    """The objects, what was changed, and what was refused."""

    authorizations = (f"Bearer {TOKEN}", f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}")
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in eda_schemas.KINDS}
        self.repositories: dict[
            tuple[str, str], tuple[str, list[str]]
        ] = {}  # commit and rulebooks of an address and a branch
        self.outcome = "running"  # of an activation that starts
        self.forbidden: set[str] = set()  # kinds of which the user may change none
        self.changes: list[str] = []
        self.bodies: list[Any] = []
        self.requests: list[str] = []
        self.refused: list[str] = []
        self._lock = threading.Lock()
        self._ids = 0
        self._clock = datetime.datetime(2026, 11, 26)
        self.add(
            "credential-types", name=AWX_TYPE, managed=True, inputs=AWX_INPUTS, injectors={"extra_vars": AWX_VARIABLES}
        )

    def add(self, listed: str, /, **fields: Any) -> dict[str, Any]:
        """Make an object as if it had been there."""
        self._ids += 1
        now = self._now()
        made = {"id": self._ids, "created_at": now, "modified_at": now, **eda_schemas.KINDS[listed].defaults, **fields}
        self.objects[listed].append(made)
        return made

    def copy(self) -> EdaController:
        """Return another one in the same state, to which nothing was said yet."""
        made = EdaController()
        made.objects, made.repositories = copy.deepcopy((self.objects, self.repositories))
        made._ids, made._clock = self._ids, self._clock
        return made

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return the one object of that name."""
        (found,) = [entry for entry in self.objects[kind] if entry["name"] == name]
        return found

    def _now(self) -> str:
        # A second for every object and change, so that what was later has a later time.
        self._clock += datetime.timedelta(seconds=1)
        return self._clock.isoformat() + "Z"

    def answer(self, method: str, target: str, body: Any) -> Answer:
        """Answer one request."""
        with self._lock:
            self.requests.append(f"{method} {target}")
            if body is not None:
                self.bodies.append(body)
            try:
                return self._answer(method, urlsplit(target).path, dict(parse_qsl(urlsplit(target).query)), body)
            except jsonschema.ValidationError as error:
                refusal = Refused(400, {".".join(map(str, error.path)) or "non_field_errors": [error.message]})
            except LookupError:
                refusal = Refused(404, {"detail": "Not found."})
            except Refused as error:
                refusal = error
            self.refused.append(f"{method} {target}: {refusal}")
            return refusal.status, refusal.answer

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if not path.startswith(PREFIX) or not path.endswith("/"):
            raise LookupError(path)
        kind, *rest = path.removeprefix(PREFIX).strip("/").split("/")
        rules = eda_schemas.KINDS[kind]
        if method != "GET" and kind in self.forbidden:
            raise Refused(403, {"detail": "You do not have permission to perform this action."})
        if not rest:
            if method == "GET":
                return 200, self._page(kind, path, query)
            if method == "POST" and rules.made:
                jsonschema.validate(body, rules.made)
                return 201, self._make(kind, body)
        elif len(rest) == 1:
            found = self._by_id(kind, int(rest[0]))
            if method == "GET":
                self._move_on(kind, found)
                return 200, self._shown(kind, found, alone=True)
            if method == "PATCH" and rules.changed:
                jsonschema.validate(body, rules.changed)
                return 200, self._change(kind, found, body)
        elif method == "POST" and (kind, rest[1]) in (("activations", "enable"), ("activations", "disable")):
            return self._switch(self._by_id(kind, int(rest[0])), rest[1] == "enable")
        elif method == "POST" and (kind, rest[1]) == ("projects", "sync"):
            found = self._by_id(kind, int(rest[0]))
            if found["import_state"] in ("pending", "running"):
                raise Refused(409, {"detail": "Project import or sync is already running."})
            found["import_state"] = "pending"
            self._changed("synced", kind, found)
            return 202, self._shown(kind, found)
        raise Refused(405, {"detail": f'Method "{method}" not allowed.'})

    def _make(self, kind: str, body: dict[str, Any]) -> Any:
        self._check_name(kind, body["name"])
        self._check_ids(body)
        if kind == "eda-credentials":
            self._check_inputs(body["credential_type_id"], body["inputs"])
        if kind == "credential-types":
            for entry in body.get("inputs", {}).get("fields", []):
                entry.setdefault("type", "string")
        filled = self._filled(body) if kind == "activations" else None
        made = self.add(kind, **body)
        if kind == "activations":
            made |= {"filled": filled, "instances": [], **self._of_rulebook(body["rulebook_id"])}
            self._start(made)
        self._changed("made", kind, made)
        return self._shown(kind, made, alone=kind == "activations")

    def _change(self, kind: str, found: dict[str, Any], body: dict[str, Any]) -> Any:
        if found.get("managed"):
            raise Refused(400, {"errors": "Managed objects cannot be updated"})
        if kind == "activations" and (found["is_enabled"] or found["status"] in BUSY):
            raise Refused(409, "Activation is not in disabled mode and in stopped status")
        used = any(entry["credential_type_id"] == found["id"] for entry in self.objects["eda-credentials"])
        for name in ("inputs", "injectors"):
            if kind == "credential-types" and used and name in body:
                text = f"Modifications to {name} are not allowed for credential types that are in use"
                raise Refused(400, {name: [text]})
        if body.get("name", found["name"]) != found["name"]:
            self._check_name(kind, body["name"])
        self._check_ids(body)
        if kind == "eda-credentials" and "inputs" in body:
            kept = {name: value for name, value in body["inputs"].items() if value != HELD}
            body = {**body, "inputs": {**found["inputs"], **kept}}
            self._check_inputs(found["credential_type_id"], body["inputs"])
        if kind == "activations":
            body = {**body, "filled": self._filled({**found, **body}), "edited_at": self._now()}
            body |= self._of_rulebook(body.get("rulebook_id", found["rulebook_id"]))
            enable = body.pop("is_enabled", False)
        imported = kind == "projects" and body.keys() & {"url", "scm_branch", "scm_refspec"}
        if imported and found["import_state"] not in ("pending", "running"):
            found["import_state"] = "pending"
        found |= body
        if kind != "projects":  # eda-server saves the fields of a project that are sent, and no time
            found["modified_at"] = self._now()
        if kind == "activations" and enable:
            self._switch(found, True)
        self._changed("changed", kind, found)
        return self._shown(kind, found, alone=kind == "activations")

    def _switch(self, activation: dict[str, Any], on: bool) -> Answer:
        if on and not activation["is_enabled"]:
            if activation["status"] in BUSY:
                raise Refused(409, "Activation not enabled due to current activation status")
            activation |= {"is_enabled": True, "status": "pending"}
            self._start(activation)
            self._changed("enabled", "activations", activation)
        elif not on and activation["is_enabled"]:
            stopping = activation["status"] in ("starting", "running")
            activation |= {"is_enabled": False, "status": "stopping" if stopping else activation["status"]}
            self._changed("disabled", "activations", activation)
        return 204, None

    def _start(self, activation: dict[str, Any]) -> None:
        if activation["is_enabled"]:
            self._ids += 1
            activation["instances"].append({"id": self._ids, "git_hash": activation["git_hash"]})

    def _move_on(self, kind: str, found: dict[str, Any]) -> None:
        if kind == "activations" and (found["is_enabled"] or found["status"] == "stopping"):
            found["status"] = NEXT.get(found["status"], found["status"])
            if found["status"] == "running" and self.outcome != "running":
                found |= {"status": self.outcome, "status_message": "Activation failed: the image cannot be pulled"}
        if kind == "projects" and found["import_state"] == "running":
            self._import(found)
        elif kind == "projects" and found["import_state"] == "pending":
            found["import_state"] = "running"

    def _import(self, project: dict[str, Any]) -> None:
        place = (project["url"], project["scm_branch"])
        if place not in self.repositories:
            error = f"Project Import Error: fatal: Remote branch {place[1]} not found in upstream origin"
            project |= {"import_state": "failed", "import_error": error, "git_hash": ""}
            return
        commit, names = self.repositories[place]
        error = None if names else "This project contains no rulebooks."
        project |= {"import_state": "completed", "import_error": error, "git_hash": commit}
        kept = {entry["name"]: entry for entry in self.objects["rulebooks"] if entry["project_id"] == project["id"]}
        for name in names:
            if name not in kept:
                self.add("rulebooks", name=name, project_id=project["id"], organization_id=project["organization_id"])
        gone = [entry for name, entry in kept.items() if name not in names]
        self.objects["rulebooks"] = [entry for entry in self.objects["rulebooks"] if entry not in gone]
        for activation in self.objects["activations"]:
            if activation["project_id"] == project["id"]:
                activation["git_hash"] = commit

    def _of_rulebook(self, number: int) -> dict[str, Any]:
        project = self._by_id("projects", self._by_id("rulebooks", number)["project_id"])
        return {"project_id": project["id"], "git_hash": project["git_hash"]}

    def _check_name(self, kind: str, name: str) -> None:
        if any(entry["name"] == name for entry in self.objects[kind]):
            raise Refused(400, {"name": [f"{kind.rstrip('s')} with this name already exists."]})

    def _check_ids(self, body: Mapping[str, Any]) -> None:
        places = {
            "organization_id": "organizations",
            "credential_type_id": "credential-types",
            "decision_environment_id": "decision-environments",
            "rulebook_id": "rulebooks",
        }
        for name, kind in places.items():
            if name in body and not any(entry["id"] == body[name] for entry in self.objects[kind]):
                raise Refused(400, {name: [f"{kind} with id {body[name]} does not exist"]})

    def _check_inputs(self, type_id: int, inputs: Mapping[str, Any]) -> None:
        schema = self._by_id("credential-types", type_id)["inputs"]
        unknown = inputs.keys() - {entry["id"] for entry in schema["fields"]}
        if unknown:
            raise Refused(400, {"inputs": f"Input keys {unknown} are not defined in the schema."})
        for name in schema.get("required", []):
            if not str(inputs.get(name) or "").strip():
                raise Refused(400, {f"inputs.{name}": ["Cannot be blank"]})
        for entry in schema["fields"]:
            value = inputs.get(entry["id"])
            if value is not None and not isinstance(value, (str, bool)):
                raise Refused(400, {f"inputs.{entry['id']}": ["Input fields must have a boolean or string value."]})
            if entry.get("type") == "boolean" and value and not isinstance(value, bool):
                raise Refused(400, {f"inputs.{entry['id']}": ["Must be a boolean"]})

    def _filled(self, activation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables with those of the credentials, which are filled in when an activation is made and edited."""
        variables = yaml.safe_load(activation.get("extra_var") or "{}")
        if not isinstance(variables, dict):
            raise Refused(400, {"extra_var": ["Extra var is not in object format"]})
        seen = set(variables)
        found = [self._by_id("eda-credentials", number) for number in activation.get("eda_credentials", [])]
        types = {entry["id"]: self._by_id("credential-types", entry["credential_type_id"]) for entry in found}
        awx = [entry for entry in found if types[entry["id"]]["name"] == AWX_TYPE]
        if len(awx) > 1:
            raise Refused(400, {"eda_credentials": ["Only one RH AAP credential is allowed."]})
        if not awx:
            raise Refused(400, {"non_field_errors": ["The rulebook requires a RH AAP credential."]})
        if not awx[0]["inputs"].get("oauth_token") and not awx[0]["inputs"].get("password"):
            text = "Invalid RH AAP credential: either username/password or token has to be set"
            raise Refused(400, {"non_field_errors": [text]})
        for entry in found:
            given = types[entry["id"]]["injectors"].get("extra_vars", {})
            for name in given:
                if name in seen:
                    text = f"Key: {name} already exists in extra_vars. It conflicts with credential type: {types[entry['id']]['name']}."
                    raise Refused(400, {"non_field_errors": [f"{text} Please check injectors."]})
                seen.add(name)
            if entry in awx:
                continue
            for name, template in given.items():
                variables[name] = self._rendered(template, entry["inputs"])
            for template in types[entry["id"]]["injectors"].get("file", {}).values():
                self._rendered(template, entry["inputs"])
        return variables

    def _rendered(self, template: str, inputs: Mapping[str, Any]) -> Any:
        # eda-server has no answer of its own for a name that is not held.
        trouble = Refused(500, {"detail": "Unexpected server error; contact your system administrator"})
        try:
            value = RENDERER.from_string(template).render(inputs)
        except jinja2.UndefinedError as error:
            raise trouble from error
        if isinstance(value, jinja2.Undefined):
            raise trouble
        return value

    def _reference(self, kind: str, number: int | None) -> dict[str, Any] | None:
        if number is None or not any(entry["id"] == number for entry in self.objects[kind]):
            return None
        return {name: self._by_id(kind, number).get(name) for name in ("id", "name", "description")}

    def _shown(self, kind: str, entry: dict[str, Any], alone: bool = False) -> dict[str, Any]:
        """Return an object as the API shows it in a list, or alone: secrets never, and in place of some numbers what they stand for."""
        shown = {name: value for name, value in entry.items() if name != "filled"}
        nested = {"organization": "organizations"}
        if kind == "eda-credentials":
            held = self._by_id("credential-types", entry["credential_type_id"])
            secret = {one["id"] for one in held["inputs"]["fields"] if one.get("secret")}
            shown["inputs"] = {
                name: HELD if name in secret else value
                for name, value in entry["inputs"].items()
                if value or name not in secret
            }
            nested["credential_type"] = "credential-types"
        elif kind == "activations":
            held_by = [
                self._by_id(kind, number) for kind, number in (("eda-credentials", n) for n in entry["eda_credentials"])
            ]
            shown["eda_credentials"] = [self._shown("eda-credentials", one) for one in held_by]
            # As it is written anew by eda-server, without what the credentials gave.
            shown["extra_var"] = yaml.safe_dump(yaml.safe_load(entry["extra_var"])) if entry["extra_var"] else None
            nested |= {"decision_environment": "decision-environments", "rulebook": "rulebooks", "project": "projects"}
            if not alone:
                del shown["instances"], shown["git_hash"]
                nested = {}
        elif kind != "projects" or not alone:
            nested = {}
        for name, listed in nested.items():
            shown[name] = self._reference(listed, shown.pop(f"{name}_id"))
        return shown

    def _changed(self, what: str, kind: str, entry: dict[str, Any]) -> None:
        self.changes.append(f"{what} {kind} {entry['name']}")

    def _by_id(self, kind: str, number: int) -> dict[str, Any]:
        found = [entry for entry in self.objects[kind] if entry["id"] == number]
        if not found:
            raise LookupError(f"no {kind} {number}")
        return found[0]

    def _page(self, kind: str, path: str, query: dict[str, str]) -> dict[str, Any]:
        name = query.get("name", "").casefold()
        within = eda_schemas.KINDS[kind].name_within
        found = [
            entry
            for entry in self.objects[kind]
            if (name in entry["name"].casefold() if within else entry["name"].casefold().startswith(name))
            and ("project_id" not in query or str(entry.get("project_id")) == query["project_id"])
        ]
        number = int(query.get("page", 1))
        first = (number - 1) * PAGE_SIZE
        if number > 1 and first >= len(found):
            raise Refused(404, {"detail": "Invalid page."})
        more = first + PAGE_SIZE < len(found)
        return {
            "count": len(found),
            "next": f"{path}?page={number + 1}" if more else None,
            "previous": f"{path}?page={number - 1}" if number > 1 else None,
            "page_size": PAGE_SIZE,
            "page": number,
            "results": [self._shown(kind, entry) for entry in found[first : first + PAGE_SIZE]],
        }
