"""The one writer: takes commands one after the other and turns each into the next revision, or refuses it.

For every command, in this order, each step only if the one before it succeeded:

1. ``core.command.apply`` makes the next State (pure); a refusal has touched nothing.
2. The routing table is compiled (pure); what cannot be compiled has touched nothing.
3. The store writes it. A write error refuses the command, raises the alarm, and the old revision stays.
4. The workers take it up. Those that do not in time are replaced, so afterwards nobody routes by the old revision.
   If it cannot be sent at all, it is undone by a further revision equal to the old one, and refused.
5. Only now ``state`` and ``table`` move, the events go out, and the reply.

Readers (``state``, ``table``) need no lock: both are immutable and swapped in one step between two awaits.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.control.feed import Feed
from gatekeeper.control.store import Event, Record, StoreError
from gatekeeper.core import codec
from gatekeeper.core.command import Command, Outcome, Refused, Reload, Rollback, apply
from gatekeeper.core.model import Running, State, Weights
from gatekeeper.core.routing import RoutingTable
from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.control")

QUEUE: Final = 256
"""Commands waiting. At a few milliseconds each the last waits a second; more is a program gone wild, not operators."""
REPLY_SECONDS: Final = 25.0
"""How long a caller waits for its reply: longer than PUBLISH_SECONDS, shorter than a client's patience (30 s)."""
PUBLISH_SECONDS: Final = 15.0
"""The fleet bounds its own waits (2 s, then a replacement); this is for a fleet that hangs in spite of it."""


class Taken(Protocol):
    """How many of the workers route by a revision; those that do not were ended."""

    @property
    def acknowledged(self) -> int: ...
    @property
    def total(self) -> int: ...


class Journal(Protocol):
    async def append(self, record: Record) -> list[Event]: ...
    async def weights_at(self, service: str, revision: int) -> Weights | None: ...
    async def kept(self, services: Sequence[str]) -> dict[str, Running]: ...


Publish = Callable[[State, State], Awaitable[Taken]]
"""Takes the state of before and the new one. Afterwards no worker routes by the former: those that did not acknowledge
were ended, and their successors begin with the new one. Raises when it could not send it at all."""
Compile = Callable[[State, RoutingTable | None], RoutingTable]


@dataclass(frozen=True, slots=True)
class Result:
    """``state`` is what holds now, or for a dry run what would; ``base`` the revision it was made from.

    ``changes`` are JSON-able objects with path, before and after. ``ms`` is milliseconds since the command was begun.
    """

    state: State
    base: int
    changes: list[Any]
    events: list[Event]
    acknowledged: int
    total: int
    ms: float
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Order:
    command: Command
    dry_run: bool
    reply: asyncio.Future[Result]


