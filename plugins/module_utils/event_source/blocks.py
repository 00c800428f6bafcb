# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads blocks strictly in order, some of them ahead of time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ansible_collections.interchain.security.plugins.module_utils.chain.rpc import BlockHeader
from ansible_collections.interchain.security.plugins.module_utils.event_source.endpoints import Endpoints
from ansible_collections.interchain.security.plugins.module_utils.event_source.node import (
    HEADERS_AT_ONCE,
    AnswerTooLarge,
    Node,
    ResultsDiscarded,
)
from ansible_collections.interchain.security.plugins.module_utils.ics.events import Hints

AHEAD = 16  # blocks that are read at the same time


@dataclass(frozen=True)
class ReadBlock:
    """A block's header and what its events ask to read back. ``unseen`` is why they could not be looked at."""

    header: BlockHeader
    hints: Hints
    unseen: str = ""


class BlockReader:
    """Reads blocks by height. What was read ahead is small whatever the blocks hold."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._blocks: dict[int, asyncio.Task[ReadBlock]] = {}
        self._heard: dict[int, BlockHeader] = {}
        self._batches: dict[range, asyncio.Task[dict[int, BlockHeader]]] = {}
        self._tip = 0

    def hear(self, header: BlockHeader) -> None:
        """Take note of a header, which then needs no request."""
        self._heard[header.height] = header
        while len(self._heard) > AHEAD * 2:
            del self._heard[next(iter(self._heard))]

    async def read(self, height: int, tip: int) -> ReadBlock:
        """Return a block; those after it, up to tip, are being read meanwhile.

        Asks for ever. Raises HeightNotAvailable when the endpoints no longer have it.
        """
        self._tip = tip
        for old in [number for number in self._blocks if not height <= number <= tip]:
            self._blocks.pop(old).cancel()
        for number in range(height, min(tip, height + AHEAD - 1) + 1):
            if number not in self._blocks:
                self._blocks[number] = asyncio.create_task(self._read(number))
        task = self._blocks[height]
        try:
            return await task
        finally:
            self._blocks.pop(height, None)
            task.cancel()
            for old in [number for number in self._heard if number <= height]:
                del self._heard[old]

    async def header(self, height: int) -> BlockHeader:
        """Return the header of one block with its hash."""
        headers = await self._endpoints.insist(
            f"the header of block {height}", lambda node: node.headers(height, height)
        )
        return headers[height]

    def forget(self) -> None:
        """Drop what was read ahead."""
        for task in (*self._blocks.values(), *self._batches.values()):
            task.cancel()
        self._blocks.clear()
        self._batches.clear()
        self._heard.clear()

    async def close(self) -> None:
        """End all reading."""
        tasks = [*self._blocks.values(), *self._batches.values()]
        self.forget()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, height: int) -> ReadBlock:
        async def hints(node: Node) -> Hints:
            return await node.hints(height)

        # Both at once: neither needs the other.
        header = asyncio.create_task(self._header(height))
        try:
            unseen = ""
            try:
                found = await self._endpoints.insist(f"the results of block {height}", hints)
            except AnswerTooLarge as error:
                found, unseen = Hints(everything=True), str(error)
            except ResultsDiscarded as error:
                found, unseen = Hints(), str(error)
            return ReadBlock(await header, found, unseen)
        finally:
            header.cancel()
            await asyncio.gather(header, return_exceptions=True)

    async def _header(self, height: int) -> BlockHeader:
        if height in self._heard:
            return self._heard[height]
        batch = next((numbers for numbers in self._batches if height in numbers), None)
        if batch is None:
            batch = range(height, max(height, min(self._tip, height + HEADERS_AT_ONCE - 1)) + 1)
            self._batches[batch] = asyncio.create_task(self._read_headers(batch))
            for old in [numbers for numbers in self._batches if numbers.stop + AHEAD <= height]:
                self._batches.pop(old).cancel()
        task = self._batches[batch]
        try:
            # Another block's reading may wait for the same headers.
            headers = await asyncio.shield(task)
        except BaseException:
            if task.done():
                self._batches.pop(batch, None)
            raise
        if height in headers:
            return headers[height]
        self._batches.pop(batch, None)
        return await self.header(height)

    async def _read_headers(self, numbers: range) -> dict[int, BlockHeader]:
        what = f"the header of block {numbers.start}"
        return await self._endpoints.insist(what, lambda node: node.headers(numbers.start, numbers.stop - 1))
