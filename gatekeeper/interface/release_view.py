"""A release as people read it: where it is, what it waits for, its steps with their gates, its answers and evidence.

Everything is in the API's document; here it only gets its place on the page.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from gatekeeper.interface import render, verdict_view, when
from gatekeeper.interface.failures import objects

OUTPUT_LINES = 5
"""Lines shown of what a failed check said: the first ones name the cause, the report has all of it."""
LOG_LINES = 20
LOG_LINES_WATCHED = 6
ROLLBACK = "rollback"
BAR = 24
"""Characters of the bar of a hold."""
KINDS = {"to_come": "", "left_out": "left out"}
"""States of the timeline that are not shown by their own name: what is to come is most of it at first."""

Document = Mapping[str, Any]


def picture(data: Document, *, again: str = "gatekeeper") -> list[render.Part]:
    """All of it; ``again`` is how the command to the same gatekeeper begins."""
    results, now = objects(data.get("checks")), float(data["now"])
    judged = verdict_view.evidence(objects(data.get("verdicts")))
    parts: list[render.Part] = [title(data), *situation(data, again), "", timeline(data), *judged, "", *answers(data)]
    if results:
        parts += ["", checks(results, now), *outputs(results)]
    return [*parts, *_log(objects(data.get("log")), now, LOG_LINES), *_allowed(data, again)]


def watched(data: Document, again: str) -> list[render.Part]:
    """What changes while one looks at it; the first lines say most, and the others may not fit a terminal."""
    log = _log(objects(data.get("log")), float(data["now"]), LOG_LINES_WATCHED)
    failed = outputs(objects(data.get("checks")))
    bars = [*_way(data), *_against(data)]
    return [title(data), *situation(data, again), *bars, "", timeline(data), *failed, *log, *_allowed(data, again)]


def _allowed(data: Document, again: str) -> list[str]:
    """What people may do now; a rollback is a verb of its own, and also what is left after a promotion."""
    acts = [render.clean(act) for act in data.get("allowed") or [] if act != ROLLBACK]
    if not acts:
        return []
    back = f"; users back at once: {again} rollback {_first(data)}" if ROLLBACK in data["allowed"] else ""
    return ["", f"you may: {again} release {'|'.join(acts)} {_first(data)}{back}"]


def title(data: Document) -> str:
    """``release 41 of shop from blue to green, plan careful, by ann at TIME: NOTE``."""
    moves = "; ".join(_move(move) for move in objects(data.get("moves")))
    note = f": {data['note']}" if data.get("note") else ""
    plan = (data.get("plan") or {}).get("name")
    at = render.moment(data.get("created"))
    return render.clean(f"release {data.get('id')} of {moves}, plan {plan}, by {data.get('author')} at {at}{note}")


def _move(move: Document) -> str:
    build = f" (build {move['build']})" if move.get("build") else ""
    return f"{move.get('service')} from {move.get('from')} to {move.get('to')}{build}"


def situation(data: Document, again: str) -> list[str]:
    """Where it is, what it waits for, what comes next; the same after every act."""
    now = float(data["now"])
    lines = [render.clean(data.get("headline"))]
    if hold := data.get("hold"):
        lines.append(_hold(hold, now))
    if (verdict := data.get("verdict")) and str(verdict.get("sentence")) not in str(data.get("headline")):
        lines.append(verdict_view.line(verdict))
    if names := data.get("checking"):
        lines.append(render.clean(f"checks now: {', '.join(names)}"))
    lines += waits(data, again)
    if following := data.get("next"):
        lines.append(_next(following, now))
    if data.get("retained"):
        lines.append(f"users back at once: {again} rollback {_first(data)}")
    return lines


def _hold(hold: Document, now: float) -> str:
    seconds, over = float(hold["seconds"]), float(hold["over"])
    if over >= seconds > 0:
        end = "; its time is over, the verdict does not let it pass yet"
    elif hold.get("until") is not None:
        end = f"; ends at {when.short(hold['until'], now)}"
    else:
        end = "" if hold.get("counts") else "; paused, it does not count"
    said = f"held for {render.duration(over)} of {render.duration(seconds)}"
    return f"{bar(over / seconds if seconds else 1.0)} {said}{end}"


def _way(data: Document) -> list[str]:
    """How far it is: by the time of its holds, or by its steps where it holds nowhere."""
    stages = objects(data.get("timeline"))
    if not data.get("active") or not stages:
        return []
    over = float((data.get("hold") or {}).get("over") or 0)
    holds = [float(stage.get("hold") or 0) for stage in stages]
    taken = [stage.get("from") is not None and stage.get("to") is None for stage in stages]
    # What was skipped of a hold is not ahead any more: a step that is behind counts whole.
    done = [
        hold if _behind(stage) else min(hold, over) * now for stage, hold, now in zip(stages, holds, taken, strict=True)
    ]
    whole, past = sum(holds), sum(done)
    if whole:
        left = render.duration(whole - past)
        return [f"{bar(past / whole)} {_percent(past, whole)} of its time; {left} of holds left"]
    steps = sum(1 for stage in stages if _behind(stage) or stage.get("from") is not None)
    return [f"{bar(steps / len(stages))} {_percent(steps, len(stages))} of its steps"]


def _behind(stage: Document) -> bool:
    return stage.get("to") is not None or stage.get("state") in {"done", "left_out"}


def _percent(part: float, whole: float) -> str:
    return f"{int(100 * part / whole)} %"


def _against(data: Document) -> list[str]:
    """The judge's odds on the way to a rollback; of each service where there are several."""
    verdicts = objects(data.get("verdicts"))
    found = [(verdict_view.nearness(one), verdict_view.brief(one), str(one.get("service"))) for one in verdicts]
    several = len(found) > 1
    return [
        render.clean(f"{bar(near)} {f'{service}: ' if several else ''}{said}")
        for near, said, service in found
        if near is not None
    ]


