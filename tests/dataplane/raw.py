"""A transport, a protocol and a TLS peer that do what a test says and remember what was done to them."""

import asyncio
import contextlib
import ssl
from types import SimpleNamespace

from gatekeeper.telemetry.block import Refusal


class Raw:
    """A transport of bytes; ``take`` is what was written since it was asked last."""

    def __init__(self, peer=("192.0.2.7", 51000)):
        self._peer = peer
        self._out = bytearray()
        self.closed = self.aborted = self.half_closed = False
        self.reading = True
        self.protocol = None

    def take(self):
        data = bytes(self._out)
        self._out.clear()
        return data

    def write(self, data):
        assert not self.is_closing()
        self._out += data

    def get_write_buffer_size(self):
        return len(self._out)

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def write_eof(self):
        self.half_closed = True

    def can_write_eof(self):
        return True

    def is_closing(self):
        return self.closed or self.aborted

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def set_protocol(self, protocol):
        self.protocol = protocol

    def get_extra_info(self, name, default=None):
        return {"peername": self._peer}.get(name, default)


class Protocol(asyncio.Protocol):
    def __init__(self):
        self.transport = None
        self.events = []
        self.eof = self.stays = self.paused = self.lost = False
        self.exc = None

    @property
    def received(self):
        return b"".join(self.events)

    def connection_made(self, transport):
        assert self.transport is None
        self.transport = transport

    def data_received(self, data):
        assert data
        self.events.append(data)

    def eof_received(self):
        self.eof = True
        return self.stays

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False

    def connection_lost(self, exc):
        assert not self.lost
        self.lost, self.exc = True, exc


class Counts:
    """``plane`` is one that counts refusals and trusts 192.0.2.0/24."""

    def __init__(self):
        self.refused = []
        recorder = SimpleNamespace(refused=lambda reason: self.refused.append(Refusal(reason).label))
        self.plane = SimpleNamespace(recorder=recorder, trusts=lambda address: address.startswith("192.0.2."))


class Peer:
    """The other end of TLS."""

    def __init__(self, context, *, server=False, name=None):
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._link = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=name)
        self.done = self.ended = False

    def shake(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self._link.do_handshake()
            self.done = True

    def put(self, data):
        self._in.write(data)

    def take(self):
        return self._out.read()

    def send(self, data):
        self._link.write(data)
        return self.take()

    def end(self):
        """Its close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._link.unwrap()
        return self.take()

    def read(self, data):
        self._in.write(data)
        found = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                try:
                    part = self._link.read(65536)
                except ssl.SSLZeroReturnError:
                    part = b""
                if not part:
                    self.ended = True
                    break
                found += part
        return found
