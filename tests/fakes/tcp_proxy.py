# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A TCP proxy on loopback that tests can make break its connections."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

BUFFER = 65536
UPGRADE = b"upgrade: websocket"


class TcpProxy:
    """Forwards connections to the host and port of a URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._sockets: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""
        self.cuts = 0

    async def __aenter__(self) -> TcpProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_details: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_sockets(self) -> None:
        """Break all WebSockets off, without a goodbye; plain requests go on."""
        for writer in list(self._sockets):
            self.cuts += 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._tasks.discard(task)
            return
        try:
            await asyncio.gather(self._pump(reader, back, writer), self._pump(there, writer, None))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._sockets.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()
            back.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter | None
    ) -> None:
        while data := await reader.read(BUFFER):
            if client is not None and UPGRADE in data.lower():
                self._sockets.add(client)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one end closed")
