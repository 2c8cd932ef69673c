"""A new definition: what it keeps, what it refuses, what it changes.

The file says what exists, the store says where the weights are now; so a reload keeps every running split unless told
otherwise, and a service that comes back after it was gone comes back as it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from typing import Any

from gatekeeper.core import running
from gatekeeper.core import split as splits
from gatekeeper.core.codec import dump
from gatekeeper.core.model import Definition, Running, Service, ServiceState, Settings, State, Version
from gatekeeper.core.outcome import Change, Command, Outcome, Problem, Refused, plain

_AT_START_ONLY = {
    "listen": "listen",
    "admin_socket": "admin.socket",
    "admin_http": "admin.http",
    "admin_tokens": "admin.tokens",
    "state": "state",
    "workers": "workers",
}
"""Settings that sockets, processes and files were made from, and their keys in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload(Command):
    """Make ``definition`` the definition. ``reset_split``: with the file's splits instead of the running ones.

    ``entropy`` is a fresh secret text of at least 32 hexadecimal digits; salts and secrets are derived from it.
    ``stored`` is what is kept of services that are not in the state, by name.
    """

    definition: Definition
    entropy: str
    reset_split: bool = False
    stored: Mapping[str, Running] = field(default_factory=dict)


def reload(state: State, command: Reload, now: float) -> Outcome:
    """The state with the new definition. Raises ``Refused`` (409) if a setting changed that needs a restart."""
    new = command.definition
    _refuse_restart(state.settings, new.settings)
    revision = state.revision + 1
    services: dict[str, ServiceState] = {}
    for name, definition in new.services.items():
        current = state.services.get(name)
        past = current.running if current is not None else command.stored.get(name)
        if past is None:
            present = running.begin(definition, command.entropy, revision=revision, now=now)
        else:
            present = running.carry(
                definition, past, command.entropy, revision=revision, now=now, reset_split=command.reset_split
            )
        if current is not None and current.definition == definition and present == current.running:
            services[name] = current
        else:
            services[name] = ServiceState(definition, replace(present, revision=revision, changed_at=now))
    after = State(revision, new.settings, services)
    changes = [*_compare(state, after)]
    if not changes:
        return Outcome(state)
    event = {
        "kind": "reload",
        "revision": revision,
        "at": now,
        "actor": command.actor,
        "note": command.note,
        "reset_split": command.reset_split,
        "changes": dump(changes),
    }
    return Outcome(after, changes, [event])


def initial_state(
    definition: Definition, stored: Mapping[str, Running], revision: int, entropy: str, now: float
) -> tuple[State, list[str]]:
    """The state to start with, numbered ``revision``: the file's services with what the store kept of them.

    The notes say where the two did not agree and what was done. Raises ``splits.SplitError``, naming the service, if
    what was kept is damaged.
    """
    services: dict[str, ServiceState] = {}
    notes: list[str] = []
    for name, service in definition.services.items():
        past = stored.get(name)
        if past is None:
            services[name] = ServiceState(service, running.begin(service, entropy, revision=revision, now=now))
            if stored:
                notes.append(f"service {name} is new: it starts with the split of the file")
            continue
        _check(name, past)
        present = running.carry(service, past, entropy, revision=revision, now=now)
        gone = [version for version in past.split.weights if version not in service.versions]
        if gone:
            notes.append(
                f"service {name}: {', '.join(gone)} is not in the file any more; the split is now "
                f"{_text(present.split.weights)}"
            )
        services[name] = ServiceState(service, present)
    notes.extend(
        f"service {name} is not in the file any more; its split is kept for its return"
        for name in stored
        if name not in definition.services
    )
    return State(revision, definition.settings, services), notes


def _check(name: str, past: Running) -> None:
    try:
        for split in (past.split, *past.rules.values()):
            splits.check(split)
    except splits.SplitError as error:
        raise splits.SplitError(
            f"the stored split of service {name} is damaged: {error}; restore the state file from a copy, "
            "or start with a new one to begin with the splits of the file"
        ) from error


