# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the cursor in the state store: at once when something was announced, otherwise every few seconds.

Somebody else's writing means that another monitor runs with the same store: StateConflict is raised and this one stops acting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ansible_collections.interchain.security.plugins.module_utils.cluster.state_store import CONSUMER_PREFIX, StateStore
from ansible_collections.interchain.security.plugins.module_utils.errors import StateConflict, StateError
from ansible_collections.interchain.security.plugins.module_utils.event_source.alarms import Alarms
from ansible_collections.interchain.security.plugins.module_utils.event_source.cursor import DOCUMENT, Cursor
from ansible_collections.interchain.security.plugins.module_utils.event_source.deliveries import Deliveries, Receipt

logger = logging.getLogger("interchain.security.ccv")

Answer = TypeVar("Answer")

SAVE_INTERVAL = 5.0  # seconds; a block that changed nothing may wait that long
ALIVE_INTERVAL = 20.0  # seconds; another monitor takes one over that has not written for longer
TAKE_OVER_AFTER = 60.0  # seconds
WATCH_SECONDS = 3.0  # that one call for receipts may take, and so the end of the program
RETRY_SECONDS = 2.0


class StateKeeper:
    """Reads and writes the documents of one source.

    ``snapshot`` gives the cursor as it is now, None before the first. ``alive`` is called while nothing else can be done.
    """

    def __init__(
        self,
        store: StateStore,
        alarms: Alarms,
        snapshot: Callable[[], Cursor | None],
        alive: Callable[[], None],
    ) -> None:
        self._alive = alive
        self._store = store
        self._alarms = alarms
        self._snapshot = snapshot
        self._version: str | None = None
        self._saved: dict[str, str] | None = None
        self._saved_at = 0.0
        self._wanted = asyncio.Event()
        self._writing = asyncio.Lock()
        self._write_task: asyncio.Task[None] | None = None
        # Its own threads: a watch must not take those of the rule engine.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="state")
        self._since = ""

    def close(self) -> None:
        """End the threads as soon as they are idle."""
        self._threads.shutdown(wait=False)

    async def load(self) -> Cursor | None:
        """Return the cursor of an earlier run, None without any. Tries until the store answers."""
        while True:
            self._alive()
            try:
                found = await self._run(self._store.read, DOCUMENT)
                self._version = found.version if found else None
                cursor = Cursor.from_data(found.data) if found else None
                self._alarms.cleared("state_unavailable")
                return cursor
            except StateError as error:
                self._alarms.raised("state_unavailable", f"the cursor cannot be read: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def save(self) -> None:
        """Write the cursor now. Raises StateConflict or StateError."""
        async with self._writing:
            if self._write_task is not None:
                # One that was cancelled is written all the same, and the next one needs its version.
                await asyncio.wait([self._write_task])
                self._write_task = None
            cursor = self._snapshot()
            if cursor is None:
                return
            self._wanted.clear()
            data = cursor.data()
            now = asyncio.get_running_loop().time()
            if data == self._saved and now - self._saved_at < ALIVE_INTERVAL:
                return
            self._write_task = asyncio.create_task(self._write(data, now))
            await asyncio.shield(self._write_task)

    async def _write(self, data: dict[str, str], now: float) -> None:
        try:
            document = await self._run(self._store.write, DOCUMENT, data, self._version)
        except StateConflict:
            raise
        except StateError as error:
            self._alarms.raised("state_unavailable", f"the cursor cannot be written: {error}")
            raise
        self._alarms.cleared("state_unavailable")
        self._version, self._saved, self._saved_at = document.version, data, now

    def save_soon(self) -> None:
        """Ask for the cursor to be written."""
        self._wanted.set()

    async def keep_saving(self) -> None:
        """Write the cursor for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), SAVE_INTERVAL)
            try:
                await self.save()
            except StateConflict:
                raise
            except StateError:
                await asyncio.sleep(RETRY_SECONDS)

    async def read_receipts(self, deliveries: Deliveries, timeout: float) -> None:
        """Hand the receipts that are new to the deliveries, waiting for the first one for that many seconds."""
        documents, self._since = await self._run(self._store.changes, CONSUMER_PREFIX, self._since, timeout)
        for document in documents:
            uuid = document.data.get("event_uuid", "")
            if uuid:
                receipt = Receipt(uuid, document.data.get("event_outcome", ""), document.data.get("event_reason", ""))
                deliveries.receipt(document.name.removeprefix(CONSUMER_PREFIX), receipt)

    async def load_receipts(self, deliveries: Deliveries) -> None:
        """Hand all receipts to the deliveries. Tries until the store answers."""
        while True:
            self._alive()
            try:
                await self.read_receipts(deliveries, 0.0)
                return
            except StateError as error:
                self._alarms.raised("receipts_unavailable", f"what became of the playbooks cannot be read: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def watch_receipts(self, deliveries: Deliveries) -> None:
        """Do so for ever, while a receipt is waited for."""
        while True:
            if not deliveries.expecting:
                await asyncio.sleep(0.1)
                continue
            try:
                await self.read_receipts(deliveries, WATCH_SECONDS)
                self._alarms.cleared("receipts_unavailable")
            except StateError as error:
                self._alarms.raised("receipts_unavailable", f"what became of the playbooks cannot be read: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def ended(self, name: str) -> tuple[str, str]:
        """Return uuid and outcome in the receipt of a document that belongs to no consumer; empty before the first. Raises StateError."""
        document = await self._run(self._store.read, name)
        data = document.data if document else {}
        return data.get("event_uuid", ""), data.get("event_outcome", "")

    async def until_quiet(self) -> None:
        """Wait until nobody has written the cursor for some time: the other monitor has ended."""
        version: str | None = ""
        since = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - since < TAKE_OVER_AFTER:
            self._alive()
            with contextlib.suppress(StateError):
                found = await self._run(self._store.read, DOCUMENT)
                newest = found.version if found else None
                if newest != version:
                    version, since = newest, asyncio.get_running_loop().time()
            await asyncio.sleep(RETRY_SECONDS)

    async def _run(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
