# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which cluster the testbed takes, and which addresses it gives away: pure functions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.testbed import cgroups, network
from tests.testbed.choice import Source, Surroundings, choose
from tests.testbed.errors import TestbedError
from tests.testbed.kind import last_addresses
from tests.testbed.processes import Process


@pytest.mark.parametrize(
    ("found", "source", "reason"),
    [
        (Surroundings("/k", kubeconfig_answers=True), Source.GIVEN, "the cluster of KUBECONFIG=/k answers"),
        (
            Surroundings("/k", kubeconfig_answers=True, docker_answers=True, kind_present=True, embedded_runs=True),
            Source.GIVEN,
            "the cluster of KUBECONFIG=/k answers",
        ),
        (
            Surroundings("/k", docker_answers=True, kind_present=True),
            Source.KIND,
            "the cluster of KUBECONFIG=/k does not answer and a Docker engine answers and kind is installed",
        ),
        (
            Surroundings(docker_answers=True, kind_present=True),
            Source.KIND,
            "a Docker engine answers and kind is installed",
        ),
        (Surroundings(docker_answers=True), Source.EMBEDDED, "kind is not installed"),
        (Surroundings(kind_present=True), Source.EMBEDDED, "no Docker engine answers"),
        (Surroundings(), Source.EMBEDDED, "no Docker engine answers and kind is not installed"),
        (
            Surroundings("/own", kubeconfig_is_own=True, kubeconfig_answers=True, embedded_runs=True),
            Source.EMBEDDED,
            "it is already up",
        ),
        (
            Surroundings(docker_answers=True, kind_present=True, embedded_runs=True),
            Source.EMBEDDED,
            "it is already up",
        ),
    ],
)
def test_choice_and_its_reason(found: Surroundings, source: Source, reason: str) -> None:
    choice = choose(found)
    assert choice.source is source
    assert choice.reason == reason


@pytest.mark.parametrize(
    ("routes", "octet"),
    [
        ([], 192),
        (["default", "192.0.2.0/24"], 192),
        (["10.192.0.0/16"], 193),
        (["10.192.0.2", "10.193.7.0/24"], 194),
        (["10.192.0.0/12"], 208),
    ],
)
def test_network_overlaps_no_route_of_the_host(routes: list[str], octet: int) -> None:
    assert network.choose(routes).octet == octet


def test_no_free_network_is_one_clear_error() -> None:
    with pytest.raises(TestbedError, match="no free network"):
        network.choose(["10.0.0.0/8"])


def test_addresses_of_a_block() -> None:
    assert network.addresses("10.0.0.254-10.0.1.1") == ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]


def test_kind_gives_away_the_end_of_its_ipv4_network() -> None:
    assert last_addresses(["fc00:f853:ccd:e793::/64", "172.18.0.0/16"]) == "172.18.255.5-172.18.255.254"
    with pytest.raises(TestbedError, match="no IPv4 subnet"):
        last_addresses(["fc00:f853:ccd:e793::/64"])


def test_a_reused_process_id_is_another_process(tmp_path: Path) -> None:
    own = Process.of(os.getpid())
    assert own is not None
    file = tmp_path / "holder"
    own.write(file)
    assert Process.read(file) == own
    Process(own.pid, own.start_time - 1).write(file)
    assert Process.read(file) is None
    file.write_text("")
    assert Process.read(file) is None


def test_cgroups_are_where_they_are_looked_for() -> None:
    assert cgroups.hierarchies()