def _refuse_restart(old: Settings, new: Settings) -> None:
    problems = [
        Problem(key, f"is {_shown(getattr(new, name))} in the new definition, {_shown(getattr(old, name))} is running")
        for name, key in _AT_START_ONLY.items()
        if getattr(new, name) != getattr(old, name)
    ]
    if problems:
        keys = ", ".join(problem.path for problem in problems)
        raise Refused(
            409,
            "needs_restart",
            f"a change of {keys} needs a restart",
            "a reload with these keys as they were, or a restart with the new file",
            problems,
        )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    if value == 0:  # of ``workers``, the only number among them
        return "auto"
    return "not set" if value in (None, "") else str(value)


def _text(weights: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={weight}" for name, weight in plain(weights).items())


def _compare(before: State, after: State) -> Iterator[Change]:
    """What differs, in the words of the file. Secrets are never shown, only that they differ."""
    for item in fields(Settings):
        yield from _differ(item.name, getattr(before.settings, item.name), getattr(after.settings, item.name))
    for name in [*before.services, *(name for name in after.services if name not in before.services)]:
        path = f"services.{name}"
        old, new = before.services.get(name), after.services.get(name)
        if old is None or new is None:
            yield Change(path, old and _summary(old), new and _summary(new))
        elif old is not new:
            yield from _compare_services(path, old, new)


def _summary(service: ServiceState) -> dict[str, Any]:
    return {"versions": list(service.definition.versions), "split": plain(service.running.split.weights)}


def _compare_services(path: str, before: ServiceState, after: ServiceState) -> Iterator[Change]:
    old, new = before.definition, after.definition
    if before.running.split.weights != after.running.split.weights:
        yield Change(f"{path}.split", plain(before.running.split.weights), plain(after.running.split.weights))
    for name in [*old.versions, *(name for name in new.versions if name not in old.versions)]:
        yield from _compare_versions(f"{path}.versions.{name}", old.versions.get(name), new.versions.get(name))
    yield from _compare_rules(path, old, new)
    for item in fields(Service):
        if item.name == "split":
            if dict(old.split) != dict(new.split):
                yield Change(f"{path}.split in the file", plain(old.split), plain(new.split))
        elif item.name == "error_pages":
            yield from _differ(f"{path}.error_pages", sizes(old.error_pages), sizes(new.error_pages))
        elif item.name not in ("versions", "rules"):
            yield from _differ(f"{path}.{item.name}", getattr(old, item.name), getattr(new, item.name))


def _compare_versions(path: str, old: Version | None, new: Version | None) -> Iterator[Change]:
    if old is None or new is None:
        yield Change(path, old and _urls(old), new and _urls(new))
        return
    for item in fields(Version):
        yield from _differ(f"{path}.{item.name}", getattr(old, item.name), getattr(new, item.name))


def _urls(version: Version) -> list[str]:
    return [backend.url for backend in version.backends]


def _compare_rules(path: str, old: Service, new: Service) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            yield Change(f"{path}.rules.{name}", dump(before.get(name)), dump(after.get(name)))
    kept = [name for name in before if name in after]
    order = [name for name in after if name in before]
    if kept != order:
        yield Change(f"{path}.rules, in order", kept, order)


def sizes(pages: Mapping[str, str]) -> dict[str, str]:
    """Error pages as they are shown: what is in them says the digest, for people it is too long."""
    return {
        status: f"{len(page.encode())} bytes, {blake2b(page.encode(), digest_size=4).hexdigest()}"
        for status, page in pages.items()
    }


def _differ(path: str, old: object, new: object) -> Iterator[Change]:
    if old == new:
        return
    before, after = dump(old), dump(new)
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield Change(path, before, after)
        return
    for key in [*before, *(key for key in after if key not in before)]:
        if key == "keys":
            # The keys of testers sign passes: whoever reads a difference must not be able to.
            if before[key] != after[key]:
                yield Change(f"{path}.{key}", f"{len(before[key])} keys", f"{len(after[key])} keys, changed")
        elif before.get(key) != after.get(key):
            yield Change(f"{path}.{_KEY_IN_FILE.get(key, key)}", before.get(key), after.get(key))


_KEY_IN_FILE = {"networks": "from"}
