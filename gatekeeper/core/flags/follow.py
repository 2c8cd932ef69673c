"""Flags that follow a release: on with the candidate, for everybody with its promotion, off with its rollback.

While the release is under way the flag is on for exactly the requests that get the candidate. A flag that is on already
was released before: it does not follow, or a release would take it from everybody. One that somebody switched, or
killed, belongs to them until the next release. All of it happens in the revision of the release's change.
"""

from dataclasses import replace
from typing import Any

from gatekeeper.core.flags.changes import compare_flags
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.flags.running import changed, shown
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import Command, Outcome
from gatekeeper.core.release.model import ReleaseState


def follow(before: State, command: Command, outcome: Outcome, now: float) -> Outcome:
    """``outcome`` with what its change means for the flags that follow."""
    after = outcome.state
    if after is before:
        return outcome
    state, told = settle_flags(before, after, now)
    if state is after:
        return outcome
    common = {"revision": state.revision, "at": now, "actor": command.actor, "note": command.note}
    events = [*outcome.events, *({**event, **common} for event in told)]
    return Outcome(state, [*outcome.changes, *compare_flags(after.flags, state.flags)], events)


def settle_flags(before: State, after: State, now: float) -> tuple[State, list[dict[str, Any]]]:
    """``after`` with its flags as its releases want them, and what is told of that; ``after`` itself if they are so.

    What a change that waits to be confirmed would put back follows in the same way.
    """
    put: dict[str, FlagState] = {}
    told: list[dict[str, Any]] = []
    for name, flag in after.flags.items():
        followed = _followed(after, flag, now, began=_began(before, after, flag))
        if followed is not flag:
            put[name] = followed
            told.append(_told(flag, followed))
    if not put:
        return after, told
    pending = []
    for item in after.pending:
        flags = {
            name: flag if flag is None else _followed(after, flag, now, began=None) for name, flag in item.flags.items()
        }
        pending.append(replace(item, flags=flags) if flags != dict(item.flags) else item)
    return replace(after, flags={**after.flags, **put}, pending=tuple(pending)), told


def _began(before: State, after: State, flag: FlagState) -> Release | None:
    """The release that the flag begins to follow: it has begun now (and may be promoted already), or is under way and
    the flag follows its service only now.
    """
    service = flag.definition.follow
    if not service:
        return None
    known = before.flags.get(flag.definition.name)
    fresh = known is None or known.definition.follow != service
    for release in after.releases.values():
        new = release.id not in before.releases
        if service in release.services and (new or (fresh and release.active)):
            return release
    return None


def _followed(after: State, flag: FlagState, now: float, *, began: Release | None) -> FlagState:
    running = flag.running
    if began is not None and not (running.on or running.killed):
        candidate = next(move.to for move in began.moves if move.service == flag.definition.follow)
        running = replace(running, following=candidate, release=began.id, revision=after.revision, changed_at=now)
        flag = replace(flag, running=running)
    release = after.releases.get(running.release)
    if release is not None and release.state is ReleaseState.PROMOTED:
        if running.following:
            return changed(flag, flag, revision=after.revision, now=now, on=True, following="")
    elif release is not None and not release.active:
        return changed(flag, flag, revision=after.revision, now=now, on=False, following="", release=0)
    elif release is None and running.following:
        # One that is not known any more, and is not followed, was promoted long ago.
        return changed(flag, flag, revision=after.revision, now=now, on=False, following="", release=0)
    return flag


def _told(was: FlagState, now: FlagState) -> dict[str, Any]:
    kind = "flag_changed" if now.running.following else "flag_on" if now.running.on else "flag_off"
    release = now.running.release or was.running.release
    return {
        "kind": kind,
        "flag": now.definition.name,
        "before": shown(was),
        "after": shown(now),
        "release": release,
    }
