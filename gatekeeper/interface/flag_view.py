"""How flags look on a terminal, from the documents of `/v1/flags`."""

import json
from collections.abc import Mapping
from typing import Any

from gatekeeper.interface import render
from gatekeeper.interface.failures import objects

COLUMNS = ("flag", "type", "state", "share", "services", "owner", "expires")
STATES = {"candidate": "with candidate"}
MAX_VALUE = 100
"""Characters of a value that are shown; `--json` has the whole."""


def table(flags: list[dict[str, Any]]) -> render.Table:
    return render.Table(COLUMNS, [[_cell(flag, name) for name in COLUMNS] for flag in flags])


def _cell(flag: Mapping[str, Any], column: str) -> str:
    match column:
        case "flag":
            return str(flag.get("name", ""))
        case "state":
            return STATES.get(str(flag.get("state")), str(flag.get("state", "")))
        case "share":
            return share(flag)
        case "services":
            return render.listing(flag.get("services") or []) or "all"
        case "expires":
            return _expires(flag)
    return str(flag.get(column) or render.NOTHING)


def share(flag: Mapping[str, Any]) -> str:
    """``10%``, or the weights of the variants."""
    percent = flag.get("percent")
    return render.weights(flag.get("split") or {}) if percent is None else f"{render.number(percent)}%"


def situation(flag: Mapping[str, Any] | None) -> str:
    """``on for 10%``, ``killed``, ``on for who gets green``: in a few words, what holds."""
    if flag is None:
        return "gone"
    state = flag.get("state")
    if state == "candidate":
        return render.clean(f"on for who gets {flag.get('following')}")
    if state != "on":
        return str(state)
    if flag.get("percent") is None:
        return f"on, {share(flag)}"
    return "on" if flag["percent"] == 100 else f"on for {share(flag)}"


def parts(flag: Mapping[str, Any]) -> list[render.Part]:
    """One flag on a page."""
    changed = flag.get("changed") or {}
    head = f"{flag.get('name')}: {situation(flag)} ({flag.get('type')}), changed at {render.moment(changed.get('at'))}"
    lines = [f"{head}, revision {changed.get('revision')}"]
    if flag.get("description"):
        lines.append(f"  {flag['description']}")
    lines += [f"  {name}: {text}" for name, text in _facts(flag)]
    variants = flag.get("variants") or {}
    split = flag.get("split") or {}
    rows = [
        (name, render.number(split.get(name)), _value(value), "while off" if name == flag.get("off") else "")
        for name, value in variants.items()
    ]
    return [*map(render.clean, lines), render.Table(("variant", "weight", "value", ""), rows, frozenset({"weight"}))]


def _facts(flag: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [("services", render.listing(flag.get("services") or []) or "all")]
    if flag.get("when"):
        found.append(("when", json.dumps(flag["when"], ensure_ascii=False)))
    if schedule := flag.get("schedule"):
        moments = [f"{word} at {render.moment(schedule[word])}" for word in ("on", "off") if schedule.get(word)]
        done = "" if schedule.get("next") else " (done)"
        found.append(("schedule", ", ".join(moments) + done))
    if flag.get("follow"):
        found.append(("follows", f"the releases of {flag['follow']}"))
    if flag.get("on_fail"):
        found.append(("judged", _judged(flag)))
    if flag.get("owner"):
        found.append(("owner", str(flag["owner"])))
    if flag.get("expires"):
        found.append(("expires", _expires(flag)))
    if flag.get("origin") == "command":
        found.append(("defined", "by command; the file does not name it"))
    elif flag.get("differs_from_file"):
        found.append(("defined", "otherwise than in the file, by command"))
    if undo := objects(flag.get("undo")):
        held = undo[0]
        found.append(("a rollback", f"makes it {'on' if held.get('on') else 'off'}, {render.weights(held['split'])}"))
    return found


def _judged(flag: Mapping[str, Any]) -> str:
    """``suspicious: 12 failures so far; ...``, or when it will be."""
    verdict = flag.get("verdict")
    proven = "turned off when proven worse" if flag["on_fail"] == "off" else "kept when proven worse"
    if not verdict:
        return f"while it is on for some and not for all; {proven}"
    return f"{str(verdict.get('kind')).replace('_', ' ')}: {verdict.get('sentence')} ({proven})"


def _expires(flag: Mapping[str, Any]) -> str:
    expires = flag.get("expires")
    return f"{expires or render.NOTHING}{', overdue' if flag.get('overdue') else ''}"


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."


def history(revisions: list[dict[str, Any]], name: str) -> render.Table:
    rows = [
        (
            str(one.get("revision", "")),
            render.moment(one.get("at")),
            str(one.get("actor", "")),
            str(one.get("action", "")),
            *_held((one.get("flags") or {}).get(name)),
            str(one.get("note") or ""),
        )
        for one in revisions
    ]
    return render.Table(
        ("revision", "at", "actor", "action", "state", "weights", "note"), rows, frozenset({"revision"})
    )


def _held(held: Mapping[str, Any] | None) -> tuple[str, str]:
    if held is None:
        return "gone", render.NOTHING
    state = "killed" if held.get("killed") else "on" if held.get("on") else "off"
    return state, render.weights(held.get("split") or {})


def remarks(flags: Mapping[str, Any]) -> list[str]:
    """What `status` says of flags: those that are killed, and those that should be gone."""
    lines = [f"flag {name} is killed: gatekeeper flag on {name} --revive" for name in flags.get("killed") or []]
    for flag in objects(flags.get("overdue")):
        whose = f" of {flag['owner']}" if flag.get("owner") else ""
        lines.append(f"flag {flag.get('name')}{whose} is overdue: it was to be gone by {flag.get('expires')}")
    return lines
