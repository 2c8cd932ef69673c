"""How a backend is reached: by its address, by the socket of this machine that it names, or by TLS."""

import asyncio
from collections.abc import Callable

from gatekeeper.dataplane.backends import UNIX, Backend
from gatekeeper.dataplane.link import ClientLink


async def connect(backend: Backend, loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol]) -> None:
    """Make a new connection. Raises OSError (ssl.SSLError is one); the caller bounds the time."""
    if backend.url.startswith(UNIX):
        await loop.create_unix_connection(factory, backend.url[len(UNIX) :])
        return
    host, _, port = backend.url.partition("://")[2].rpartition(":")
    host = host.strip("[]")
    target = backend.address or host
    if backend.secure is None:
        await loop.create_connection(factory, target, int(port))
        return
    link = ClientLink(factory(), backend.secure.context, backend.secure.name or host, loop)
    try:
        await loop.create_connection(lambda: link, target, int(port))
        await link.ready
    except BaseException:
        link.abort()
        raise
