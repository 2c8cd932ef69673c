"""What becomes of releases when something else changes their services: a retirement, the trip-wire, a new file.

A release stands on its candidate and on what was stable. When one of them goes, is tripped, drains or becomes another
build, the release ends: every service of it goes back, in the very revision of the change. When what a promoted release
could go back to goes, it is not retained any longer. Anything else that takes a version's weight changes what there is
to go back to.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gatekeeper.core.difference import compare
from gatekeeper.core.model import Release, ServiceState, State
from gatekeeper.core.outcome import Command, Outcome, Refused, plain
from gatekeeper.core.overlay import same_build
from gatekeeper.core.release.lifecycle import Event, fire
from gatekeeper.core.release.model import Move
from gatekeeper.core.release.moving import rebased
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import which


def follow(
    before: State, command: Command, outcome: Outcome, now: float, *, restored: int | None = None, reset: bool = False
) -> Outcome:
    """``outcome`` with what its change means for the releases. Raises ``Refused`` (409) for weights that are theirs.

    ``restored`` is the revision that was put back, ``reset`` that splits became the file's.
    """
    after = outcome.state
    if after is before or not after.releases:
        return outcome
    _refuse_weights(before, after, restored=restored is not None, reset=reset)
    why = "" if restored is None else f"revision {restored} was restored"
    state, told = settle(before, after, command, now, restored=why)
    if state is after:
        return outcome
    events = [dict(event) for event in outcome.events]
    for event in events:
        # What an event of one service says of its split is what holds in the end.
        if event.get("service") in state.services and "after" in event:
            event["after"] = plain(state.services[event["service"]].running.split.weights)
    touched = {name for name, item in state.services.items() if before.services.get(name) is not item}
    gone = before.services.keys() - state.services.keys()
    return Outcome(state, [*compare(before, state, only=touched | gone)], [*events, *told])


def settle(
    before: State, after: State, command: Command, now: float, *, restored: str = ""
) -> tuple[State, list[dict[str, Any]]]:
    """``after`` with the releases that cannot go on ended, and what is told of that; ``after`` itself if all can.

    ``restored`` is why services that changed are to stay as they are now, and end their releases; empty: they are not.
    """
    told: list[dict[str, Any]] = []
    state = after
    for release in after.releases.values():
        turn = Turn(state, command, now, release, revision=after.revision)
        if restored:
            turn.keep = frozenset(
                name for name in release.services if before.services.get(name) is not after.services.get(name)
            )
        if release.active:
            why = next(iter((turn.keep and [restored]) or _reasons(before, after, release)), "")
            if why:
                fire(turn, Event.WITHDRAWN, why)
        elif release.retained:
            why = next(iter(_lost(before, after, release)), "")
            if why:
                fire(turn, Event.RETENTION_OVER, why)
        if turn.release.active or turn.release.retained:
            turn.set(moves=tuple(_rebased(after, move) for move in turn.release.moves))
        turn.finish(release)
        if turn.release != release:
            releases = {**state.releases, release.id: turn.release}
            state = replace(state, services={**state.services, **turn.put}, releases=releases)
            if turn.put:
                turn.events[-1]["splits"] = turn.splits()
            told.extend(turn.events)
    return state, told


def _touched(
    before: State, after: State, release: Release
) -> Iterator[tuple[Move, ServiceState | None, ServiceState | None]]:
    """The moves whose service is another one than before, or is gone."""
    for move in release.moves:
        was, item = before.services.get(move.service), after.services.get(move.service)
        if was is not item or item is None:
            yield move, was, item


def _reasons(before: State, after: State, release: Release) -> list[str]:
    """Why the release cannot go on."""
    found = []
    for move, was, item in _touched(before, after, release):
        if item is None:
            found.append(f"service {move.service} is gone")
        elif why := _missing(was, item, move.to):
            found.append(why)
        elif move.to in item.running.draining:
            found.append(f"version {move.to} of service {move.service} drains")
        elif item.definition.stable != move.stable:
            found.append(f"version {item.definition.stable} is stable in service {move.service} now")
    return found


def _lost(before: State, after: State, release: Release) -> list[str]:
    """Why there is no way back for a promoted release."""
    found = []
    for move, was, item in _touched(before, after, release):
        if item is None:
            found.append(f"service {move.service} is gone")
        elif why := _missing(was, item, move.stable):
            found.append(why)
        elif item.definition.stable != move.to:
            found.append(f"version {item.definition.stable} is stable in service {move.service} now")
    return found


def _missing(was: ServiceState | None, item: ServiceState, version: str) -> str:
    """Why the version is not there any more for users to have; empty if it is."""
    of = f"of service {item.definition.name}"
    there = item.definition.versions.get(version)
    if there is None:
        how = "was retired" if version in item.running.retired else "is gone"
        return f"version {version} {of} {how}"
    if version in item.running.tripped:
        return f"the trip-wire took version {version} {of}: {item.running.tripped[version].reason}"
    known = was.definition.versions.get(version) if was is not None else None
    if known is None or not same_build(known, there):
        return f"version {version} {of} is another build now"
    return ""


def _rebased(after: State, move: Move) -> Move:
    service = after.services.get(move.service)
    return move if service is None else rebased(service, move)


def _refuse_weights(before: State, after: State, *, restored: bool, reset: bool) -> None:
    for release in after.releases.values():
        if not release.active:
            continue
        for move in release.moves:
            was, item = before.services.get(move.service), after.services.get(move.service)
            if was is None or item is None or was is item:
                continue
            moved = dict(was.running.split.weights) != dict(item.running.split.weights)
            if reset and moved:
                raise _theirs(release, move, "a reload without --reset-split")
            if restored and item.running.split.weights.get(move.to):
                known, there = was.definition.versions.get(move.to), item.definition.versions[move.to]
                if known is not None and same_build(known, there):
                    raise _theirs(release, move, "a restore of a revision before the release")


def _theirs(release: Release, move: Move, allowed: str) -> Refused:
    return Refused(
        409,
        "release_active",
        f"the weight of version {move.to} in service {move.service} is that of {which(release)}, "
        f"which is {release.state.value}",
        f"`gatekeeper rollback {move.service}` first, or {allowed}",
    )
