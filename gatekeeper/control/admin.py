"""The admin server: HTTP on the unix socket, and over TCP where the file asks for it.

Every route has a role; nothing but ``/healthz`` is answered to a stranger, not even that a path does not exist. Every
failure leaves as one problem document, see ``wire``.
"""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from gatekeeper.control.auth import Actor, Role, peer
from gatekeeper.control.parts import Parts
from gatekeeper.control.reads import Reads
from gatekeeper.control.store import StoreError
from gatekeeper.control.wire import CONFIG_BYTES, ProblemError
from gatekeeper.control.writes import Writes
from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.control")

Handler = Callable[[web.Request, Actor], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]

NOBODY: Final = Actor("nobody", Role.VIEWER)
"""Who asks where everybody may."""

BACKLOG: Final = 128
"""Connections the kernel holds for us; operators and scrapers are few."""
STOP_SECONDS: Final = 2.0
"""For requests under way when the server stops; commands among them were finished by the controller before."""
SOCKET_MODE: Final = 0o660
"""The owner and the group: who may connect may command."""
PATH_BYTES: Final = 107
"""Of a socket's path, see unix(7)."""


class AdminError(GatekeeperError):
    """The admin server cannot listen where it should. Says where, why, and the way out."""


def routes(parts: Parts) -> dict[tuple[str, str], tuple[Role | None, Handler]]:
    """Method and path -> who may, and what answers. None: everybody."""
    reads, writes = Reads(parts), Writes(parts)
    return {
        ("GET", "/healthz"): (None, reads.healthz),
        ("GET", "/readyz"): (Role.VIEWER, reads.readyz),
        ("GET", "/metrics"): (Role.VIEWER, reads.metrics),
        ("GET", "/v1/status"): (Role.VIEWER, reads.status),
        ("GET", "/v1/services"): (Role.VIEWER, reads.services),
        ("GET", "/v1/services/{service}"): (Role.VIEWER, reads.service),
        ("GET", "/v1/revisions"): (Role.VIEWER, reads.revisions),
        ("GET", "/v1/events"): (Role.VIEWER, reads.events),
        ("POST", "/v1/explain"): (Role.VIEWER, reads.explain),
        ("PUT", "/v1/services/{service}/split"): (Role.OPERATOR, writes.split),
        ("POST", "/v1/services/{service}/rollback"): (Role.OPERATOR, writes.rollback),
        ("POST", "/v1/services/{service}/passes"): (Role.OPERATOR, writes.passes),
        ("POST", "/v1/reload"): (Role.OPERATOR, writes.reload),
        ("PUT", "/v1/config"): (Role.ADMIN, writes.config),
    }


