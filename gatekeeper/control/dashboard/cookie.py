"""The session's cookie, and who somebody is by it."""

import hmac
from dataclasses import replace
from typing import Final

from aiohttp import web

from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.tokens import expired
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.dashboard.origin import SAFE, Origin
from gatekeeper.control.dashboard.sessions import Session
from gatekeeper.core.sticky import DASHBOARD_COOKIES

NAME, SECURE_NAME = (name.decode() for name in DASHBOARD_COOKIES)
"""By TLS the second: browsers take such a name from this very host alone, so that no neighbour can plant a session of
his own."""
CSRF: Final = "X-Gatekeeper-CSRF"


def of_request(request: web.Request, origin: Origin) -> str:
    """The session id that came with a request, "" if none did."""
    return request.cookies.get(SECURE_NAME if origin.secure else NAME, "")


def put(response: web.StreamResponse, origin: Origin, value: str) -> None:
    """Give the browser the session ``value``. Without an age: it goes when the browser is closed."""
    _set(response, origin, value, None)


def take(response: web.StreamResponse, origin: Origin) -> None:
    """Let the browser forget it."""
    _set(response, origin, "", 0)


def actor_of(request: web.Request, parts: Parts) -> Actor | None:
    """Who is signed in, as his token is now. Raises ProblemError (403) where another site's page may have asked."""
    sessions, origin = parts.dashboard.sessions, Origin(request, parts.controller.state.settings.trusted_proxies)
    session = sessions.find(of_request(request, origin), parts.clock.monotonic())
    if session is None:
        return None
    actor = parts.tokens.of(session.token)
    if actor is None or expired(actor, parts.clock.wall()):
        sessions.end(session.key)
        return None
    origin.refuse_foreign()
    if request.method not in SAFE and not _proven(request, session):
        raise ProblemError(
            403,
            "csrf",
            f"the request has the session's cookie and not its {CSRF}",
            allowed=f"{CSRF}: the `csrf` of GET /session; programs send a bearer token instead of the cookie",
        )
    return replace(actor, via="dashboard", session=session.key)


def _proven(request: web.Request, session: Session) -> bool:
    given = request.headers.get(CSRF, "")
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), session.csrf.encode())


def _set(response: web.StreamResponse, origin: Origin, value: str, max_age: int | None) -> None:
    response.set_cookie(
        SECURE_NAME if origin.secure else NAME,
        value,
        httponly=True,
        samesite="Strict",
        secure=origin.secure,
        path="/",
        max_age=max_age,
    )
