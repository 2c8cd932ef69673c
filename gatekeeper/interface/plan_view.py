"""Plans as people read them: all of them in a table, one of them step by step."""

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeeper.interface import render
from gatekeeper.interface.failures import objects

Document = Mapping[str, Any]


def picture(data: Document) -> list[render.Part]:
    """All plans, then the services that move as one and the freezes."""
    defaults: dict[str, list[str]] = {}
    for service, name in dict(data.get("defaults") or {}).items():
        defaults.setdefault(str(name), []).append(service)
    groups = dict(data.get("groups") or {})
    for name, group in groups.items():
        if group.get("plan"):
            defaults.setdefault(str(group["plan"]), []).append(name)
    rows = [
        (
            str(plan.get("name")),
            steps(plan),
            render.duration(float(plan.get("seconds") or 0)),
            render.number(len(_checks(plan))),
            ", ".join(dict.fromkeys(_groups(plan))),
            start(plan),
            ", ".join(defaults.get(str(plan.get("name")), [])),
        )
        for plan in objects(data.get("plans"))
    ]
    columns = ("plan", "steps", "takes at least", "checks", "asks", "starts", "default of")
    parts: list[render.Part] = [render.Table(columns, rows, frozenset({"takes at least", "checks"}))]
    parts += (
        f"{render.clean(name)}: {render.clean(render.listing(group.get('services') or []))} move as one"
        for name, group in groups.items()
    )
    parts += map(_freeze, objects(data.get("freezes")))
    return parts


def steps(plan: Document) -> str:
    """``1 % 5m, 10 % 10m, 100 %``."""
    words = []
    for step in objects(plan.get("steps")):
        hold = float(step.get("hold") or 0)
        words.append(f"{render.number(step.get('weight'))} %{f' {render.duration(hold)}' if hold else ''}")
    return ", ".join(words)


def start(plan: Document) -> str:
    """When its steps may be taken; nothing if at any time."""
    window = plan.get("window") or {}
    at = f"not before {render.moment(plan['at'])}" if plan.get("at") is not None else ""
    return ", ".join(part for part in (at, str(window.get("text") or "")) if part)


def _checks(plan: Document) -> list[str]:
    return [*(plan.get("verify") or []), *(name for step in objects(plan.get("steps")) for name in step["verify"])]


def _groups(plan: Document) -> Iterable[str]:
    for asked in (plan.get("approve"), *(step.get("approve") for step in objects(plan.get("steps")))):
        yield from (asked or {}).get("groups", [])


def _freeze(freeze: Document) -> str:
    services = ", ".join(freeze.get("services") or []) or "all services"
    reason = f": {freeze['reason']}" if freeze.get("reason") else ""
    force = "in force" if freeze.get("in_force") else "not in force"
    return render.clean(f"freeze of {services}, {force}, {freeze.get('text')}{reason}")


def walk(plan: Document) -> list[render.Part]:
    """One plan: what is done, in its order, and how long each part takes at least."""
    rows = [("verify", name, "") for name in plan.get("verify") or []]
    if plan.get("approve"):
        rows.append(_approval(plan["approve"]))
    if text := start(plan):
        rows.append(("wait", f"until it may start: {text}", ""))
    if analysis := (plan.get("definition") or {}).get("analysis"):
        proof = "every step" if analysis.get("steps") == "passed" else "all users get it"
        rows.append(("judge", f"compares it with the old version from now on; it must be proven before {proof}", ""))
    for step in objects(plan.get("steps")):
        rows += (("verify", name, "") for name in step.get("verify") or [])
        if step.get("approve"):
            rows.append(_approval(step["approve"]))
        if step.get("pause"):
            rows.append(("pause", "until somebody resumes it", ""))
        hold = float(step.get("hold") or 0)
        share = f"{render.number(step.get('weight'))} % of the users"
        rows.append(("step", share, render.duration(hold) if hold else ""))
    keep = render.duration(float(plan.get("retain") or 0))
    rows.append(("promote", "the new version is stable; the old one is kept", keep))
    fails = "it is rolled back" if plan.get("on_fail") == "rollback" else "it pauses"
    table = render.Table(("what", "how", "for"), rows, frozenset({"for"}))
    return [f"plan {render.clean(plan.get('name'))}: when a check or the judge is against it, {fails}", table]


def _approval(asked: Document) -> tuple[str, str, str]:
    expires = render.duration(float(asked.get("expires") or 0))
    return "approve", f"one member of each of {render.listing(asked.get('groups') or [])}; good for {expires}", ""
