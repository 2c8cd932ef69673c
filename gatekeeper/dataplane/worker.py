"""The process that carries traffic: ``python -m gatekeeper.dataplane.worker CHANNEL BLOCK INDEX NAME=FD[+lent]...``.

Everything it needs is inherited or comes down the channel: the listening sockets, the block it counts in, the state it
routes by. It opens no file, resolves nothing but backends, and imports only what traffic needs. It listens once it has
a state and the first picture of the backends. When the supervisor goes away, it serves on by its last revision.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Collection
from functools import partial
from typing import Any, cast

import uvloop

from gatekeeper.channel import ChannelError, Decoder, Message, encode
from gatekeeper.core.model import State
from gatekeeper.core.routing import RoutingTable, compile  # noqa: A004 - the field's word for it
from gatekeeper.dataplane import leaving
from gatekeeper.dataplane.door import accept
from gatekeeper.dataplane.merging import merge
from gatekeeper.dataplane.plane import Plane
from gatekeeper.dataplane.process import complain, raise_descriptor_limit, report_exception, resident_bytes
from gatekeeper.telemetry.accesslog import AccessLog
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.tls.material import Contexts, Material, MissingError, check_tls
from gatekeeper.tls.pem import PemError

BACKLOG = 4096
# Bytes for a client that the kernel holds and has not sent, roughly; without this a client that stalls in the middle of
# a large answer holds 4 MB there (tcp_wmem), and 5,000 of them 20 GB. What is on its way does not count, so clients far
# away are served as fast as ever.
KERNEL_UNSENT = 128 * 1024
# A drain that nobody timed (the supervisor is gone) ends after this many seconds.
ORPHAN_DRAIN_SECONDS = 30.0
# While draining, connections are still taken for this long: handshakes that have begun are finished by then, as long as
# clients are less than this away.
LAST_ACCEPTS_SECONDS = 0.1
# Ctrl-C, and what a service manager sends to every process of a service: the supervisor's to act on.
NOT_OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
# Bytes on their way to a supervisor: some seconds of what is recorded for judges at full load.
MAX_UNREAD = 1024 * 1024
# How often a drain looks whether it may end, seconds.
DRAIN_LOOK_SECONDS = 0.01

monotonic = time.monotonic


class Control(asyncio.Protocol):
    """The worker's end of the channel."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ChannelError as error:
            complain(f"the supervisor's channel is broken, serving on without it: {error}")
            if self._transport is not None:
                self._transport.close()
            return
        for message in messages:
            self._worker.take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._worker.orphaned()

    @property
    def behind(self) -> bool:
        """Whether the supervisor does not read: what can wait is to wait, for it would be held here."""
        return self._transport is not None and self._transport.get_write_buffer_size() > MAX_UNREAD

    def send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))


