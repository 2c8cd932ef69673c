"""Changes that undo themselves unless they are confirmed.

While one waits (``Pending``), the services it changed are its alone, so that putting them back undoes nothing else:
other commands that would change them are refused. Some may: going back (``Rollback``, ``Restore``), for nobody is to
be kept from that, the trip-wire, and whoever kills a flag or judges it. They settle what they touch: it is no longer
put back.

So no two changes wait for the same service, and what waits is bounded by the number of services. All this is true of
flags, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gatekeeper.core.difference import compare_pending
from gatekeeper.core.flags.define import crowd, refuse_crowd
from gatekeeper.core.flags.running import shown
from gatekeeper.core.flags.running import stamped as flag_stamped
from gatekeeper.core.fronts import collisions, refuse_collisions
from gatekeeper.core.model import Pending, ServiceState, State
from gatekeeper.core.outcome import Command, Outcome, Problem, Refused, plain
from gatekeeper.core.restart import kept_until_restart
from gatekeeper.core.revise import revise, stamped, with_flags

CONFIRM_LEAST = 1.0
CONFIRM_MOST = 7 * 86_400.0
"""Seconds: a week outlasts every weekend, and nobody remembers for longer what would undo itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(Command):
    """Let the change of ``revision`` stay (None: the only one that waits)."""

    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire(Command):
    """Undo the change of ``revision`` that nobody confirmed. Without such a change nothing happens."""

    revision: int
    reason: str = "not confirmed in time"


def awaiting(state: State, service: str) -> Pending | None:
    """The change of that service that waits to be confirmed."""
    return next((pending for pending in state.pending if service in pending.before), None)


def awaiting_flag(state: State, flag: str) -> Pending | None:
    """The change of that flag that waits to be confirmed."""
    return next((pending for pending in state.pending if flag in pending.flags), None)


def confirm(state: State, command: Confirm, now: float) -> Outcome:
    found = [item for item in state.pending if command.revision in (None, item.revision)]
    if len(found) != 1:
        waiting = ", ".join(str(item.revision) for item in state.pending)
        if not waiting:
            code, detail = "nothing_to_confirm", "no change waits to be confirmed"
        elif found:
            code, detail = "which_revision", f"several changes wait to be confirmed: {waiting}"
        else:
            code, detail = "nothing_to_confirm", f"revision {command.revision} does not wait to be confirmed"
        raise Refused(409, code, detail, f"one of {waiting}" if waiting else "nothing: it is settled already")
    event = {"kind": "confirmed", "confirmed": found[0].revision, **_what(found[0])}
    rest = tuple(item for item in state.pending if item is not found[0])
    return revise(state, command, now, event, {}, pending=rest)


def expire(state: State, command: Expire, now: float) -> Outcome:
    found = next((item for item in state.pending if item.revision == command.revision), None)
    if found is None:
        return Outcome(state)
    put = _put(found.before, state.revision + 1, now)
    # Only where a part of the change was settled apart can the rest collide with it; then that stays as it is.
    while left := collisions(_with(state, put), put):
        put = {name: service for name, service in put.items() if name not in left}
    flags = {
        name: None if flag is None else flag_stamped(flag, state.revision + 1, now)
        for name, flag in found.flags.items()
    }
    if crowd({name: flag.definition for name, flag in with_flags(state, flags).items()}):
        flags = {}
    event = {"kind": "undone", "undid": found.revision, "reason": command.reason, "services": list(put)}
    if flags:
        event["flags"] = list(flags)
    kept = [name for name in found.before if name not in put] + [name for name in found.flags if name not in flags]
    return revise(
        state,
        command,
        now,
        event | ({"kept": kept} if kept else {}),
        put,
        settings=None if found.settings is None else kept_until_restart(state.settings, found.settings),
        releasing=found.releasing,
        pending=tuple(item for item in state.pending if item is not found),
        with_changes=True,
        flags=flags,
    )


def put_back(state: State, command: Command, pending: Pending, service: str, now: float) -> Outcome:
    """A rollback of one service to what it was before the change that waits. Raises ``Refused`` (409)."""
    before = pending.before[service]
    if before is None:
        raise Refused(
            409,
            "nothing_to_undo",
            f"service {service} came with revision {pending.revision}, which waits to be confirmed",
            f"`gatekeeper restore {pending.revision - 1}` for all of what that revision changed, or to wait until "
            "it undoes itself",
        )
    put = _put({service: before}, state.revision + 1, now)
    refuse_collisions(_with(state, put), put, f"taking back only what revision {pending.revision} changed of {service}")
    now_there = state.services.get(service)
    event = {
        "kind": "rollback",
        "to_revision": None,
        "undid": pending.revision,
        "service": service,
        "before": None if now_there is None else plain(now_there.running.split.weights),
        "after": plain(before.running.split.weights),
    }
    return revise(state, command, now, event, put)


def put_flag_back(state: State, command: Command, pending: Pending, flag: str, now: float) -> Outcome:
    """A rollback of one flag to what it was before the change that waits. Raises ``Refused`` (409)."""
    before = pending.flags[flag]
    if before is None:
        raise Refused(
            409,
            "nothing_to_undo",
            f"flag {flag} came with revision {pending.revision}, which waits to be confirmed",
            f"`gatekeeper restore {pending.revision - 1}` for all of what that revision changed, or to wait until "
            "it undoes itself",
        )
    put = {flag: flag_stamped(before, state.revision + 1, now)}
    refuse_crowd({name: item.definition for name, item in with_flags(state, put).items()})
    event = {
        "kind": "flag_rollback",
        "flag": flag,
        "undid": pending.revision,
        "before": shown(state.flags.get(flag)),
        "after": shown(before),
    }
    return revise(state, command, now, event, {}, flags=put)


