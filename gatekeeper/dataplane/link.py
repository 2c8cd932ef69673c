"""TLS between a transport and a protocol: one class for both directions, over OpenSSL's memory buffers.

A link is the protocol of the raw transport and the transport of the protocol above it. The event loop has TLS of its
own; this one is here because of what that does not give:

* Bytes that were read before TLS began (a PROXY header and a ClientHello come in one segment) go into the handshake.
* An end without close_notify is told from one with it: a truncated answer must not look complete (RFC 9112
  section 9.8).
* Half a close: what the client still sends while it reads the last answer is thrown away, as without TLS.
* The context is chosen when a connection is made, so a new certificate counts from the next connection on.

Three states: SHAKING until the handshake is done, OPEN, SHUT after our close_notify, when nothing is written any more
and what comes in is no longer deciphered.
"""

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any, cast

from gatekeeper.dataplane.replies import local_reply
from gatekeeper.errors import FaultInfo, Source
from gatekeeper.telemetry.block import Refusal

if TYPE_CHECKING:
    from gatekeeper.dataplane.plane import Plane

SHAKING, OPEN, SHUT = range(3)

# What one read may give: OpenSSL never returns more than one record (RFC 8446 section 5.1: 2^14 bytes).
_RECORD = 16 * 1024

_NOBODY = asyncio.Protocol()

_PLAIN_HTTP = FaultInfo(400, Source.CLIENT, "http_request_error", "The request is plain HTTP; HTTPS is spoken here.")


class Link(asyncio.Protocol):
    """What both sides share. It has the methods of a transport that this program calls, and no others."""

    __slots__ = ("_cut", "_ended", "_heard", "_incoming", "_object", "_outgoing", "_raw", "_state", "protocol")

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, *, server: bool, name: str | None = None
    ) -> None:
        """``name`` is what a client asks for by SNI and verifies."""
        self.protocol = protocol
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)
        self._state = SHAKING
        self._ended = False
        """Whether the peer's close_notify has come."""
        self._heard = False
        """Whether bytes came: who only knocks, as balancers do to see if somebody is there, did not fail."""
        self._cut: Exception | None = None
        """Why the peer's bytes ended other than by its close_notify."""
        self._raw: asyncio.Transport = cast("asyncio.Transport", None)

    # To be given by the two sides

    def _opened(self) -> None:
        """The handshake is done."""
        raise NotImplementedError

    def _failed(self, error: ssl.SSLError) -> None:
        """It has failed; the alert is written."""
        raise NotImplementedError

    # The protocol of the raw transport

    def data_received(self, data: bytes) -> None:
        if self._state == OPEN:
            self._incoming.write(data)
            self._read()
        elif self._state == SHAKING:
            self._heard = True
            self._incoming.write(data)
            self._shake()
        else:
            # Who closed throws away what still comes, and only counts it: the ciphertext does for that.
            self.protocol.data_received(data)

    def eof_received(self) -> bool:
        if self._state == OPEN and not self._ended:
            self._cut = ConnectionResetError("the peer ended without close_notify")
        return self._ended and self._state == OPEN

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()

    def _end(self, exc: Exception | None) -> None:
        """Tell the protocol that the connection is gone, and let go of it and of OpenSSL's 40 KiB.

        The two point at each other: without this each connection would wait for the collector, which runs rarely.
        """
        self._state = SHUT
        protocol, self.protocol = self.protocol, _NOBODY
        protocol.connection_lost(exc)
        del self._object, self._incoming, self._outgoing

    def _shake(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert, which says why
            self._failed(error)
            return
        self._state = OPEN
        self._flush()
        self._opened()
        if self._incoming.pending and self._state == OPEN:
            self._read()

    def _read(self) -> None:
        """Give on all that has come, in one piece: as much as one read of the raw transport brought."""
        incoming, link = self._incoming, self._object
        parts: list[bytes] = []
        try:
            while True:
                data = link.read(_RECORD)
                if not data:
                    self._ended = True
                    break
                parts.append(data)
                # Asking costs less than being told by an exception that there is no more.
                if not incoming.pending and not link.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._cut = error
        if self._outgoing.pending:
            self._flush()
        if parts:
            self.protocol.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self._cut is not None:
            self._raw.close()
        elif self._ended and self._state == OPEN and not self.protocol.eof_received():
            self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # The transport of the protocol above

    def write(self, data: bytes) -> None:
        # Before the handshake is done only a refusal is written, and who is refused is not worth a handshake.
        if self._state != OPEN or not data or self._raw.is_closing():
            return
        try:
            written = self._object.write(data)
            while written < len(data):
                written += self._object.write(memoryview(data)[written:])
        except ssl.SSLError as error:  # after a fatal alert; what is half written must not go on
            self._cut = error
            self._raw.abort()
            return
        self._raw.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        return self._state == OPEN

    def write_eof(self) -> None:
        self._notify()
        self._raw.write_eof()

    def close(self) -> None:
        """Close in an orderly way, with close_notify; what was written is delivered."""
        self._notify()
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def _notify(self) -> None:
        if self._state != OPEN:
            return
        self._state = SHUT
        with contextlib.suppress(ssl.SSLError):  # it wants the peer's; nobody waits for that (RFC 8446 section 6.1)
            self._object.unwrap()
        self._flush()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the raw transport knows, and ``ssl_object``."""
        return getattr(self, "_object", None) if name == "ssl_object" else self._raw.get_extra_info(name, default)


class ServerLink(Link):
    """Towards a client. The protocol is told of the connection at once, so its limits and deadlines hold already."""

    __slots__ = ("_plane",)

    def __init__(self, protocol: asyncio.Protocol, context: ssl.SSLContext, plane: "Plane") -> None:
        super().__init__(protocol, context, server=True)
        self._plane = plane

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self.protocol.connection_made(cast("asyncio.Transport", self))

    def _opened(self) -> None:
        pass  # the protocol has been there from the start

    def _failed(self, error: ssl.SSLError) -> None:
        if getattr(error, "reason", None) == "HTTP_REQUEST":
            self._raw.write(local_reply(_PLAIN_HTTP))
        self._raw.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state == SHAKING and self._heard:
            self._plane.recorder.refused(Refusal.TLS)
        self._end(exc)


class ClientLink(Link):
    """Towards a backend. ``ready`` is done when the handshake is, or with what it failed by: an OSError.

    The protocol hears nothing before.
    """

    __slots__ = ("ready",)

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, name: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(protocol, context, server=False, name=name)
        self.ready: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self._shake()

    def abort(self) -> None:
        if cast("asyncio.Transport | None", self._raw) is not None:
            self._raw.abort()

    def _opened(self) -> None:
        self.protocol.connection_made(cast("asyncio.Transport", self))
        if not self.ready.done():
            self.ready.set_result(None)

    def _failed(self, error: ssl.SSLError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
        self._raw.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state != SHAKING:
            self._end(self._cut or exc)
        elif not self.ready.done():
            self.ready.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError("closed by the backend"))
