"""What the judge says, and what that rests on, as people read it; from the API's documents alone."""

from collections.abc import Iterator, Mapping
from math import exp, log
from typing import Any

from gatekeeper.interface import render, when
from gatekeeper.interface.failures import objects

SURE = 1e6
"""Odds beyond which more digits tell nobody anything."""
NO_COMPARISON = "an absolute bound, no comparison"

Document = Mapping[str, Any]


def line(verdict: Document) -> str:
    """``verdict: suspicious: 30 failures so far; ...``."""
    return render.clean(f"verdict: {kind(verdict)}: {verdict.get('sentence')}")


def kind(verdict: Document) -> str:
    return str(verdict.get("kind")).replace("_", " ")


def evidence(verdicts: list[dict[str, Any]]) -> Iterator[render.Part]:
    """Of each service: the two versions side by side, each bar and where it stands, and what was left out."""
    for one in verdicts:
        yield ""
        said = f": {kind(one)}: {one.get('sentence')}" if len(verdicts) > 1 else ""
        weight = float(one.get("weight") or 0)
        judged = f"judged for {render.duration(float(one.get('seconds') or 0))}, lately at {_share(weight)}"
        yield render.clean(f"service {one.get('service')}, {judged}{said}")
        yield from (render.clean(f"  {note}") for note in one.get("notes") or [])
        yield from (_counts(one), "", _bars(one))
        yield from (f"  {text}" for text in _left_out(one))


def _counts(one: Document) -> render.Table:
    stable, candidate = render.clean(one.get("stable")), render.clean(one.get("candidate"))
    rows = [
        (what, *(f"{int((one.get(name) or {}).get(side, 0)):,}" for side in ("stable", "candidate")))
        for what, name in (("requests", "requests"), ("failures", "errors"), ("slower than stable's p95", "slow"))
    ]
    rows += [
        (f"failures on {each.get('route')}", f"{int(each['stable']):,}", f"{int(each['candidate']):,}")
        for each in objects(one.get("routes"))
    ]
    rows += [
        (f"failures on {each.get('id')}", "", f"{int(each['errors']):,} of {int(each['requests']):,}")
        for each in objects(one.get("backends"))
    ]
    columns = ("compared", stable, candidate)
    return render.Table(columns, rows, frozenset(columns[1:]), gives=frozenset({"compared"}))


def _bars(one: Document) -> render.Table:
    bar, proof_bar = f"{float(one['bar']):g} : 1", f"{float(one['proof_bar']):g} : 1"
    rows = [
        (f"odds against luck, by {metric}", odds(value), bar, "rollback") for metric, value in one["metrics"].items()
    ]
    rows += [
        (f"odds that it is good enough, by {metric}", odds(value, least="under 1 : 1"), proof_bar, "pass, all of these")
        for metric, value in one["proofs"].items()
    ]
    rows += (_guard(reading, one) for reading in objects(one.get("guards")))
    rows += (_query(each) for each in objects(one.get("queries")))
    return render.Table(
        ("measured", "stands at", "bar", "what the bar means"), rows, frozenset({"stands at", "bar"}),
        gives=frozenset({"measured"}),
    )  # fmt: skip


def _guard(reading: Document, one: Document) -> tuple[str, str, str, str]:
    guard = one.get("guard") or {}
    what = "failed" if reading.get("guard") == "errors" else f"slower than {render.milliseconds(guard.get('p99'))} ms"
    value = reading.get("value")
    name = f"{reading.get('version')}: {what}, of {render.duration(float(guard.get('window') or 0))}"
    means = f"rollback; {NO_COMPARISON}" if reading.get("version") == one.get("candidate") else NO_COMPARISON
    return name, "too few" if value is None else _share(float(value)), _share(float(reading["bound"])), means


