"""A simulated plan as people read it: how it goes, and what of it catches which regression."""

from collections.abc import Mapping
from typing import Any

from gatekeeper.interface import render
from gatekeeper.interface.failures import objects

Document = Mapping[str, Any]
NOT_CAUGHT = "not caught by this plan"


def picture(data: Document) -> list[render.Part]:
    """The assumptions, the timeline, what becomes of a version that is as good, and the regressions."""
    assumed = data["assumed"]
    parts: list[render.Part] = [
        render.clean(
            f"plan {data.get('plan')} at {render.number(assumed['rps'])} requests/s, "
            f"{render.number(round(assumed['errors'] * 100, 6))} % errors, "
            f"{render.milliseconds(assumed['latency'])} ms median latency"
        ),
        _timeline(data),
    ]
    parts += (render.clean(line) for line in data.get("notes") or [])
    parts += ["", _regressions(data)]
    return parts


def _timeline(data: Document) -> render.Table:
    rows = [
        (
            str(int(stage["step"]) + 1),
            f"{render.number(stage['weight'])} %",
            _after(stage.get("begins")),
            render.duration(float(stage.get("hold") or 0)),
            f"{round(float(stage.get('requests') or 0)):,}",
        )
        for stage in objects(data.get("stages"))
    ]
    rows.append(("", "promoted", _after(data.get("seconds")), "", ""))
    columns = ("step", "weight", "begins after", "hold", "requests to it")
    return render.Table(columns, rows, frozenset(columns) - {"weight"})


def _regressions(data: Document) -> render.Table:
    rows = [_regression(one) for one in objects(data.get("regressions"))]
    columns = ("regression", "caught", "after (median)", "after (95 %)", "at step", "users' requests hurt")
    return render.Table(columns, rows, frozenset(columns[1:]))


def _regression(one: Document) -> tuple[str, ...]:
    name, caught = str(one.get("name")), float(one.get("caught") or 0)
    hurt = render.NOTHING if one.get("hurt") is None else f"{round(float(one['hurt'])):,}"
    if not caught:
        return name, NOT_CAUGHT, "", "", "", hurt
    step = one.get("step")
    return (
        name,
        f"{caught * 100:.0f} %{_guarded(one)}",
        _after(one.get("median")),
        _after(one.get("p95")),
        str(int(step) + 1) if step is not None else render.NOTHING,
        hurt,
    )


def _guarded(one: Document) -> str:
    """What of it was no comparison."""
    part = float(one.get("guard") or 0)
    return f" (guard {part * 100:.0f} %)" if part else ""


def _after(seconds: float | None) -> str:
    return render.NOTHING if seconds is None else render.duration(seconds)
