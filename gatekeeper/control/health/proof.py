"""Whether the backends of a version that is not there yet are well: asked before users depend on it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gatekeeper.control.health.probe import probe_connection, probe_http
from gatekeeper.control.health.resolver import backend_id, name_in, parts_of
from gatekeeper.core.model import BackendTls, Version
from gatekeeper.errors import GatekeeperError
from gatekeeper.tls.material import Contexts

CONCURRENT: Final = 64
"""Backends asked at once, in all proofs: a deploy of hundreds takes some rounds, and descriptors are for users."""
PAUSE_SECONDS: Final = 0.5
"""Between two tries of one backend, or its interval where that is shorter: who deploys is waiting."""
CONNECT_SECONDS: Final = 2.0
"""A backend without a check must accept a connection in this time."""


class Names(Protocol):
    """Looks up host names, see ``resolver``."""

    async def ask(self, host: str) -> tuple[str, ...]: ...


class Prover:
    def __init__(self, names: Names, lend: Callable[[BackendTls], Awaitable[Contexts]]) -> None:
        """``lend`` gives contexts for TLS settings that no state has yet. Raises GatekeeperError."""
        self._names = names
        self._lend = lend
        self._places = asyncio.Semaphore(CONCURRENT)

    async def prove(self, version: Version, seconds: float) -> tuple[list[str], dict[str, str]]:
        """The ids of those that are well within ``seconds``, and of the others each with what is wrong."""
        wrong: dict[str, str] = {}
        well: list[str] = []
        try:
            context = await self._context(version)
        except GatekeeperError as error:
            return [], {backend.url: str(error) for backend in version.backends}
        for backend in version.backends:
            wrong[backend.url] = "was not asked in time"

        async def found(url: str) -> None:
            for one in await self._ids(url, wrong):
                tasks.create_task(until_well(one))

        async def until_well(backend: str) -> None:
            wrong.setdefault(backend, "was not asked in time")
            pause = min(PAUSE_SECONDS, version.health.interval) if version.health is not None else PAUSE_SECONDS
            while True:
                async with self._places:
                    failure = await _ask(backend, version, context)
                if not failure:
                    wrong.pop(backend, None)
                    well.append(backend)
                    return
                wrong[backend] = failure
                await asyncio.sleep(pause)

        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                for backend in version.backends:
                    tasks.create_task(found(backend.url))
        except TimeoutError:
            pass
        return well, wrong

    async def _ids(self, url: str, wrong: dict[str, str]) -> list[str]:
        """The backends of one url, once its host name is found."""
        host = name_in(url)
        while host:
            try:
                addresses = await self._names.ask(host)
            except OSError as error:
                wrong[url] = str(error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                del wrong[url]
                return [backend_id(url, address) for address in addresses]
        return [url]

    async def _context(self, version: Version) -> ssl.SSLContext | None:
        if not any(backend.url.startswith("https:") for backend in version.backends):
            return None
        return (await self._lend(version.tls)).client(version.tls)


async def _ask(backend: str, version: Version, context: ssl.SSLContext | None) -> str:
    url, address = parts_of(backend)
    if version.health is None:
        return await probe_connection(url, CONNECT_SECONDS, address=address)
    return await probe_http(url, version.health, address=address, context=context, name=version.tls.server_name)
