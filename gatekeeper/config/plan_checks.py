"""Checks of ``plans``, ``releases`` and ``freeze`` that need more than one key. Like ``checks`` they read the tree."""

from decimal import Decimal

from gatekeeper.config.analysis_checks import check_analysis
from gatekeeper.config.moments import read_moment, read_zone, wall
from gatekeeper.config.problems import closest, listed
from gatekeeper.config.substitute import CHECKS, nodes_at
from gatekeeper.config.tree import (
    Entry,
    KeyPath,
    Mapping,
    Node,
    Report,
    Scalar,
    Sequence,
    entries,
    items,
    shown,
    value_of,
)
from gatekeeper.config.values import duration, read_share, written
from gatekeeper.core.release.plan import DIRECT

_TIME = duration(0, 30 * 86_400)
_HOURS = ("days", "hours")


def check_plans(root: Mapping, report: Report) -> None:
    """Report what contradicts itself in plans and in what names them."""
    plans = root.get("plans")
    for path, entry in entries(plans, ("plans",)):
        if path[-1] == DIRECT.name:
            message = "this name is reserved: it stands for a release without a plan"
            report.add(entry.key.place, path, message, found=shown(entry.key), allowed="another name")
        if isinstance(entry.value, Mapping):
            _plan(entry.value, path, report)
    _freezes(root.get("freeze"), ("freeze",), report)
    services = root.get("services")
    for path, entry in entries(services, ("services",)):
        if isinstance(entry.value, Mapping):
            check_named(entry.value.get("plan"), (*path, "plan"), plans, "plan", report)
            _freezes(entry.value.get("freeze"), (*path, "freeze"), report)
    _groups(root.get("releases"), services, plans, report)
    for pattern in CHECKS:
        for path, run in nodes_at(root, (*pattern, "command", "run")):
            program = next((item for _, item in items(run, path)), None)
            if isinstance(program, Scalar) and not program.text and not report.blamed(program):
                where, allowed = (*path, 0), "the name or path of a program"
                report.add(program.place, where, "names no program", found=shown(program), allowed=allowed)


def check_named(node: Node | None, path: KeyPath, known: Node | None, what: str, report: Report) -> None:
    """Report the name of something that is not there; what is no mapping of names has been reported itself."""
    if not isinstance(node, Scalar) or report.blamed(node) or not isinstance(known, Mapping | None):
        return
    names = list(known.entries) if known is not None else []
    if node.text not in names:
        allowed, near = listed(names) or f"a {what} that is defined under {what}s", closest(node.text, names)
        report.add(node.place, path, f"there is no such {what}", found=shown(node), allowed=allowed, suggestion=near)


def _plan(plan: Mapping, path: KeyPath, report: Report) -> None:
    steps = plan.get("steps")
    if isinstance(steps, Sequence):
        _weights(steps, (*path, "steps"), report)
        _holds(plan, steps, path, report)
    start = plan.get("start")
    if isinstance(start, Mapping):
        _start(start, (*path, "start"), report)
    check_analysis(plan, path, report)


def _weights(steps: Sequence, path: KeyPath, report: Report) -> None:
    """They rise from step to step and end with everything: who has joined never leaves but by a rollback."""
    before: Decimal | None = None
    for where, step in items(steps, path):
        node = step.get("weight") if isinstance(step, Mapping) else None
        weight = value_of(read_share, node, report)
        if node is not None and weight is not None and before is not None and weight <= before:
            message = "is not more than the weight of the step before"
            report.add(node.place, (*where, "weight"), message, found=shown(node), allowed=f"more than {before:f}")
            report.blame(node)
        before = weight if weight is not None else before
    last = steps.items[-1] if steps.items else None
    node = last.get("weight") if isinstance(last, Mapping) else None
    weight = value_of(read_share, node, report)
    if node is not None and weight is not None and weight != 100:
        where = (*path, len(steps.items) - 1, "weight")
        message = "the last step does not end with everything"
        report.add(node.place, where, message, found=shown(node), allowed="100 in the last step")