class Worker:
    """``state`` is what it routes by; None until the first message."""

    def __init__(
        self, block: Block, sockets: list[socket.socket], names: list[str], lent: Collection[str] = ()
    ) -> None:
        """``names`` are what the settings call the ``sockets``; those that are ``lent`` live on when all of us end."""
        self._sockets = sockets
        self._names = names
        self._lent = frozenset(lent)
        self._contexts = Contexts(Material())
        self._recorder = Recorder(block)
        self._control = Control(self)
        self._servers: list[asyncio.Server] = []
        self._table: RoutingTable | None = None
        self._state: State | None = None
        self._slots_of: dict[str, dict[str, int]] = {}
        self._plane: Plane | None = None
        self._log = AccessLog("off", dropped=self._recorder.log_dropped)
        self._ended: asyncio.Event = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening = False
        self._orphan = False

    async def run(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(report_exception)
        loop.add_signal_handler(signal.SIGTERM, self._asked_to_end)
        loop.add_signal_handler(signal.SIGUSR1, self._asked_to_leave)
        for number in NOT_OURS:
            loop.add_signal_handler(number, lambda: None)
        await loop.create_unix_connection(lambda: self._control, sock=channel)
        await self._ended.wait()
        self._log.close()

    def _asked_to_end(self) -> None:
        """SIGTERM. While the supervisor lives, ending is its decision: it knows the time that services want."""
        if self._orphan:
            self._drain(ORPHAN_DRAIN_SECONDS)

    def _asked_to_leave(self) -> None:
        """SIGUSR1. The same where others accept from the sockets it has: a program that took over, or did not."""
        if self._orphan:
            self._drain(ORPHAN_DRAIN_SECONDS, frozenset(self._names))

    def orphaned(self) -> None:
        self._orphan = True
        if self._plane is not None:
            self._plane.orphaned()
        if not self._listening:
            self._ended.set()  # never served anybody and never will: nobody can tell it what to serve

    # Messages

    def take(self, message: Message) -> None:
        kind = message["type"]
        if kind == "state":
            self._take_state(message)
        elif kind == "backends":
            if self._plane is not None:
                self._plane.set_backend_states(message["states"], message.get("warm"))
                if not self._listening:
                    self._listening = True
                    self._spawn(self._listen())
        elif kind == "credentials":
            self._take_credentials(message)
        elif kind == "ping":
            self._control.send(self._pong(message["n"]))
        elif kind == "judge":
            if self._plane is not None:
                self._plane.judge(message["cases"])
        elif kind == "judge_flags":
            if self._plane is not None:
                self._plane.judge_flags(message["cases"])
        elif kind == "mirror":
            if self._plane is not None:
                self._plane.mirror(message["checks"])
        elif kind == "reopen":
            self._reopen_log(message["serial"])
        elif kind == "leave":
            self._leave(message["service"], message["version"], float(message["seconds"]))
        elif kind == "drain":
            shared = message.get("shared", False)
            self._drain(float(message["seconds"]), frozenset(self._names if shared is True else shared or ()))

    def _take_state(self, message: Message) -> None:
        revision = message["revision"]
        try:
            state, slots = merge(message, self._state, self._slots_of)
            table = compile(state, slots, self._table)
            check_tls(state, self._contexts)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the old table goes on and the supervisor hears it
            self._control.send({"type": "nack", "revision": revision, "why": f"{type(error).__name__}: {error}"})
            return
        if self._plane is None:
            workers = state.settings.workers or len(os.sched_getaffinity(0))
            self._plane = Plane(asyncio.get_running_loop(), self._recorder, self._log, workers=workers)
            self._spawn(self._plane.run_sweeps(self._flush))
            if state.settings.access_file is not None:
                self._log.reopen(state.settings.access_file, _told)
        if self._state is None or self._state.settings.log != state.settings.log:
            self._log.set_format(state.settings.log.access)
        self._state, self._table, self._slots_of = state, table, slots
        self._plane.swap(table, state)
        self._plane.secure(state, self._contexts)
        self._recorder.revision(revision)
        # What this turn decided by the old table is written with the acknowledgement, not after it. Waiting for the
        # next turn instead cost an operator's change a turn of every worker: of 10 ms under full load, 2.5.
        self._plane.flush()
        self._control.send({"type": "ack", "revision": revision})

    def _take_credentials(self, message: Message) -> None:
        """Certificates and keys, for the present state and the next one; connections that are there keep theirs."""
        contexts = Contexts(Material.of_message(message))
        why = ""
        try:
            if self._plane is not None and self._state is not None:
                self._plane.secure(self._state, contexts)
            self._contexts = contexts
        except (PemError, MissingError) as error:
            why = str(error)
        self._control.send({"type": "credentials_taken", "serial": message["serial"], "why": why})

    def _reopen_log(self, serial: str) -> None:
        loop = asyncio.get_running_loop()

        def done(why: str) -> None:  # in the log's thread
            with contextlib.suppress(RuntimeError):  # this process ends, and its loop was faster
                loop.call_soon_threadsafe(self._control.send, {"type": "reopened", "serial": serial, "why": why})

        path = None if self._state is None else self._state.settings.access_file
        if path is None:
            done("")
        else:
            self._log.reopen(path, done)

    def _send_spans(self) -> None:
        """What was traced lately; nobody waits for a supervisor that does not read, or for one that is gone."""
        tracer = None if self._plane is None else self._plane.tracer
        if tracer is None:
            return
        rows, lost = tracer.take()
        if rows and (self._orphan or self._control.behind):
            lost += len(rows)
        elif rows:
            self._control.send({"type": "spans", "spans": rows})
        if lost:
            self._recorder.spans_dropped(lost)

    def _flush(self) -> None:
        self._log.flush()
        self._send_spans()
        if self._plane is not None:
            self._recorder.lag(self._plane.lag)
            if rows := self._plane.backends.outcomes():
                self._control.send({"type": "outcomes", "backends": rows})
            recorded = self._plane.dockets.look(monotonic(), self._plane.connections, behind=self._control.behind)
            mirrored = self._plane.mirroring.look(monotonic(), behind=self._control.behind)
            for message in (*recorded, *mirrored):
                self._control.send(message)
            counted = self._plane.tally.look(monotonic(), behind=self._control.behind)
            if counted is not None:
                self._control.send(counted)

    def _pong(self, number: int) -> dict[str, Any]:
        plane = self._plane
        return {
            "type": "pong",
            "n": number,
            "connections": len(plane.connections) if plane else 0,
            "in_flight": plane.in_flight if plane else 0,
            "lag": plane.lag if plane else 0.0,
            "rss": resident_bytes(),
        }

    # Listening and stopping

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        plane = self._plane
        if plane is None:
            return
        for sock, name in zip(self._sockets, self._names, strict=True):
            factory = partial(accept, plane, loop, name)
            if sock.family != socket.AF_UNIX:
                # Accepted connections inherit it. It also makes the kernel say early that a client does not read.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_UNSENT)
            # For unix sockets, too: ``create_unix_server`` would remove the path at its end, which is not ours to do.
            self._servers.append(await loop.create_server(factory, sock=sock, backlog=BACKLOG))
        # What lives until here lives for ever; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self._control.send({"type": "ready", "pid": os.getpid()})

    def _leave(self, service: str, version: str, seconds: float) -> None:
        """Nothing of a version is to be under way any more in ``seconds``; answered once, when that is so."""

        def report(finished: int, cut: int) -> None:
            left = {"service": service, "version": version, "finished": finished, "cut": cut}
            self._control.send({"type": "left", **left})

        if self._plane is None:
            report(0, 0)
        else:
            self._plane.leave(service, version, seconds, report)

    def _drain(self, seconds: float, shared: frozenset[str] = frozenset()) -> None:
        """``shared`` are the names of sockets that others accept from: for them it is enough to stop."""
        if self._plane is None or self._plane.draining:
            return
        self._spawn(self._drain_within(seconds, shared | self._lent))

    async def _drain_within(self, seconds: float, shared: frozenset[str]) -> None:
        plane = self._plane
        if plane is None:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        before = plane.finished
        for server, name in zip(self._servers, self._names, strict=False):
            if name in shared:
                server.close()
        ours = [sock for sock, name in zip(self._sockets, self._names, strict=True) if name not in shared]
        plane.draining = True
        if ours:
            for sock in ours:
                leaving.admit_no_more(sock)
            await asyncio.sleep(min(LAST_ACCEPTS_SECONDS, seconds))
            while any(map(leaving.is_awaited, ours)) and loop.time() < end:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(DRAIN_LOOK_SECONDS)
        for server in self._servers:
            server.close()
        plane.leave_tunnels(end - loop.time())
        # Answers written but not yet taken by slow clients get the rest of the time, too.
        while plane.drain() and loop.time() < end:  # noqa: ASYNC110 - many events end this wait
            await asyncio.sleep(DRAIN_LOOK_SECONDS)
        for message in (*plane.dockets.close(monotonic(), plane.connections), *plane.mirroring.close()):
            self._control.send(message)
        drained = {"type": "drained", "cut": plane.in_flight, "finished": plane.finished - before}
        for departure in plane.departures:
            departure.cut()
        self._send_spans()
        counted = plane.tally.take()
        if counted is not None:
            self._control.send(counted)
        self._control.send(drained)
        for connection in list(plane.connections):
            connection.transport.abort()
        plane.backends.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._ended.set()

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(why: str) -> None:
    if why:
        complain(f"the access log goes to standard output: {why}")


def main(arguments: list[str]) -> None:
    channel_fd, block_fd, _index, *listeners = arguments
    raise_descriptor_limit()
    for number in NOT_OURS:
        signal.signal(number, signal.SIG_IGN)  # until the loop listens to them
    names = [listener.rpartition("=")[0] for listener in listeners]
    numbers = [listener.rpartition("=")[2].partition("+") for listener in listeners]
    sockets = [socket.socket(fileno=int(number)) for number, _, _ in numbers]
    lent = [name for name, (_, _, how) in zip(names, numbers, strict=True) if how]
    for sock in sockets:
        sock.setblocking(False)
    block = Block.attach(int(block_fd))
    # Requests make garbage without cycles; what the collector would look for is rare, and it stops all traffic while
    # it looks.
    gc.set_threshold(50_000, 20, 100)

    async def serve() -> None:
        worker = Worker(block, sockets, names, lent)
        await worker.run(socket.socket(fileno=int(channel_fd)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main(sys.argv[1:])