def _what(pending: Pending) -> dict[str, object]:
    """What a change concerns, for its event."""
    return {"services": list(pending.before), **({"flags": list(pending.flags)} if pending.flags else {})}


def _put(before: Mapping[str, ServiceState | None], revision: int, now: float) -> dict[str, ServiceState | None]:
    return {name: None if service is None else stamped(service, revision, now) for name, service in before.items()}


def _with(state: State, put: Mapping[str, ServiceState | None]) -> dict[str, ServiceState]:
    after = {**state.services, **put}
    return {name: service for name, service in after.items() if service is not None}


def check_confirm_within(command: Command, *, possible: bool) -> None:
    """Raises ``Refused`` (422) for a time that cannot be, or a command that is not ``possible`` to undo so."""
    within = command.confirm_within
    if within is None:
        return
    if not possible:
        raise Refused(
            422, "invalid_confirm_within", "this cannot wait to be confirmed", "the same without confirm_within"
        )
    if not CONFIRM_LEAST <= within <= CONFIRM_MOST:
        raise Refused(
            422,
            "invalid_confirm_within",
            f"found {within:g} s as the time to confirm",
            f"{CONFIRM_LEAST:g} to {CONFIRM_MOST:g} s",
        )


def with_pending(state: State, command: Command, outcome: Outcome, now: float, *, settles: bool) -> Outcome:
    """What a command comes to in view of the changes that wait, and with its own waiting if it asked for that.

    ``settles``: what it touches is put back no longer. Raises ``Refused`` (409) if it touches what waits otherwise.
    """
    after = outcome.state
    if after is state or (not after.pending and command.confirm_within is None):
        return outcome
    touched = {
        name: state.services.get(name)
        for name in {**state.services, **after.services}
        if state.services.get(name) is not after.services.get(name)
    }
    flags = {
        name: state.flags.get(name)
        for name in {**state.flags, **after.flags}
        if state.flags.get(name) is not after.flags.get(name)
    }
    of_settings = state.settings if after.settings != state.settings else None
    of_releasing = state.releasing if after.releasing != state.releasing else None
    pending, settled = still_waiting(
        after.pending, touched, settings=of_settings is not None, releasing=of_releasing is not None, flags=flags
    )
    if settled and (command.confirm_within is not None or not settles):
        waiting = [item for item in after.pending if item.revision in settled]
        raise _awaiting(waiting, touched, flags, settles=settles)
    events = [dict(event) for event in outcome.events]
    if settled:
        events[0]["settled"] = settled
    if command.confirm_within is not None:
        deadline = now + command.confirm_within
        new = Pending(after.revision, deadline, command.actor, touched, of_settings, of_releasing, flags)
        pending = (*pending, new)
        events[0]["deadline"] = deadline
    changes = [*outcome.changes, *compare_pending(after.pending, pending)]
    return Outcome(replace(after, pending=pending), changes, events)


def still_waiting(
    pending: Iterable[Pending], touched: Iterable[str], *, settings: bool, releasing: bool, flags: Iterable[str] = ()
) -> tuple[tuple[Pending, ...], list[int]]:
    """What goes on waiting once these services and ``flags`` (and with ``settings`` the settings, with ``releasing``
    what the file says of releases) changed otherwise, and the revisions of which a part or all is settled by that.
    """
    names, of_flags = set(touched), set(flags)
    rest: list[Pending] = []
    settled: list[int] = []
    for item in pending:
        before = {name: service for name, service in item.before.items() if name not in names}
        kept = None if settings else item.settings
        plans = None if releasing else item.releasing
        left = {name: flag for name, flag in item.flags.items() if name not in of_flags}
        same = len(before) == len(item.before) and len(left) == len(item.flags)
        if same and kept is item.settings and plans is item.releasing:
            rest.append(item)
            continue
        settled.append(item.revision)
        if before or left or kept is not None or plans is not None:
            rest.append(replace(item, before=before, settings=kept, releasing=plans, flags=left))
    return tuple(rest), settled


def _awaiting(
    pending: Iterable[Pending], touched: Mapping[str, object], flags: Mapping[str, object], *, settles: bool
) -> Refused:
    problems = []
    for item in pending:
        names = [name for name in item.before if name in touched]
        what = f"service {', '.join(names)}" if names else "the settings, or what is said of releases"
        own = [name for name in item.flags if name in flags]
        if own:
            what = f"flag {', '.join(own)}" if not names else f"{what}, flag {', '.join(own)}"
        problems.append(Problem(f"pending.{item.revision}", f"{what}: changed by {item.actor}"))
    revisions = ", ".join(str(item.revision) for item in pending)
    return Refused(
        409,
        "awaiting_confirmation",
        f"the change of revision {revisions} waits to be confirmed, and would take this back when it is not",
        "the same without confirm_within, or `gatekeeper confirm` first"
        if settles
        else "`gatekeeper confirm`, or a rollback",
        problems,
    )
