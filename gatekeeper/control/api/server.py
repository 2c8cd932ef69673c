"""The framework's server, with its own answers to what is not HTTP replaced by ours."""

import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web

from gatekeeper.control.api.wire import ProblemError

log = logging.getLogger("gatekeeper.control")

LINE_BYTES: Final = 64 * 1024
"""Of a request line or a header: a note of 1,000 characters, each written as 12, and room for the rest."""


class Runner(web.AppRunner):
    """Serves an application whose every answer is one of ours."""

    def __init__(self, app: web.Application, *, patience: float) -> None:
        """``patience`` in seconds is for requests under way when the server stops."""
        super().__init__(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=patience,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
        )

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # The framework names the class itself; this is the place where it lets us have a say.
        server.__class__ = _Server
        return server


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What never became a request, or fell through everything. The connection ends."""
        del message  # it repeats the client's bytes
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun, another one cannot follow")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            log.info("not a request", extra={"peer": request.remote, "reason": type(exc).__name__})
            allowed = f"HTTP/1.1, with a request line and headers of at most {LINE_BYTES} bytes"
            problem = ProblemError(
                status, "bad_request", "what came is not a request that can be read", allowed=allowed
            )
        else:
            log.error("admin request failed", extra={"peer": request.remote}, exc_info=exc)
            detail = f"gatekeeper failed ({type(exc).__name__})"
            problem = ProblemError(500, "internal", detail, allowed="see its log; report it")
        response = problem.response()
        response.headers["Server"] = "gatekeeper"
        response.force_close()
        return response
