# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scanner of votes finds what it is there to find: two signers of one key, wherever they show."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.vote_scan import (
    NIL,
    Vote,
    alarms,
    contradictions,
    crc32c,
    pooled_evidence,
    votes_of_block,
    votes_of_state,
    votes_of_wal,
)

ALICE, BOB = "A1" * 20, "B0" * 20
BLOCK, OTHER = "CC" * 32, "DD" * 32
VOTE = Vote(ALICE[:12], 7, 0, "precommit", BLOCK[:12], "11" * 6, "blocks of bob")


def test_one_signer_contradicts_itself_in_nothing() -> None:
    votes = [
        VOTE,
        replace(VOTE, place="blocks of alice"),  # the same vote, seen twice
        replace(VOTE, kind="prevote", signature="12" * 6),
        replace(VOTE, round=1, signature="13" * 6),  # the lock holds
        replace(VOTE, round=2, block=NIL, signature="14" * 6),
        replace(VOTE, height=8, block=OTHER[:12], signature="15" * 6),
        replace(VOTE, kind="prevote", round=1, block=OTHER[:12], signature="16" * 6),
        replace(VOTE, address=BOB[:12], signature="17" * 6),
        replace(VOTE, address="", kind="proposal", signature="18" * 6),
    ]
    assert contradictions(votes) == []


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (replace(VOTE, block=OTHER[:12], signature="22" * 6), "precommit of height 7, round 0"),
        (replace(VOTE, signature="22" * 6, place="live at alice"), "precommit of height 7, round 0"),  # the same block
        (replace(VOTE, block=NIL, signature="22" * 6), "precommit of height 7, round 0"),
        (replace(VOTE, round=3, block=OTHER[:12], signature="22" * 6), "precommitted 2 blocks of height 7"),
    ],
)
def test_two_signers_are_told(second: Vote, complaint: str) -> None:
    found = contradictions([VOTE, replace(VOTE, address=BOB[:12]), second])
    assert found
    assert all(sentence.startswith(ALICE[:12]) for sentence in found)
    assert complaint in found[0]
    assert second.place in found[0]


def test_two_proposals_of_a_round_are_told() -> None:
    proposal = replace(VOTE, kind="proposal", address="")
    (found,) = contradictions([proposal, replace(proposal, block=OTHER[:12], signature="22" * 6)])
    assert found.startswith("the proposer, proposal of height 7, round 0")


def evidence(first: str, second: str) -> dict[str, Any]:
    """The evidence of two votes of alice, as a node's RPC shows it in a block."""
    votes = {
        name: {
            "type": 2,
            "height": "7",
            "round": 0,
            "block_id": {"hash": block, "parts": {"total": 1, "hash": block}},
            "validator_address": ALICE,
            "signature": base64.b64encode(bytes([number]) * 64).decode(),
        }
        for number, (name, block) in enumerate((("vote_a", first), ("vote_b", second)))
    }
    return {"type": "tendermint/DuplicateVoteEvidence", "value": votes}


def block(*found: dict[str, Any]) -> dict[str, Any]:
    """Block 8, signed by alice; bob was absent, and a third one voted for none."""
    signatures = [
        {"block_id_flag": 2, "validator_address": ALICE, "signature": base64.b64encode(b"\x11" * 64).decode()},
        {"block_id_flag": 1, "validator_address": "", "signature": None},
        {"block_id_flag": 3, "validator_address": "C" * 40, "signature": base64.b64encode(b"\x33" * 64).decode()},
    ]
    commit = {"height": "7", "round": 0, "block_id": {"hash": BLOCK}, "signatures": signatures}
    return {"header": {"height": "8"}, "last_commit": commit, "evidence": {"evidence": list(found)}}


def test_the_votes_of_a_block_are_those_of_its_commit_and_of_its_evidence() -> None:
    third = Vote("C" * 12, 7, 0, "precommit", NIL, "33" * 6, "")
    assert votes_of_block(block(), "bob") == [VOTE, third]
    assert contradictions(votes_of_block(block(), "bob")) == []
    votes = votes_of_block(block(evidence(BLOCK, OTHER)), "bob")
    assert votes[2:] == [replace(VOTE, signature="00" * 6), replace(VOTE, block=OTHER[:12], signature="01" * 6)]
    assert any("evidence in block 8 of bob" in sentence for sentence in contradictions(votes))


