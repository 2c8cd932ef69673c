"""From a request to a handler and back: who asks, may he, are the parts of the request in order.

Nothing but ``/healthz``, a sign-in and the dashboard's own files is answered to a stranger, not even that a path does
not exist.
Every failure leaves as one problem document, see ``wire``.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from gatekeeper.control.api import ofrep, wire
from gatekeeper.control.api.auth import Actor, peer
from gatekeeper.control.api.changing import fingerprint, owner
from gatekeeper.control.api.decode import decode
from gatekeeper.control.api.operation import Call, Operation
from gatekeeper.control.api.parameters import read_query
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.routes import operations
from gatekeeper.control.api.tokens import expired
from gatekeeper.control.api.wire import CONFIG_BYTES, NAME, ProblemError
from gatekeeper.control.dashboard import cookie
from gatekeeper.control.dashboard.origin import Origin
from gatekeeper.control.store.rows import Answer, Audit
from gatekeeper.control.store.store import StoreError
from gatekeeper.core.model import Role

log = logging.getLogger("gatekeeper.control")

Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]

NOBODY: Final = Actor("nobody", Role.VIEWER)
"""Who asks where everybody may."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="gatekeeper"'}


def application(parts: Parts) -> web.Application:
    @web.middleware
    async def explained(request: web.Request, handler: Plain) -> web.StreamResponse:
        """Whatever goes wrong becomes a problem document; no page of the framework leaves, and no traceback."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            try:
                # A stranger learns nothing about what there is, not even that a path does not exist.
                await identify(request, parts)
            except ProblemError as problem:
                return _told(request, problem)
            return _told(request, _of_framework(request, error))
        except ConnectionError:
            raise  # the client is gone; nobody is left to tell
        except Exception as error:  # noqa: BLE001 - logged with its traceback, and answered
            return _told(request, _problem(request, error))

    app = web.Application(middlewares=[explained], client_max_size=CONFIG_BYTES)
    app.on_response_prepare.append(_named)
    for operation in operations(parts):
        # The files of the dashboard lie in folders; every other name is one part of a path.
        path = operation.path.replace("{path}", "{path:.+}")
        app.router.add_route(operation.method, path, _guarded(parts, operation))
    return app


def _guarded(parts: Parts, operation: Operation) -> Plain:
    async def guarded(request: web.Request) -> web.StreamResponse:
        """The parts of a request in order, each only if those before it are right."""
        actor = NOBODY
        if operation.role is not None:
            actor = await identify(request, parts)
            if not actor.may(operation.role):
                _note_attempt(parts, operation, request, actor)
                raise _forbidden(actor, operation.role)
        query = read_query(request, operation.query) if operation.refusal is None else {}
        call = Call(request, actor, query)
        if operation.writes:
            call.expected = wire.expected_revision(request, parts.controller.state.revision)
            call.key = wire.idempotency_key(request)
        content = operation.content
        if content is not None:
            call.raw = await wire.read_body(request, content.limit)
        # Before the body means anything: what it names may have gone since it was sent first.
        if operation.again is not None and (answer := await _answered(parts, call)) is not None:
            return operation.again(call, answer)
        if content is not None and content.model is not None and content.read:
            context = content.context(request) if content.context is not None else {}
            call.body = decode(content.model, call.raw, context)
        return await operation.handle(call)

    return guarded


async def _answered(parts: Parts, call: Call) -> Answer | None:
    """What was answered to this very request before. Raises ProblemError when its key was another request's."""
    if call.key is None or call.dry_run:
        return None
    answer = await parts.store.answer(owner(call), call.key, parts.clock.wall())
    if answer is not None and answer.fingerprint != fingerprint(call):
        raise ProblemError(
            422,
            "key_reused",
            f"the Idempotency-Key {call.key!r} was sent with another request before",
            allowed="a new key for a new request",
        )
    return answer


_AUDITED: Final = {
    "set_split": "split",
    "put_config": "reload",
    "prune_history": "prune",
    "issue_pass": "pass",
    "set_flag": "flag",
    "switch_flag_on": "switch_flag",
    "switch_flag_off": "switch_flag",
}
"""Operations that the audit knows by another word: that of what they do where they are allowed."""


def _note_attempt(parts: Parts, operation: Operation, request: web.Request, actor: Actor) -> None:
    """Who tried what he may not stands in the audit too."""
    flag = request.match_info.get("flag")
    about = f"flag {flag}" if flag is not None else request.match_info.get("service", "")
    service = about[:NAME].encode("utf-8", "replace").decode()
    detail = f"{operation.role.value if operation.role else ''} needed"
    name = _AUDITED.get(operation.name, operation.name)
    now = parts.clock.wall()
    parts.feed.note(Audit(now, actor.name, actor.via, name, service, None, "refused", detail))


async def identify(request: web.Request, parts: Parts) -> Actor:
    """Who asks. Raises ProblemError: 401 for a stranger, 403 for a page of another site."""
    settings = parts.controller.state.settings
    actor = await peer(request.transport, settings.admin_users)
    if actor is not None:
        # A socket that is forwarded to a desk is open to every page that its browser shows.
        Origin(request, settings.trusted_proxies).refuse_foreign()
        return actor
    if "Authorization" not in request.headers:
        actor = cookie.actor_of(request, parts)
    else:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        actor = parts.tokens.find(token.strip()) if scheme.lower() == "bearer" else None
    if actor is None:
        raise ProblemError(
            401,
            "unauthorised",
            "no valid token came with the request",
            allowed="Authorization: Bearer TOKEN, of a token in `admin.tokens` of the file; in a browser, sign in at /",
            headers=_CHALLENGE,
        )
    if expired(actor, parts.clock.wall()):
        raise ProblemError(
            401,
            "token_expired",
            f"the token of {actor.name} has expired",
            allowed="a new one: `gatekeeper token add`",
            headers=_CHALLENGE,
        )
    return actor


def _forbidden(actor: Actor, role: Role) -> ProblemError:
    return ProblemError(
        403,
        "forbidden",
        f"{actor.name} has the role {actor.role.value}, this needs {role.value}",
        allowed=f"a token with the role {role.value}, or that role in `admin.users`",
    )


async def _named(_request: web.Request, response: web.StreamResponse) -> None:
    """The framework would name itself and its versions. What is data must not be run as a page, nor shown in one."""
    response.headers["Server"] = "gatekeeper"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"


def _of_framework(request: web.Request, error: web.HTTPException) -> ProblemError:
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    allowed = f"methods: {headers['Allow']}" if "Allow" in headers else ""
    code = error.reason.lower().replace(" ", "_")
    detail = f"{request.method} {request.path}: {error.reason}"
    return ProblemError(error.status, code, detail, allowed=allowed, headers=headers)


def _told(request: web.Request, problem: ProblemError) -> web.Response:
    return ofrep.told(request, problem) if request.path.startswith(ofrep.PREFIX) else problem.response()


def _problem(request: web.Request, error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, StoreError):
        return ProblemError(503, "store_failed", error.what, allowed=error.way_out)
    log.error("admin request failed", extra={"method": request.method, "path": request.path}, exc_info=error)
    detail = f"gatekeeper failed ({type(error).__name__})"
    return ProblemError(500, "internal", detail, allowed="see its log; report it")
