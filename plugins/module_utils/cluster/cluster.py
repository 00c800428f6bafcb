# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects of a Kubernetes cluster, read and written within this process.

The client and its discovery are those of kubernetes.core. Its modules take most of a second each, because each begins in a new Python;
a call here takes some milliseconds. Every write can be repeated, so the library's own retries may repeat it: after a refusal for too
much load (429, with its Retry-After), an error of the server, or a connection that broke.
"""

from __future__ import annotations

import base64
import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ansible_collections.interchain.security.plugins.module_utils.cluster.kubeconfig import access
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError

with suppress(ImportError):  # a module reports it through missing_required_lib
    import kubernetes
    import urllib3
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import create_api_client
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

FIELD_MANAGER = "interchain-security-monitor"
REQUEST_SECONDS = 30.0
RETRIES = 6
RETRY_STATUS = (429, 500, 502, 503, 504)
CONFLICT_PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds
POLL_SECONDS = 0.1
HIDDEN = "VALUE_HIDDEN"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Change:
    """What a write did to one object: it before and after (None: not there), without secrets and the server's own fields."""

    changed: bool
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Cluster:
    """A cluster: that of ``kubeconfig``, else of the pod, else of KUBECONFIG. All calls block and raise ClusterError."""

    def __init__(self, kubeconfig: str | None = None, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        try:
            configuration = access(kubeconfig)
            configuration.retries = urllib3.Retry(
                total=RETRIES,
                connect=4,
                backoff_factor=0.2,
                backoff_max=5,
                status_forcelist=RETRY_STATUS,
                allowed_methods=None,  # all: see the head of this file
                raise_on_status=False,
                respect_retry_after_header=True,
            )
            self._client = create_api_client(configuration)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise ClusterError(
                f"no access to a Kubernetes cluster: {error}; set KUBECONFIG or give kubeconfig, or run in a pod"
            ) from error
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise ClusterError(f"the Kubernetes cluster does not answer: {_reason(error)}") from error

    @property
    def api_client(self) -> Any:
        """The library's client, for what is offered nowhere else."""
        return self._client.client

    # -- reading -----------------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str | None = None, api_version: str = "v1") -> dict[str, Any] | None:
        """Return an object, or None when there is none."""
        with _reported("read", kind, name, namespace):
            return self._read(self._resource(kind, api_version), name, namespace)

    def shown(self, kind: str, metadata: Mapping[str, Any], api_version: str) -> dict[str, Any] | None:
        """Return an object with its status and uid as a result may show it: without the values of Secrets and the server's own fields."""
        found = self.get(kind, metadata["name"], metadata.get("namespace"), api_version)
        if found is None:
            return None
        shown = _shown(found)
        shown["metadata"]["uid"] = found["metadata"]["uid"]
        return {**shown, "status": found.get("status") or {}}

    def select(
        self,
        kind: str,
        namespace: str | None = None,
        selector: str = "",
        api_version: str = "v1",
        *,
        metadata_only: bool = False,
    ) -> list[dict[str, Any]]:
        """Return the objects whose labels fit the selector, of one namespace or of all; their metadata only when no more is needed."""
        with _reported("list", kind, selector or "all", namespace):
            found = self._resource(kind, api_version).get(
                namespace=namespace,
                label_selector=selector or None,
                header_params={"Accept": METADATA_ONLY} if metadata_only else {},
                _request_timeout=REQUEST_SECONDS,
            )
            items: list[dict[str, Any]] = found.to_dict().get("items") or []
            return items

    def pod_log(self, name: str, namespace: str) -> str:
        """Return what a pod has written so far."""
        with _reported("read the log of", "Pod", name, namespace):
            answer = kubernetes.client.CoreV1Api(self._client.client).read_namespaced_pod_log(
                name, namespace, _preload_content=False, _request_timeout=REQUEST_SECONDS
            )
            return str(answer.data.decode())

    def await_value(
        self, what: str, read: Callable[[], Found | None], timeout: float, where: str = "", poll: float = POLL_SECONDS
    ) -> Found:
        """Ask ``read`` until it gives something, and return that; ClusterError, naming ``where`` to look, after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            found = read()
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise ClusterError(f"{what}: not after {timeout:.0f} s{f'; {where}' if where else ''}")
            time.sleep(poll)

    # -- writing -----------------------------------------------------------------------------------------------------------

    def apply(self, definition: Mapping[str, Any]) -> Change:
        """Bring the fields that the definition names into its state (server-side apply); other fields stay as they are."""
        kind, name, namespace, resource = self._target(definition)
        with _reported("apply", kind, name, namespace):
            before = self._read(resource, name, namespace)
            try:
                after = self._apply(resource, definition)
                # The server writes a new claim once more when it is applied again: at once, so that the next run changes nothing.
                if before is None and kind == "PersistentVolumeClaim":
                    after = self._apply(resource, definition)
            except kubernetes.client.ApiException as error:
                if self.dry_run and error.status == 404:  # its namespace is not there yet
                    return Change(True, None, _shown(dict(definition)))
                raise
            return _change(before, after)

    def create(self, definition: Mapping[str, Any]) -> Change:
        """Make an object where there is none; one that is there stays as it is."""
        kind, name, namespace, resource = self._target(definition)
        with _reported("create", kind, name, namespace):
            for pause in CONFLICT_PAUSES:
                before = self._read(resource, name, namespace)
                if before is not None:
                    return _change(before, before)
                try:
                    after = resource.create(
                        body=dict(definition),
                        namespace=namespace,
                        field_manager=FIELD_MANAGER,
                        _request_timeout=REQUEST_SECONDS,
                        **self._options(),
                    ).to_dict()
                    return _change(None, after)
                except kubernetes.client.ApiException as error:
                    if self.dry_run and error.status == 404:
                        return Change(True, None, _shown(dict(definition)))
                    # Somebody else made it meanwhile, or our own first try arrived and its answer was lost: look again.
                    if error.status != 409:
                        raise
                time.sleep(pause)
            raise ClusterError(
                f"failed to create {kind} {name}: the server says again and again that it is in conflict (409)",
                status=409,
            )

    def merge(self, definition: Mapping[str, Any]) -> Change:
        """Set the fields that the definition names (merge patch; None removes one); make the object where there is none. Others stay."""
        kind, name, namespace, resource = self._target(definition)
        with _reported("change", kind, name, namespace):
            before = self._read(resource, name, namespace)
            if before is None:
                made = self.create(_without_none(definition))
                if made.changed:
                    return made
                before = self._read(resource, name, namespace)
            return self._patch(resource, before, definition)

    def patch(self, definition: Mapping[str, Any]) -> Change:
        """Set the fields that the definition names (merge patch) in an object that is there; do nothing where there is none."""
        kind, name, namespace, resource = self._target(definition)
        with _reported("change", kind, name, namespace):
            before = self._read(resource, name, namespace)
            if before is None:
                return Change(False, None, None)
            return self._patch(resource, before, definition)

    def delete(
        self, kind: str, name: str, namespace: str | None = None, api_version: str = "v1", uid: str | None = None
    ) -> Change:
        """Remove an object and what it owns; nothing to do where there is none. With ``uid`` only that very object goes."""
        with _reported("remove", kind, name, namespace):
            resource = self._resource(kind, api_version)
            before = self._read(resource, name, namespace)
            if before is None or (uid and before["metadata"]["uid"] != uid):
                return Change(False, None, None)
            # What runs pods goes after them, so that whoever waits for it knows that they are gone.
            owner = kind in ("Job", "StatefulSet")
            options: dict[str, Any] = {"propagationPolicy": "Foreground" if owner else "Background"}
            if uid:
                options["preconditions"] = {"uid": uid}
            if self.dry_run:  # beside a body the server does not look at the parameter
                options["dryRun"] = ["All"]
            with suppress(kubernetes.dynamic.exceptions.NotFoundError):
                self._again(
                    lambda: resource.delete(
                        name=name, namespace=namespace, body=options, _request_timeout=REQUEST_SECONDS
                    ).to_dict()
                )
            return Change(True, _shown(before), None)

    # -- inside ------------------------------------------------------------------------------------------------------------

    def _options(self) -> dict[str, Any]:
        return {"dry_run": "All"} if self.dry_run else {}

    def _resource(self, kind: str, api_version: str) -> Any:
        return self._client.resources.get(kind=kind, api_version=api_version)

    @staticmethod
    def _again(write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Repeat a write whose object was changed by somebody else in the same moment (409): it names no version, so it may."""
        for pause in CONFLICT_PAUSES:
            try:
                return write()
            except kubernetes.dynamic.exceptions.ConflictError:
                time.sleep(pause)
        return write()

    def _apply(self, resource: Any, definition: Mapping[str, Any]) -> dict[str, Any]:
        if definition["metadata"].get(
            "resourceVersion"
        ):  # in conflict it was changed meanwhile, and is to be read again
            return self._apply_once(resource, definition)
        return self._again(lambda: self._apply_once(resource, definition))

    def _apply_once(self, resource: Any, definition: Mapping[str, Any]) -> dict[str, Any]:
        applied: dict[str, Any] = resource.server_side_apply(
            body=dict(definition),
            name=definition["metadata"]["name"],
            namespace=definition["metadata"].get("namespace"),
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
            _request_timeout=REQUEST_SECONDS,
            **self._options(),
        ).to_dict()
        return applied

    def _patch(self, resource: Any, before: dict[str, Any] | None, definition: Mapping[str, Any]) -> Change:
        if before is not None and _holds(before, definition):
            return _change(before, before)

        def write() -> dict[str, Any]:
            patched: dict[str, Any] = resource.patch(
                body=dict(definition),
                name=definition["metadata"]["name"],
                namespace=definition["metadata"].get("namespace"),
                content_type="application/merge-patch+json",
                field_manager=FIELD_MANAGER,
                _request_timeout=REQUEST_SECONDS,
                **self._options(),
            ).to_dict()
            return patched

        return _change(before, self._again(write))

    def _read(self, resource: Any, name: str, namespace: str | None) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = resource.get(
                name=name, namespace=namespace, _request_timeout=REQUEST_SECONDS
            ).to_dict()
        except kubernetes.dynamic.exceptions.NotFoundError:
            return None
        except kubernetes.dynamic.exceptions.ForbiddenError:
            # The monitor has rights only in namespaces that it made: in one that is not there, there is nothing.
            if namespace and self._read(self._resource("Namespace", "v1"), namespace, None) is None:
                return None
            raise
        return found

    def _target(self, definition: Mapping[str, Any]) -> tuple[str, str, str | None, Any]:
        try:
            kind, api_version = str(definition["kind"]), str(definition["apiVersion"])
            name, namespace = str(definition["metadata"]["name"]), definition["metadata"].get("namespace")
        except (KeyError, TypeError, AttributeError) as error:
            raise ClusterError(f"a definition needs apiVersion, kind and metadata.name; missing: {error}") from error
        with _reported("find the kind of", kind, name, namespace):
            return kind, name, namespace, self._resource(kind, api_version)


def decoded(data: Mapping[str, str] | None, key: str) -> str:
    """Return one text out of a Secret's data, empty when it is not there."""
    return base64.b64decode((data or {}).get(key, "")).decode()


def merge_changes(changes: Sequence[Change]) -> dict[str, Any]:
    """Return ``changed`` and ``diff`` of a module result for several writes: the objects by kind and name, before the first and after the last one."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for change in changes:
        written = change.after or change.before
        if change.changed and written is not None:
            before.setdefault(_title(written), change.before)
            after[_title(written)] = change.after
    return {
        "changed": any(change.changed for change in changes),
        "diff": {"before": _present(before), "after": _present(after)},
    }


def _present(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Return those that are there."""
    return {title: found for title, found in objects.items() if found is not None}


def _title(found: Mapping[str, Any]) -> str:
    """Return how an object is named in a diff."""
    metadata = found["metadata"]
    return f"{found['kind']} {metadata['namespace'] + '/' if metadata.get('namespace') else ''}{metadata['name']}"


def _without_none(value: Any) -> Any:
    """Return a definition without the fields that it removes."""
    if isinstance(value, Mapping):
        return {name: _without_none(content) for name, content in value.items() if content is not None}
    return value


def _holds(found: Any, wanted: Any) -> bool:
    """Does an object have all that a merge patch names, so that it would change nothing?"""
    if isinstance(wanted, Mapping):
        given = found if isinstance(found, Mapping) else {}
        return all(
            given.get(name) is None if content is None else name in given and _holds(given[name], content)
            for name, content in wanted.items()
        )
    return bool(found == wanted)


@contextmanager
def _reported(verb: str, kind: str, name: str, namespace: str | None) -> Iterator[None]:
    where = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    try:
        yield
    except ResourceNotFoundError as error:
        raise ClusterError(f"failed to {verb} {where}: the cluster knows no such kind of object") from error
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        status = int(getattr(error, "status", 0) or 0)
        raise ClusterError(f"failed to {verb} {where}: {_reason(error)}", status=status) from error


def _reason(error: Exception) -> str:
    """Return the server's own words. They never hold the content of a Secret."""
    status, body = getattr(error, "status", None), getattr(error, "body", None)
    if status is None:
        return f"{type(error).__name__}: {error}"[:400]
    try:
        message = str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        message = str(getattr(error, "reason", "") or "no reason was given")
    hint = {401: "; the credentials are not accepted", 403: "; does the monitor's role allow it?"}.get(int(status), "")
    return f"{message[:600]} ({status}){hint}"


def _change(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    changed = before is None or after is None or _version(before) != _version(after)
    shown = None if before is None else _shown(before)
    wanted = None if after is None else _shown(after)
    # A dry run gives no new version.
    return Change(changed or shown != wanted, shown, wanted)


def _version(found: Mapping[str, Any]) -> str:
    return str(found["metadata"].get("resourceVersion", ""))


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object as a diff may show it."""
    shown = copy.deepcopy(found)
    for name in ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"):
        shown.get("metadata", {}).pop(name, None)
    shown.pop("status", None)
    if shown.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if shown.get(part):
                # Whether it changed shows by the version; the values never do.
                shown[part] = dict.fromkeys(shown[part], HIDDEN)
    return shown