def test_forked_nodes_are_told() -> None:
    forked = block()
    forked["last_commit"]["block_id"]["hash"] = OTHER
    assert contradictions(votes_of_block(block(), "bob") + votes_of_block(forked, "alice"))


def message(*fields: tuple[int, bytes | int]) -> bytes:
    """A message of the protocol buffers; numbers below 128."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += bytes([number << 3, value])
        else:
            size = len(value)
            made += (
                bytes([number << 3 | 2])
                + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7]))
                + value
            )
    return made


def record(signed: bytes, field: int = 6, peer: bytes = b"peer") -> bytes:
    """A record of the log: at a time, a message of a peer with a vote or a proposal in it."""
    of_peer = message((1, message((field, message((1, signed))))), (2, peer))
    content = message((1, message((1, 5))), (2, message((2, of_peer))))
    return struct.pack(">II", crc32c(content), len(content)) + content


def signed_vote(block_hash: str, signature: bytes) -> bytes:
    block_id = message((1, bytes.fromhex(block_hash)), (2, message((1, 1), (2, bytes(32)))))
    stamp = (5, message((1, 9)))
    return message((1, 2), (2, 7), (4, block_id), stamp, (6, bytes.fromhex(ALICE)), (7, 1), (8, signature))


def signed_proposal(block_hash: str, signature: bytes) -> bytes:
    return message(
        (1, 32), (2, 7), (3, 1), (5, message((1, bytes.fromhex(block_hash)))), (6, message((1, 9))), (7, signature)
    )


def test_the_checksum_has_its_published_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_the_votes_of_a_log_are_all_that_a_node_was_sent() -> None:
    log = record(signed_vote(BLOCK, b"\x11" * 64)) + record(signed_proposal(BLOCK, b"\x44" * 64), field=3)
    proposal = Vote("", 7, 1, "proposal", BLOCK[:12], "44" * 6, "")
    assert votes_of_wal(log, "bob") == [VOTE, proposal]
    own = record(signed_vote(BLOCK, b"\x11" * 64), peer=b"")
    assert [vote.place for vote in votes_of_wal(log + own, "bob")] == ["sent to bob", "sent to bob", "made by bob"]
    # Only the block of the vote for none is missing in it.
    nil = message((1, 1), (2, 7), (4, b""), (6, bytes.fromhex(ALICE)), (8, b"\x55" * 64))
    assert votes_of_wal(record(nil), "bob") == [Vote(ALICE[:12], 7, 0, "prevote", NIL, "55" * 6, "")]
    second = record(signed_vote(OTHER, b"\x66" * 64))
    assert contradictions(votes_of_wal(log, "bob")) == []
    assert len(contradictions(votes_of_wal(log + second, "bob"))) == 2
    # The last record may be on its way; one that is not what was written is an error.
    assert votes_of_wal(log + second[:-1], "bob") == [VOTE, proposal]
    with pytest.raises(ValueError, match="the record at byte 0 of bob has a wrong checksum"):
        votes_of_wal(log.replace(b"\x11", b"\x12"), "bob")


def test_the_votes_of_a_nodes_state_are_read_from_its_own_words() -> None:
    text = (
        '"prevotes":["nil-Vote","Vote{1:B0B0B0B0B0B0 8/01/SIGNED_MSG_TYPE_PREVOTE(Prevote) 000000000000 222222222222 '
        '000000000000 @ 2026-01-01T00:00:00Z}"],"last_commit":{"votes":["Vote{0:A1A1A1A1A1A1 7/00/SIGNED_MSG_TYPE_PRECOMMIT(Precommit) '
        'CCCCCCCCCCCC 111111111111 000000000000 @ 2026-01-01T00:00:00Z}"]}'
    )
    assert votes_of_state(text, "bob") == [Vote(BOB[:12], 8, 1, "prevote", NIL, "22" * 6, ""), VOTE]


def test_a_nodes_log_and_its_pool_tell_of_evidence() -> None:
    assert alarms("executed block height=7\nerr: Found conflicting vote from ourselves; height=7\n") == [
        "err: Found conflicting vote from ourselves; height=7"
    ]
    assert alarms("Added vote to precommit\nreceived proposal\n") == []
    key = b"0000000000000007/" + b"AB" * 32
    assert pooled_evidence(b"\x00\x01" + key + b"\x05binary" + key) == {key.decode()}
    assert pooled_evidence(b"MANIFEST-000000") == set()
