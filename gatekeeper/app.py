"""The composition root: what ``gatekeeper serve`` puts together, in which order it starts and stops.

Start, each step undone in reverse if a later one fails:

    logs -> state file (locked) -> first state, durable -> feed -> listening sockets -> metrics blocks
    -> first round of health checks -> workers, ready -> admin server -> workers left behind are sent away

The last step comes last on purpose: until everything of ours stands, workers that outlived a killed supervisor keep
serving; and no command takes effect before they have stopped accepting, so that no reply promises too much.

Stop: readiness off -> no further command -> listening sockets closed, workers drain -> health, admin, feed, store.
SIGTERM and SIGINT stop, a second one cuts; SIGHUP reloads.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from gatekeeper import __version__, places
from gatekeeper.clock import Clock, SystemClock
from gatekeeper.config import ConfigError, load_file, load_text
from gatekeeper.control import logs
from gatekeeper.control.admin import Admin
from gatekeeper.control.auth import Tokens, TokensError
from gatekeeper.control.controller import Controller
from gatekeeper.control.feed import Feed
from gatekeeper.control.gate import Gate
from gatekeeper.control.parts import Parts
from gatekeeper.control.start import first_state
from gatekeeper.control.store import Store
from gatekeeper.control.views import Sights
from gatekeeper.control.wire import ProblemError
from gatekeeper.control.writes import reload_file
from gatekeeper.core import routing
from gatekeeper.core.model import Definition
from gatekeeper.errors import GatekeeperError
from gatekeeper.telemetry.exposition import Exposition

log = logging.getLogger("gatekeeper.app")

DONE, FAILED, WRONG_FILE = 0, 1, 2

PROBLEMS_TOLD: Final = 100
"""Problems of one refused reload that go into the log and the events; the rest is counted."""


class StartError(GatekeeperError):
    """What it cannot start without; the text names the place and the way out."""


def serve(path: str) -> int:
    """Run until told to stop. Returns the exit code: 0 stopped as asked, 1 failed, 2 the file is wrong."""
    loader = FileLoader(path)
    try:
        definition = loader.file()
        tokens = load_tokens(definition)
    except (ConfigError, TokensError) as error:
        _say(*str(error).splitlines())
        return WRONG_FILE
    writer = logs.start_logging(definition.settings.log.level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(Supervisor(loader, definition, tokens).run())
    except GatekeeperError as error:
        _say(str(error))
        return FAILED
    except OSError as error:
        _say(f"cannot start: {error}")
        return FAILED
    finally:
        logs.stop_logging(writer)


def load_tokens(definition: Definition) -> Tokens:
    """Who may come over TCP. Raises TokensError with everything that is wrong in the file that is named."""
    path = definition.settings.admin_tokens
    return Tokens.load(path) if path is not None else Tokens()


def token_problems(definition: Definition) -> list[dict[str, Any]]:
    """Everything that is wrong in the token file that is named, in the form of the API's problems."""
    try:
        load_tokens(definition)
    except TokensError as error:
        return list(error.problems)
    return []


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


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"gatekeeper: {line}\n")


class FileLoader:
    """Reads the configuration; ``control.parts.Loader``."""

    def __init__(self, path: str) -> None:
        # A reload must find the file whatever the working directory is by then.
        self._path = Path(path).absolute()
        self._shown = path

    def file(self) -> Definition:
        return load_file(self._path if Path(self._shown).is_absolute() else self._shown)

    def text(self, text: str) -> Definition:
        return load_text(text, "body", self._path.parent)


class Supervisor:
    """Everything of one run. ``run`` returns when it has stopped."""

    def __init__(
        self, loader: FileLoader, definition: Definition, tokens: Tokens, *, clock: Clock | None = None
    ) -> None:
        self._loader = loader
        self._definition = definition
        self._tokens = tokens
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self._stopping = ""
        """The signal that ended it."""
        self._serving = False
        self._reload_wanted = asyncio.Event()

    # Set by ``_start``, in this order.
    _store: Store
    _feed: Feed
    _gate: Gate
    _controller: Controller
    _parts: Parts

    async def run(self) -> int:
        """Raises GatekeeperError or OSError when it cannot start; everything is undone then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        async with AsyncExitStack() as stack:
            if await self._unless_stopped(self._start(stack)):
                self._serving = True
                reloads = asyncio.create_task(self._reloads())
                await self._stop.wait()
                reloads.cancel()
                await self._drain()
        return DONE

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

        self._store = await asyncio.to_thread(Store.open, path)
        stack.callback(self._store.close)
        started = self._clock.wall()
        state, notes = await first_state(self._store, self._definition, entropy=secrets.token_hex(32), now=started)
        for note in notes:
            log.warning(note)
        self._feed = Feed(self._store, self._clock)
        await self._feed.start()
        stack.push_async_callback(self._feed.stop)

        self._gate = gate = Gate(state, self._store.path, self._feed.tell, self._clock)
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
        await gate.start()

        self._parts = self._make_parts(started)
        admin = Admin(self._parts, path=socket_path, http=settings.admin_http)
        self._controller.start()
        stack.push_async_callback(self._controller.stop)
        await admin.start()
        stack.push_async_callback(admin.stop)
        await gate.replace_orphans()
        self._feed.tell(
            {
                "kind": "started",
                "version": __version__,
                "pid": os.getpid(),
                "workers": len(gate.blocks),
                "listening": gate.listeners.addresses,
                "admin": socket_path,
                "state": self._store.path,
            }
        )

    def _make_parts(self, started: float) -> Parts:
        gate = self._gate
        exposition = Exposition(
            lambda: gate.blocks, gate.slots.names, lambda: gate.view(self._controller.state), gate.window
        )
        return Parts(
            controller=self._controller,
            store=self._store,
            feed=self._feed,
            sights=Sights(
                workers=gate.workers,
                health=gate.monitor.health,
                live=gate.window.live,
                not_ready=self._not_ready,
                started=started,
            ),
            loader=self._loader,
            metrics=exposition.render,
            clock=self._clock,
            renew=gate.keyring.renew,
            tokens_path=self._definition.settings.admin_tokens,
            tokens=self._tokens,
        )

    def _not_ready(self) -> Sequence[str]:
        if self._stopping:
            return [f"gatekeeper is stopping ({self._stopping})"]
        return [] if self._gate.fleet.ready else ["no worker is ready"]

    # Signals

    def _asked_to_stop(self, name: str) -> None:
        if self._stopping and self._serving:
            self._gate.fleet.cut()
        self._stopping = self._stopping or name
        self._stop.set()

    async def _reloads(self) -> None:
        """One after the other; signals that come during one ask for one more, not for many."""
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await reload_file(self._parts, actor="SIGHUP")
            except ProblemError as problem:
                self._refused(problem.document)

    def _refused(self, document: Mapping[str, Any]) -> None:
        problems = document["problems"]
        for each in problems[:PROBLEMS_TOLD]:
            # A prefix, since the logging module keeps names like "message" for itself.
            log.error("reload refused", extra={f"problem_{key}": value for key, value in each.items()})
        self._feed.tell(
            {
                "kind": "reload_refused",
                "actor": "SIGHUP",
                "reason": document["detail"],
                "problems": problems[:PROBLEMS_TOLD],
                "problems_in_all": len(problems),
            }
        )

    async def _drain(self) -> None:
        await self._controller.stop()
        self._feed.tell({"kind": "stopping", "reason": self._stopping, "drain": self._gate.drain_seconds})
        report = await self._gate.drain()
        self._feed.tell(
            {"kind": "stopped", "finished": report.finished, "cut": report.cut, "workers_killed": report.killed}
        )
