"""What a new connection passes before HTTP begins: the PROXY header and TLS, as its listening address demands."""

import asyncio
import ssl
from typing import TYPE_CHECKING, NamedTuple, cast

from gatekeeper.core.model import State
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.forward import Client
from gatekeeper.dataplane.link import ServerLink
from gatekeeper.http1.proxy_protocol import ProxyHeader, ProxyHeaderError, read_proxy_header
from gatekeeper.telemetry.block import Refusal
from gatekeeper.tls.material import Contexts

if TYPE_CHECKING:
    from gatekeeper.dataplane.plane import Plane


class Entrance(NamedTuple):
    """What one listening address demands; None is no TLS."""

    context: ssl.SSLContext | None
    proxy_protocol: bool


def entrances(state: State, contexts: Contexts) -> dict[str, Entrance]:
    """By listening address; those that are plain HTTP are left out. Raises PemError or MissingError."""
    return {
        name: Entrance(contexts.server(listener.tls) if listener.tls is not None else None, listener.proxy_protocol)
        for name, listener in state.settings.listeners.items()
    }


def accept(plane: "Plane", loop: asyncio.AbstractEventLoop, name: str) -> asyncio.Protocol:
    """The protocol of a new connection to the listening address ``name``, as the state demands at this moment."""
    downstream = Downstream(plane, loop)
    entrance = plane.entrances.get(name)
    if entrance is None:
        return downstream
    inner = downstream if entrance.context is None else ServerLink(downstream, entrance.context, plane)
    return Door(plane, downstream, inner) if entrance.proxy_protocol else inner


class Door(asyncio.Protocol):
    """Reads the PROXY header, then hands the connection to ``inner``, which knows of it all the time.

    So the limits and the deadline of a fresh connection (``timeouts.request_head``) hold for the header, too.
    """

    __slots__ = ("_downstream", "_inner", "_plane", "_read", "_transport")

    def __init__(self, plane: "Plane", downstream: Downstream, inner: asyncio.Protocol) -> None:
        self._plane = plane
        self._downstream = downstream
        self._inner = inner
        self._read = b""
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)
        peer = transport.get_extra_info("peername")
        # Who may connect to a unix socket is decided by its directory; an address must be one of trusted_proxies.
        if isinstance(peer, tuple) and not self._plane.trusts(peer[0]):
            self._refuse()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._read += data  # an incomplete header is short: see read_proxy_header
        try:
            header = read_proxy_header(self._read)
        except ProxyHeaderError:
            self._refuse()
            return
        if header is None:
            return
        rest = self._read[header.size :]
        self._read = b""
        self._introduce(header)
        self._transport.set_protocol(self._inner)
        if rest:
            self._inner.data_received(rest)

    def _introduce(self, header: ProxyHeader) -> None:
        downstream = self._downstream
        secure = downstream.client.secure or header.secure
        if header.address is not None:
            downstream.client = Client(header.address, trusted=self._plane.trusts(header.address), secure=secure)

    def _refuse(self) -> None:
        self._read = b""
        self._plane.recorder.refused(Refusal.PROXY_PROTOCOL)
        # No answer: whoever speaks here is no client, and a client behind it would not expect one before its request.
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._read:
            self._plane.recorder.refused(Refusal.PROXY_PROTOCOL)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