def application(parts: Parts) -> web.Application:
    @web.middleware
    async def explained(request: web.Request, handler: Plain) -> web.StreamResponse:
        """Whatever goes wrong becomes a problem document; no page of the framework leaves, and no traceback."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            try:
                # A stranger learns nothing about what there is, not even that a path does not exist.
                await _actor(request, parts, Role.VIEWER)
            except ProblemError as problem:
                return problem.response()
            return _of_framework(request, error).response()
        except ConnectionError:
            raise  # the client is gone; nobody is left to tell
        except Exception as error:  # noqa: BLE001 - logged with its traceback, and answered
            return _problem(request, error).response()

    app = web.Application(middlewares=[explained], client_max_size=CONFIG_BYTES)
    app.on_response_prepare.append(_named)
    for (method, path), (role, handler) in routes(parts).items():
        app.router.add_route(method, path, _guarded(parts, role, handler))
    return app


def _guarded(parts: Parts, role: Role | None, handler: Handler) -> Plain:
    async def guarded(request: web.Request) -> web.StreamResponse:
        actor = NOBODY if role is None else await _actor(request, parts, role)
        return await handler(request, actor)

    return guarded


async def _named(_request: web.Request, response: web.StreamResponse) -> None:
    """The framework would name itself and its versions."""
    response.headers["Server"] = "gatekeeper"


async def _actor(request: web.Request, parts: Parts, role: Role) -> Actor:
    """Raises ProblemError: 401 for a stranger, 403 for somebody who may not."""
    actor = await peer(request.transport)
    if actor is None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        actor = parts.tokens.find(token.strip()) if scheme.lower() == "bearer" else None
    if actor is None:
        raise ProblemError(
            401,
            "unauthorised",
            "no valid token came with the request",
            allowed="Authorization: Bearer TOKEN, of a token in `admin.tokens` of the file",
            headers={"WWW-Authenticate": 'Bearer realm="gatekeeper"'},
        )
    if actor.role < role:
        raise ProblemError(
            403,
            "forbidden",
            f"{actor.name} has the role {actor.role.label}, this needs {role.label}",
            allowed=f"a token with the role {role.label}",
        )
    return actor


def _of_framework(request: web.Request, error: web.HTTPException) -> ProblemError:
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    allowed = f"methods: {headers['Allow']}" if "Allow" in headers else ""
    code = error.reason.lower().replace(" ", "_")
    detail = f"{request.method} {request.path}: {error.reason}"
    return ProblemError(error.status, code, detail, allowed=allowed, headers=headers)


def _problem(request: web.Request, error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, StoreError):
        return ProblemError(503, "store_failed", error.what, allowed=error.way_out)
    log.error("admin request failed", extra={"method": request.method, "path": request.path}, exc_info=error)
    detail = f"gatekeeper failed ({type(error).__name__})"
    return ProblemError(500, "internal", detail, allowed="see its log; report it")


class Admin:
    """``start`` listens, ``stop`` ends what is under way and removes the socket."""

    def __init__(self, parts: Parts, *, path: str, http: str | None = None) -> None:
        """``path`` of the unix socket, ``http`` ``HOST:PORT`` (IPv6 in brackets) or None."""
        self._feed = parts.feed
        self._path = path
        self._http = http
        self._runner = web.AppRunner(
            application(parts), access_log=None, handle_signals=False, shutdown_timeout=STOP_SECONDS
        )
        self._inode: int | None = None

    async def start(self) -> None:
        """Raises AdminError; nothing listens then."""
        await self._runner.setup()
        try:
            await self._listen_unix()
            if self._http is not None:
                await self._listen_tcp(self._http)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        # Watchers get the last events and go; a stream would else hold the server until its patience ends.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._feed.flush()
        self._feed.dismiss("gatekeeper is stopping")
        await self._runner.cleanup()
        if self._inode is not None:
            _remove(self._path, self._inode)
            self._inode = None

    async def _listen_unix(self) -> None:
        path = self._path
        if len(os.fsencode(path)) > PATH_BYTES:
            raise AdminError(f"{path}: longer than {PATH_BYTES} bytes; name a shorter `admin.socket`")
        await asyncio.to_thread(_clear_stale, path)
        listening, self._inode = _bind(path)
        await web.SockSite(self._runner, listening, backlog=BACKLOG).start()

    async def _listen_tcp(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port), backlog=BACKLOG).start()
        except OSError as error:
            raise AdminError(
                f"{address}: cannot listen ({error}); end what listens there, or name another `admin.http`"
            ) from error


def _bind(path: str) -> tuple[socket.socket, int]:
    """The socket, and the inode by which its name is known to be ours. Raises AdminError."""
    listening = socket.socket(socket.AF_UNIX)
    # The mode must be right from the first moment, not after a moment in which anybody could connect.
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listening.bind(path)
        return listening, Path(path).lstat().st_ino
    except OSError as error:
        listening.close()
        raise AdminError(
            f"{path}: cannot listen ({error.strerror}); make its directory and let this user write there, or name "
            "another `admin.socket`"
        ) from error
    finally:
        os.umask(before)


def _remove(path: str, inode: int) -> None:
    """Take our name away, unless by now it belongs to a successor."""
    with suppress(OSError):
        if Path(path).lstat().st_ino == inode:
            Path(path).unlink()


def _clear_stale(path: str) -> None:
    """Remove the socket of a process that was killed. Raises AdminError if somebody listens, or it is no socket."""
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            raise AdminError(f"{path}: is there and is no socket; move it away, or name another `admin.socket`")
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(1.0)
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink(missing_ok=True)
        return
    except OSError as error:
        raise AdminError(f"{path}: cannot be looked at ({error}); name another `admin.socket`") from error
    raise AdminError(f"{path}: another gatekeeper listens there; stop it, or name another `admin.socket`")