def _holds(plan: Mapping, steps: Sequence, path: KeyPath, report: Report) -> None:
    """Where somebody says how long a step may take at most, no hold may be longer."""
    most = plan.get("max_hold")
    longest = value_of(_TIME.parse, most, report)
    if most is None or longest is None:
        return
    for where, step in items(steps, (*path, "steps")):
        node = step.get("hold") if isinstance(step, Mapping) else None
        hold = value_of(_TIME.parse, node, report)
        if node is not None and hold is not None and hold > longest:
            allowed = f"at most {shown(most)}, or a max_hold of at least {written(hold)}"
            report.add(node.place, (*where, "hold"), "is longer than max_hold", found=shown(node), allowed=allowed)


def _start(start: Mapping, path: KeyPath, report: Report) -> None:
    if not {"at", "window"} & set(start.entries):
        report.add(start.place, path, "says no time", allowed="at, window or both")
    window = start.get("window")
    if isinstance(window, Mapping) and not set(_HOURS) & set(window.entries):
        report.add(window.place, (*path, "window"), "has neither days nor hours", allowed="days, hours or both")
    local = isinstance(window, Mapping) and "timezone" not in window.entries
    check_zone(start, ("at",), path, report, local=local)


def _freezes(node: Node | None, path: KeyPath, report: Report) -> None:
    for where, freeze in items(node, path):
        if not isinstance(freeze, Mapping):
            continue
        if not {"from", "until", *_HOURS} & set(freeze.entries):
            report.add(freeze.place, where, "says no time", allowed="at least one of from, until, days and hours")
        check_zone(freeze, ("from", "until"), where, report, local=bool(set(_HOURS) & set(freeze.entries)))
        zone = value_of(read_zone, freeze.get("timezone"), report)
        until = freeze.get("until")
        first, last = (value_of(read_moment, freeze.get(name), report) for name in ("from", "until"))
        since, end = (wall(one, zone) if one is not None else None for one in (first, last))
        if until is not None and since is not None and end is not None and end <= since:
            allowed = "a moment after from"
            report.add(until.place, (*where, "until"), "is not after from", found=shown(until), allowed=allowed)


def check_zone(mapping: Mapping, moments: tuple[str, ...], path: KeyPath, report: Report, *, local: bool) -> None:
    """A moment without an offset needs a time zone beside it; a zone is for such a moment or for ``local`` hours."""
    zone: Entry | None = mapping.entries.get("timezone")
    given = {name: mapping.get(name) for name in moments if name in mapping.entries}
    read = {name: value_of(read_moment, node, report) for name, node in given.items()}
    if zone is None:
        for name, node in given.items():
            moment = read[name]
            if node is not None and moment is not None and moment.east is None:
                allowed = "timezone: Europe/Berlin beside it, or Z or an offset such as +01:00 behind it"
                report.add(node.place, (*path, name), "is local to no time zone", found=shown(node), allowed=allowed)
    elif given and not local and all(moment is not None and moment.east is not None for moment in read.values()):
        message = f"means nothing where {' and '.join(given)} {'has' if len(given) == 1 else 'have'} an offset"
        report.add(zone.key.place, (*path, "timezone"), message, allowed="one of the two")


def _groups(node: Node | None, services: Node | None, plans: Node | None, report: Report) -> None:
    taken: dict[str, tuple[str, Scalar]] = {}
    for path, entry in entries(node, ("releases",)):
        name = entry.key.text
        if isinstance(services, Mapping) and name in services.entries:
            message = "a service has the same name: which of them is released could not be told"
            report.add(entry.key.place, path, message, found=shown(entry.key), allowed="a name of its own")
        if not isinstance(entry.value, Mapping):
            continue
        check_named(entry.value.get("plan"), (*path, "plan"), plans, "plan", report)
        for where, item in items(entry.value.get("services"), (*path, "services")):
            check_named(item, where, services, "service", report)
            if not isinstance(item, Scalar) or report.blamed(item):
                continue
            group, first = taken.setdefault(item.text, (name, item))
            if group != name:
                at = f"{first.place.source.name}:{first.place.line}"
                message = f"this service moves with {group} ({at}) already"
                report.add(item.place, where, message, found=shown(item), allowed="one group for a service")
