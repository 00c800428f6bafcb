# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for AWX, which no package registry holds: its REST API v2 as far as ansible-rulebook and awx.awx call it.

It keeps objects in memory, runs nothing, and checks each body that it is sent against the fields that AWX's own serializers take
(awx/api/serializers.py of AWX 24.6). What it does not know, or what does not fit, is refused and kept in ``refused``.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import jsonschema

from tests.fakes import controller_schemas
from tests.fakes.json_api import Answer

TOKEN = "a-token-of-the-stand-in"


class Controller:
    """The objects, the jobs that were launched, and what was refused."""

    authorizations = (f"Bearer {TOKEN}",)
    headers: ClassVar[dict[str, str]] = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1"}

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in controller_schemas.OBJECTS}
        self.launched: list[tuple[str, dict[str, Any]]] = []
        self.outcomes: list[str] = []  # of the next jobs; those after them are successful
        self.changes: list[str] = []
        self.refused: list[str] = []
        self.associations: dict[str, list[int]] = {}
        self.surveys: dict[str, Any] = {}
        self._role_names: list[str] = []
        self._jobs: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._ids = 0

    def add(self, listed: str, /, **fields: Any) -> dict[str, Any]:
        """Make an object as if it had been there."""
        rules = controller_schemas.OBJECTS[listed]
        self._ids += 1
        url = f"/api/v2/{listed}/{self._ids}/"
        made = {
            "id": self._ids,
            "type": rules.type_name,
            "url": url,
            "related": {name: f"{url}{name}/" for name in (*rules.associations, "launch", "survey_spec")},
            "summary_fields": {
                "object_roles": {f"{role}_role": {"id": self._role(listed, role)} for role in rules.roles}
            },
            **rules.defaults,
            **fields,
        }
        self.objects[listed].append(made)
        return made

    def _role(self, kind: str, role: str) -> int:
        self._role_names.append(f"{kind}/{self._ids}/{role}")
        return len(self._role_names) - 1

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """Return the one object of that name."""
        (found,) = [entry for entry in self.objects[kind] if entry["name"] == name]
        return found

    def answer(self, method: str, target: str, body: Any) -> Answer:
        """Answer one request."""
        with self._lock:
            try:
                return self._answer(method, urlsplit(target).path, dict(parse_qsl(urlsplit(target).query)), body)
            except jsonschema.ValidationError as error:
                self.refused.append(f"{method} {target}: {error.message}")
                return 400, {"detail": error.message}
            except LookupError as error:
                self.refused.append(f"{method} {target}: {error}")
                return 404, {"detail": "Not found."}

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET" and path == "/api/v2/config/":
            return 200, {"version": "24.6.1"}
        if method == "GET" and path == "/api/v2/unified_job_templates/":
            kinds = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
            return 200, self._page([entry for kind in kinds for entry in self.objects[kind]], query)
        if method == "GET" and path == "/api/v2/jobs/":
            wanted = query.get("id__in", "").split(",")
            return 200, self._page([job for job in self._jobs if str(job["id"]) in wanted], {})
        parts = path.removeprefix("/api/v2/").strip("/").split("/")
        if parts[0] == "roles" and len(parts) == 3 and parts[1].isdigit():
            return self._association(method, f"{self._role_names[int(parts[1])]}/{parts[2]}", parts[2], body)
        if (
            not path.startswith("/api/v2/")
            or parts[0] not in self.objects
            or (len(parts) > 1 and not parts[1].isdigit())
        ):
            raise LookupError("the stand-in does not know this")
        kind, part = parts[0], "/".join(parts[2:])
        if len(parts) == 1:
            return self._list(method, kind, query, body)
        found = self._by_id(kind, parts[1])
        if not part:
            return self._one(method, kind, found, body)
        if part == "launch" and kind == "job_templates" and method == "POST":
            return self._launch(found, body)
        if part == "survey_spec":
            return self._survey(method, path, body)
        if part == "create_approval_template" and method == "POST":
            return self._approval(found, body)
        if part in controller_schemas.OBJECTS[kind].associations:
            attached = "workflow_job_template_nodes" if part.endswith("_nodes") else part
            attached = "notification_templates" if part.startswith("notification_templates") else attached
            return self._association(method, f"{kind}/{parts[1]}/{part}", attached, body)
        raise LookupError("the stand-in does not know this")

    def _list(self, method: str, kind: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            return 200, self._page([self._shown(kind, entry) for entry in self.objects[kind]], query)
        if method != "POST":
            return 405, {"detail": "not allowed"}
        schema = controller_schemas.OBJECTS[kind].schema
        jsonschema.validate(body, schema)
        if kind == "credentials":
            self._check_inputs(body)
        made = self.add(kind, **body)
        if kind == "projects":
            # Its first update is done at once.
            made |= {
                "status": "successful",
                "finished": "2026-11-26T00:00:00Z",
                "failed": False,
                "scm_revision": "0" * 40,
            }
        self._changed("made", kind, made)
        return 201, self._shown(kind, made)

    def _one(self, method: str, kind: str, found: dict[str, Any], body: Any) -> Answer:
        if method == "PATCH":
            schema = controller_schemas.OBJECTS[kind].schema
            jsonschema.validate(body, {**schema, "required": []})
            found |= body
            self._changed("changed", kind, found)
        elif method != "GET":
            return 405, {"detail": "not allowed"}
        return 200, self._shown(kind, found)

    def _survey(self, method: str, path: str, body: Any) -> Answer:
        if method == "POST":
            jsonschema.validate(body, controller_schemas.SURVEY)
            names = [question["variable"] for question in body["spec"]]
            if len(names) != len(set(names)):
                raise jsonschema.ValidationError("a variable is asked for twice")
            self.surveys[path] = body
            self.changes.append(f"survey {path}")
        elif method == "DELETE":
            self.surveys.pop(path, None)
        return 200, self.surveys.get(path, {})

    def _approval(self, node: dict[str, Any], body: Any) -> Answer:
        jsonschema.validate(body, controller_schemas.APPROVAL)
        made = self.add("workflow_approval_templates", **body)
        node["unified_job_template"] = made["id"]
        node["related"]["unified_job_template"] = made["url"]
        self._changed("made", "workflow_approval_templates", made)
        return 201, made

    def _association(self, method: str, place: str, kind: str, body: Any) -> Answer:
        attached = self.associations.setdefault(place, [])
        if method == "GET":
            return 200, self._page([self._by_id(kind, str(number)) for number in attached], {})
        jsonschema.validate(body, controller_schemas.ASSOCIATION)
        found = self._by_id(kind, str(body["id"]))
        if body.get("disassociate"):
            attached.remove(found["id"])
        else:
            types = [self._by_id(kind, str(number)).get("credential_type") for number in attached]
            if kind == "credentials" and found["credential_type"] in types:
                return 400, {"error": "Cannot assign multiple credentials of one type."}
            attached.append(found["id"])
        self.changes.append(f"{place}: {body}")
        return 204, None

    def _check_inputs(self, credential: dict[str, Any]) -> None:
        inputs = self._by_id("credential_types", str(credential["credential_type"]))["inputs"]
        known = {entry["id"] for entry in inputs["fields"]}
        given = credential.get("inputs", {})
        if not given.keys() <= known or not set(inputs.get("required", ())) <= given.keys():
            raise jsonschema.ValidationError(f"inputs {sorted(given)} are not those of its type")

    def _shown(self, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an object as the API shows it: secrets never."""
        if kind != "credentials":
            return entry
        of_type = self._by_id("credential_types", str(entry["credential_type"]))["inputs"]["fields"]
        secret = {one["id"] for one in of_type if one.get("secret")}
        shown = {name: "$encrypted$" if name in secret else value for name, value in entry["inputs"].items()}
        return {**entry, "inputs": shown}

    def _changed(self, what: str, kind: str, entry: dict[str, Any]) -> None:
        self.changes.append(f"{what} {kind} {entry.get('name', entry.get('identifier'))}")

    def _launch(self, template: dict[str, Any], body: Any) -> Answer:
        jsonschema.validate(body, controller_schemas.LAUNCH)
        self._ids += 1
        status = self.outcomes.pop(0) if self.outcomes else "successful"
        job = {"id": self._ids, "url": f"/api/v2/jobs/{self._ids}/", "status": status, "artifacts": {}}
        self._jobs.append({**job, "created": "2026-11-26T00:00:00Z"})
        self.launched.append((template["name"], body))
        return 201, {**job, "job": self._ids, "status": "pending", "ignored_fields": {}}

    def _by_id(self, kind: str, number: str) -> dict[str, Any]:
        found = [entry for entry in self.objects[kind] if entry["id"] == int(number)]
        if not found:
            raise LookupError(f"no {kind} {number}")
        return found[0]

    def _page(self, entries: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        wanted = {name: value for name, value in query.items() if name not in ("page", "page_size")}
        found = [entry for entry in entries if all(str(entry.get(name)) == value for name, value in wanted.items())]
        return {"count": len(found), "next": None, "previous": None, "results": found}
