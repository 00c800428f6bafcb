# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the monitor keeps what it has to remember: small named documents in ConfigMaps of its namespace, or in files.

A document is replaced only by somebody who has read its newest version, so that two writers never undo each other's work.
All calls block.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from ansible_collections.interchain.security.plugins.module_utils.cluster.kubeconfig import access, runs_in_pod
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    InvalidInput,
    StateConflict,
    StateError,
)

try:
    import httpx

    HAS_HTTPX = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_HTTPX = False

MANAGED_BY = "interchain-security-monitor"
CONSUMER_PREFIX = "consumer-"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REQUEST_SECONDS = 10.0
PAGE_SIZE = 250
FILE_POLL_SECONDS = 0.1

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Document:
    """One document as it was read or written. ``version`` changes with each write; it is only to be compared."""

    name: str
    data: Mapping[str, str]
    version: str


class StateStore(Protocol):
    """A place for documents. Every call may raise StateError."""

    def read(self, name: str) -> Document | None:
        """Return a document, or None when there is none of that name."""

    def write(self, name: str, data: Mapping[str, str], version: str | None) -> Document:
        """Replace the whole content of a document whose version is still that one; None: it must not exist yet.

        Raises StateConflict when somebody else has written, made or removed it meanwhile.
        """

    def documents(self, prefix: str) -> list[Document]:
        """Return all documents whose name begins with prefix, in order of their names."""

    def changes(self, prefix: str, since: str, timeout: float) -> tuple[list[Document], str]:
        """Return the documents of that prefix written since, and what to give as since the next time.

        Waits for the first one, for timeout seconds at most. With ``since`` empty it returns all of them at once.
        A document may come again although it has not changed.
        """

    def close(self) -> None:
        """Close the connections."""


def open_state_store(
    state_directory: str | None = None, state_namespace: str | None = None, kubeconfig: str | None = None
) -> StateStore | None:
    """Return the store that the options name, None without any. InvalidInput begins with the option's name."""
    if state_directory and state_namespace:
        raise InvalidInput("state_directory: give either state_directory or state_namespace, not both")
    if state_directory:
        return FileStateStore(state_directory)
    if state_namespace:
        return ConfigMapStateStore(state_namespace, kubeconfig)
    if kubeconfig:
        raise InvalidInput("kubeconfig: it is only used together with state_namespace")
    return None


def _checked_name(name: str) -> str:
    # Also a file name and a Kubernetes name.
    if not _NAME.fullmatch(name):
        raise StateError(f"{name[:80]!r} cannot be the name of a state document")
    return name


# -- files ------------------------------------------------------------------------------------------------------------


class FileStateStore:
    """JSON files in one directory of this machine, each replaced as a whole and synced to disk.

    All writers share one lock and one sequence of versions, kept in the file ``.sequence``.
    """

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        if not self._directory.is_absolute() or not self._directory.is_dir():
            raise InvalidInput(f"state_directory: {directory!r} is not the absolute path of an existing directory")
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise InvalidInput(f"state_directory: {directory!r} cannot be written to")

    def close(self) -> None:
        """Nothing is open between calls."""

    def read(self, name: str) -> Document | None:
        """Return the document of the file, or None when there is no file."""
        path = self._path(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            data, version = content["data"], content["version"]
            if not isinstance(version, str) or not version.isdigit() or not isinstance(data, dict):
                raise ValueError("it is not of the form that this program writes")
            return Document(name, {str(key): str(value) for key, value in data.items()}, version)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"the state file {path} cannot be read: {error}; repair it, or remove it to begin anew"
            ) from error

    def write(self, name: str, data: Mapping[str, str], version: str | None) -> Document:
        """Write the file beside its place, sync it and move it there, with the lock held."""
        path = self._path(name)
        try:
            with self._locked() as sequence:
                found = self.read(name)
                if (found.version if found else None) != version:
                    raise StateConflict(f"the state file {path} was written by another program")
                number = max(_number(os.pread(sequence, 32, 0)), int(version or 0)) + 1
                document = Document(name, dict(data), str(number))
                self._replace(path, json.dumps({"version": document.version, "data": document.data}, indent=1))
                # Last, so that whoever sees the number sees the document.
                os.pwrite(sequence, f"{number:020}\n".encode(), 0)
                return document
        except OSError as error:
            raise StateError(f"the state file {path} cannot be written: {error.strerror}") from error

    def documents(self, prefix: str) -> list[Document]:
        """Return the documents of all files with that prefix."""
        try:
            names = sorted(path.stem for path in self._directory.glob("*.json") if path.stem.startswith(prefix))
        except OSError as error:
            raise StateError(f"the state directory {self._directory} cannot be read: {error.strerror}") from error
        return [found for name in names if _NAME.fullmatch(name) and (found := self.read(name)) is not None]

    def changes(self, prefix: str, since: str, timeout: float) -> tuple[list[Document], str]:
        """Look at the sequence until it moves."""
        deadline = time.monotonic() + timeout
        while True:
            # Read before the files, so that a write in between is seen again rather than not at all.
            newest = self._newest()
            if not since:
                return self.documents(prefix), str(newest)
            if newest > int(since):
                found = [entry for entry in self.documents(prefix) if int(entry.version) > int(since)]
                since = str(newest)
                if found:
                    return found, since
            if time.monotonic() >= deadline:
                return [], since
            time.sleep(FILE_POLL_SECONDS)

    def _path(self, name: str) -> Path:
        return self._directory / f"{_checked_name(name)}.json"

    def _newest(self) -> int:
        try:
            return _number((self._directory / ".sequence").read_bytes())
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StateError(f"the state directory {self._directory} cannot be read: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self._directory / ".sequence", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _replace(self, path: Path, text: str) -> None:
        descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=self._directory)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _number(text: bytes) -> int:
    stripped = text.strip()
    return int(stripped) if stripped.isdigit() else 0


