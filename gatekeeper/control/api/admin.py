"""The admin server: HTTP on the unix socket, and over TCP where the file asks for it. What it answers is in ``api``."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from gatekeeper.control.api.admin_sockets import BACKLOG, AdminError, AdminSockets
from gatekeeper.control.api.dispatch import application
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.server import Runner
from gatekeeper.control.api.tokens import TokenFile, Tokens, TokensError
from gatekeeper.control.succession.given import Gifts, Given

__all__ = ["Admin", "AdminError"]

STOP_SECONDS: Final = 2.0
"""For requests under way when the server stops; commands among them were finished by the controller before."""


class Admin:
    """``start`` listens, ``stop`` ends what is under way and removes the socket.

    In between, ``pause`` lets new callers wait in the sockets' queues, until ``resume``, or until a successor that was
    given the sockets answers them; ``leave`` is the end for this program then.
    """

    def __init__(self, parts: Parts, *, path: str, http: str | None = None) -> None:
        """``path`` of the unix socket, ``http`` ``HOST:PORT`` (IPv6 in brackets) or None."""
        self._parts = parts
        self._feed = parts.feed
        self._watching: asyncio.Task[None] | None = None
        self._sockets = AdminSockets(path, http)
        self._runner = Runner(application(parts), patience=STOP_SECONDS)

    def bind(self, gifts: Gifts | None = None) -> None:
        """Take the places where it listens; callers wait until ``start``. Raises AdminError; nothing listens then."""
        self._sockets.open(gifts)

    async def start(self) -> None:
        """Answer; ``bind`` is done where it was not. Raises AdminError; nothing listens then."""
        await self._runner.setup()
        try:
            if not self._sockets.given:
                self.bind()
            await self.resume()
        except BaseException:
            await self.stop()
            raise
        if self._parts.tokens_path is not None:
            file = TokenFile(self._parts.tokens_path, self._take_tokens, self._refuse_tokens)
            self._watching = asyncio.create_task(file.watch(), name="tokens")

    async def stop(self) -> None:
        await self._end_watching()
        # Watchers get the last events and go; a stream would else hold the server until its patience ends.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._feed.flush()
        self._dismiss("gatekeeper is stopping")
        await self._runner.cleanup()
        self._sockets.close()

    async def pause(self, reason: str) -> None:
        """Accept nobody new, and send watchers away with ``reason``; requests under way go on."""
        self._dismiss(reason)
        for site in list(self._runner.sites):
            await site.stop()

    async def resume(self) -> None:
        """Accept; callers that came meanwhile first."""
        for each in self._sockets.given:
            # A site closes what it was given; the place outlives it.
            await web.SockSite(self._runner, each.sock.dup(), backlog=BACKLOG).start()

    def keep(self) -> None:
        """The sockets that were given are ours for good: whoever gave them has left."""
        self._sockets.keep()

    @property
    def given(self) -> list[Given]:
        """The sockets, as a successor gets them."""
        return self._sockets.given

    async def leave(self, taken: set[tuple[str, int]]) -> None:
        """End what is under way, after a successor has ``taken`` the sockets with these names."""
        await self._end_watching()
        await self._runner.cleanup()
        self._sockets.hand_over(taken)

    def _dismiss(self, reason: str) -> None:
        self._feed.dismiss(reason)
        self._parts.dashboard.live.dismiss(reason)

    # The token file

    def _take_tokens(self, tokens: Tokens) -> None:
        before, self._parts.tokens, self._parts.tokens_refused = self._parts.tokens, tokens, ""
        self._parts.dashboard.sessions.keep(tokens.digests)
        if tokens != before:
            self._feed.tell({"kind": "tokens_changed", **before.difference(tokens)})

    def _refuse_tokens(self, error: TokensError) -> None:
        self._parts.tokens_refused = "; ".join(str(error).splitlines())
        self._feed.tell({"kind": "tokens_refused", "reason": str(error), "kept": len(self._parts.tokens)})

    async def _end_watching(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
