"""What stands on the time axis of a chart: the events that moved users, or would have, each in a short line."""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from gatekeeper.control.store.rows import Event

Document = dict[str, Any]

MARKS: Final = 200
"""Of one service, the newest: more cannot be told apart on a screen."""
SERVICES: Final = 1_000
"""Services with marks; a command of any other name cannot be made, so this is a second bound behind the first."""
TEXT: Final = 160
"""Characters of a line; notes and reasons may be longer and stand in the history."""
SECONDS: Final = 600.0
"""As long as the past of the numbers."""
RECALLED: Final = 1_000
"""Events that are read again at a start: ten minutes of a busy release."""
_OF_A_RELEASE: Final = frozenset(
    f"release_{word}"
    for word in ("started", "step", "paused", "resumed", "verdict", "promoted", "rejected", "aborted", "rolled_back")
)


class History(Protocol):
    async def last_events(self, limit: int) -> list[Event]: ...


class Marks:
    """``hear`` every event; ``of`` gives a service's marks, ``fresh`` those since it was asked last."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[Document]] = {}
        self._fresh: dict[str, list[Document]] = {}

    def hear(self, event: Event) -> None:
        """Never fails, whatever an event of another gatekeeper's file holds."""
        for service, mark in marks_of(event).items():
            if service not in self._marks and len(self._marks) >= SERVICES:
                continue
            self._marks.setdefault(service, deque(maxlen=MARKS)).append(mark)
            self._fresh[service] = [*self._fresh.get(service, ()), mark][-MARKS:]

    async def recall(self, history: History, now: float) -> None:
        """What the state file knows of the last ten minutes: a program that has just started was told of nothing.

        Raises StoreError.
        """
        for event in await history.last_events(RECALLED):
            if event.at >= now - SECONDS:
                self.hear(event)

    def of(self, service: str, since: float) -> list[Document]:
        """Those after wall second ``since``, the oldest first."""
        return [mark for mark in self._marks.get(service, ()) if mark["at"] >= since]

    def fresh(self) -> Mapping[str, list[Document]]:
        """By service: what came since this was asked last."""
        found, self._fresh = self._fresh, {}
        return found

    def keep(self, services: Collection[str]) -> None:
        """Forget the marks of services that are gone."""
        self._marks = {name: marks for name, marks in self._marks.items() if name in services}


def marks_of(event: Event) -> dict[str, Document]:
    """The event's mark for each service it concerns; nothing of one that moves nobody."""
    data = event.data
    if event.kind in _OF_A_RELEASE:
        text = data.get("text")
        return {
            service: _mark(event, str(text), version)
            for service, version in _pairs(data.get("services"))
            if isinstance(text, str)
        }
    service = data.get("service")
    if not isinstance(service, str) or not service:
        return {service: _mark(event, text, None) for service, text in _of_several(event)}
    text, version = _line(event.kind, data)
    return {service: _mark(event, text, version)} if text else {}


def _of_several(event: Event) -> list[tuple[str, str]]:
    """Changes of whole definitions: one line for each service whose weights they changed."""
    if event.kind == "undone":
        names = event.data.get("services")
        known = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        return [(name, "the change undid itself") for name in known]
    found: dict[str, str] = {}
    changes = event.data.get("changes")
    for change in changes if isinstance(changes, list) and event.kind in ("reload", "restored", "start") else []:
        if not isinstance(change, dict):
            continue
        first, _, rest = str(change.get("path", "")).partition(".")
        if first == "services" and rest.endswith(".split"):
            found[rest.removesuffix(".split")] = _weights(change.get("after"))
    return [*found.items()]


def _line(kind: str, data: Mapping[str, Any]) -> tuple[str, str | None]:
    """A short line, "" where the event is no mark; and the version it is about, where it is about one."""
    version = data["version"] if isinstance(data.get("version"), str) else None
    match kind:
        case "split":
            return _weights(data.get("after")), None
        case "rollback":
            return f"rolled back: {_weights(data.get('after'))}", None
        case "restored":
            return f"revision {data.get('restored')} restored: {_weights(data.get('after'))}", None
        case "tripped":
            return f"{version} tripped: {data.get('reason')}", version
        case "trip_reset":
            versions = data.get("versions")
            return f"trip-wire reset: {', '.join(map(str, versions)) if isinstance(versions, list) else 'all'}", None
        case "deployed":
            build = f", build {data['build']}" if data.get("build") else ""
            return f"{version} deployed{build}", version
        case "retired":
            return f"{version} retired", version
        case "version_draining":
            return f"{version} drains", version
    return "", None


def _weights(weights: object) -> str:
    if not isinstance(weights, dict):
        return "gone" if weights is None else str(weights)
    return ", ".join(f"{name} {weight}" for name, weight in weights.items()) or "no version"


def _pairs(services: object) -> list[tuple[str, str]]:
    return [(str(name), str(version)) for name, version in services.items()] if isinstance(services, dict) else []


def _mark(event: Event, text: str, version: str | None) -> Document:
    actor = event.data.get("actor")
    return {
        "at": event.at,
        "kind": event.kind,
        "text": text if len(text) <= TEXT else text[: TEXT - 1] + "…",
        "revision": event.revision,
        "version": version,
        "actor": actor if isinstance(actor, str) else None,
    }
