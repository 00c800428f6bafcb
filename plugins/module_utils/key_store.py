# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where consumer keys are kept: a Kubernetes Secret or a file, written before the transaction that makes the key count.

Both stores only ever create: a key that is there is used again and never replaced.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Protocol

from ansible_collections.interchain.security.plugins.module_utils.errors import KeyStoreError
from ansible_collections.interchain.security.plugins.module_utils.ics import consensus_key
from ansible_collections.interchain.security.plugins.module_utils.ics.consensus_key import ConsensusKey

try:
    import kubernetes
    import urllib3

    HAS_KUBERNETES = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_KUBERNETES = False

KEY_FILE = "priv_validator_key.json"
MANAGED_BY = "interchain-security-monitor"


class KeyStore(Protocol):
    """One key's place."""

    def read(self) -> ConsensusKey | None:
        """Return the key, or None when there is none yet."""

    def create(self, key: ConsensusKey) -> None:
        """Store a key durably where there is none; KeyStoreError when there is one or it cannot be stored."""


class FileKeyStore:
    """A CometBFT key file readable by its owner only."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def read(self) -> ConsensusKey | None:
        """Return the key of the file, or None when there is no file."""
        try:
            return consensus_key.from_key_file(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise KeyStoreError(f"the key file {self._path} cannot be read: {error}") from error

    def create(self, key: ConsensusKey) -> None:
        """Write the file beside its place, sync it to disk and link it there; a file that exists is never replaced."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with os.fdopen(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
                "w",
                encoding="utf-8",
            ) as file:
                file.write(key.key_file())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, self._path)
            finally:
                temporary.unlink()
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise KeyStoreError(
                f"the consumer key cannot be stored as {self._path}: {error.strerror}; nothing was sent"
            ) from error


class SecretKeyStore:
    """A Secret of the validator's own namespace, in etcd before :meth:`create` returns."""

    def __init__(self, namespace: str, name: str, consumer_id: str, kubeconfig: str | None = None) -> None:
        self._namespace, self._name, self._consumer_id = namespace, name, consumer_id
        try:
            if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
                kubernetes.config.load_incluster_config()
                configuration = None
            else:
                configuration = kubernetes.client.Configuration()
                kubernetes.config.load_kube_config(kubeconfig, client_configuration=configuration)
            self._api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
        except kubernetes.config.ConfigException as error:
            raise KeyStoreError(
                f"no access to a Kubernetes cluster for the key store: {error}; set KUBECONFIG or kubeconfig"
            ) from error

    def read(self) -> ConsensusKey | None:
        """Return the key of the Secret, or None when there is no Secret."""
        try:
            secret = self._api.read_namespaced_secret(self._name, self._namespace)
        except kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            raise self._failed("read", error) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._failed("read", error) from error
        if not secret.data or KEY_FILE not in secret.data:
            raise KeyStoreError(f"Secret {self._namespace}/{self._name} has no {KEY_FILE}: remove it or put the key in")
        return consensus_key.from_key_file(base64.b64decode(secret.data[KEY_FILE]).decode())

    def create(self, key: ConsensusKey) -> None:
        """Create the Secret; it is never replaced."""
        labels = {
            "app.kubernetes.io/managed-by": MANAGED_BY,
            "interchain-security/consumer-id": self._consumer_id,
        }
        body = {
            "metadata": {"name": self._name, "labels": labels},
            "type": "Opaque",
            "data": {KEY_FILE: base64.b64encode(key.key_file().encode()).decode()},
        }
        try:
            self._api.create_namespaced_secret(self._namespace, body)
        except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise self._failed("create", error) from error

    def _failed(self, verb: str, error: Exception) -> KeyStoreError:
        status = getattr(error, "status", None)
        cause = {
            401: "the cluster does not accept the credentials",
            403: f"no permission to {verb} Secrets there",
            404: "there is no such namespace",
            409: "a Secret of that name appeared meanwhile",
        }.get(status or 0, f"{type(error).__name__} {status or ''}".strip())
        return KeyStoreError(f"failed to {verb} Secret {self._namespace}/{self._name}: {cause}; nothing was sent")
