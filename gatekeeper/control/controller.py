"""The one writer: takes commands one after the other and turns each into the next revision, or refuses it.

For every command, in this order, each step only if the one before it succeeded:

1. A command that was carried out before under the same key is answered as it was then, and nothing happens.
2. ``core.command.apply`` makes the next State (pure); a refusal has touched nothing.
3. The routing table is compiled (pure); what cannot be compiled has touched nothing.
4. The store writes it. A write error refuses the command, raises the alarm, and the old revision stays.
5. The workers take it up. Those that do not in time are replaced, so afterwards nobody routes by the old revision.
   If it cannot be sent at all, it is undone by a further revision equal to the old one, and refused.
6. Only now ``state`` and ``table`` move, the events go out, and the reply.

Readers (``state``, ``table``) need no lock: both are immutable and swapped in one step between two awaits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeVar

from gatekeeper.clock import Clock
from gatekeeper.control.feed import Feed
from gatekeeper.control.line import Line
from gatekeeper.control.store import records
from gatekeeper.control.store.rows import Answer, Document, Event, Once, Record
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core import codec
from gatekeeper.core.command import Command, Refused, Reload, Restore, Rollback, apply
from gatekeeper.core.model import Running, State, Weights
from gatekeeper.core.past import Past
from gatekeeper.core.routing import RoutingTable
from gatekeeper.errors import GatekeeperError

__all__ = ["Controller", "Once", "Result"]

T = TypeVar("T")

log = logging.getLogger("gatekeeper.control")

PUBLISH_SECONDS: Final = 15.0
"""The fleet bounds its own waits (2 s, then a replacement); this is for a fleet that hangs in spite of it. Shorter than
``line.REPLY_SECONDS``."""


class Taken(Protocol):
    """How many of the workers route by a revision; those that do not were ended."""

    @property
    def acknowledged(self) -> int: ...
    @property
    def total(self) -> int: ...


class Journal(Protocol):
    async def append(self, record: Record) -> list[Event]: ...
    async def answer(self, actor: str, key: str, now: float) -> Answer | None: ...
    async def file(self) -> str: ...
    async def kept(self, services: Sequence[str]) -> dict[str, Running]: ...
    async def state_at(self, revision: int) -> Past | None: ...
    async def weights_at(self, service: str, revision: int) -> Weights | None: ...


Publish = Callable[[State, State], Awaitable[Taken]]
"""Takes the state of before and the new one. Afterwards no worker routes by the former: those that did not acknowledge
were ended, and their successors begin with the new one. Raises when it could not send it at all."""
Compile = Callable[[State, RoutingTable | None], RoutingTable]


@dataclass(frozen=True, slots=True)
class Result:
    """``state`` is what holds now, or for a dry run what would; ``base`` the revision it was made from.

    ``changes`` are JSON-able objects with path, before and after. ``ms`` is milliseconds since the command was begun.
    ``replayed``: the command had been carried out before under its key, now nothing was done; ``base``, ``changes`` and
    ``answer`` (what ``Once.describe`` said) are those of then.
    """

    state: State
    base: int
    changes: list[Any]
    acknowledged: int
    total: int
    ms: float
    dry_run: bool
    events: list[Event] = field(default_factory=list)
    replayed: bool = False
    answer: Document | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    command: Command
    dry_run: bool
    once: Once | None
    via: str

    @property
    def actor(self) -> str:
        return self.command.actor


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
        self._line: Line[_Order, Result] = Line(self._carry_out)
        self._moved = asyncio.Event()

    def start(self) -> None:
        self._line.start()

    async def stop(self) -> None:
        await self._line.stop()

    @property
    def running(self) -> bool:
        """Whether commands are taken, now or after ``resume``."""
        return self._line.running

    async def pause(self) -> None:
        """Finish the command under way and let those that come wait (as many and as long as ever) until ``resume``."""
        await self._line.pause()

    def resume(self) -> None:
        self._line.resume()

    async def changed(self, after: int) -> State:
        """The state, as soon as its revision is above ``after``."""
        while self.state.revision <= after:
            await self._moved.wait()
        return self.state

    async def submit(
        self, command: Command, *, dry_run: bool = False, once: Once | None = None, via: str = ""
    ) -> Result:
        """Queue a command and wait until it has taken effect everywhere. ``via`` is for the audit, see ``rows.Audit``.

        With ``once`` it takes effect at most once under that key, however often it is submitted within a day, also
        after a restart; what was refused or undone may be tried again.

        Raises Refused: what ``apply`` says, or 422 ``key_reused``, 503 ``busy``, ``stopping``, ``store_failed``,
        ``not_taken_up``, 500 ``internal``; nothing has changed then. 504 ``outcome_unknown`` alone means that it may
        still take effect.
        """
        return await self._line.submit(_Order(command, dry_run, once, via))

    async def _carry_out(self, order: _Order) -> Result:
        began = self._clock.monotonic()
        old = self.state
        try:
            if (kept := await self._answered(order)) is not None:
                told = {"replayed": True, "answer": kept.document}
                return self._result(order, old, kept.base, list(kept.changes), began, **told)
            outcome = apply(old, await self._resolve(order.command), self._clock.wall())
            table = self._compiled(outcome.state)
        except Refused as refusal:
            if not order.dry_run and refusal.status < 500:
                self._feed.note(records.refused(order.command, order.via, refusal, self._clock.wall()))
            raise
        changes = codec.dump(outcome.changes)
        if order.dry_run:
            return self._result(order, outcome.state, old.revision, changes, began)
        answer = None if order.once is None else records.answer(order.once, old.revision, outcome.state)
        record = records.granted(order.command, order.via, old, outcome, answer, self._clock.wall())
        known = await self._look(self._journal.file()) if record.file is not None else None
        events: list[Event] = []
        if table is not None:
            async with self._feed.order:
                events = await self._take_effect(order, record, outcome.state, table, known)
        elif record.answer is not None or record.file != known:
            await self._store(record)
        elif record.audit is not None:
            self._feed.note(record.audit)
        told = {"events": events, "answer": None if answer is None else answer.document}
        return self._result(order, outcome.state, old.revision, changes, began, **told)

    def _result(self, order: _Order, state: State, base: int, changes: list[Any], began: float, **more: Any) -> Result:
        return Result(
            state=state,
            base=base,
            changes=changes,
            acknowledged=self._taken[0],
            total=self._taken[1],
            ms=(self._clock.monotonic() - began) * 1000,
            dry_run=order.dry_run,
            **more,
        )

    # What comes before a command takes effect

    async def _answered(self, order: _Order) -> Answer | None:
        """What was answered to this very command before. Raises Refused when its key was another command's."""
        once = order.once
        if once is None or order.dry_run:
            return None
        kept = await self._look(self._journal.answer(once.actor, once.key, self._clock.wall()))
        if kept is not None and kept.fingerprint != once.fingerprint:
            raise Refused(
                422,
                "key_reused",
                f"the key {once.key!r} was used for another command, which led to revision {kept.revision}",
                "a new key for a new command",
            )
        return kept

    async def _resolve(self, command: Command) -> Command:
        """Look up what the pure function cannot: what the history and the store hold."""
        match command:
            case Rollback(service=service, to_revision=int(revision), weights=None):
                return replace(command, weights=await self._look(self._journal.weights_at(service, revision)))
            case Restore(revision=revision, past=None):
                past = await self._look(self._journal.state_at(revision))
                return replace(command, past=past, stored=await self._kept(past.services if past else ()))
            case Reload():
                return replace(command, stored=await self._kept(command.definition.services))
        return command

    async def _kept(self, names: Iterable[str]) -> dict[str, Running]:
        new = [name for name in names if name not in self.state.services]
        return await self._look(self._journal.kept(new)) if new else {}

    @staticmethod
    async def _look(reading: Awaitable[T]) -> T:
        try:
            return await reading
        except StoreError as error:
            raise Refused(503, "store_failed", str(error), "make the state file readable and ask again") from error

    def _compiled(self, new: State) -> RoutingTable | None:
        """The table of ``new``; None if that is the present state. Raises Refused when there can be none."""
        if new.revision == self.state.revision:
            return None
        try:
            return self._compile(new, self.table)
        except (GatekeeperError, ValueError) as error:
            raise Refused(
                422, "cannot_be_routed", f"no routing table can be made of it: {error}", "see that part of the file"
            ) from error

    # Taking effect

    async def _take_effect(
        self, order: _Order, record: Record, new: State, table: RoutingTable, file: str | None
    ) -> list[Event]:
        """``file`` is the digest known until now: one that the workers do not take up has to count as edited."""
        events = await self._store(record)
        why = await self._take_up(self.state, new)
        if why is None:
            self._become(new, table)
            self._feed.emit(events)
            return events
        self._feed.emit(events)
        await self._undo(order, new, table, why, file)
        raise Refused(
            503,
            "not_taken_up",
            f"revision {new.revision} could not be sent to the workers ({why}); "
            f"revision {self.state.revision} put back what held before",
            "see the log of the workers",
        )

    async def reclaim(self, left: State, file: str, why: str) -> None:
        """Go on after another program had the state file, wrote ``left`` and never came into service.

        What holds here becomes a revision above it; ``file`` is the digest of the file that was in force. To be called
        while paused. Raises Refused when it could not be stored.
        """
        async with self._feed.order:
            if left.revision == self.state.revision:
                await self._store(Record(None, self._clock.wall(), "gatekeeper", "undone", file=file))
                return
            old, back = self.state, records.taken_back(self.state, left)
            events = await self._store(records.reclaimed(left, back, why, file=file, at=self._clock.wall()))
            self._become(back, self._compile(back, self.table))
            if (again := await self._take_up(old, back)) is not None:
                log.error("no worker follows", extra={"revision": back.revision, "reason": again})
            self._feed.emit(events)

    def _become(self, state: State, table: RoutingTable) -> None:
        self.state, self.table = state, table
        self._moved.set()
        self._moved = asyncio.Event()

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
            self._feed.tell({"kind": "store_recovered"})
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

    async def _undo(self, order: _Order, failed: State, table: RoutingTable, why: str, file: str | None) -> None:
        """Put back what held before ``failed``, which is stored, as a revision of its own."""
        back = records.taken_back(self.state, failed)
        forget = (order.once.actor, order.once.key) if order.once is not None else None
        at = self._clock.wall()
        record = records.undone(order.command, order.via, failed, back, why, file=file, forget=forget, at=at)
        try:
            events = await self._store(record)
        except Refused as refusal:
            # What is on disk is what a restart would bring back: better that memory says the same than a nicer lie.
            self._become(failed, table)
            raise Refused(
                500,
                "not_taken_up",
                f"revision {failed.revision} is stored, could not be sent to the workers ({why}) and not be undone",
                "see the log of the workers; a restart goes on with that revision",
            ) from refusal
        self._become(back, self._compile(back, self.table))
        if (again := await self._take_up(failed, back)) is not None:
            log.error("no worker follows", extra={"revision": back.revision, "reason": again})
        self._feed.emit(events)
