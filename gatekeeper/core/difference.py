"""What differs between two states, in the words of the file. Secrets are never shown, only that they differ."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from hashlib import blake2b
from typing import Any

from gatekeeper.core.codec import dump
from gatekeeper.core.flags.changes import compare_flags, past_flags
from gatekeeper.core.model import (
    Ejection,
    Pending,
    Releasing,
    Running,
    Service,
    ServiceState,
    Settings,
    Split,
    State,
    Testers,
    Trip,
    Version,
    Weights,
)
from gatekeeper.core.outcome import Change, plain
from gatekeeper.core.past import Past, PastService
from gatekeeper.core.release.changes import compare_releases, compare_releasing

_IN_FILE = {
    "admin_socket": "admin.socket",
    "admin_http": "admin.http",
    "admin_tokens": "admin.tokens",
    "admin_users": "admin.users",
    "ofrep_rate": "admin.ofrep.rate",
}
"""Settings whose key in the file is another."""
_PART_IN_FILE = {"networks": "from", "out": "for", "least": "min"}
"""Likewise parts of values."""


def compare(before: State, after: State, only: Container[str] | None = None) -> Iterator[Change]:
    """Every difference, from ``before`` to ``after``; of the services ``only`` these are looked at, if given."""
    if before.settings is not after.settings:
        for item in fields(Settings):
            name = _IN_FILE.get(item.name, item.name)
            yield from _differ(name, getattr(before.settings, item.name), getattr(after.settings, item.name))
    for name in [*before.services, *(name for name in after.services if name not in before.services)]:
        if only is not None and name not in only:
            continue
        path = f"services.{name}"
        old, new = before.services.get(name), after.services.get(name)
        if old is None or new is None:
            yield Change(path, old and _summary(old), new and _summary(new))
        elif old is not new:
            yield from _compare_services(path, old, new)
    yield from compare_flags(before.flags, after.flags)
    yield from compare_releasing(before.releasing, after.releasing)
    yield from compare_pending(before.pending, after.pending)
    yield from compare_releases(before.releases, after.releases)


def compare_pending(before: Iterable[Pending], after: Iterable[Pending]) -> Iterator[Change]:
    """Which changes wait to be confirmed, and until when (wall seconds)."""
    old = {item.revision: _waiting(item) for item in before}
    new = {item.revision: _waiting(item) for item in after}
    for revision in [*old, *(revision for revision in new if revision not in old)]:
        if old.get(revision) != new.get(revision):
            yield Change(f"pending.{revision}", old.get(revision), new.get(revision))


def _waiting(pending: Pending) -> dict[str, Any]:
    flags = {"flags": list(pending.flags)} if pending.flags else {}
    return {"deadline": pending.deadline, "actor": pending.actor, "services": list(pending.before), **flags}


def _summary(service: ServiceState) -> dict[str, Any]:
    return {"versions": list(service.definition.versions), "split": plain(service.running.split.weights)}


def _compare_services(path: str, before: ServiceState, after: ServiceState) -> Iterator[Change]:
    old, new = before.definition, after.definition
    yield from _compare_running(path, before, after)
    if old is new:
        return
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


def _compare_running(path: str, before: ServiceState, after: ServiceState) -> Iterator[Change]:
    """What operators and the trip-wire decided; the order of its parts is that of how much they matter."""
    old, new = before.running, after.running
    if old is new:
        return
    yield from _compare_weights(f"{path}.split", old.split.weights, new.split.weights)
    yield from _differ_by_name(f"{path}.tripped", old.tripped, new.tripped)
    yield from _differ_by_name(f"{path}.draining", old.draining, new.draining)
    said = {rule.name: rule for rule in before.definition.rules}
    for rule in after.definition.rules:
        # Where the rule itself changed, that is the difference.
        name = rule.name
        if said.get(name) == rule and name in old.rules and name in new.rules:
            yield from _compare_weights(f"{path}.rule_splits.{name}", old.rules[name].weights, new.rules[name].weights)
    # A retired version that appears or goes is shown as that; here is what no version shows.
    for name in [*old.retired, *(name for name in new.retired if name not in old.retired)]:
        shown = (name in before.definition.versions) != (name in after.definition.versions)
        if (name in old.retired) != (name in new.retired) and not shown:
            yield Change(f"{path}.retired.{name}", name in old.retired or None, name in new.retired or None)
    if old.promoted != new.promoted and before.definition.stable == after.definition.stable:
        yield Change(f"{path}.promoted", dump(old.promoted), dump(new.promoted))


def _compare_weights(path: str, old: Weights, new: Weights) -> Iterator[Change]:
    if dict(old) != dict(new):
        yield Change(path, plain(old), plain(new))


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
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _differ_by_name(path, old, new)
    elif is_dataclass(old) and type(old) is type(new):
        for item in fields(old):
            at = f"{path}.{_PART_IN_FILE.get(item.name, item.name)}"
            yield from _differ_in_part(at, old, dump(getattr(old, item.name)), dump(getattr(new, item.name)))
    elif isinstance(old or new, Ejection | Trip):
        yield Change(path, _switch(dump(old)), _switch(dump(new)))
    else:
        yield Change(path, dump(old), dump(new))


def _differ_by_name(path: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield Change(f"{path}.{name}", dump(old.get(name)), dump(new.get(name)))


def _differ_in_part(path: str, of: object, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(of, Testers) and path.endswith(".keys"):
        # They sign passes: whoever reads a difference must not be able to.
        yield Change(path, f"{len(old)} keys", f"{len(new)} keys, changed")
    else:
        yield Change(path, old, new)


def _switch(value: dict[str, Any] | None) -> Any:
    """What can be ``off``, in the words of the file."""
    return "off" if value is None else {_PART_IN_FILE.get(key, key): item for key, item in value.items()}


def past_state(past: Past, like: Past | State | None = None) -> State:
    """An earlier revision as a State that can be compared, and nothing else: who owns which unit is not kept.

    What the history did not keep is taken from ``like``, so that it does not show as a difference.
    """
    settings = past.settings or (like.settings if like is not None else None) or Settings()
    releasing = past.releasing or (like.releasing if like is not None else None) or Releasing()
    services = {name: _past_service(name, was, like) for name, was in past.services.items()}
    flags = past_flags(past.flags, like.flags if like is not None else None)
    releases = like.releases if isinstance(like, State) else {}
    return State(0, settings, services, releasing=releasing, releases=releases, flags=flags)


def _past_service(name: str, was: PastService, like: Past | State | None) -> ServiceState:
    other = like.services.get(name) if like is not None else None
    definition = was.definition or (other.definition if other is not None else None)
    if definition is None:
        stable = next(iter(was.weights))
        definition = Service(name, {version: Version(version, ()) for version in was.weights}, stable, was.weights)
    running = Running(Split(was.weights, {}, ""), "", deployed=was.deployed, retired=was.retired, promoted=was.promoted)
    if was.definition is None and other is not None:
        of_other = other.running if isinstance(other, ServiceState) else other
        running = replace(running, deployed=of_other.deployed, retired=of_other.retired, promoted=of_other.promoted)
    if isinstance(other, ServiceState):
        kept = other.running
        running = replace(running, tripped=kept.tripped, draining=kept.draining, rules=kept.rules)
    return ServiceState(definition, running)
