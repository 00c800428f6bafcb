# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Genesis files in ConfigMaps: one that fits as it is, a larger one compressed and in parts.

The genesis of a chain is never changed: the chain runs on it. Only a base genesis is replaced, before there is one. The first ConfigMap is written last and
goes first, so that what is there is complete.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.cluster.cluster import Change, Cluster
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError
from ansible_collections.interchain.security.plugins.module_utils.ics import genesis

FILE = "genesis.json"
PARTS = "interchain-security/parts"


class GenesisStore:
    """The genesis ``name`` of a namespace: ConfigMap ``name``, and ``name-1``, ``name-2``, ... when it has parts."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name

    def head(self) -> dict[str, Any] | None:
        """Return the first ConfigMap, or None when no genesis is kept."""
        return self._cluster.get("ConfigMap", self._name, self._namespace)

    def read(self) -> str | None:
        """Return the text, or None when no genesis is kept; ClusterError when a part is missing."""
        first = self.head()
        if first is None:
            return None
        if FILE in (first.get("data") or {}):
            return str(first["data"][FILE])
        pieces = []
        try:
            for number in range(parts_of(first)):
                found = first if number == 0 else self._cluster.get("ConfigMap", self._part(number), self._namespace)
                if found is None:
                    raise ClusterError(
                        f"ConfigMap {self._namespace}/{self._part(number)} is missing: a part of the genesis"
                    )
                pieces.append(base64.b64decode(found["binaryData"][key_of(number)]))
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ClusterError(f"ConfigMap {self._namespace}/{self._name} holds no genesis: {error!r}") from error
        return genesis.joined(pieces)

    def create(self, text: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> list[Change]:
        """Keep a genesis where there is none. Parts that a cut run left are replaced, and those beyond the last one go: a node puts all together."""
        pieces = genesis.parts(text)
        changes = self._without_others(len(pieces)) if pieces else []
        for number in range(len(pieces) - 1, 0, -1):
            changes.append(self._cluster.apply(self._config_map(number, labels, {}, pieces[number], None)))
        return [*changes, self._cluster.create(self._first(text, pieces, labels, annotations))]

    def replace(self, text: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> list[Change]:
        """Keep a genesis in place of the one that is kept. Cut in between, none is kept."""
        pieces = genesis.parts(text)  # before anything is removed: it may be too large
        former = self._cluster.delete("ConfigMap", self._name, self._namespace)
        changes = self.create(text, labels, annotations)
        if self._cluster.dry_run:  # the former one is still there
            changes[-1] = Change(True, former.before, self._first(text, pieces, labels, annotations))
        return [former, *changes]

    def _without_others(self, count: int) -> list[Change]:
        """Remove the parts of another genesis that was larger."""
        found = self._cluster.select("ConfigMap", self._namespace, metadata_only=True)
        there = {entry["metadata"]["name"] for entry in found}
        others = [self._part(number) for number in range(count, genesis.MOST_PARTS)]
        return [self._cluster.delete("ConfigMap", name, self._namespace) for name in others if name in there]

    def _first(
        self, text: str, pieces: Sequence[bytes], labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> dict[str, Any]:
        marks = {**annotations, PARTS: str(len(pieces))}
        return self._config_map(0, labels, marks, pieces[0] if pieces else b"", None if pieces else text)

    def _part(self, number: int) -> str:
        return f"{self._name}-{number}" if number else self._name

    def _config_map(
        self, number: int, labels: Mapping[str, str], annotations: Mapping[str, str], piece: bytes, text: str | None
    ) -> dict[str, Any]:
        metadata = {
            "name": self._part(number),
            "namespace": self._namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
        }
        content = (
            {"binaryData": {key_of(number): base64.b64encode(piece).decode()}}
            if text is None
            else {"data": {FILE: text}}
        )
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **content}


def key_of(number: int) -> str:
    """Return the name of a part as a file; in order of their names they make the whole."""
    return f"part-{number:04}"


def parts_of(first: Mapping[str, Any]) -> int:
    """Return how many parts the genesis of a first ConfigMap has; 0 when it is kept as it is."""
    text = (first["metadata"].get("annotations") or {}).get(PARTS, "0")
    return int(text) if text.isascii() and text.isdigit() else 0
