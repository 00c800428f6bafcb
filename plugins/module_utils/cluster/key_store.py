# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where keys are kept: a Kubernetes Secret or a file; a consumer key before the transaction that makes it count.

The stores only ever create: a key that is there is used again and never replaced, and removed only by who asks for it by name.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ansible_collections.interchain.security.plugins.module_utils import secret_file
from ansible_collections.interchain.security.plugins.module_utils.cluster.kubeconfig import access
from ansible_collections.interchain.security.plugins.module_utils.errors import KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey
from ansible_collections.interchain.security.plugins.module_utils.ics.names import ID_LABEL

try:
    import kubernetes
    import urllib3

    HAS_KUBERNETES = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_KUBERNETES = False

MANAGED_BY = "interchain-security-monitor"


class KeyForm(enum.Enum):
    """The key files of CometBFT, by their names."""

    CONSENSUS = "priv_validator_key.json"
    NODE = "node_key.json"

    def text(self, key: ConsensusKey) -> str:
        """Return a key in this form."""
        return key.key_file() if self is KeyForm.CONSENSUS else key.node_key_file()


class KeyStore(Protocol):
    """One key's place."""

    def read(self) -> ConsensusKey | None:
        """Return the key, or None when there is none yet."""

    def find(self, public_key: str) -> ConsensusKey | None:
        """Return the key of that public half (base64) when it is kept here, or beside this place for the same consumer."""

    def create(self, key: ConsensusKey) -> None:
        """Store a key durably where there is none; KeyStoreError when there is one or it cannot be stored."""

    def delete(self) -> None:
        """Remove the key for ever; one that is not there is no error."""


class FileKeyStore:
    """A CometBFT key file readable by its owner only."""

    def __init__(self, path: str, form: KeyForm = KeyForm.CONSENSUS) -> None:
        self._path, self._form = Path(path), form

    def read(self) -> ConsensusKey | None:
        """Return the key of the file, or None when there is no file."""
        try:
            return consensus_key.from_key_file(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyStoreError(f"the key file {self._path} cannot be read: {error}") from error

    def find(self, public_key: str) -> ConsensusKey | None:
        """Return the key of the file when it is that one."""
        key = self.read()
        return key if key is not None and key.public_key_base64 == public_key else None

    def create(self, key: ConsensusKey) -> None:
        """Write the file beside its place, sync it to disk and link it there; a file that exists is never replaced."""
        try:
            secret_file.create(self._path, self._form.text(key))
        except OSError as error:
            raise KeyStoreError(
                f"the key cannot be stored as {self._path}: {error.strerror}; nothing was sent"
            ) from error

    def delete(self) -> None:
        """Remove the file."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise KeyStoreError(f"the key file {self._path} cannot be removed: {error.strerror}") from error


class Secret:
    """A Secret of a namespace, in etcd before :meth:`create` returns."""

    def __init__(self, namespace: str, name: str, kubeconfig: str | None = None) -> None:
        self.namespace, self.name = namespace, name
        self._api = _core_api(kubeconfig)

    def read(self) -> dict[str, bytes] | None:
        """Return the entries, or None when there is no such Secret."""
        try:
            secret = self._api.read_namespaced_secret(self.name, self.namespace)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise self._failed("read", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._failed("read", error) from error
        return {entry: base64.b64decode(text) for entry, text in (secret.data or {}).items()}

    def create(self, entries: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Create the Secret; it is never replaced."""
        body = {
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/managed-by": MANAGED_BY, **labels}},
            "type": "Opaque",
            "data": {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()},
        }
        try:
            self._api.create_namespaced_secret(self.namespace, body)
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise self._failed("create", error) from error

    def delete(self) -> None:
        """Remove the Secret; one that is not there is no error."""
        try:
            self._api.delete_namespaced_secret(self.name, self.namespace)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise self._failed("delete", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._failed("delete", error) from error

    def _failed(self, verb: str, error: Exception) -> KeyStoreError:
        cause = _cause(error, verb)
        return KeyStoreError(f"failed to {verb} Secret {self.namespace}/{self.name}: {cause}; nothing was sent")


class SecretKeyStore:
    """A Secret of the validator's own namespace that holds a CometBFT key file."""

    def __init__(
        self,
        namespace: str,
        name: str,
        consumer_id: str | None,
        kubeconfig: str | None = None,
        form: KeyForm = KeyForm.CONSENSUS,
    ) -> None:
        self._secret, self._form, self._kubeconfig = Secret(namespace, name, kubeconfig), form, kubeconfig
        self._labels = {} if consumer_id is None else {ID_LABEL: consumer_id}

    def read(self) -> ConsensusKey | None:
        """Return the key of the Secret, or None when there is no Secret."""
        entries = self._secret.read()
        if entries is None:
            return None
        if self._form.value not in entries:
            raise KeyStoreError(
                f"Secret {self._secret.namespace}/{self._secret.name} has no {self._form.value}: remove it or put the key in"
            )
        return consensus_key.from_key_file(entries[self._form.value].decode())

    def find(self, public_key: str) -> ConsensusKey | None:
        """Return the key of that public half out of this Secret, or out of another one of its namespace that is labelled for the same consumer."""
        own = self.read()
        if own is not None and own.public_key_base64 == public_key:
            return own
        for label, value in self._labels.items():
            for _name, entries in secrets_with(self._secret.namespace, f"{label}={value}", self._kubeconfig):
                if self._form.value in entries:
                    other = consensus_key.from_key_file(entries[self._form.value].decode())
                    if other.public_key_base64 == public_key:
                        return other
        return None

    def create(self, key: ConsensusKey) -> None:
        """Create the Secret; it is never replaced."""
        self._secret.create({self._form.value: self._form.text(key)}, self._labels)

    def delete(self) -> None:
        """Remove the Secret."""
        self._secret.delete()


def secrets_with(namespace: str, label: str, kubeconfig: str | None = None) -> list[tuple[str, dict[str, bytes]]]:
    """Return names and entries of the Secrets of a namespace that have a label (``name=value``), in order of their names."""
    try:
        found = _core_api(kubeconfig).list_namespaced_secret(namespace, label_selector=label)
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
        raise KeyStoreError(f"failed to list Secrets of namespace {namespace}: {_cause(error, 'list')}") from error
    return sorted(
        (item.metadata.name, {entry: base64.b64decode(text) for entry, text in (item.data or {}).items()})
        for item in found.items
    )


def _core_api(kubeconfig: str | None) -> kubernetes.client.CoreV1Api:
    try:
        return kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(access(kubeconfig)))
    except kubernetes.config.ConfigException as error:
        raise KeyStoreError(
            f"no access to a Kubernetes cluster for the key store: {error}; set KUBECONFIG or kubeconfig"
        ) from error


def _cause(error: Exception, verb: str) -> str:
    status = getattr(error, "status", None)
    return {
        401: "the cluster does not accept the credentials",
        403: f"no permission to {verb} Secrets there",
        404: "there is no such namespace",
        409: "a Secret of that name appeared meanwhile",
    }.get(status or 0, f"{type(error).__name__} {status or ''}".strip())
