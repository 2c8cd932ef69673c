"""What goes into the state file and comes out of it, as values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.model import Pending, Release, Releasing, Running, ServiceState, Settings, State, Weights
from gatekeeper.core.release.model import ReleaseState

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is 0 when the event could not be stored. ``at`` is wall seconds; ``data`` the rest, JSON-able."""

    id: int
    at: float
    kind: str
    revision: int | None
    data: Document

    def document(self) -> Document:
        return {**self.data, "id": self.id, "at": self.at, "kind": self.kind, "revision": self.revision}


@dataclass(frozen=True, slots=True)
class Audit:
    """Who asked for what, and what came of it.

    ``via`` is how the actor was known: ``uid 1000``, ``token``, ``signal``, ``gatekeeper``. ``outcome`` is ``done``,
    ``unchanged`` (it was so already), ``refused`` or ``undone``; ``revision`` the one it made, if it made one.
    ``service`` is what it is about, for a flag ``flag NAME``.
    ``detail`` is the note of what was done, the reason of what was not. ``at`` is wall seconds; ``id`` grows.
    """

    at: float
    actor: str
    via: str
    action: str
    service: str
    revision: int | None
    outcome: str
    detail: str = ""
    id: int = 0

    def document(self) -> Document:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Once:
    """A command that must act once however often it is sent: known by ``key`` and ``actor``.

    ``fingerprint`` tells it from other commands under the same key. ``describe`` makes the answer to be kept, a JSON
    object, from the state the command leaves.
    """

    key: str
    actor: str
    fingerprint: str
    describe: Callable[[State], Document]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered under a key. ``base`` and ``revision`` are before and after; equal if nothing changed.

    ``changes`` are those of the revision, as long as the history has it; they are read, never written.
    """

    key: str
    actor: str
    fingerprint: str
    base: int
    revision: int
    document: Document
    changes: Sequence[Document] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """What differs between two states, each service whole; empty parts did not change."""

    running: Mapping[str, Running] = field(default_factory=dict)
    definitions: Mapping[str, ServiceState | None] = field(default_factory=dict)
    """Services whose definition, or what was deployed over it, changed; None = gone."""
    outline: tuple[Settings, tuple[str, ...], Releasing] | None = None
    """Settings, the names of the services in order, and what the file says of releases."""
    pending: tuple[Pending, ...] | None = None
    releases: Mapping[int, Release] = field(default_factory=dict)
    left: tuple[int, ...] = ()
    """Releases that are no part of the state any more."""
    flags: Mapping[str, FlagState | None] = field(default_factory=dict)
    """Those that changed; None = gone."""

    @classmethod
    def between(cls, old: State | None, new: State) -> "Delta":
        """``old`` None: from nothing."""
        before = old.services if old is not None else {}
        running: dict[str, Running] = {}
        definitions: dict[str, ServiceState | None] = {name: None for name in before if name not in new.services}
        for name, service in new.services.items():
            known = before.get(name)
            # Identity first: a command leaves the services it does not touch as they are, and comparing deep is slow.
            if known is service:
                continue
            if known is None or (known.running is not service.running and known.running != service.running):
                running[name] = service.running
            if known is None or _defined(known) != _defined(service):
                definitions[name] = service
        names = tuple(new.services)
        same = (
            old is not None
            and tuple(before) == names
            and old.settings == new.settings
            and old.releasing == new.releasing
        )
        releases, left = _releases(old.releases if old is not None else {}, new.releases)
        return cls(
            running,
            definitions,
            outline=None if same else (new.settings, names, new.releasing),
            pending=None if (old.pending if old is not None else ()) == new.pending else new.pending,
            releases=releases,
            left=left,
            flags=_flags(old.flags if old is not None else {}, new.flags),
        )


def _defined(service: ServiceState) -> tuple[object, ...]:
    running = service.running
    return service.definition, running.deployed, running.retired, running.promoted


def _flags(old: Mapping[str, FlagState], new: Mapping[str, FlagState]) -> dict[str, FlagState | None]:
    if old is new:
        return {}
    changed = {name: each for name, each in new.items() if each is not old.get(name) and each != old.get(name)}
    return {**changed, **dict.fromkeys(name for name in old if name not in new)}


def _releases(old: Mapping[int, Release], new: Mapping[int, Release]) -> tuple[dict[int, Release], tuple[int, ...]]:
    """Those that are written, and those of them and of others that are no part of the new state."""
    written = {number: each for number, each in new.items() if each is not old.get(number) and each != old.get(number)}
    left = tuple(number for number in old if number not in new)
    return written | {number: _never_was(old[number]) for number in left if old[number].active}, left


def _never_was(release: Release) -> Release:
    """An active one leaves the state only together with the change that started it. It must not look like one that
    goes on.
    """
    why = "what started it was taken back"
    return replace(release, state=ReleaseState.ABORTED, reason=why, ended_at=release.seen)


@dataclass(frozen=True, slots=True)
class Record:
    """One command's rows, written together or not at all. ``at`` is wall seconds.

    ``revision`` is None for a command that was granted and changed nothing: it may still have an ``answer`` to keep.
    ``events`` are JSON-able objects with at least a text ``kind``. ``file`` is the digest of the configuration file, if
    it was taken up. ``forget`` is actor and key of an answer that does not hold any more.
    """

    revision: int | None
    at: float
    actor: str
    action: str
    note: str = ""
    changes: Sequence[Document] = ()
    delta: Delta = Delta()
    events: Sequence[Mapping[str, Any]] = ()
    file: str | None = None
    answer: Answer | None = None
    forget: tuple[str, str] | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge of one service of a release knew after its second ``at``; ``wall`` is when it was written.

    ``dump`` is a JSON object, see ``control.judging.case``.
    """

    release: int
    service: str
    at: int
    wall: float
    dump: Document


@dataclass(frozen=True, slots=True)
class FlagHeld:
    """What a revision made of a flag."""

    weights: Weights
    on: bool
    killed: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One row of the history. ``weights`` are the splits it set, by service; ``flags`` those that it changed (None:
    gone).
    """

    revision: int
    at: float
    actor: str
    action: str
    note: str
    changes: list[Document]
    weights: dict[str, Weights]
    flags: dict[str, FlagHeld | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a start finds.

    ``revision`` is the last one, 0 in a new file. ``running`` is what ran of every service that ever was. ``state`` is
    the whole of it; None in a new file, and in one of an older gatekeeper that did not keep definitions. ``file`` is
    the digest of the configuration file that was taken up last.
    """

    revision: int
    running: dict[str, Running]
    state: State | None
    file: str
