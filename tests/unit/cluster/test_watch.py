# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether anybody signs with a key, or did: what of the chain is looked at."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.interchain.security.plugins.module_utils.cluster import watch
from ansible_collections.interchain.security.plugins.module_utils.errors import ClusterError, NodeSilent
from ansible_collections.interchain.security.plugins.module_utils.ics.signing import Sighting

KEY = base64.b64encode(b"k" * 32).decode()
ADDRESS = hashlib.sha256(b"k" * 32).digest()[:20].hex().upper()


class Chain:
    """A node that follows a chain; ``signed`` are the heights that were signed with the key. It makes a block each second."""

    def __init__(self, signed: set[int] = frozenset(), latest: int = 2000, earliest: int = 1) -> None:  # type: ignore[assignment]
        self.signed, self.latest, self.earliest = set(signed), latest, earliest
        self.catching_up, self.peers, self.flag = False, 1, 2
        self.round: list[str] = []
        self.asked: list[int] = []
        self.fails_at: set[int] = set()
        self.seconds = 0.0
        self.lock = threading.Lock()

    # -- what the watch uses of NodeAccess

    def __call__(self, _cluster: Any, _namespace: str) -> Chain:
        return self

    @contextmanager
    def conversation(self, _seconds: float) -> Iterator[Any]:
        yield self.rpc

    def rpc(self, path: str) -> dict[str, Any]:
        if path == "status":
            heights = {"latest_block_height": str(self.latest), "earliest_block_height": str(self.earliest)}
            return {"sync_info": {"catching_up": self.catching_up, **heights}}
        if path == "net_info":
            return {"n_peers": str(self.peers)}
        if path == "consensus_state":
            return {"round_state": {"height_vote_set": [{"prevotes": self.round, "precommits": ["nil-Vote"]}]}}
        height = int(path.removeprefix("commit?height="))
        with self.lock:
            self.asked.append(height)
        assert self.earliest <= height <= self.latest
        if height in self.fails_at:
            self.fails_at.discard(height)
            raise NodeSilent("it does not answer")
        entry = {"validator_address": ADDRESS, "block_id_flag": self.flag}
        absent = {"validator_address": "", "block_id_flag": 1}
        return {"signed_header": {"commit": {"signatures": [absent, entry] if height in self.signed else [absent]}}}

    # -- time

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.latest += 1


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    made = Chain()
    monkeypatch.setattr(watch, "NodeAccess", made)
    monkeypatch.setattr(watch, "time", made)
    return made


def look(commits: int = watch.HISTORY, timeout: float = 60, look_seconds: float = 10) -> Sighting:
    return watch.watch(
        None,  # type: ignore[arg-type]
        "alice-consumer-3",
        KEY,
        look_seconds=look_seconds,
        timeout=timeout,
        commits=commits,
    )


@pytest.mark.parametrize("seconds", [10, 45])
def test_nobody_is_nobody_after_a_while(chain: Chain, seconds: float) -> None:
    assert look(look_seconds=seconds) is Sighting.NOBODY
    assert chain.seconds >= seconds
    assert set(range(2000 - watch.HISTORY + 1, chain.latest + 1)) == set(chain.asked)
    # Each commit is read once, but for the newest, which may get votes that come late.
    assert len(chain.asked) <= watch.HISTORY + 2 * (chain.latest - 2000) + 1


@pytest.mark.parametrize("silent", [0, 20, 360, watch.HISTORY - 1])
def test_a_signer_that_is_silent_for_minutes_counts(chain: Chain, silent: int) -> None:
    chain.signed = set(range(1, 2000 - silent + 1))
    assert look() is Sighting.SOMEBODY


def test_a_vote_for_no_block_counts(chain: Chain) -> None:
    chain.signed, chain.flag = {1500}, 3
    assert look() is Sighting.SOMEBODY


def test_what_lies_further_back_does_not_count(chain: Chain) -> None:
    chain.signed = {2000 - watch.HISTORY}
    assert look() is Sighting.NOBODY


def test_who_is_known_to_be_gone_counts_as_long_as_he_is_in_the_newest_commits(chain: Chain) -> None:
    chain.signed = {2000 - watch.RECENT}
    assert look(watch.RECENT) is Sighting.NOBODY
    chain.signed = {chain.latest - watch.RECENT + 1}
    assert look(watch.RECENT) is Sighting.SOMEBODY


def test_a_node_that_pruned_is_asked_for_what_it_has(chain: Chain) -> None:
    chain.earliest, chain.signed = 1900, set(range(1, 1900))
    assert look() is Sighting.NOBODY
    chain.signed.add(1900)
    assert look() is Sighting.SOMEBODY


def test_a_chain_before_its_first_block_has_the_round_alone(chain: Chain) -> None:
    chain.latest = chain.earliest = 0
    chain.sleep = lambda seconds: setattr(chain, "seconds", chain.seconds + seconds)  # type: ignore[method-assign]
    assert look() is Sighting.NOBODY
    chain.round = [f"Vote{{0:{ADDRESS[:12]} 01/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) 8B01023386C3}}"]
    assert look() is Sighting.SOMEBODY


@pytest.mark.parametrize("state", [{"catching_up": True}, {"peers": 0}])
def test_who_does_not_follow_knows_nothing(chain: Chain, state: dict[str, Any]) -> None:
    for name, value in state.items():
        setattr(chain, name, value)
    chain.signed = {1999}
    assert look() is Sighting.UNKNOWN
    assert chain.asked == []


def test_a_broken_connection_is_no_answer(chain: Chain) -> None:
    """What was not read is read again, and the time in which nobody is seen begins anew."""
    chain.signed, chain.fails_at = {1500}, {1501, 1502, 1503, 1504}
    assert look() is Sighting.SOMEBODY

    def broken(path: str) -> dict[str, Any]:
        raise ClusterError(path)

    chain.rpc = broken  # type: ignore[method-assign]
    assert look() is Sighting.UNKNOWN


def test_commits_that_cannot_be_read_in_time_are_not_taken_for_nobodys(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a second here, and not all come in time."""
    answer = chain.rpc

    def slow(path: str) -> dict[str, Any]:
        if path.startswith("commit"):
            with chain.lock:
                chain.seconds += 1
        return answer(path)

    monkeypatch.setattr(chain, "rpc", slow)
    chain.signed = {1001}
    assert look() is Sighting.UNKNOWN
    assert look(commits=5, timeout=100) is Sighting.NOBODY