def _query(each: Document) -> tuple[str, str, str, str]:
    bounds = ((" from ", each.get("min")), (" to ", each.get("max")))
    bar = "".join(f"{word}{bound:g}" for word, bound in bounds if bound is not None).strip()
    said = str(each.get("state")) + (f": {each['reason']}" if each.get("reason") else "")
    value = each.get("value")
    return f"custom metric {each.get('name')}", "-" if value is None else f"{value:g}", bar, f"{said}; {NO_COMPARISON}"


def _left_out(one: Document) -> Iterator[str]:
    for what, name in (
        ("not compared, since the split alone did not decide them", "excluded"),
        ("without a unit, so not compared", "unkeyed"),
        ("of the warm-up, not compared", "warm_up"),
    ):
        if many := int(one.get(name) or 0):
            yield f"{many:,} {'request' if many == 1 else 'requests'} {what}"


def brief(verdict: Document) -> str:
    """``suspicious, odds against luck 23 : 1, rolls back at 100 : 1``."""
    if verdict.get("odds") is None or verdict.get("bar") is None:
        return kind(verdict)
    return f"{kind(verdict)}, {against(verdict)}"


def against(verdict: Document) -> str:
    """``odds against luck 23 : 1, rolls back at 100 : 1``."""
    return f"odds against luck {odds(verdict['odds'])}, rolls back at {float(verdict['bar']):g} : 1"


def nearness(verdict: Document) -> float | None:
    """How near the odds are to the bar, 0 to 1, as the logarithms are: evidence adds up there. None: not known."""
    value, bar = verdict.get("odds"), verdict.get("bar")
    if value is None or bar is None or float(bar) <= 1:
        return None
    return min(1.0, max(0.0, log(max(1.0, float(value))) / log(float(bar))))


def odds(value: float, least: str = "none") -> str:
    """``129 : 1``; even odds and less speak neither against it nor for it."""
    if value <= 1:
        return least
    if value > SURE:
        return "over a million : 1"
    return f"{value:,.0f} : 1" if value >= 10 else f"{value:.1f} : 1"


def _share(part: float) -> str:
    return f"{100 * part:.3g} %"


def replayed(found: Document) -> list[render.Part]:
    """The story that a record tells, and whether it is true."""
    story = objects(found.get("story"))
    began = found.get("began")
    rows = [
        (
            _when(int(one["at"]), began, story),
            str(one.get("kind")).replace("_", " "),
            odds(exp(min(700.0, float(one["log_odds"])))),
            str(one.get("sentence")),
        )
        for one in story
    ]
    recorded, here = found.get("gatekeeper"), found.get("replayed_by")
    by = f"gatekeeper {recorded}" + ("" if recorded == here else f", replayed by {here}")
    seconds = int(found["seconds"])
    head = f"release {found.get('release')}, service {found.get('service')}: {_count(seconds)}, recorded by {by}"
    columns = ("at", "verdict", "odds", "sentence")
    table = render.Table(columns, rows, frozenset({"odds"}), gives=frozenset({"sentence"}))
    parts: list[render.Part] = [render.clean(head), *([table] if rows else [])]
    parts += (
        f"line {each['line']}: the judge was taken up anew, as of second {each['at']}"
        for each in objects(found.get("taken_up"))
    )
    if found.get("identical"):
        return [*parts, f"identical: {_count(seconds)} give the same odds, bit for bit, and the same verdicts"]
    parts += (render.clean(_difference(each)) for each in objects(found.get("differences")))
    return [*parts, f"NOT identical: {int(found['different']):,} differences in {_count(seconds)}"]


def _difference(one: Document) -> str:
    return f"line {one['line']}, second {one['at']}: {one['what']} {one['recorded']}, here {one['replayed']}"


def _when(at: int, began: object, story: list[dict[str, Any]]) -> str:
    if isinstance(began, bool) or not isinstance(began, int | float):
        return f"second {at:,}"
    return when.short(began + at, began + int(story[-1]["at"]))


def _count(seconds: int) -> str:
    return "1 second" if seconds == 1 else f"{seconds:,} seconds"
