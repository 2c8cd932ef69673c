"""The dashboard's endpoints: signing in and out, the page and its files, what is live."""

import logging
from typing import Final

from aiohttp import web

from gatekeeper import __version__
from gatekeeper.control.api import wire
from gatekeeper.control.api.auth import peer
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.api.tokens import expired
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.dashboard import cookie, pulse
from gatekeeper.control.dashboard.assets import PAGE
from gatekeeper.control.dashboard.origin import Origin
from gatekeeper.control.dashboard.sessions import SECONDS, digest
from gatekeeper.control.dashboard.stream import stream

log = logging.getLogger("gatekeeper.control")

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="gatekeeper"'}


class Desk:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._dashboard = parts.dashboard

    # Who

    async def sign_in(self, call: Call) -> web.Response:
        """A cookie for a token. Whoever had another session with this browser has it no more."""
        parts, origin, now = self._parts, self._origin(call), self._parts.clock.monotonic()
        origin.refuse_foreign()
        if await peer(call.request.transport, parts.controller.state.settings.admin_users) is not None:
            raise ProblemError(
                409,
                "on_the_socket",
                "on the socket the kernel says who asks, and no cookie is given",
                allowed="GET /session: who that is",
            )
        if wait := self._dashboard.attempts.wait(origin.address, now):
            raise ProblemError(
                429,
                "too_many_attempts",
                f"too many tokens that are none were sent, from {origin.address or 'there'} or from everywhere",
                allowed=f"another attempt in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        actor = parts.tokens.find(call.body.token.strip())
        if actor is None or expired(actor, parts.clock.wall()):
            self._dashboard.attempts.failed(origin.address, now)
            log.warning("sign-in refused", extra={"peer": origin.address})
            raise _no_token() if actor is None else _expired(actor.name)
        if before := cookie.of_request(call.request, origin):
            self._dashboard.sessions.end(digest(before))
        name, _ = self._dashboard.sessions.begin(actor.token, now)
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        cookie.put(response, origin, name)
        return response

    async def session(self, call: Call) -> web.Response:
        """Who asks, however he came."""
        parts, actor = self._parts, call.actor
        found = parts.dashboard.sessions.use(actor.session, parts.clock.monotonic()) if actor.session else None
        expires = actor.expires
        if found is not None:
            end = parts.clock.wall() + found.began + SECONDS - parts.clock.monotonic()
            expires = end if expires is None else min(end, expires)
        return wire.answer(
            {
                "name": actor.name,
                "role": actor.role.value,
                "groups": list(actor.groups),
                "csrf": found.csrf if found is not None else None,
                "expires": expires,
                "revision": parts.controller.state.revision,
                "gatekeeper": __version__,
            }
        )

    async def sign_out(self, call: Call) -> web.Response:
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        if call.actor.session:
            self._dashboard.sessions.end(call.actor.session)
            cookie.take(response, self._origin(call))
        return response

    # What it is made of

    async def page(self, call: Call) -> web.Response:
        return self._file(call.request, PAGE)

    async def asset(self, call: Call) -> web.Response:
        return self._file(call.request, call.path("path"))

    def _file(self, request: web.Request, path: str) -> web.Response:
        found = self._dashboard.assets.get(path)
        if found is None:
            raise ProblemError(
                404,
                "unknown_asset",
                "the dashboard has no such file" if path != PAGE else "this gatekeeper came without its dashboard",
                allowed="what the page at / asks for" if path != PAGE else "the package as it is published",
            )
        return found.answer(request)

    # What it shows

    async def live(self, call: Call) -> web.StreamResponse:
        """A stream; with ``follow=0`` its first event and one tick, as one document."""
        parts, actor, service = self._parts, call.actor, call.query["service"]
        if service is not None:
            service_of(parts, service)
        if call.query["follow"]:
            return await stream(call.request, parts, service, lambda: parts.fallen(actor))
        return wire.answer({"past": pulse.past(parts, service), "tick": pulse.tick(parts, {})})

    def _origin(self, call: Call) -> Origin:
        return Origin(call.request, self._parts.controller.state.settings.trusted_proxies)


def _no_token() -> ProblemError:
    return ProblemError(
        401,
        "unauthorised",
        "that is no token of this gatekeeper",
        allowed="a token of `admin.tokens` of the file; `gatekeeper token add NAME` makes one",
        headers=_CHALLENGE,
    )


def _expired(name: str) -> ProblemError:
    return ProblemError(
        401,
        "token_expired",
        f"the token of {name} has expired",
        allowed="a new one: `gatekeeper token add`",
        headers=_CHALLENGE,
    )
