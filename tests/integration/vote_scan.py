# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who signed what on a chain, from all places where it is written, and which of it one signer alone cannot have signed.

Shares no code with the collection, and reads the formats of CometBFT 0.38 by itself.
"""

from __future__ import annotations

import base64
import re
import struct
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

KINDS = {1: "prevote", 2: "precommit", 32: "proposal"}
# The node's own words for a vote, in the answer of /dump_consensus_state: index, address, height, round, kind, block, signature.
VOTE_TEXT = re.compile(
    r"Vote\{\d+:(?P<address>[0-9A-F]{12}) (?P<height>\d+)/(?P<round>\d+)/SIGNED_MSG_TYPE_(?P<kind>PREVOTE|PRECOMMIT)\(\w+\) "
    r"(?P<block>[0-9A-F]{12}) (?P<signature>[0-9A-F]{12}) "
)
# What a node logs when votes of one key contradict each other, be it its own key or that of another.
ALARM = re.compile(r"(?i)conflicting vote|byzantine|equivocation|duplicate.?vote")
# Keys of the evidence pool's database: height and hash.
EVIDENCE_KEY = re.compile(rb"[0-9A-F]{16}/[0-9A-F]{64}")
NIL = "0" * 12


@dataclass(frozen=True)
class Vote:
    """A signature of a consensus key. Address, block and signature are the first 6 bytes in hex, which is all that some places show.

    A vote for no block has zeros for one. A proposal does not say whose it is: its address is empty, for a round has one proposer.
    """

    address: str
    height: int
    round: int
    kind: str
    block: str
    signature: str
    place: str = field(compare=False)  # where it was seen


def contradictions(votes: Iterable[Vote]) -> list[str]:
    """Return what one signer cannot have signed, a sentence each.

    A signer that is asked for the same vote again gives the same signature, so two signatures are two signers, also when both are for the
    same block, which no chain punishes. And it precommits one block of a height, whatever the round: it is locked on that block until two
    thirds want another one, which nobody can on a chain that needs its vote for two thirds.
    """
    found = []
    by_round: dict[tuple[Any, ...], dict[tuple[str, str], Vote]] = {}
    by_height: dict[tuple[Any, ...], dict[str, Vote]] = {}
    for vote in votes:
        key = (vote.kind, vote.height, vote.round, vote.address)
        by_round.setdefault(key, {}).setdefault((vote.block, vote.signature), vote)
        if vote.kind == "precommit" and vote.block != NIL:
            by_height.setdefault((vote.height, vote.address), {}).setdefault(vote.block, vote)
    for (kind, height, number, address), several in by_round.items():
        if len(several) > 1:
            found.append(
                f"{address or 'the proposer'}, {kind} of height {height}, round {number}: {_told(several.values())}"
            )
    for (height, address), blocks in by_height.items():
        if len(blocks) > 1:
            found.append(f"{address} precommitted {len(blocks)} blocks of height {height}: {_told(blocks.values())}")
    return found


def _told(votes: Iterable[Vote]) -> str:
    return ", ".join(f"block {vote.block} signed {vote.signature} ({vote.place})" for vote in votes)


# -- blocks ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chain:
    """All blocks of a chain as one node has them: what was signed, and the evidence in them by height."""

    tip: int
    votes: list[Vote]
    evidence: dict[int, list[Any]]


def read_chain(url: str, place: str) -> Chain:
    """Read every block of a node that keeps all of them, and its own commit of the newest."""
    votes: list[Vote] = []
    evidence: dict[int, list[Any]] = {}
    with httpx.Client(base_url=url, timeout=30) as http:

        def result(path: str) -> Any:
            answer = http.get(path)
            answer.raise_for_status()
            return answer.json()["result"]

        status = result("/status")["sync_info"]
        tip = int(status["latest_block_height"])
        for height in range(int(status["earliest_block_height"]), tip + 1):
            block = result(f"/block?height={height}")["block"]
            assert int(block["header"]["height"]) == height
            votes += votes_of_block(block, place)
            if block["evidence"]["evidence"]:
                evidence[height] = block["evidence"]["evidence"]
        votes += _votes_of_commit(result(f"/commit?height={tip}")["signed_header"]["commit"], place)
    return Chain(tip, votes, evidence)


def votes_of_block(block: dict[str, Any], place: str) -> list[Vote]:
    """Return the votes in a block: those for the block before it, and those that are in it as evidence."""
    found = _votes_of_commit(block["last_commit"], place)
    for evidence in block["evidence"]["evidence"]:
        for name in ("vote_a", "vote_b"):
            vote = evidence["value"].get(name)
            if vote is not None:
                found.append(
                    Vote(
                        address=vote["validator_address"][:12],
                        height=int(vote["height"]),
                        round=int(vote["round"]),
                        kind=KINDS[int(vote["type"])],
                        block=vote["block_id"]["hash"][:12] or NIL,
                        signature=_fingerprint(base64.b64decode(vote["signature"])),
                        place=f"evidence in block {block['header']['height']} of {place}",
                    )
                )
    return found


def _votes_of_commit(commit: dict[str, Any], place: str) -> list[Vote]:
    return [
        Vote(
            address=entry["validator_address"][:12],
            height=int(commit["height"]),
            round=int(commit["round"]),
            kind="precommit",
            block=commit["block_id"]["hash"][:12] if entry["block_id_flag"] == 2 else NIL,
            signature=_fingerprint(base64.b64decode(entry["signature"])),
            place=f"blocks of {place}",
        )
        for entry in commit["signatures"]
        if entry["block_id_flag"] in (2, 3)  # for the block, for none
    ]


# -- the log that a node writes before it acts -----------------------------------------------------------------------------


def votes_of_wal(content: bytes, node: str) -> list[Vote]:
    """Return all proposals and votes that a node made or was sent, out of the content of its data/cs.wal, oldest file first.

    Their place says which of both it was: ``made by`` or ``sent to`` the node. A node writes down what it makes before it tells anybody.

    A last record that is not yet whole is left out; ValueError for a wrong checksum.
    """
    found = []
    offset = 0
    while offset + 8 <= len(content):
        checksum, length = struct.unpack_from(">II", content, offset)
        record = content[offset + 8 : offset + 8 + length]
        if len(record) < length:
            break
        if crc32c(record) != checksum:
            raise ValueError(f"the record at byte {offset} of {node} has a wrong checksum")
        offset += 8 + length
        # A timed message (2) that came from somebody (2): the message (1), and which peer (2); the node itself is none.
        for message in _inside(record, 2, 2):
            place = f"sent to {node}" if any(_inside(message, 2)) else f"made by {node}"
            found += [_signed(vote, place) for vote in _inside(message, 1, 6, 1)]
            found += [_signed(proposal, place, proposal=True) for proposal in _inside(message, 1, 3, 1)]
    return found


def _signed(message: bytes, place: str, *, proposal: bool = False) -> Vote:
    """Return a vote or a proposal of CometBFT; they count their fields differently."""
    block_field, address_field, signature_field = (5, 0, 7) if proposal else (4, 6, 8)
    fields = dict(_fields(message))
    hashes = _inside(fields.get(block_field, b""), 1)
    return Vote(
        address=_fingerprint(fields[address_field]) if address_field else "",
        height=fields.get(2, 0),
        round=fields.get(3, 0),
        kind=KINDS[fields[1]],
        block=_fingerprint(hashes[0]) if hashes else NIL,
        signature=_fingerprint(fields[signature_field]),
        place=place,
    )


def _inside(message: bytes, *path: int) -> list[bytes]:
    """Return what is in a message of the protocol buffers at a path of field numbers."""
    found = [message]
    for number in path:
        found = [value for part in found for key, value in _fields(part) if key == number and isinstance(value, bytes)]
    return found


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield numbers and values of a message's fields: integers, or bytes for all that has a length."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        wire = tag & 7
        if wire == 0:
            value, offset = _varint(message, offset)
            yield tag >> 3, value
        elif wire == 2:
            length, offset = _varint(message, offset)
            yield tag >> 3, message[offset : offset + length]
            offset += length
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield tag >> 3, message[offset : offset + size]
            offset += size
        else:
            raise ValueError(f"no such wire type: {wire}")


def _varint(message: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, offset


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _bit in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CASTAGNOLI = _table()


def crc32c(content: bytes) -> int:
    """Return the checksum of a record."""
    value = 0xFFFFFFFF
    for byte in content:
        value = CASTAGNOLI[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _fingerprint(content: bytes) -> str:
    return content[:6].hex().upper().ljust(12, "0")


# -- other traces of a double sign -----------------------------------------------------------------------------------------


def alarms(log: str) -> list[str]:
    """Return the lines of a node's log that tell of contradicting votes."""
    return [line for line in log.splitlines() if ALARM.search(line)]


