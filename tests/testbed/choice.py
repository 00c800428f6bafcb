# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Kubernetes cluster is used: the user's, one made by kind, or the embedded one."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes import client, config

ANSWER_SECONDS = 5


class Source(enum.Enum):
    """Where the cluster comes from."""

    GIVEN = "given"
    KIND = "kind"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Surroundings:
    """What this machine and its environment offer."""

    kubeconfig: str = ""  # value of KUBECONFIG, "" when not set
    kubeconfig_is_own: bool = False  # it is the file that the testbed itself wrote
    kubeconfig_answers: bool = False
    docker_answers: bool = False
    kind_present: bool = False
    embedded_runs: bool = False


@dataclass(frozen=True)
class Choice:
    """The chosen source and one sentence that says why."""

    source: Source
    reason: str


def choose(found: Surroundings) -> Choice:
    """Return which cluster to use: KUBECONFIG, else Docker with kind, else the embedded one."""
    notes = []
    if found.kubeconfig and not found.kubeconfig_is_own:
        if found.kubeconfig_answers:
            return Choice(Source.GIVEN, f"the cluster of KUBECONFIG={found.kubeconfig} answers")
        notes.append(f"the cluster of KUBECONFIG={found.kubeconfig} does not answer")
    if found.embedded_runs:
        notes.append("it is already up")
        return Choice(Source.EMBEDDED, " and ".join(notes))
    if found.docker_answers and found.kind_present:
        notes.append("a Docker engine answers and kind is installed")
        return Choice(Source.KIND, " and ".join(notes))
    if not found.docker_answers:
        notes.append("no Docker engine answers")
    if not found.kind_present:
        notes.append("kind is not installed")
    return Choice(Source.EMBEDDED, " and ".join(notes))


def look_around(own_kubeconfig: Path, *, embedded_runs: bool) -> Surroundings:
    """Return what this machine offers; asks the cluster of KUBECONFIG and the Docker engine."""
    kubeconfig = os.environ.get("KUBECONFIG", "")
    is_own = kubeconfig != "" and Path(kubeconfig).absolute() == own_kubeconfig
    return Surroundings(
        kubeconfig=kubeconfig,
        kubeconfig_is_own=is_own,
        kubeconfig_answers=kubeconfig != "" and not is_own and _cluster_answers(kubeconfig),
        docker_answers=_docker_answers(),
        kind_present=shutil.which("kind") is not None,
        embedded_runs=embedded_runs,
    )


def _cluster_answers(kubeconfig: str) -> bool:
    try:
        api = config.new_client_from_config(config_file=kubeconfig)
        client.VersionApi(api).get_code(_request_timeout=ANSWER_SECONDS)
    except (config.ConfigException, client.ApiException, urllib3.exceptions.HTTPError, OSError):
        return False
    return True


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=ANSWER_SECONDS * 2)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
