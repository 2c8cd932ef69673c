"""What the running program does to be followed by a new one, and to go on as if nothing had happened when that fails.

The order is what makes it safe, each step undone in reverse:

    the new program reads and checks its file                            nothing has changed yet
    admin: callers wait in the sockets' queues, watchers are sent away   both see one program, the old or the new
    controller: the command under way is finished, others wait           the revision stands still
    judges: what they know is written down, what comes now waits         so the new program's begin there
    feed: what happens is kept back                                      so nothing is written
    store: closed and unlocked                                           so the new program can open it
    everything is given to the new program                               its workers accept beside ours: commit
"""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatekeeper import __version__
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.controller import Controller
from gatekeeper.control.feed import Feed
from gatekeeper.control.fleet.pace import DrainReport
from gatekeeper.control.gate import Gate
from gatekeeper.control.releases.office import Office
from gatekeeper.control.store.migrate import SCHEMA_VERSION
from gatekeeper.control.store.store import Store, StoreError
from gatekeeper.control.succession.handover import HandoverError, Successor, own_command
from gatekeeper.core.outcome import Refused

log = logging.getLogger("gatekeeper.upgrade")

COPY: Final = ".before-upgrade"
"""Ends the name of the copy of a state file that a newer program is about to migrate."""
AGAIN_SECONDS: Final = 1.0
"""Between two attempts to get the state file back."""


@dataclass(frozen=True, slots=True)
class Heir:
    """Who is in service now, and which of our sockets it took, by name and slot."""

    successor: Successor
    taken: set[tuple[str, int]]


class Upgrade:
    """``begin`` until it gives an heir; then ``leave``."""

    def __init__(
        self,
        *,
        admin: Admin,
        controller: Controller,
        store: Store,
        feed: Feed,
        gate: Gate,
        office: Office,
        environment: Callable[[], Mapping[str, str]] = lambda: os.environ,
        command: Sequence[str] | None = None,
    ) -> None:
        """``environment`` is that of the new program, ``command`` what starts it: as this one was, by default."""
        self._admin = admin
        self._controller = controller
        self._store = store
        self._feed = feed
        self._gate = gate
        self._office = office
        self._environment = environment
        self._command = command
        self._again: asyncio.Task[None] | None = None

    async def begin(self) -> Heir | None:
        """Start a new program and hand everything over. None when it did not come into service: all is as before."""
        successor = Successor(self._command or own_command(), self._environment())
        try:
            await successor.start()
            taken = await self._give(successor)
        except HandoverError as error:
            await successor.end()
            self._tell_failed(successor, str(error))
            return None
        except BaseException:  # told to stop in the middle of it
            await successor.end()
            raise
        log.info("handed over", extra={"pid": successor.pid, "version": successor.version})
        return Heir(successor, taken)

    async def leave(self, heir: Heir) -> DrainReport:
        """Let the heir answer from now on, finish what runs, and tell it what became of that."""
        await self._controller.stop()
        await heir.successor.release()
        self._feed.part()
        # Together: neither requests under way here nor those of the admin server need wait for the other.
        report, _ = await asyncio.gather(self._gate.leave(heir.taken), self._admin.leave(heir.taken))
        event = {
            "kind": "old_program_ended",
            "pid": os.getpid(),
            "version": __version__,
            "finished": report.finished,
            "cut": report.cut,
            "workers_killed": report.killed,
        }
        if report.counted:
            await heir.successor.send({"type": "flags", "of": report.counted})
        if not await heir.successor.send({"type": "event", "event": event}):
            self._feed.tell(event)
        heir.successor.forget()
        return report

    async def stop(self) -> None:
        """Give up getting the state file back, if that is still going on."""
        if self._again is not None:
            self._again.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._again

    async def _give(self, successor: Successor) -> set[tuple[str, int]]:
        file = await self._known_file()
        copy: Path | None = None
        await self._admin.pause("a new program takes over; reconnect with Last-Event-ID")
        await self._controller.pause()
        await self._office.pause()
        self._gate.set_aside()
        await self._feed.pause()
        try:
            await self._store.hand_over()
            copy = await asyncio.to_thread(self._copy, successor)
            estate = self._gate.estate()
            estate.pid, estate.version, estate.state_path = os.getpid(), __version__, self._store.path
            estate.sockets += self._admin.given
            taken = await successor.give(estate)
        except BaseException as error:
            await asyncio.shield(self._take_back(successor, file, copy, str(error) or type(error).__name__))
            raise
        if copy is not None:
            await asyncio.to_thread(copy.unlink, missing_ok=True)
        return taken

    async def _known_file(self) -> str:
        try:
            return await self._store.file()
        except StoreError as error:
            raise HandoverError(f"the state file cannot be read, so it is not handed over: {error}") from error

    def _copy(self, successor: Successor) -> Path | None:
        """Keep what a program with another schema is about to migrate: there is no way back from that."""
        if successor.schema == SCHEMA_VERSION or successor.state_path != self._store.path:
            return None
        try:
            return Path(shutil.copy2(self._store.path, self._store.path + COPY))
        except OSError as error:
            raise HandoverError(
                f"{self._store.path}{COPY} cannot be written ({error.strerror}); free space there"
            ) from error

    async def _take_back(self, successor: Successor, file: str, copy: Path | None, why: str) -> None:
        """Undo ``_give``; the new program is ended first, so that nobody else holds anything."""
        await successor.end()
        try:
            await self._reopen(copy)
        except StoreError as error:
            log.error("state file not got back", extra={"reason": str(error)})  # noqa: TRY400 - the reason says it all
            self._again = asyncio.create_task(self._reopen_later(file, copy, why))
            self._feed.resume()
        else:
            self._feed.resume()
            await self._reclaim(file, why)
        await self._gate.take_back(successor.state_path)
        self._controller.resume()
        await self._office.resume()
        await self._admin.resume()

    async def _reopen(self, copy: Path | None) -> None:
        if copy is not None:
            await asyncio.to_thread(_put_back, copy, self._store.path)
        await self._store.take_back()

    async def _reopen_later(self, file: str, copy: Path | None, why: str) -> None:
        """Meanwhile commands are refused with the reason, and traffic goes on."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            with contextlib.suppress(StoreError):
                await self._reopen(copy)
                break
        await self._controller.pause()
        await self._reclaim(file, why)
        self._controller.resume()

    async def _reclaim(self, file: str, why: str) -> None:
        """Above whatever revision the new program wrote, put one that is equal to ours."""
        try:
            left = await asyncio.to_thread(self._store.load)
            if left.state is not None and (left.revision != self._controller.state.revision or left.file != file):
                await self._controller.reclaim(left.state, file, f"the new program did not come into service: {why}")
        except (StoreError, Refused) as error:
            log.error("state file not in step", extra={"reason": str(error)})  # noqa: TRY400 - the reason says it all

    def _tell_failed(self, successor: Successor, reason: str) -> None:
        event: dict[str, Any] = {"kind": "handover_failed", "pid": successor.pid, "reason": reason}
        self._feed.tell({**event, "version": successor.version} if successor.version else event)


def _put_back(copy: Path, path: str) -> None:
    if copy.exists():
        for rest in ("-wal", "-shm"):
            Path(path + rest).unlink(missing_ok=True)
        copy.replace(path)
