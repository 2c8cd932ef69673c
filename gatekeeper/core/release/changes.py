"""What differs between the releases, and the plans, of two states."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from gatekeeper.core.codec import dump
from gatekeeper.core.outcome import Change
from gatekeeper.core.release.model import Release
from gatekeeper.core.release.plan import Notify, Releasing
from gatekeeper.core.release.plan_changes import compare_plans
from gatekeeper.core.release.words import host

_SHOWN = ("state", "step", "reason", "waiting", "retained_until", "verdict")
"""What is shown of a release as it is."""
_TOLD = ("revision", "seen", "since", "log", "held", "ended_at")
"""What changes with everything else, and is told by that."""
_LINES: Final[Mapping[str, Callable[[Any], str]]] = {
    "approvals": lambda each: f"{each.actor} for {', '.join(each.groups)}, gate {each.gate}",
    "checks": lambda each: f"{each.service}, gate {each.gate}: {each.name} {'passed' if each.passed else 'failed'}",
    "skipped": lambda each: f"{each.what}, by {each.actor}: {each.reason}",
}
"""Lists, and how one of their items is shown: the whole of it is in the release."""


def compare_releases(before: Mapping[int, Release], after: Mapping[int, Release]) -> Iterator[Change]:
    """Of a release that both have, each part that changed; the growing lists by what was added.

    One that ``after`` does not have is no difference: it ended before, and from now on is kept by the store alone.
    """
    if before is after:
        return
    for number in [*before, *(number for number in after if number not in before)]:
        old, new = before.get(number), after.get(number)
        path = f"releases.{number}"
        if new is not None and old is None:
            yield Change(path, None, _summary(new))
        elif old is not None and new is not None and old != new:
            yield from _compare(path, old, new)


def compare_releasing(before: Releasing, after: Releasing) -> Iterator[Change]:
    """In the words of the file. What signs notifications is never shown, nor where at a host they go: both are secrets
    of whoever takes them, so only that they differ is.
    """
    if before is after:
        return
    for name in dict.fromkeys((*before.plans, *after.plans)):
        if before.plans.get(name) != after.plans.get(name):
            yield from compare_plans(f"plans.{name}", before.plans.get(name), after.plans.get(name))
    for name in dict.fromkeys((*before.groups, *after.groups)):
        if before.groups.get(name) != after.groups.get(name):
            yield Change(f"releases.{name}", dump(before.groups.get(name)), dump(after.groups.get(name)))
    for name in dict.fromkeys((*before.defaults, *after.defaults)):
        if before.defaults.get(name) != after.defaults.get(name):
            yield Change(f"services.{name}.plan", before.defaults.get(name), after.defaults.get(name))
    if before.freezes != after.freezes:
        yield Change("freeze", dump(before.freezes), dump(after.freezes))
    if before.notify != after.notify:
        was, now = ([_told(one) for one in each.notify] for each in (before, after))
        yield Change("notify", was, now if was != now else [*now, "with another path or secret"])


def _told(receiver: Notify) -> str:
    return f"{host(receiver.url)}: {', '.join(receiver.events) or 'all'}"


def _summary(release: Release) -> dict[str, Any]:
    return {
        "moves": {move.service: move.to for move in release.moves},
        "plan": release.plan.name,
        "state": release.state.value,
    }


def _compare(path: str, old: Release, new: Release) -> Iterator[Change]:
    for item in fields(Release):
        was, now = getattr(old, item.name), getattr(new, item.name)
        if was == now or item.name in _TOLD:
            continue
        if item.name in _SHOWN:
            yield Change(f"{path}.{item.name}", dump(was), dump(now))
        elif item.name == "moves":
            for one, other in zip(was, now, strict=True):
                if one.weights != other.weights:
                    yield Change(f"{path}.{one.service}, to go back to", dump(one.weights), dump(other.weights))
        elif item.name in _LINES:
            line = _LINES[item.name]
            gone = [line(each) for each in was if each not in now]
            added = [line(each) for each in now if each not in was]
            yield Change(f"{path}.{item.name}", gone or None, added or None)
        else:
            yield Change(f"{path}.{item.name}", dump(was), dump(now))
