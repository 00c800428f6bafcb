# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the base genesis of a consumer in its namespace, wherever it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Cluster, merge_changes
from ansible_collections.interchain.security.plugins.module_utils.cluster.genesis_store import GenesisStore
from ansible_collections.interchain.security.plugins.module_utils.cluster.place import BASE_GENESIS, GENESIS
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
    "image": {"type": "str", "default": ""},
    "binary": {"type": "str", "default": ""},
    "genesis_hash": {"type": "str", "default": ""},
    "labels": {"type": "dict", "default": {}},
    "kubeconfig": {"type": "path"},
}
SOURCE, MADE_FROM = "interchain-security/source", "interchain-security/made-from"
DOWNLOAD_SECONDS = 60.0


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Keep the base genesis that the chain's owner named, or else the one of the source. Once the chain has its genesis, nothing is changed."""
    cluster = Cluster(params["kubeconfig"], dry_run=check_mode)
    namespace = params["namespace"]
    store = GenesisStore(cluster, namespace, BASE_GENESIS)
    first, kept = store.head(), store.read()
    here = f"ConfigMap {namespace}/{BASE_GENESIS}"
    if cluster.get("ConfigMap", GENESIS, namespace) is not None or _holds(cluster, params, first, kept):
        return {**merge_changes([]), "source": here, "sha256": genesis.hash_of(kept) if kept is not None else ""}
    source = _describe(params["source"])
    if check_mode and _of_init(params["source"]) and (kept is not None or not _stage_pods(cluster, namespace)):
        return {"changed": True, "source": source, "sha256": ""}  # the job did not run: there is no text yet
    text = _read(cluster, namespace, params["source"])
    genesis.checked_base(text, source, params["genesis_hash"])
    write = store.create if kept is None else store.replace
    changes = write(text, params["labels"], {SOURCE: source[:400], MADE_FROM: _made_from(params)})
    return {**merge_changes(changes), "source": source, "sha256": genesis.hash_of(text)}


def _holds(cluster: Cluster, params: dict[str, Any], first: dict[str, Any] | None, kept: str | None) -> bool:
    """Is the base genesis that is kept still the right one? The owner's hash says so, and without one where it came from.

    What lies near is read again; it is not asked for anew of an address, which may not answer by now.
    """
    if first is None or kept is None:
        return False
    if params["genesis_hash"]:
        return genesis.hash_of(kept) == str(params["genesis_hash"]).lower()
    if (first["metadata"].get("annotations") or {}).get(MADE_FROM) != _made_from(params):
        return False
    source = params["source"]
    return not (source["file"] or source["config_map"]) or _read(cluster, params["namespace"], source) == kept


def _made_from(params: dict[str, Any]) -> str:
    """Return a hash of what the base genesis is made from: an address may hold a password."""
    program = [params["image"], params["binary"]] if _of_init(params["source"]) else []
    return genesis.hash_of(genesis.canonical([params["source"], program]))


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