# -- ConfigMaps -------------------------------------------------------------------------------------------------------


class _Access:
    """How to reach the API server: the pod's own service account, or a kubeconfig.

    The kubernetes package is imported for a kubeconfig only: it takes 38 MB, and the source runs in one process with the
    rule engine, which is to stay below 256 MiB.
    """

    def __init__(self, kubeconfig: str | None) -> None:
        self._configuration: Any = None
        if runs_in_pod(kubeconfig):
            host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
            self.url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
            try:
                self.verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
            except OSError as error:
                raise InvalidInput(
                    f"state_namespace: the pod has no service account to reach its cluster with: {error}"
                ) from error
            return
        try:
            import kubernetes
        except ImportError as error:
            raise InvalidInput(f"kubeconfig: the Python package kubernetes is missing: {error}") from error
        try:
            configuration = access(kubeconfig)
            self.url = configuration.host.rstrip("/")
            self.verify = configuration.verify_ssl and _context(configuration)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise InvalidInput(
                f"kubeconfig: it gives no access to a cluster: {error}; give a kubeconfig, set KUBECONFIG or run in a pod"
            ) from error
        self._configuration = configuration

    def authorization(self) -> dict[str, str]:
        """The header to send now; tokens change while a program runs."""
        if self._configuration is None:
            try:
                return {"Authorization": f"Bearer {(SERVICE_ACCOUNT / 'token').read_text(encoding='utf-8').strip()}"}
            except OSError as error:
                raise StateError(f"the pod's service account token cannot be read: {error.strerror}") from error
        found = self._configuration.auth_settings().get("BearerToken")
        return {"Authorization": found["value"]} if found and found["value"] else {}


def _context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


