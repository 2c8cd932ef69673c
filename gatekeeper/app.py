"""The composition root: what ``gatekeeper serve`` puts together, in which order it starts and stops.

Start, each step undone in reverse if a later one fails:

    logs -> [hand-over: hello, what the program before leaves] -> state file (locked) -> first state, durable
    -> feed -> listening sockets -> metrics blocks -> admin sockets -> first round of health checks
    -> workers, ready -> [hand-over: ready] -> controller, admin server -> workers left behind are sent away

The last step comes last on purpose: until everything of ours stands, workers that outlived a killed supervisor keep
serving; and no command takes effect before they have stopped accepting, so that no reply promises too much.

Stop: readiness off -> no further command -> listening sockets closed, workers drain -> health, admin, feed, store.
SIGTERM and SIGINT stop, a second one cuts; SIGHUP reloads; SIGUSR2 hands over to a new program
(``control.upgrade``).
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from gatekeeper import __version__, places
from gatekeeper.assembly import assemble
from gatekeeper.clock import Clock, SystemClock
from gatekeeper.config import ConfigError
from gatekeeper.control import logs
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.tokens import Tokens, TokensError
from gatekeeper.control.controller import Controller
from gatekeeper.control.dashboard.pulse import Pulse
from gatekeeper.control.deadlines import Deadlines
from gatekeeper.control.feed import Feed
from gatekeeper.control.flags.schedule import Schedule
from gatekeeper.control.gate import Gate
from gatekeeper.control.releases.office import Office
from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store
from gatekeeper.control.succession.estate import Estate
from gatekeeper.control.succession.given import Gifts, Given
from gatekeeper.control.succession.handover import HandoverError
from gatekeeper.control.succession.upgrade import Heir, Upgrade
from gatekeeper.core import routing
from gatekeeper.core.model import Definition
from gatekeeper.errors import GatekeeperError
from gatekeeper.loader import FileLoader, load_tokens, token_file_problems, token_problems
from gatekeeper.replay import replay
from gatekeeper.rotation import LogsError, Rotation, start_logs
from gatekeeper.signals import Reloads, Succession
from gatekeeper.simulation import simulate_plan
from gatekeeper.surroundings import Surroundings
from gatekeeper.systemd import SystemdError

__all__ = ["FileLoader", "Supervisor", "replay", "serve", "simulate_plan", "token_file_problems", "token_problems"]

log = logging.getLogger("gatekeeper.app")

DONE, FAILED, WRONG_FILE = 0, 1, 2

STOP_SECONDS: Final = 15.0
"""What stopping may take beside the drain, each step of it bounded by itself."""


class StartError(GatekeeperError):
    """What it cannot start without; the text names the place and the way out."""


def serve(path: str) -> int:
    """Run until told to stop. Returns the exit code: 0 stopped as asked, 1 failed, 2 the file is wrong."""
    try:
        surroundings = Surroundings.found()
    except (SystemdError, HandoverError) as error:
        _say(str(error))
        return FAILED
    loader = FileLoader(path)
    try:
        definition = loader.file()
        tokens = load_tokens(definition)
    except (ConfigError, TokensError) as error:
        surroundings.failed(str(error))
        _say(*str(error).splitlines())
        return WRONG_FILE
    try:
        writer = start_logs(definition.settings)
    except LogsError as error:
        surroundings.failed(str(error))
        _say(str(error))
        return FAILED
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(Supervisor(loader, definition, tokens, surroundings, writer=writer).run())
    except (GatekeeperError, OSError) as error:
        reason = str(error) if isinstance(error, GatekeeperError) else f"cannot start: {error}"
        surroundings.failed(reason)
        _say(reason)
        return FAILED
    finally:
        surroundings.close()
        logs.stop_logging(writer)


def _prepare(path: str, key: str) -> None:
    """Make the directory of what ``key`` names. Raises StartError with the way out."""
    try:
        places.prepare(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(
            f"{path}: its directory cannot be used ({reason}); make it and let this user write there, or name another "
            f"`{key}:`"
        ) from error


def _settle_memory() -> None:
    """Tell the collector that what is there now stays: a full look at it took 12 to 18 ms, for which a command and its
    caller, and everything else here, had to wait.
    """
    gc.collect()
    gc.freeze()


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"gatekeeper: {line}\n")


class Supervisor:
    """Everything of one run. ``run`` returns when it has stopped."""

    def __init__(
        self,
        loader: FileLoader,
        definition: Definition,
        tokens: Tokens,
        surroundings: Surroundings | None = None,
        *,
        clock: Clock | None = None,
        writer: logs.LogWriter | None = None,
    ) -> None:
        self._loader = loader
        self._definition = definition
        self._tokens = tokens
        self._clock = clock or SystemClock()
        self._around = surroundings or Surroundings()
        self._notifier = self._around.notifier
        self._stop = asyncio.Event()
        self._stopping = ""
        """The signal that ended it."""
        self._serving = False
        self._reloads = Reloads(self._notifier)
        self._rotation = Rotation(writer)
        self._succession = Succession()

    # Set by ``_start``, in this order.
    _store: Store
    _feed: Feed
    _gate: Gate
    _controller: Controller
    _admin: Admin
    _parts: Parts
    _deadlines: Deadlines
    _schedule: Schedule
    _office: Office

    async def run(self) -> int:
        """Raises GatekeeperError or OSError when it cannot start; everything is undone then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._reloads.ask)
        loop.add_signal_handler(signal.SIGUSR1, self._rotation.ask)
        loop.add_signal_handler(signal.SIGUSR2, self._succession.ask)
        async with AsyncExitStack() as stack:
            if await self._unless_stopped(self._start(stack)):
                self._serving = True
                _settle_memory()
                watchdog = asyncio.create_task(self._notifier.watch(lambda: self._controller.running))
                reloads = asyncio.create_task(self._reloads.run(self._parts))
                stack.callback(watchdog.cancel)
                stack.callback(self._rotation.start(self._parts, self._gate).cancel)
                await self._until_asked()
                await asyncio.gather(self._deadlines.stop(), self._schedule.stop(), self._office.stop())
                await self._succession.close("it is stopping")
                if (heir := self._succession.heir) is not None:
                    watchdog.cancel()
                    reloads.cancel()
                    await self._leave(heir)
                else:
                    reloads.cancel()
                    await self._drain()
        return DONE

    async def _until_asked(self) -> None:
        """Until a signal says to stop, or a new program has taken over."""
        waits = [asyncio.create_task(self._stop.wait()), asyncio.create_task(self._succession.done.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _unless_stopped(self, starting: Coroutine[Any, Any, None]) -> bool:
        """Whether ``starting`` came to its end; False when a signal came first. Raises what ``starting`` raises."""
        task = asyncio.create_task(starting)
        stop = asyncio.create_task(self._stop.wait())
        waits: set[asyncio.Task[Any]] = {task, stop}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            return False
        task.result()
        return True

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._definition.settings
        path = settings.state or places.default_state()
        socket_path = settings.admin_socket or places.default_socket()
        _prepare(path, "state")
        _prepare(socket_path, "admin.socket")

        estate = await self._inherit(path)
        gifts = Gifts(estate.sockets)
        stack.callback(gifts.close)
        self._store = await asyncio.to_thread(Store.open, path)
        stack.callback(self._store.close)
        started = self._clock.wall()
        state, notes = await first_state(self._store, self._definition, entropy=secrets.token_hex(32), now=started)
        for note in notes:
            log.warning(note)
        self._feed = Feed(self._store, self._clock)
        await self._feed.start()
        stack.push_async_callback(self._feed.stop)

        self._gate = gate = Gate(state, self._store.path, self._feed.tell, self._clock, estate=estate, gifts=gifts)
        stack.push_async_callback(gate.close)
        await gate.open()
        self._controller = Controller(
            state=state,
            compile_table=lambda new, previous: routing.compile(new, gate.assign(new), previous),
            journal=self._store,
            publish=gate.publish,
            feed=self._feed,
            clock=self._clock,
            workers=len(gate.blocks),
        )
        self._office = Office(self._controller, gate, self._feed, self._store, self._clock, self._loader.directory)
        stack.push_async_callback(self._office.close)
        self._parts = self._make_parts(started)
        gate.sampled = Pulse(self._parts, gate.window).beat
        self._feed.listeners.append(self._parts.dashboard.hear)
        await self._parts.dashboard.marks.recall(self._store, started)
        self._admin = Admin(self._parts, path=socket_path, http=settings.admin_http)
        stack.push_async_callback(self._admin.stop)
        self._admin.bind(gifts)
        self._refuse_strays(gifts)
        await gate.start()

        follows = await self._around.predecessor.ready(gifts.taken) if self._around.predecessor is not None else False
        self._admin.keep()
        self._controller.start()
        stack.push_async_callback(self._controller.stop)
        await self._admin.start()
        self._deadlines = Deadlines(self._controller, self._clock)
        stack.push_async_callback(self._deadlines.stop)
        self._schedule = Schedule(self._controller, self._clock)
        stack.push_async_callback(self._schedule.stop)
        if follows:
            gate.succeed()
        else:
            # Whoever hands over and dies leaves workers that accept from the very sockets ours have.
            await gate.replace_orphans(shared=bool(estate.pid))
        self._succession.open(
            Upgrade(
                admin=self._admin,
                controller=self._controller,
                store=self._store,
                feed=self._feed,
                gate=gate,
                office=self._office,
                environment=lambda: {**os.environ, **self._notifier.environment()},
            )
        )
        self._deadlines.start()
        self._schedule.start()
        await self._office.start()
        gate.guard(self._controller.submit, self._office.runner.look_soon)
        self._notifier.tell(READY=1, MAINPID=os.getpid(), STATUS="serving")
        self._feed.tell(
            {
                "kind": "started",
                "version": __version__,
                "pid": os.getpid(),
                "workers": len(gate.blocks),
                "listening": gate.listeners.addresses,
                "admin": socket_path,
                "state": self._store.path,
                **({"after_pid": estate.pid, "after_version": estate.version} if estate.pid else {}),
            }
        )
        if follows and self._around.predecessor is not None:
            reports = asyncio.create_task(self._around.predecessor.reports(self._feed.tell, gate.hear_flagged))
            stack.callback(reports.cancel)

    async def _inherit(self, state_path: str) -> Estate:
        """What the program before leaves, or the service manager holds for us."""
        if self._around.predecessor is not None:
            return await self._around.predecessor.inherit(os.path.realpath(state_path))  # noqa: ASYNC240 - at the start
        return Estate(sockets=[Given(each.sock, each.label, lent=True) for each in self._around.passed])

    def _refuse_strays(self, gifts: Gifts) -> None:
        """A socket of the manager's that nobody serves would let clients wait for ever."""
        served = {name for name, _ in gifts.taken if name}
        if strays := [each.label for each in gifts.left if each.lent and each.name not in served]:
            raise StartError(
                f"the service manager passes the socket {', '.join(strays)}, and the file does not listen there; "
                "name the same address in `listen` or `admin`, or remove it from the socket unit"
            )
        gifts.close()

    def _make_parts(self, started: float) -> Parts:
        return assemble(
            gate=self._gate,
            controller=self._controller,
            store=self._store,
            feed=self._feed,
            office=self._office,
            loader=self._loader,
            clock=self._clock,
            started=started,
            not_ready=self._not_ready,
            troubles=self._rotation.troubles,
            tokens_path=self._definition.settings.admin_tokens,
            tokens=self._tokens,
        )

    def _not_ready(self) -> Sequence[str]:
        if self._stopping:
            return [f"gatekeeper is stopping ({self._stopping})"]
        return [] if self._gate.fleet.ready else ["no worker is ready"]

    # Signals

    def _asked_to_stop(self, name: str) -> None:
        if (self._stopping and self._serving) or self._succession.heir is not None:
            self._gate.fleet.cut()
        self._stopping = self._stopping or name
        self._stop.set()

    async def _leave(self, heir: Heir) -> None:
        # Said by us, as the manager listens to its main process alone, and before the heir speaks for itself.
        self._notifier.tell(MAINPID=heir.successor.pid, STATUS="serving; the program before finishes its requests")
        report = await self._succession.leave(heir)
        done = {"finished": report.finished, "cut": report.cut, "workers_killed": report.killed}
        log.info("left to the program that took over", extra={"successor": heir.successor.pid, **done})

    async def _drain(self) -> None:
        seconds = self._gate.drain_seconds
        self._notifier.tell(
            STOPPING=1,
            STATUS=f"stopping: requests have {seconds:g} s to finish",
            EXTEND_TIMEOUT_USEC=round((seconds + STOP_SECONDS) * 1e6),
        )
        await self._controller.stop()
        self._feed.tell({"kind": "stopping", "reason": self._stopping, "drain": seconds})
        report = await self._gate.drain()
        self._feed.tell(
            {"kind": "stopped", "finished": report.finished, "cut": report.cut, "workers_killed": report.killed}
        )
