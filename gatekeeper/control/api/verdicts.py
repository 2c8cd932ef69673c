"""What the judge says of a release, for pipelines; and the seconds it was said from, for whoever wants to check it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

from aiohttp import web

from gatekeeper.control.api import verdict_views, wire
from gatekeeper.control.api.looking import look_back
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.releases import Releases, services_of
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.core.model import Release
from gatekeeper.core.release import demand

Document = dict[str, Any]

LINES: Final = "application/x-ndjson"
READERS: Final = 4
"""Logs that are read at once: each is up to 128 MiB from disk, beside which traffic has to be served."""
PIECE: Final = 256 * 1024
"""Bytes read, and held, at a time."""
WRITE_SECONDS: Final = 10.0
"""For a piece to be taken by a client whose buffers are full; then it is dropped."""


class Verdicts:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._releases = Releases(parts)
        self._readers = 0

    async def verdict(self, call: Call) -> web.Response:
        release = await self._releases.named(call)
        found = (await look_back(self._parts, release)).standings
        revision = self._parts.controller.state.revision
        said = verdict_views.of_release(verdict_views.refreshed(release, found))
        return wire.answer(
            {
                "revision": revision,
                "release": release.id,
                "state": release.state.value,
                "kind": said["kind"] if said is not None else None,
                "sentence": said["sentence"] if said is not None else _nothing_said(release),
                "passes": said["passes"] if said is not None else demand.lets_go(release),
                "verdicts": [verdict_views.document(standing) for standing in found],
            },
            revision=revision,
        )

    async def seconds(self, call: Call) -> web.StreamResponse:
        """All that is recorded until now, as it was written."""
        release = await self._releases.named(call)
        service = self._service(call, release)
        if self._readers >= READERS:
            raise ProblemError(503, "busy", f"{READERS} logs are being read already", allowed="ask again in a moment")
        self._readers += 1
        try:
            with ExitStack() as stack:
                files = await asyncio.to_thread(_opened, self._parts.judging.log_paths(release.id, service), stack)
                if not files:
                    raise ProblemError(
                        404,
                        "no_seconds",
                        f"nothing is recorded of service {service} in release {release.id}",
                        allowed="a release whose plan has `analysis`, after its first step; logs are kept for a while",
                    )
                return await self._stream(call.request, files)
        finally:
            self._readers -= 1

    def _service(self, call: Call, release: Release) -> str:
        """The service that is meant. Raises ProblemError: 400 where it has to be said, 404 for another one."""
        wanted, name = call.query["service"], call.path("service")
        mine = [each for each in services_of(self._parts, name) if each in release.services]
        if wanted is None and len(mine) == 1:
            return mine[0]
        if wanted in release.services:
            return str(wanted)
        if wanted is not None:
            problem = wire.unknown("?service", wanted, f"service of release {release.id}", release.services)
            detail = f"?service: {problem['message']}"
            raise ProblemError(404, "unknown_service", detail, allowed=problem["allowed"], problems=[problem])
        allowed = ", ".join(release.services)
        problem = {"path": "?service", "message": "has to say which of the services", "allowed": allowed}
        raise ProblemError(400, "bad_query", f"?service: {problem['message']}", allowed=allowed, problems=[problem])

    async def _stream(self, request: web.Request, files: Sequence[IO[bytes]]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": LINES, "Cache-Control": "no-store"})
        await response.prepare(request)
        try:
            async for piece in _pieces(files):
                async with asyncio.timeout(WRITE_SECONDS):
                    await response.write(piece)
            await response.write_eof()
        except (OSError, TimeoutError):
            # Without the end of the last piece the client sees that something is missing.
            if request.transport is not None:
                request.transport.abort()
        return response


def _nothing_said(release: Release) -> str:
    if release.plan.analysis is None:
        return f"nothing is said of release {release.id}: its plan {release.plan.name} asks for no `analysis`"
    when = "before its first step" if release.step < 0 else "yet"
    return f"nothing is said of release {release.id} {when}"


def _opened(paths: Sequence[str], stack: ExitStack) -> list[IO[bytes]]:
    """All at once: while one is read, the next could make room for another. One that went is left out."""
    found: list[IO[bytes]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            found.append(stack.enter_context(Path(path).open("rb")))  # noqa: SIM115 - the stack closes it
    return found


async def _pieces(files: Sequence[IO[bytes]]) -> AsyncIterator[bytes]:
    for file in files:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
