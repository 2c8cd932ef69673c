"""What differs between two plans, key by key, in the words of the file."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Final

from gatekeeper.core.codec import dump
from gatekeeper.core.judge.analysis import Analysis, Query
from gatekeeper.core.outcome import Change, number
from gatekeeper.core.release.plan import Check, MirrorCheck, Plan, Step

_NOTHING: Final[Mapping[str, Any]] = {}


def compare_plans(path: str, old: Plan | None, new: Plan | None) -> Iterator[Change]:
    """``path`` is that of the plan, which is whole where only one of the two is."""
    if old is None or new is None:
        yield Change(path, old and _summary(old), new and _summary(new))
        return
    yield from _compare(path, _of_plan(old), _of_plan(new))
    for place, (one, other) in enumerate(zip_longest(old.steps, new.steps)):
        at = f"{path}.steps[{place}]"
        if one is None or other is None:
            yield Change(at, one and _of_step(one), other and _of_step(other))
        else:
            yield from _compare(at, _of_step(one), _of_step(other))
    if (old.analysis is None) != (new.analysis is None):
        yield Change(f"{path}.analysis", *("on" if one.analysis is not None else None for one in (old, new)))
    else:
        yield from _compare(f"{path}.analysis", _of_analysis(old.analysis), _of_analysis(new.analysis))


def _compare(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Change(f"{path}.{key}", old.get(key), new.get(key))


def _summary(plan: Plan) -> dict[str, Any]:
    return {"steps": [number(step.weight) for step in plan.steps]}


def _of_plan(plan: Plan) -> dict[str, Any]:
    found = {
        "verify": _checks(plan.verify),
        "start.at": plan.at,
        "start.window": dump(plan.window),
        "approve": dump(plan.approve),
        "on_fail": plan.on_fail.value,
        "max_hold": plan.max_hold,
        "retain": plan.retain,
    }
    return _said(found)


def _of_step(step: Step) -> dict[str, Any]:
    found = {
        "weight": number(step.weight),
        "hold": step.hold,
        "approve": dump(step.approve),
        "pause": step.pause or None,
        "verify": _checks(step.verify),
    }
    return _said(found)


def _checks(checks: Iterable[Check]) -> list[Any] | None:
    return [_said({**dump(check), "mirror": _mirror(check.mirror)}) for check in checks] or None


def _mirror(check: MirrorCheck | None) -> dict[str, Any] | None:
    """As the file has it: to whom it mirrors says the release."""
    if check is None:
        return None
    copies: dict[str, Any] = dump(check.mirror)
    del copies["to"]
    return {
        **copies,
        "for": check.seconds,
        "max_different": number(Decimal(f"{100 * check.max_different:.9g}")),
        "at_least": check.at_least,
    }


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not there."""
    return {key: value for key, value in found.items() if value is not None}


def _of_analysis(analysis: Analysis | None) -> Mapping[str, Any]:
    """Key of the file below ``analysis`` -> its value as the file may say it."""
    if analysis is None:
        return _NOTHING
    guard, burst = analysis.guard, analysis.burst
    found = {
        "alpha": analysis.alpha,
        "promote_beta": analysis.beta,
        "tolerate.errors": _limit((analysis.tolerate_ratio, analysis.tolerate_errors)),
        "tolerate.latency": f"{100 * analysis.tolerate_latency:g}% + {1000 * analysis.tolerate_floor:g}ms",
        "promote_within.errors": _limit(analysis.promote_errors),
        "promote_within.p95": _limit(analysis.promote_p95),
        "promote_within.p99": _limit(analysis.promote_p99),
        "latency": analysis.latency,
        "deadline": analysis.deadline,
        "min_bake": analysis.min_bake,
        "min_events": analysis.min_events,
        "warm_up": analysis.warm_up,
        "steps": analysis.steps.value,
        "routes": list(analysis.routes) or None,
        **({f"guard.{key}": value for key, value in dump(guard).items()} if guard is not None else {}),
        **({"burst.block": burst.block, "burst.cap": burst.cap} if burst is not None else {}),
        **{f"metrics.{query.name}": _query(query) for query in analysis.queries},
    }
    return _said(found)


def _points(part: float) -> str:
    return f"{100 * part:g}pt"


def _limit(limit: tuple[float, float]) -> str:
    ratio, more = limit
    return _points(more) if ratio == 1 else f"x{ratio:g} + {_points(more)}"


def _query(query: Query) -> dict[str, Any]:
    found: dict[str, Any] = dump(query)
    return _said({"prometheus" if key == "url" else key: value for key, value in found.items() if key != "name"})