def pooled_evidence(content: bytes) -> set[str]:
    """Return height and hash of the evidence in a pool, out of the content of the files of data/evidence.db."""
    return {key.decode() for key in EVIDENCE_KEY.findall(content)}


class Watch:
    """Asks nodes again and again, from enter to exit, what votes they have; nodes may come and go meanwhile."""

    def __init__(self, urls: Mapping[str, str], interval: float = 0.2) -> None:
        """``urls`` are the RPC addresses of the nodes by name; ``interval`` is in seconds."""
        self.votes: set[Vote] = set()
        self.answers = 0
        self._urls, self._interval = urls, interval
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Watch:
        self._threads = [threading.Thread(target=self._look, args=(name, url)) for name, url in self._urls.items()]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _look(self, name: str, url: str) -> None:
        while not self._ending.wait(self._interval):
            try:
                with urllib.request.urlopen(f"{url}/dump_consensus_state", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                continue  # a node that is disturbed right now
            self.votes.update(votes_of_state(text, f"live at {name}"))
            self.answers += 1


def votes_of_state(text: str, place: str) -> list[Vote]:
    """Return the votes that a node has of its height and of the one before, out of the answer of /dump_consensus_state."""
    return [
        Vote(
            address=found["address"],
            height=int(found["height"]),
            round=int(found["round"]),
            kind=found["kind"].lower(),
            block=found["block"],
            signature=found["signature"],
            place=place,
        )
        for found in VOTE_TEXT.finditer(text)
    ]