def bar(part: float) -> str:
    """``[######........]``, with blocks where the terminal has them."""
    full, empty = "#", "."
    # rich puts something without an encoding in place of standard output while it draws.
    if sys.__stdout__ is not None and "utf" in sys.__stdout__.encoding.lower():
        full, empty = "\N{FULL BLOCK}", "\N{LIGHT SHADE}"
    done = round(BAR * min(1.0, max(0.0, part)))
    return f"[{full * done}{empty * (BAR - done)}]"


def waits(data: Document, again: str) -> list[str]:
    """What it waits for, one line each: until when, who may open it, and how."""
    return [_waiting(item, data, again, float(data["now"])) for item in objects(data.get("waiting"))]


def _waiting(item: Document, data: Document, again: str, now: float) -> str:
    until = f", until {when.short(item['until'], now)}" if item.get("until") is not None else ""
    who = f" ({item['who']})" if item.get("who") else ""
    act = {"approval": "approve", "pause": "resume"}.get(str(item.get("kind")))
    way = f": {again} release {act} {_first(data)}" if act is not None else ""
    return render.clean(f"waits for {item.get('detail')}{until}{who}{way}")


def _next(following: Document, now: float) -> str:
    at, condition = following.get("at"), following.get("if")
    moment = f", {'not before' if condition else 'at'} {when.short(at, now)}" if at is not None else ""
    return render.clean(f"next: {following.get('text')}{moment}{f', once {condition}' if condition else ''}")


def _first(data: Document) -> str:
    """A service that names the release."""
    return render.clean((data.get("services") or [""])[0])


def timeline(data: Document) -> render.Table:
    """One row for each step, and one for each gate before it."""
    now = float(data["now"])
    rows: list[tuple[str, str, str, str]] = [
        ("done", "started", when.short(data.get("created"), now), str(data.get("author")))
    ]
    for stage in objects(data.get("timeline")):
        rows += (_gate(gate, now) for gate in objects(stage.get("gates")))
        rows.append(_stage(stage, data, now))
    if data.get("active"):
        rows.append(("", "promoted", "", ""))
    else:
        state = str(data.get("state")).replace("_", " ")
        rows.append(("done", state, when.short(data.get("ended_at"), now), ""))
    return render.Table(("state", "what", "when", "who"), rows, gives=frozenset({"what"}))


def _gate(gate: Document, now: float) -> tuple[str, str, str, str]:
    missing = f"; missing: {', '.join(gate['missing'])}" if gate.get("missing") else ""
    if gate.get("at") is not None:
        moment = when.short(gate["at"], now)
    else:
        moment = f"until {when.short(gate['until'], now)}" if gate.get("until") is not None else ""
    return _state(gate), f"  {gate.get('text')}{missing}", moment, ", ".join(gate.get("who") or [])


