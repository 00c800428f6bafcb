# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks for the secrets of a run, in every form in which they might have been written, wherever they do not belong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.interchain.security.plugins.module_utils.chain import account_key
from tests.testbed.devnet import Devnet
from tests.testbed.embedded import state_directory
from tests.testbed.errors import TestbedError

WORDS_TOGETHER = 6  # so many words of a mnemonic in a row are a leak
LARGEST_FILE = 64 * 1024 * 1024
# Run in a monitor's pod: what its processes were called with, and what lies in the folders that they may write to.
READ_POD = """
import base64, pathlib
for pattern in ("/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ", "/tmp/**/*", "/home/monitor/**/*", "/var/lib/interchain/**/*"):
    for path in pathlib.Path("/").glob(pattern[1:]):
        try:
            if path.is_file() and path.stat().st_size < 2**21:
                print(base64.b64encode(path.read_bytes()).decode())
        except OSError:
            pass  # ended or removed meanwhile
"""


@dataclass(frozen=True)
class Secret:
    """A secret with the name of where it belongs, and what gives it away."""

    name: str
    forms: frozenset[bytes]


@dataclass(frozen=True)
class Leak:
    """A secret that was found at a place."""

    secret: str
    place: str


def forms_of(raw: bytes) -> frozenset[bytes]:
    """Return how bytes may be written: as they are, in hex, in base64 at any offset within something longer, and that once more in base64."""
    written = {raw.hex().encode(), raw.hex().upper().encode(), *_base64_parts(raw)}
    twice = {part for text in (*written, base64.b64encode(raw)) for part in _base64_parts(text)}
    urls = {text.translate(bytes.maketrans(b"+/", b"-_")) for text in written}
    return frozenset({raw} | written | urls | twice)


def _base64_parts(raw: bytes) -> set[bytes]:
    """Return what is the same in the base64 of anything that holds ``raw``, for each of the three offsets."""
    parts = set()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw)
        first = -(-offset * 8 // 6)  # digits that depend on what comes before
        last = (offset + len(raw)) * 8 // 6  # and those that depend on what follows
        parts.add(encoded[first:last])
    return parts


def of_mnemonic(name: str, mnemonic: str) -> list[Secret]:
    """Return a mnemonic, a quarter of it, and the account's private key as secrets."""
    words = mnemonic.split()
    parts = [" ".join(words[start : start + WORDS_TOGETHER]) for start in range(0, len(words), WORDS_TOGETHER)]
    forms = frozenset().union(*(forms_of(part.encode()) for part in parts))
    key = account_key.from_mnemonic(mnemonic).private_bytes
    return [Secret(f"{name} (mnemonic)", forms), Secret(f"{name} (account key)", forms_of(key))]


def of_key_file(name: str, text: str) -> Secret:
    """Return the private key of a key file of CometBFT as a secret: its seed, the first half of what the file holds."""
    content = json.loads(text)
    return Secret(name, forms_of(base64.b64decode(content["priv_key"]["value"])[:32]))


def secrets_of(devnet: Devnet) -> list[Secret]:
    """Return all secrets of a devnet: of its folder, and of the Secrets in the cluster that the collection made."""
    found: list[Secret] = []
    for path in sorted(devnet.directory.glob("*.mnemonic")):
        found += of_mnemonic(path.name, path.read_text())
    for path in sorted(devnet.directory.glob("homes/*/config/*_key.json")):
        found.append(of_key_file(str(path.relative_to(devnet.directory)), path.read_text()))
    listed = json.loads(devnet.kubectl("get", "secrets", "--all-namespaces", "--output", "json"))
    for entry in listed["items"]:
        place = f"Secret {entry['metadata']['namespace']}/{entry['metadata']['name']}"
        for key, value in (entry.get("data") or {}).items():
            text = base64.b64decode(value)
            if key.endswith("_key.json"):
                found.append(of_key_file(f"{place} {key}", text.decode()))
            elif key == "mnemonic":
                found += of_mnemonic(place, text.decode())
    return found


def places_of(devnet: Devnet) -> Iterator[tuple[str, bytes]]:
    """Yield everything that a run leaves behind besides Secrets and the homes of nodes, each with a name."""
    for number, output in enumerate(devnet.outputs, start=1):
        yield f"output of playbook {number}", output.encode()
    yield from _objects(devnet)
    yield from _pods(devnet)
    for folder in (state_directory() / "logs", state_directory() / "var-log", devnet.directory / "logs"):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < LARGEST_FILE:
                yield str(path), path.read_bytes()


def _objects(devnet: Devnet) -> Iterator[tuple[str, bytes]]:
    """Yield all objects of the cluster of every kind but Secrets: ConfigMaps with the monitors' state, Events, pods and so on."""
    kinds = devnet.kubectl("api-resources", "--verbs=list", "--output=name").split()
    for kind in kinds:
        if kind != "secrets":
            try:
                yield kind, devnet.kubectl("get", kind, "--all-namespaces", "--output", "json").encode()
            except TestbedError as error:
                if "MethodNotAllowed" not in str(error):
                    raise


def _pods(devnet: Devnet) -> Iterator[tuple[str, bytes]]:
    listed = json.loads(devnet.kubectl("get", "pods", "--all-namespaces", "--output", "json"))
    for pod in listed["items"]:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for container in containers(pod):
            where = ("--namespace", namespace, "--container", container["name"], name)
            if container.get("state", {}).keys() & {"running", "terminated"}:
                yield f"log of {namespace}/{name}", devnet.kubectl("logs", *where).encode()
            if container.get("restartCount", 0) and "terminated" in container.get("lastState", {}):
                yield f"previous log of {namespace}/{name}", devnet.kubectl("logs", "--previous", *where).encode()
            if container["name"] == "monitor" and "running" in container.get("state", {}):
                where = ("--namespace", namespace, name, "--", "python3", "-c", READ_POD)
                lines = devnet.kubectl("exec", *where).split()
                yield f"files of {namespace}/{name}", b"\n".join(map(base64.b64decode, lines))


def containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def scan(secrets: Iterable[Secret], places: Iterable[tuple[str, bytes]]) -> tuple[list[Leak], list[str]]:
    """Return the leaks, and the names of all places that were looked at."""
    wanted = list(secrets)
    leaks, seen = [], []
    for place, content in places:
        seen.append(place)
        joined = b" ".join(content.split())  # a mnemonic may be wrapped
        leaks += [
            Leak(secret.name, place)
            for secret in wanted
            if any(form in content or form in joined for form in secret.forms)
        ]
    return leaks, seen


def write(path: Path, leaks: Iterable[Leak]) -> None:
    """Keep a list of leaks; it names them and holds no secret."""
    path.write_text("".join(f"{leak.place}: {leak.secret}\n" for leak in leaks))