class ConfigMapStateStore:
    """One ConfigMap for each document; its resourceVersion is the version."""

    def __init__(self, namespace: str, kubeconfig: str | None = None) -> None:
        if not _NAME.fullmatch(namespace):
            raise InvalidInput(f"state_namespace: {namespace[:80]!r} is not the name of a namespace")
        self._namespace = namespace
        self._access = _Access(kubeconfig)
        self._http = httpx.Client(base_url=self._access.url, verify=self._access.verify, timeout=REQUEST_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def read(self, name: str) -> Document | None:
        """Return the ConfigMap's data, or None when there is no ConfigMap."""
        response = self._request("GET", self._path(_checked_name(name)), "read", name)
        return None if response.status_code == 404 else _document(response.json())

    def write(self, name: str, data: Mapping[str, str], version: str | None) -> Document:
        """Create the ConfigMap, or replace its data; what else it holds stays."""
        _checked_name(name)
        if version is None:
            body: Any = {"metadata": {"name": name, "labels": _labels(name)}, "data": dict(data)}
            response = self._request("POST", self._path(), "create", name, json=body)
        else:
            body = [
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/data", "value": dict(data)},
            ]
            headers = {"Content-Type": "application/json-patch+json"}
            response = self._request(
                "PATCH", self._path(name), "update", name, content=json.dumps(body).encode(), headers=headers
            )
        if response.status_code == 409 or (response.status_code == 404 and version is not None):
            raise StateConflict(f"ConfigMap {self._namespace}/{name} was written by another program")
        if response.status_code == 404:
            raise StateError(f"failed to create ConfigMap {self._namespace}/{name}: there is no such namespace")
        return _document(response.json())

    def documents(self, prefix: str) -> list[Document]:
        """Return the data of all ConfigMaps of the monitor with that prefix."""
        return self._list(prefix)[0]

    def changes(self, prefix: str, since: str, timeout: float) -> tuple[list[Document], str]:
        """Watch the ConfigMaps until the first change."""
        if not since:
            return self._list(prefix)
        params = {
            "watch": "1",
            "resourceVersion": since,
            "timeoutSeconds": str(max(1, round(timeout))),
            "labelSelector": f"app.kubernetes.io/managed-by={MANAGED_BY}",
        }
        seconds = httpx.Timeout(REQUEST_SECONDS, read=timeout + REQUEST_SECONDS)
        try:
            with self._http.stream(
                "GET", self._path(), params=params, timeout=seconds, headers=self._access.authorization()
            ) as response:
                if response.status_code == 410:  # that version is too old to watch from
                    return self._list(prefix)
                if response.status_code != 200:
                    response.read()
                    raise self._failed("watch", "*", response)
                for line in response.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return self._list(prefix)
                    found = _document(event["object"])
                    since = found.version
                    if event["type"] in ("ADDED", "MODIFIED") and found.name.startswith(prefix):
                        return [found], since
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"failed to watch ConfigMaps of namespace {self._namespace}: {error or type(error).__name__}"
            ) from error
        return [], since

    def _list(self, prefix: str) -> tuple[list[Document], str]:
        params = {"labelSelector": f"app.kubernetes.io/managed-by={MANAGED_BY}", "limit": str(PAGE_SIZE)}
        found: list[Document] = []
        while True:
            answer = self._request("GET", self._path(), "list", "*", params=params).json()
            found += [_document(entry) for entry in answer.get("items") or []]
            rest = answer["metadata"].get("continue")
            if not rest:
                kept = [entry for entry in found if entry.name.startswith(prefix)]
                return sorted(kept, key=lambda entry: entry.name), str(answer["metadata"]["resourceVersion"])
            params["continue"] = rest

    def _path(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self._namespace}/configmaps" + (f"/{quote(name)}" if name else "")

    def _request(self, method: str, path: str, verb: str, name: str, **options: Any) -> httpx.Response:
        headers = {**self._access.authorization(), **options.pop("headers", {})}
        try:
            response = self._http.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise StateError(
                f"failed to {verb} ConfigMap {self._namespace}/{name}: the cluster at {self._access.url} does not answer: "
                f"{error or type(error).__name__}"
            ) from error
        if response.is_success or (name != "*" and response.status_code in (404, 409)):
            return response
        raise self._failed(verb, name, response)

    def _failed(self, verb: str, name: str, response: httpx.Response) -> StateError:
        cause = {
            401: "the cluster does not accept the credentials",
            403: f"no permission to {verb} ConfigMaps there",
        }.get(response.status_code, f"the cluster answered {response.status_code}")
        return StateError(f"failed to {verb} ConfigMap {self._namespace}/{name}: {cause}")


def _labels(name: str) -> dict[str, str]:
    labels = {"app.kubernetes.io/part-of": MANAGED_BY, "app.kubernetes.io/managed-by": MANAGED_BY}
    consumer_id = name.removeprefix(CONSUMER_PREFIX)
    if consumer_id != name and consumer_id.isdigit():
        labels["interchain-security/consumer-id"] = consumer_id
    return labels


def _document(entry: Mapping[str, Any]) -> Document:
    metadata = entry["metadata"]
    return Document(str(metadata["name"]), dict(entry.get("data") or {}), str(metadata["resourceVersion"]))