def _stage(stage: Document, data: Document, now: float) -> tuple[str, str, str, str]:
    hold = float(stage.get("hold") or 0)
    held = f", hold {render.duration(hold)}" if hold else ""
    name = f"step {int(stage['step']) + 1} of {data.get('steps')}"
    if stage.get("from") is not None:
        begun, end = when.short(stage["from"], now), when.short(stage.get("to"), now)
        moment = f"{begun} - {end}" if end else begun
    else:
        moment = f"about {when.short(stage['expected'], now)}" if stage.get("expected") is not None else ""
    # A step whose gates are open is the present one; its weight is not set before.
    state = "" if stage.get("state") == "now" and stage.get("from") is None else _state(stage)
    return state, f"{name}: {render.number(stage.get('weight'))} %{held}", moment, ""


def _state(item: Document) -> str:
    state = str(item.get("state"))
    return KINDS.get(state, state)


def answers(data: Document) -> list[str]:
    """Exactly one line each: question, answer."""
    found = objects(data.get("answers"))
    wide = max((len(str(one.get("question"))) for one in found), default=0)
    return [render.clean(f"{one.get('question'):<{wide}}  {one.get('answer')}") for one in found]


def checks(results: Iterable[Document], now: float) -> render.Table:
    """The last result of each check."""
    found = list(results)
    services = {one.get("service") for one in found}
    rows = []
    for one in found:
        before = f"{one.get('service')}: " if len(services) > 1 else ""
        result = "passed" if one.get("passed") else "failed"
        old = "" if one.get("current", True) else ", of another deploy"
        rows.append(
            (f"{before}{one.get('name')}", result + old, seconds(one.get("seconds")), when.short(one.get("at"), now))
        )
    return render.Table(("check", "result", "took", "at"), rows, frozenset({"took"}), gives=frozenset({"check"}))


def seconds(value: object) -> str:
    """``0.012 s``, ``2m 3s``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return render.NOTHING
    return f"{value:.3f} s" if value < 10 else f"{value:.1f} s" if value < 60 else render.duration(value)


def outputs(results: Iterable[Document]) -> list[str]:
    """The first lines of what each failed check said."""
    lines = []
    for one in results:
        if one.get("passed"):
            continue
        said = [line for line in str(one.get("output") or "").splitlines() if line.strip()]
        lines.append(render.clean(f"{one.get('name')} failed{':' if said else ', and said nothing'}"))
        lines += (render.clean(f"    {line.expandtabs(4)}") for line in said[:OUTPUT_LINES])
        if len(said) > OUTPUT_LINES:
            lines.append(f"    ... and {len(said) - OUTPUT_LINES} lines more")
    return lines


def _log(log: list[dict[str, Any]], now: float, most: int) -> list[render.Part]:
    """The newest entries, with a word on how many were before them."""
    if not log:
        return []
    rows = [entry(one, now) for one in log[-most:]]
    table = render.Table(("at", "who", "event", "text"), rows, gives=frozenset({"text"}))
    return ["", *([f"{len(log) - most} earlier entries: in the report"] if len(log) > most else []), table]


def entry(one: Document, now: float) -> tuple[str, str, str, str]:
    """A line of the release's log: when, who, what, more of it."""
    kind = str(one.get("event")).replace("_", " ")
    return when.short(one.get("at"), now), str(one.get("actor")), kind, str(one.get("text"))


def listed(releases: Iterable[Document]) -> render.Table:
    """Briefs, one row each."""
    rows = []
    for one in releases:
        moves = objects(one.get("moves"))
        builds = dict.fromkeys(str(move["build"]) for move in moves if move.get("build"))
        rows.append(
            (
                str(one.get("id")),
                ", ".join(f"{move.get('service')}: {move.get('from')} -> {move.get('to')}" for move in moves),
                ", ".join(builds),
                str(one.get("plan")),
                str(one.get("author")),
                render.moment(one.get("created")),
                render.moment(one.get("ended_at")),
                str(one.get("headline")),
            )
        )
    columns = ("id", "release", "build", "plan", "by", "started", "ended", "state")
    return render.Table(columns, rows, frozenset({"id"}), gives=frozenset({"release", "state"}))
