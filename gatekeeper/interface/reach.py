"""Finding gatekeeper: the admin socket among several places, or an address over TCP.

A restart, an upgrade or a kill leaves moments in which nobody takes connections at the socket. They are not reported
but waited for, if there is a sign that gatekeeper was there: its socket's file is there and refuses, or it answered
this very process before. A place where nothing ever was is reported at once: nobody should wait for a misspelt path.
"""

import errno
import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from gatekeeper import places
from gatekeeper.interface.failures import UnreachableError, reason

PATIENCE = 3.0
"""Seconds of trying to connect: a restart takes well below one; longer and a person would wonder."""
TRY_EVERY = 0.05
UNIX_PATH_MAX = 107
"""Bytes of a socket's path, see unix(7): sun_path less the final zero."""

_BUSY = frozenset({errno.ECONNREFUSED, errno.EAGAIN})
"""Nobody accepts at a socket that is there, or nobody accepts fast enough."""


class Unix:
    """The first of ``paths`` where somebody listens."""

    def __init__(self, paths: Sequence[str], patience: float = PATIENCE) -> None:
        self._paths = paths
        self._patience = patience
        self._was_there = False
        self.where = f"unix:{paths[0]}" if paths else "nowhere"

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """``timeout`` is for everything that comes after connecting. Raises UnreachableError with every place tried."""
        until = time.monotonic() + self._patience
        while True:
            tried: dict[str, OSError] = {}
            for path in self._paths:
                try:
                    return self._connected(path, timeout)
                except OSError as error:
                    tried[path] = error
            if not self._worth_waiting(tried) or time.monotonic() >= until:
                raise self._nobody(tried)
            time.sleep(TRY_EVERY)

    def _connected(self, path: str, timeout: float) -> http.client.HTTPConnection:
        if not places.trusted(path):
            raise OSError(None, "its directory belongs to another user")
        if len(path.encode()) > UNIX_PATH_MAX:
            raise OSError(None, f"longer than {UNIX_PATH_MAX} bytes, which the system does not allow")
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            raise
        self.where, self._was_there = f"unix:{path}", True
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = sock
        return connection

    def _worth_waiting(self, tried: dict[str, OSError]) -> bool:
        # Between the old socket's end and the new one's beginning there is no file for a moment.
        self._was_there = self._was_there or any(error.errno in _BUSY for error in tried.values())
        return self._was_there and any(error.errno in _BUSY | {errno.ENOENT} for error in tried.values())

    def _nobody(self, tried: dict[str, OSError]) -> UnreachableError:
        where = "; ".join(f"{path}: {reason(error)}" for path, error in tried.items())
        way_out = "start it with `gatekeeper serve --config FILE`, or name its socket with --socket (GATEKEEPER_SOCKET)"
        if any(isinstance(error, PermissionError) for error in tried.values()):
            way_out = "run this as the user or in the group that owns the socket, or name another with --socket"
        return UnreachableError("cannot reach gatekeeper", where or "no socket named", way_out)


class Tcp:
    """``url`` is ``http://`` or ``https://``. Nothing is waited for: an address without a listener gives no sign."""

    def __init__(self, url: str) -> None:
        self.where = url

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Raises UnreachableError."""
        connection: http.client.HTTPConnection
        try:
            parts = urlsplit(self.where)
            if parts.scheme == "https":
                context = ssl.create_default_context()
                connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=context)
            else:
                connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
            connection.connect()
        except (OSError, ValueError, http.client.InvalidURL) as error:
            raise UnreachableError(
                f"cannot reach gatekeeper: {reason(error)}",
                self.where,
                "check --url (GATEKEEPER_URL) and `admin.http` of the file",
            ) from error
        return connection
