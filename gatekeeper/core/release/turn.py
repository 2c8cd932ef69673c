"""One command's work on one release: what becomes of it, of its services, and what is told of that.

It collects; nothing is in force before ``outcome`` is. So what is refused halfway has changed nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gatekeeper.core.difference import compare
from gatekeeper.core.model import Release, ServiceState, State
from gatekeeper.core.outcome import Command, Outcome, plain
from gatekeeper.core.release import gates, moving
from gatekeeper.core.release.calendar import Offset, utc
from gatekeeper.core.release.commands import ReleaseCommand
from gatekeeper.core.release.model import LOG_KEPT, Entry, ReleaseState, Waiting


class Turn:
    """``base`` is the state before, under whose revision or the next (``revision``) the work is done."""

    def __init__(self, base: State, command: Command, now: float, release: Release, *, revision: int) -> None:
        self.base = base
        self.command = command
        self.now = now
        self.revision = revision
        self.release = release
        self.began = release
        """Before this turn."""
        self.was = release
        """Before the event that is happening."""
        self.keep: frozenset[str] = frozenset()
        """Services that stay as they are when the rest is put back."""
        self.put: dict[str, ServiceState] = {}
        self.events: list[dict[str, Any]] = []
        steady = command.steady if isinstance(command, ReleaseCommand) else None
        self.at = max(release.seen, now if steady is None else steady)
        """The release's own time."""

    # What there is

    def service(self, name: str) -> ServiceState:
        return self.put.get(name) or self.base.services[name]

    @property
    def offset(self) -> Offset:
        return self.command.offset if isinstance(self.command, ReleaseCommand) else utc

    @property
    def ready(self) -> bool | None:
        """Whether every candidate has a ready backend; None: not known."""
        known = self.command.ready if isinstance(self.command, ReleaseCommand) else None
        return None if known is None else all(known.get(name, False) for name in self.release.services)

    def waiting(self) -> tuple[Waiting, ...]:
        """What the next step waits for, see ``gates.waiting_for``."""
        ready = self.command.ready if isinstance(self.command, ReleaseCommand) else None
        return gates.waiting_for(self.base, self.release, self.now, self.offset, ready, self.at)

    # What is done

    def set(self, **changes: Any) -> None:
        self.release = replace(self.release, **changes)

    def tell(self, word: str, text: str, **data: Any) -> None:
        """An entry of the release's log and an event ``release_WORD``; ``data`` is for the event alone."""
        log = (*self.release.log, Entry(self.at, self.command.actor, word, text))
        if len(log) > LOG_KEPT:
            log = (log[0], *log[-LOG_KEPT + 1 :])
        self.set(log=log)
        self.mention(word, text, **data)

    def mention(self, word: str, text: str, **data: Any) -> None:
        """The event alone: for what may happen any number of times without changing much."""
        release = self.release
        self.events.append(
            {
                "kind": f"release_{word}",
                "release": release.id,
                "services": {move.service: move.to for move in release.moves},
                "state": release.state.value,
                "step": release.step,
                "text": text,
                **data,
                "revision": self.revision,
                "at": self.now,
                "actor": self.command.actor,
                "note": self.command.note,
            }
        )

    def step(self, percent: Decimal) -> None:
        """Give the candidates that much, all at once."""
        moves = []
        for move in self.release.moves:
            service, after = moving.stepped(
                self.service(move.service),
                move,
                percent,
                release=self.release.id,
                revision=self.revision,
                now=self.now,
            )
            self.put[move.service] = service
            moves.append(after)
        self.set(moves=tuple(moves))

    def make_stable(self) -> None:
        for move in self.release.moves:
            service = moving.made_stable(self.service(move.service), move, revision=self.revision, now=self.now)
            self.put[move.service] = service

    def put_back(self) -> None:
        """Undo all of it, but for services that are gone or to ``keep``."""
        for move in self.release.moves:
            if move.service in self.base.services and move.service not in self.keep:
                service = self.service(move.service)
                self.put[move.service] = moving.put_back(service, move, revision=self.revision, now=self.now)

    # What comes of it

    def finish(self, old: Release | None) -> None:
        """Stamp what changed, and note what it waits for now. ``old`` is the release of before."""
        if self.release.state not in (ReleaseState.PLANNED, ReleaseState.WAITING):
            self.set(waiting=())
        elif self.release != old:
            self.set(waiting=self.waiting())
        if self.release != old:
            # A wall clock that jumped must not end a hold: of what goes on only commands that count time tell it.
            counted = isinstance(self.command, ReleaseCommand) or not (self.release.active or self.release.retained)
            self.set(seen=self.at if counted else self.release.seen, revision=self.revision)
        self.put = {name: item for name, item in self.put.items() if item is not self.base.services.get(name)}

    def splits(self) -> dict[str, Any]:
        """The splits of before and after of the services that changed."""
        return {
            name: {
                "before": plain(self.base.services[name].running.split.weights),
                "after": plain(item.running.split.weights),
            }
            for name, item in self.put.items()
        }

    def outcome(self, releases: Mapping[int, Release] | None = None) -> Outcome:
        """The next revision, or the state of before where nothing changed. ``releases`` are those it joins."""
        state = self.base
        known = state.releases if releases is None else releases
        old = known.get(self.release.id)
        self.finish(old)
        if self.release == old and not self.put:
            return Outcome(state)
        after = replace(
            state,
            revision=self.revision,
            services={**state.services, **self.put},
            releases={**known, self.release.id: self.release},
        )
        if self.put:
            self.events[-1]["splits"] = self.splits()
        return Outcome(after, [*compare(state, after, only=self.put)], self.events)
