# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two processes sign a consumer chain with one key, and everything that looks for that finds it: what finds nothing elsewhere can find it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration import vote_scan
from tests.integration.consumer_place import wait_for
from tests.integration.single_node import NodeProcess
from tests.testbed.parts import CHAIN

CHAIN_ID = "twice-1"
# What a provider handed out for a consumer; its validators are replaced by those of the test.
CCV_GENESIS = Path(__file__).parents[1] / "unit/fixtures/provider/ccv_genesis_consumer_0.json"
POWERS = {"alice": "600", "bob": "400"}  # no block without both
QUIET_BLOCKS = 4


class ConsumerNode(NodeProcess):
    """A node of the consumer chain, with a key of its own."""

    def __init__(self, binary: Path, home: Path) -> None:
        super().__init__(binary, home)
        self._run("init", home.name, "--chain-id", CHAIN_ID)
        self.configure(timeout_commit='"500ms"', addr_book_strict="false", allow_duplicate_ip="true")

    @property
    def public_key(self) -> str:
        content = json.loads((self.home / "config/priv_validator_key.json").read_text())
        return str(content["pub_key"]["value"])

    @property
    def address(self) -> str:
        content = json.loads((self.home / "config/priv_validator_key.json").read_text())
        return str(content["address"])

    def join(self, genesis: dict[str, Any], peer: NodeProcess) -> None:
        (self.home / "config/genesis.json").write_text(json.dumps(genesis))
        self.configure(persistent_peers=f'"{peer.peer}"')

    def base_genesis(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.home / "config/genesis.json").read_text())
        return content

    def data(self, pattern: str) -> bytes:
        """Return the content of files of its database, in the order of their names; a log's newest file has no number."""
        files = sorted((self.home / "data").glob(pattern), key=lambda file: (file.suffix == "", file.name))
        return b"".join(file.read_bytes() for file in files)

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, ConsumerNode]]:
    """Alice and bob, and a twin of alice: her key on a machine of its own, where nothing was signed yet."""
    binary = CHAIN.ensure() / "interchain-security-cd"
    made = {name: ConsumerNode(binary, tmp_path / name) for name in ("alice", "twin", "bob")}
    key = "config/priv_validator_key.json"
    shutil.copy(made["alice"].home / key, made["twin"].home / key)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ccv = json.loads(CCV_GENESIS.read_text())
    ccv["provider"]["consensus_state"]["timestamp"] = now
    ccv["provider"]["initial_val_set"] = [
        {"pub_key": {"ed25519": made[name].public_key}, "power": power} for name, power in POWERS.items()
    ]
    genesis = made["bob"].base_genesis()
    genesis["genesis_time"] = now
    genesis["app_state"]["ccvconsumer"] = ccv
    for node in made.values():
        node.join(genesis, made["bob"])
    yield made
    for node in made.values():
        node.kill()


def scanned(node: ConsumerNode, name: str) -> vote_scan.Chain:
    return vote_scan.read_chain(node.url, name)


def has_blocks(node: ConsumerNode, number: int) -> bool:
    try:
        return scanned(node, "bob").tip >= number
    except (OSError, KeyError, vote_scan.httpx.HTTPError):
        return False


@pytest.mark.timeout(180)
def test_two_signers_of_one_key_are_found(nodes: dict[str, ConsumerNode]) -> None:
    alice, twin, bob = nodes["alice"], nodes["twin"], nodes["bob"]
    address = alice.address[:12]
    with vote_scan.Watch({"alice": alice.url, "bob": bob.url}) as quiet:
        alice.start()
        bob.start()
        wait_for("blocks", lambda: has_blocks(bob, QUIET_BLOCKS), 60)
    in_blocks = set(scanned(bob, "bob").votes)
    assert {vote.address for vote in in_blocks} == {address, bob.address[:12]}
    logs = [vote_scan.votes_of_wal(nodes[name].data("cs.wal/wal*"), name) for name in ("alice", "bob")]
    for others in (quiet.votes, *logs):
        assert in_blocks & set(others)  # they name the same votes in the same way
    assert vote_scan.contradictions([*in_blocks, *quiet.votes, *logs[0], *logs[1]]) == []
    assert scanned(bob, "bob").evidence == {}
    assert vote_scan.alarms(bob.log()) == []
    assert vote_scan.pooled_evidence(bob.data("evidence.db/*")) == set()

    with vote_scan.Watch({"alice": alice.url, "twin": twin.url, "bob": bob.url}) as watch:
        twin.start()
        found = wait_for("evidence in a block", lambda: scanned(bob, "bob").evidence, 90)
    # Of prevotes, of precommits, or of both.
    assert {entry["type"] for entry in next(iter(found.values()))} == {"tendermint/DuplicateVoteEvidence"}
    for votes in (
        scanned(bob, "bob").votes,
        vote_scan.votes_of_wal(bob.data("cs.wal/wal*"), "bob"),
        watch.votes,
    ):
        told = vote_scan.contradictions(votes)
        assert any(sentence.startswith(address) for sentence in told), told
        assert not any(sentence.startswith(bob.address[:12]) for sentence in told), told
    assert vote_scan.alarms(bob.log())
    assert vote_scan.pooled_evidence(bob.data("evidence.db/*"))
