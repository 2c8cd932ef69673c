"""A reverse proxy written with aiohttp alone: the rival that needs no new code. BACKEND PORT as arguments."""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

BACKEND = web.AppKey("backend", str)
SESSION = web.AppKey("session", aiohttp.ClientSession)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "server", "date"}


async def forward(request: web.Request) -> web.Response:
    url = request.app[BACKEND] + request.raw_path
    body = await request.read() if request.can_read_body else None
    async with request.app[SESSION].request(request.method, url, headers=request.headers, data=body) as answer:
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
        return web.Response(status=answer.status, headers=headers, body=await answer.read())


async def main(backend: str, port: int) -> None:
    app = web.Application()
    app[BACKEND] = backend
    app[SESSION] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256), auto_decompress=False)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