class Controller:
    """``start`` before ``submit``; ``stop`` finishes the command under way and refuses the rest."""

    def __init__(
        self,
        *,
        state: State,
        compile_table: Compile,
        journal: Journal,
        publish: Publish,
        feed: Feed,
        clock: Clock,
        workers: int = 0,
    ) -> None:
        """``state`` is durable and taken up by all ``workers`` already. Raises what compiling it raises."""
        self.state = state
        self.table = compile_table(state, None)
        self.trouble: str | None = None
        """Why the last write failed; None while the state file takes writes."""
        self._compile = compile_table
        self._journal = journal
        self._publish = publish
        self._feed = feed
        self._clock = clock
        self._taken = (workers, workers)
        self._queue: asyncio.Queue[_Order | None] = asyncio.Queue(QUEUE)
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="controller")

    async def stop(self) -> None:
        self._stopping = True
        if self._task is not None:
            if self._queue.empty():
                self._queue.put_nowait(None)  # wakes the task, which then sees that it is to end
            await self._task
            self._task = None

    async def submit(self, command: Command, *, dry_run: bool = False) -> Result:
        """Queue a command and wait until it has taken effect everywhere.

        Raises Refused: what ``apply`` says, or 503 ``busy``, ``stopping``, ``store_failed``, ``not_taken_up``, 500
        ``internal``; nothing has changed then. 504 ``outcome_unknown`` alone means that it may still take effect.
        """
        if self._stopping or self._task is None:
            raise Refused(503, "stopping", "gatekeeper is stopping", "ask again when it runs")
        reply: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait(_Order(command, dry_run, reply))
        except asyncio.QueueFull:
            raise Refused(503, "busy", f"{QUEUE} commands are waiting already", "ask again in a second") from None
        try:
            # A caller that goes away cancels the reply: a command not begun is then not carried out.
            async with asyncio.timeout(REPLY_SECONDS):
                return await reply
        except TimeoutError:
            raise Refused(
                504,
                "outcome_unknown",
                f"no outcome after {REPLY_SECONDS:g} s: the disk or the workers are slow",
                "see `gatekeeper status`; the command is dropped if it has not begun, else it may still take effect",
            ) from None

    async def _run(self) -> None:
        while True:
            order = await self._queue.get()
            if order is None or self._stopping:
                self._refuse_rest(order)
                return
            if order.reply.done():  # the caller went away before anything began
                continue
            try:
                result = await self._carry_out(order.command, dry_run=order.dry_run)
            except Refused as refusal:
                self._settle(order.reply, refusal)
            except Exception as error:
                log.exception("command failed", extra={"actor": order.command.actor})
                self._settle(
                    order.reply,
                    Refused(500, "internal", f"gatekeeper failed ({type(error).__name__})", "see its log; report it"),
                )
            else:
                if not order.reply.done():
                    order.reply.set_result(result)

    def _refuse_rest(self, order: _Order | None) -> None:
        while True:
            if order is not None:
                self._settle(order.reply, Refused(503, "stopping", "gatekeeper is stopping", "ask again when it runs"))
            if self._queue.empty():
                return
            order = self._queue.get_nowait()

    @staticmethod
    def _settle(reply: asyncio.Future[Result], refusal: Refused) -> None:
        if not reply.done():
            reply.set_exception(refusal)

    async def _carry_out(self, command: Command, *, dry_run: bool) -> Result:
        began = self._clock.monotonic()
        old = self.state
        outcome = apply(old, await self._resolve(command), self._clock.wall())
        events: list[Event] = []
        if outcome.state.revision != old.revision:
            try:
                table = self._compile(outcome.state, self.table)
            except (GatekeeperError, ValueError) as error:
                raise Refused(
                    422, "cannot_be_routed", f"no routing table can be made of it: {error}", "see that part of the file"
                ) from error
            if not dry_run:
                async with self._feed.order:
                    events = await self._take_effect(command, outcome, table)
        return Result(
            state=outcome.state,
            base=old.revision,
            changes=codec.dump(outcome.changes),
            events=events,
            acknowledged=self._taken[0],
            total=self._taken[1],
            ms=(self._clock.monotonic() - began) * 1000,
            dry_run=dry_run,
        )

    async def _resolve(self, command: Command) -> Command:
        """Look up what the pure function cannot: what the history and the store hold."""
        try:
            match command:
                case Rollback(service=service, to_revision=int(revision), weights=None):
                    return replace(command, weights=await self._journal.weights_at(service, revision))
                case Reload():
                    new = [name for name in command.definition.services if name not in self.state.services]
                    return replace(command, stored=await self._journal.kept(new)) if new else command
        except StoreError as error:
            raise Refused(503, "store_failed", str(error), "make the state file readable and ask again") from error
        return command

    async def _take_effect(self, command: Command, outcome: Outcome, table: RoutingTable) -> list[Event]:
        record = self._record(command, outcome.state, self.state, codec.dump(outcome.changes), outcome.events)
        events = await self._store(record)
        why = await self._take_up(self.state, outcome.state)
        if why is None:
            self.state, self.table = outcome.state, table
            self._feed.emit(events)
            return events
        self._feed.emit(events)
        await self._undo(command, outcome.state, table, why)
        raise Refused(
            503,
            "not_taken_up",
            f"revision {outcome.state.revision} could not be sent to the workers ({why}); "
            f"revision {self.state.revision} put back what held before",
            "see the log of the workers",
        )

    def _record(
        self, command: Command, new: State, old: State, changes: Sequence[Any], events: Sequence[Mapping[str, Any]]
    ) -> Record:
        who = {"actor": command.actor, "note": command.note}
        return Record(
            revision=new.revision,
            at=self._clock.wall(),
            actor=command.actor,
            action=str(events[0]["kind"]) if events else type(command).__name__.lower(),
            note=command.note,
            changes=changes,
            running=changed_running(old, new),
            events=[{**who, **event} for event in events],
            definition=changed_definition(old, new),
        )

    async def _store(self, record: Record) -> list[Event]:
        try:
            events = await self._journal.append(record)
        except Exception as error:
            # Whatever went wrong, memory and traffic have not moved; a store must not fail by halves.
            why = str(error) or type(error).__name__
            log.error("state not written", extra={"reason": why, "revision": record.revision})  # noqa: TRY400
            self.trouble = why
            data = {"actor": record.actor, "action": record.action, "reason": why}
            self._feed.emit([Event(0, record.at, "store_failed", self.state.revision, data)])
            raise Refused(
                503,
                "store_failed",
                f"the change could not be written, so it was not made: {why}",
                f"revision {self.state.revision} stays; make the state file writable and ask again",
            ) from error
        if self.trouble is not None:
            self.trouble = None
            self._feed.tell({"kind": "store_recovered", "revision": record.revision})
        return events

    async def _take_up(self, old: State, new: State) -> str | None:
        """Why ``new`` could not be sent, or None when it was."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                taken = await self._publish(old, new)
        except TimeoutError:
            return f"no answer within {PUBLISH_SECONDS:g} s"
        except Exception as error:
            log.exception("publishing failed", extra={"revision": new.revision})
            return str(error) or type(error).__name__
        self._taken = (taken.acknowledged, taken.total)
        return None

    async def _undo(self, command: Command, failed: State, table: RoutingTable, why: str) -> None:
        """Put back what held before ``failed``, which is stored, as a revision of its own."""
        old, revision = self.state, failed.revision + 1
        changed = changed_running(old, failed)
        services = {
            name: replace(service, running=replace(service.running, revision=revision)) if name in changed else service
            for name, service in old.services.items()
        }
        back = replace(old, revision=revision, services=services)
        record = self._record(command, back, failed, [], [{"kind": "undone", "undid": failed.revision, "reason": why}])
        try:
            events = await self._store(record)
        except Refused as refusal:
            # What is on disk is what a restart would bring back: better that memory says the same than a nicer lie.
            self.state, self.table = failed, table
            raise Refused(
                500,
                "not_taken_up",
                f"revision {failed.revision} is stored, could not be sent to the workers ({why}) and not be undone",
                "see the log of the workers; a restart goes on with that revision",
            ) from refusal
        self.table = self._compile(back, self.table)
        self.state = back
        if (again := await self._take_up(failed, back)) is not None:
            log.error("no worker follows", extra={"revision": revision, "reason": again})
        self._feed.emit(events)


def changed_running(old: State | None, new: State) -> dict[str, Running]:
    """What the store must write to go from ``old`` (None: from nothing) to ``new``."""
    before = old.services if old is not None else {}
    return {
        name: service.running
        for name, service in new.services.items()
        # Identity first: a command leaves the services it does not touch as they are, and comparing deep is slow.
        if (known := before.get(name)) is None
        or (known.running is not service.running and known.running != service.running)
    }


def changed_definition(old: State, new: State) -> str | None:
    """The digest of the new definition, None if it is the old one."""
    same = old.settings == new.settings and list(old.services) == list(new.services)
    if same and all(old.services[name].definition is service.definition for name, service in new.services.items()):
        return None
    return digest(new)


def digest(state: State) -> str:
    """Equal for equal definitions, across processes; hexadecimal."""
    services = {name: codec.dump(service.definition) for name, service in state.services.items()}
    text = json.dumps([codec.dump(state.settings), services], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
