"""One page's stream: ``past``, then ``tick`` each second and ``change`` as it happens, until either side leaves."""

import logging
import socket
from contextlib import suppress
from typing import Final

from aiohttp import web

from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.stream import Fallen, hang_up, open_stream, refuse_fallen, write
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.dashboard import live, pulse
from gatekeeper.control.feed import DroppedError, TooManyWatchersError

log = logging.getLogger("gatekeeper.control")

LOOK_SECONDS: Final = 2.0
"""Ticks come each second; without them (the supervisor is held up) it is looked this often whether the watcher may
still watch."""
SEND_BYTES: Final = 64 * 1024
"""Of the kernel's buffer for a page that does not read, which would else grow to megabytes; the minutes before, at most
some hundred KiB, are still through in a few turns."""
PIECE_BYTES: Final = 32 * 1024
"""Of a long event, handed to the connection at a time."""
SILENT_LOOKS: Final = 7
"""Looks without anything after which a comment goes out: proxies in front close after 30 to 60 seconds."""


class _TornError(DroppedError):
    """Dropped in the middle of an event: whatever came after would be read as a part of it."""


async def stream(request: web.Request, parts: Parts, service: str | None, fallen: Fallen) -> web.StreamResponse:
    """Serve one page. Raises ProblemError (503) when too many are open, before anything was sent."""
    hub = parts.dashboard.live
    try:
        watcher = hub.watch()
    except TooManyWatchersError as error:
        raise ProblemError(503, "too_many_watchers", str(error), allowed="close another one") from None
    try:
        response = await open_stream(request)
        _bound(request)
        try:
            # What happens from here on waits in the watcher: nothing falls between the past and the first tick.
            await _send(response, parts.dashboard.opening(service, lambda: pulse.past(parts, service)))
            silent = 0
            while True:
                data = await watcher.next(LOOK_SECONDS)
                refuse_fallen(fallen)
                silent = 0 if data else silent + 1
                if silent >= SILENT_LOOKS:
                    data, silent = b":\n\n", 0
                if data:
                    await _send(response, data)
        except _TornError as torn:
            log.warning("watcher dropped", extra={"reason": str(torn), "peer": request.remote})
            if request.transport is not None:
                request.transport.abort()
        except DroppedError as dropped:
            await hang_up(request, response, live.event("dropped", {"reason": str(dropped)}), str(dropped))
        except ConnectionError:
            pass
        return response
    finally:
        hub.leave(watcher)


async def _send(response: web.StreamResponse, data: bytes) -> None:
    """Piece by piece, each when the one before has left: what waits for a page that does not read stays small, although
    the past of many versions is long.
    """
    for at in range(0, len(data), PIECE_BYTES):
        try:
            await write(response, data[at : at + PIECE_BYTES])
        except DroppedError as dropped:
            if at + PIECE_BYTES < len(data):
                raise _TornError(str(dropped)) from None
            raise


def _bound(request: web.Request) -> None:
    held = request.transport.get_extra_info("socket") if request.transport is not None else None
    if held is not None:
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
