"""From the models of ``plans`` to the values of ``core.release.plan``. They have been checked as a whole before."""

from dataclasses import replace

from gatekeeper.config import analysis, models, plans
from gatekeeper.config.mirrors import mirror_check
from gatekeeper.config.moments import Moment, wall
from gatekeeper.core.judge import analysis as judged
from gatekeeper.core.release import plan as values

UTC = "UTC"
"""The zone of hours that name none: a window always opens somewhere, and this is nobody's guess."""


def releasing(file: models.File) -> values.Releasing:
    """What the file says of releases."""
    freezes = [_freeze(one) for one in file.freeze]
    for name, service in file.services.items():
        freezes += (_freeze(one, (name,)) for one in service.freeze)
    return values.Releasing(
        plans={name: _plan(name, one) for name, one in file.plans.items()},
        defaults={name: service.plan for name, service in file.services.items() if service.plan is not None},
        groups={name: values.Group(one.services, one.plan) for name, one in file.releases.items()},
        freezes=tuple(freezes),
        notify=tuple(values.Notify(one.url, one.secret, one.events) for one in file.notify),
    )


def _plan(name: str, given: plans.Plan) -> values.Plan:
    start = given.start or plans.Start()
    return values.Plan(
        name=name,
        steps=tuple(_step(step) for step in given.steps),
        verify=_checks(given.verify),
        at=_moment(start.at, start.timezone),
        window=_window(start.window, start.timezone) if start.window else None,
        approve=_approval(given.approve),
        on_fail=values.OnFail(given.on_fail),
        max_hold=given.max_hold,
        retain=given.retain,
        analysis=_analysis(given.analysis) if given.analysis else None,
    )


def _analysis(given: analysis.Analysis) -> judged.Analysis:
    return replace(
        comparison(given),
        deadline=given.deadline,
        steps=judged.Demand(given.steps),
        queries=tuple(_query(metric) for metric in given.metrics),
    )


def comparison(given: analysis.Comparison) -> judged.Analysis:
    """What is compared, and nothing of steps."""
    ratio, points = given.tolerate.errors
    slower, floor = given.tolerate.latency
    guard, burst = given.guard, given.burst
    return judged.Analysis(
        alpha=given.alpha,
        beta=given.promote_beta,
        tolerate_ratio=ratio,
        tolerate_errors=points,
        tolerate_latency=slower,
        tolerate_floor=floor,
        promote_errors=given.promote_within.errors,
        promote_p95=given.promote_within.p95,
        promote_p99=given.promote_within.p99,
        latency=given.latency,
        min_bake=given.min_bake,
        min_events=given.min_events,
        warm_up=given.warm_up,
        guard=judged.Guard(guard.errors, guard.p99, guard.window) if guard else None,
        burst=judged.Burst(burst.block, burst.cap) if burst else None,
        routes=given.routes,
    )


def _query(given: analysis.Metric) -> judged.Query:
    return judged.Query(
        name=given.name,
        url=given.prometheus,
        query=given.query,
        max=given.max,
        min=given.min,
        every=given.every,
        failures=given.failures,
        token_file=given.token_file,
    )


def _step(given: plans.Step) -> values.Step:
    return values.Step(
        weight=given.weight,
        hold=given.hold,
        approve=_approval(given.approve),
        pause=given.pause,
        verify=_checks(given.verify),
    )


def _approval(given: plans.Approval | None) -> values.Approval | None:
    return values.Approval(given.groups, given.expires) if given else None


def _checks(given: tuple[plans.Check, ...]) -> tuple[values.Check, ...]:
    return tuple(_check(one) for one in given)


def _check(given: plans.Check) -> values.Check:
    if given.http is not None:
        return values.Check(http=values.HttpCheck(**dict(given.http)))
    if given.command is not None:
        return values.Check(command=values.CommandCheck(given.command.run, given.command.timeout))
    if given.mirror is not None:
        return values.Check(mirror=mirror_check(given.mirror))
    asked = given.released_in
    assert asked is not None  # noqa: S101 - one of the four stands there, or the file was refused
    return values.Check(
        released_in=values.ReleasedInCheck(asked.gatekeeper, asked.service, asked.token_file, asked.timeout)
    )


def _window(given: plans.Window | plans.Freeze, beside: str | None = None) -> values.Window:
    days = sorted({day for some in given.days for day in some})
    start, end = given.hours
    return values.Window(tuple(days), start, end, given.timezone or beside or UTC)


def _freeze(given: plans.Freeze, services: tuple[str, ...] = ()) -> values.Freeze:
    recurs = given.model_fields_set & {"days", "hours"}
    return values.Freeze(
        reason=given.reason,
        since=_moment(given.from_, given.timezone),
        until=_moment(given.until, given.timezone),
        window=_window(given) if recurs else None,
        services=services,
    )


def _moment(given: Moment | None, zone: str | None) -> float | None:
    return None if given is None else wall(given, zone)
