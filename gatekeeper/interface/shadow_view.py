"""How answers to copies differ, as people read it; from the API's document alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from gatekeeper.interface import render
from gatekeeper.interface.failures import objects

NOT_COPIED = {
    "shed": "not copied, since the worker was busy or too many copies were under way",
    "body_too_large": "not copied, since their body is too long",
}
NOT_COMPARED = {
    "refused": "copies found no backend that takes them",
    "broken": "copies were answered with something broken",
    "timeout": "copies were not answered in time",
    "too_large": "answers were longer than what is read, and compared by that",
    "not_compared": "answers could not be compared in time",
}

Document = Mapping[str, Any]


def picture(found: Document) -> list[render.Part]:
    parts: list[render.Part] = [*_mirrors(found)]
    for run in objects(found.get("runs")):
        parts += ["", *_run(run)]
    return parts


def _mirrors(found: Document) -> Iterator[str]:
    mirrors = objects(found.get("mirrors"))
    if not mirrors:
        yield render.clean(f"{found.get('service')}: nothing is mirrored; `mirror` of a service says what is")
    for each in mirrors:
        where = f" by rule {each['rule']}" if each.get("rule") else ""
        methods = ", ".join(str(method) for method in each.get("methods") or [])
        yield render.clean(
            f"{found.get('service')}{where}: {float(each.get('percent') or 0):g} % of {methods} to {each.get('to')}"
        )


def _run(run: Document) -> Iterator[render.Part]:
    build = f" (build {run['build']})" if run.get("build") else ""
    kind = "check of" if run.get("check") else "copies to"
    state = "" if run.get("active") else ", over"
    yield render.clean(f"{kind} {run.get('version')}{build} since {render.moment(run.get('since'))}{state}")
    yield f"  {share(run)}"
    yield from (f"  {text}" for text in _lost(run))
    rows = [_row(each) for each in objects(run.get("differences"))]
    if rows:
        columns = ("differs", "where", "requests", "user got", "candidate said", "example")
        yield render.Table(columns, rows, frozenset({"requests"}), gives=frozenset({"user got", "candidate said"}))
    if noise := objects(run.get("noise")):
        places = ", ".join(f"{each.get('kind')} {each.get('path')}".strip() for each in noise)
        yield render.clean(f"  not counted, since the users' version differs there from itself: {places}")
    user, candidate = run.get("user") or {}, run.get("candidate") or {}
    if user.get("p50") is not None:
        parts = ("p50", "p95", "p99")
        times = [
            (name, *(render.milliseconds(one.get(part)) for part in parts))
            for name, one in (("user's", user), ("candidate's", candidate))
        ]
        yield render.Table(("answer began within, ms", *parts), times, frozenset(parts))


def share(run: Document) -> str:
    """``3 of 1,000 answers differ (0.3 %, 95 % interval 0.1 to 0.88 %)``."""
    asked = int(run.get("asked") or 0)
    if not asked:
        return f"{int(run.get('mirrored') or 0):,} copies sent, no answers compared yet"
    interval = f"95 % interval {_percent(run.get('low'))} to {_percent(run.get('high'))} %"
    return (
        f"{int(run.get('different') or 0):,} of {asked:,} answers differ ({_percent(run.get('share'))} %, {interval}), "
        f"{int(run.get('mirrored') or 0):,} copies sent"
    )


def _percent(part: object) -> str:
    return f"{100 * float(part or 0):.3g}" if isinstance(part, int | float) else render.NOTHING


def _row(each: Document) -> tuple[str, str, str, str, str, str]:
    samples = objects(each.get("samples"))
    first = samples[0] if samples else {}
    return (
        str(each.get("kind")),
        str(each.get("path") or ""),
        f"{int(each.get('requests') or 0):,}",
        str(first.get("left", "")),
        str(first.get("right", "")),
        str(first.get("request", "")),
    )


def _lost(run: Document) -> Iterator[str]:
    outcomes = run.get("outcomes") or {}
    for name, text in {**NOT_COPIED, **NOT_COMPARED}.items():
        if many := int(outcomes.get(name) or 0):
            yield f"{many:,} {'requests were ' if name in NOT_COPIED else ''}{text}"
