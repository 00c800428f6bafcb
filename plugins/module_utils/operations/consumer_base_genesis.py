# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the base genesis of a consumer in its namespace, wherever it comes from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.genesis_store import GenesisStore
from ansible_collections.interchain.security.plugins.module_utils.errors import (
    ClusterError,
    InvalidInput,
)
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis

try:
    import httpx

    HAS_HTTPX = True
except ImportError:  # a module reports it through missing_required_lib
    HAS_HTTPX = False

ARGUMENT_SPEC: dict[str, Any] = {
    "namespace": {"type": "str", "required": True},
    "source": {
        "type": "dict",
        "default": {"init": True},
        "options": {
            "init": {"type": "bool"},
            "url": {"type": "str"},
            "file": {"type": "path"},
            "config_map": {
                "type": "dict",
                "options": {
                    "namespace": {"type": "str", "required": True},
                    "name": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "genesis.json", "no_log": False},
                },
            },
        },
        "mutually_exclusive": [["init", "url", "file", "config_map"]],
        "required_one_of": [["init", "url", "file", "config_map"]],
    },
    "genesis_hash": {"type": "str", "default": ""},
    "labels": {"type": "dict", "default": {}},
    "kubeconfig": {"type": "path"},
}
NAME = "base-genesis"
DOWNLOAD_SECONDS = 60.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Keep the base genesis unless it is kept already; either way it is the one that the chain's owner named, if there is one."""
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    store = GenesisStore(cluster, params["namespace"], NAME)
    text = store.read()
    kept = text is not None
    source = f"ConfigMap {params['namespace']}/{NAME}" if kept else _describe(params["source"])
    if text is None and check_mode and _of_init(params["source"]) and not _stage_pods(cluster, params["namespace"]):
        return {"changed": True, "source": source, "sha256": ""}  # the job did not run: there is no text yet
    if text is None:
        text = _read(cluster, params["namespace"], params["source"])
    genesis.checked_base(text, source, params["genesis_hash"])
    changes = [] if kept else store.create(text, params["labels"], {"interchain-security/source": source[:400]})
    return {
        **merge_changes(changes),
        "source": source,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _describe(source: dict[str, Any]) -> str:
    if source["url"]:
        return f"the address {source['url'].split('?')[0]}"
    if source["file"]:
        return f"the file {source['file']}"
    if source["config_map"]:
        return f"ConfigMap {source['config_map']['namespace']}/{source['config_map']['name']}"
    return "init of the chain's binary"


def _read(cluster: Cluster, namespace: str, source: dict[str, Any]) -> str:
    if source["url"]:
        return _download(source["url"])
    if source["file"]:
        try:
            return Path(source["file"]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"source.file: {source['file']} cannot be read: {error}") from error
    if source["config_map"]:
        given = source["config_map"]
        found = cluster.get("ConfigMap", given["name"], given["namespace"])
        text = None if found is None else (found.get("data") or {}).get(given["key"])
        if text is None:
            raise InvalidInput(f"source.config_map: {_describe(source)} has no {given['key']}, or is not there")
        return str(text)
    done = _stage_pods(cluster, namespace)
    if not done:
        raise ClusterError(
            f"job stage in namespace {namespace} has no pod that succeeded: its log would be the base genesis; remove the job and run again"
        )
    return cluster.pod_log(done[0]["metadata"]["name"], namespace)


def _of_init(source: dict[str, Any]) -> bool:
    return not (source["url"] or source["file"] or source["config_map"])


def _stage_pods(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Return the pods of the job that has made the node's home."""
    pods = cluster.select("Pod", namespace, "batch.kubernetes.io/job-name=stage")
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Succeeded"]


def _download(url: str) -> str:
    try:
        with httpx.stream("GET", url, timeout=DOWNLOAD_SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > genesis.LARGEST_GENESIS:
                    raise InvalidInput(f"source.url: {url} sends more than {genesis.LARGEST_GENESIS} bytes")
        return content.decode()
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeDecodeError) as error:
        raise InvalidInput(f"source.url: the base genesis cannot be read from {url}: {error}") from error
