# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, Interchain Security Monitor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate in front of a node's RPC: ``rpc_gate PORT URL`` serves on PORT what is safe of the RPC at URL.

It runs in the pod of a node that listens on the pod's own loopback alone, and that therefore may answer CometBFT's unsafe calls. What may pass is said
in ``ics.safe_rpc``. Nothing of a request goes on as it came: no header, no path, no body. There are no websockets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import suppress

from ansible_collections.interchain.security.plugins.module_utils.errors import InvalidInput
from ansible_collections.interchain.security.plugins.module_utils.ics.safe_rpc import LARGEST_BODY, safe_body, safe_path

with suppress(ImportError):  # the image of the monitor has it
    import aiohttp
    from aiohttp import web

ALIVE = "/gate"  # answered by the gate itself, for the kubelet
AT_ONCE = 64  # questions to the node; more wait
READ_SECONDS = 10.0  # for a body to be there
ANSWER_SECONDS = 60.0  # for the node's answer; a kubelet and a monitor give up before, as they would without the gate
CHUNK = 65536  # bytes
JSON_TYPE = "application/json"


def application(node_url: str) -> web.Application:
    """Return the gate in front of the RPC at ``node_url``, e.g. http://127.0.0.1:26667."""
    app = web.Application(client_max_size=LARGEST_BODY)
    session: list[aiohttp.ClientSession] = []

    async def open_session(_app: web.Application) -> None:
        limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        connector = aiohttp.TCPConnector(limit=AT_ONCE)
        headers = {"Accept-Encoding": "identity"}
        session.append(aiohttp.ClientSession(connector=connector, timeout=limits, headers=headers))

    async def close_session(_app: web.Application) -> None:
        await session.pop().close()

    async def get(request: web.Request) -> web.StreamResponse:
        if request.rel_url.raw_path == ALIVE:
            return web.Response(text="the gate is open\n")
        try:
            path, parameters = safe_path(request.rel_url.raw_path, [*request.query.items()])
        except InvalidInput as error:
            return _refused(403, str(error))
        return await passed_on(request, "GET", path, parameters=parameters)

    async def post(request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = safe_body(await request.read())
        except InvalidInput as error:
            return _refused(403, str(error))
        except TimeoutError:
            return _refused(408, f"the body was not there after {READ_SECONDS:.0f} s")
        return await passed_on(request, "POST", "/", body=body)

    async def passed_on(
        request: web.Request,
        method: str,
        path: str,
        parameters: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> web.StreamResponse:
        """Ask the node and give its answer. An answer that breaks off breaks off here too: nobody takes a part for the whole."""
        answer: web.StreamResponse | None = None
        headers = {"Content-Type": JSON_TYPE} if body is not None else None
        try:
            asked = session[0].request(method, node_url + path, params=parameters, data=body, headers=headers)
            async with asked as found:
                answer = web.StreamResponse(status=found.status)
                answer.content_type = found.content_type
                await answer.prepare(request)
                async for chunk in found.content.iter_chunked(CHUNK):
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            if answer is not None and answer.prepared:
                if request.transport is not None:
                    request.transport.abort()
                return answer
            return _refused(502, f"the node behind the gate does not answer: {error or type(error).__name__}")

    app.on_startup.append(open_session)
    app.on_cleanup.append(close_session)
    app.router.add_get("/{path:.*}", get, allow_head=False)
    app.router.add_post("/", post)
    return app


def _refused(status: int, reason: str) -> web.Response:
    error = {"code": -32600, "message": reason}
    return web.Response(
        status=status, content_type=JSON_TYPE, text=json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    )


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="port to serve on, at all addresses of the pod")
    parser.add_argument("url", help="RPC of the node, e.g. http://127.0.0.1:26667")
    given = parser.parse_args()
    web.run_app(application(given.url), host="0.0.0.0", port=given.port, access_log=None, shutdown_timeout=5)


if __name__ == "__main__":
    main()
