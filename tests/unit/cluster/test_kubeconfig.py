# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys, state and all other objects go to one and the same cluster."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from ansible_collections.interchain.security.plugins.module_utils.cluster.key_store import Secret
from ansible_collections.interchain.security.plugins.module_utils.cluster.kubeconfig import (
    access,
    chosen_kubeconfig,
    runs_in_pod,
)
from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import open_state_store

VARIABLES = (
    "K8S_AUTH_KUBECONFIG",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "K8S_AUTH_HOST",
    "K8S_AUTH_API_KEY",
    "K8S_AUTH_VERIFY_SSL",
    "K8S_AUTH_SSL_CA_CERT",
    "K8S_AUTH_CONTEXT",
)


@pytest.mark.parametrize(
    ("given", "environment", "chosen", "in_pod"),
    [
        ("/given", {"K8S_AUTH_KUBECONFIG": "/ansible", "KUBECONFIG": "/kubectl"}, "/given", False),
        (None, {"K8S_AUTH_KUBECONFIG": "/ansible", "KUBECONFIG": "/kubectl"}, "/ansible", False),
        ("", {"K8S_AUTH_KUBECONFIG": "", "KUBECONFIG": "/kubectl"}, "/kubectl", False),
        (None, {"KUBECONFIG": "/kubectl", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "/kubectl", False),
        ("/given", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "/given", False),
        (None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None, True),
        (
            None,
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "K8S_AUTH_HOST": "https://a", "K8S_AUTH_API_KEY": "t"},
            None,
            False,
        ),
        (None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "K8S_AUTH_HOST": "https://a"}, None, True),
        (None, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "K8S_AUTH_CONTEXT": "b"}, None, False),
        (None, {}, None, False),
    ],
)
def test_the_cluster_is_chosen(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: dict[str, str], chosen: str | None, in_pod: bool
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen_kubeconfig(given) == chosen
    assert runs_in_pod(given) is in_pod


def test_the_token_of_a_credential(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AWX runs jobs in pods of a cluster of its own, which is not the one to work on."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    environment = {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "K8S_AUTH_HOST": "https://cluster.example.com:6443/",
        "K8S_AUTH_API_KEY": "token",
        "K8S_AUTH_VERIFY_SSL": "True",
        "K8S_AUTH_SSL_CA_CERT": str(tmp_path / "ca"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = access(None)
    assert found.host == "https://cluster.example.com:6443"
    assert found.auth_settings()["BearerToken"]["value"] == "Bearer token"
    assert (found.verify_ssl, found.ssl_ca_cert) == (True, str(tmp_path / "ca"))
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "False")
    monkeypatch.delenv("K8S_AUTH_SSL_CA_CERT")
    assert (access(None).verify_ssl, access(None).ssl_ca_cert) == (False, None)


@pytest.mark.parametrize(("context", "host"), [("", "https://a"), ("b", "https://b")])
def test_the_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, context: str, host: str) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    content = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}} for name in "ab"],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "x"}} for name in "ab"],
        "users": [{"name": "x", "user": {}}],
        "current-context": "a",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("K8S_AUTH_CONTEXT", context)
    assert access(str(tmp_path / "kubeconfig")).host == host


class Empty(BaseHTTPRequestHandler):
    """A cluster that holds nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_keys_and_state_are_looked_for_in_the_cluster_of_the_other_modules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """KUBECONFIG names another one, which does not answer."""
    server = HTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for port, name in ((server.server_port, "K8S_AUTH_KUBECONFIG"), (1, "KUBECONFIG")):
        content = {
            "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "users": [{"name": "x", "user": {}}],
            "current-context": "x",
        }
        (tmp_path / name).write_text(yaml.safe_dump(content))
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in VARIABLES[2:]:
        monkeypatch.delenv(name, raising=False)
    try:
        assert Secret("keys", "x").read() is None
        store = open_state_store(state_namespace="x")
        assert store is not None
        assert store.read("cursor") is None
    finally:
        server.shutdown()
        server.server_close()
