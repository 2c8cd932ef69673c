"""The report of a release, for a change ticket: everything it knows and every revision it made, as JSON or Markdown.

What people and programs wrote is shown as they wrote it: in Markdown nothing of it can become markup.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from gatekeeper import __version__
from gatekeeper.control.api import release_views, views, wire
from gatekeeper.control.api.looking import look
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.releases import Releases
from gatekeeper.core.model import Release
from gatekeeper.core.release.words import count, duration, listed, moves, with_reason

Document = dict[str, Any]

MARKDOWN: Final = "text/markdown"
JSON: Final = "application/json"
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~$&])")
"""What begins markup anywhere in a line. What does at its beginning alone never comes there: we begin each."""
_RANGE: Final = re.compile(r"\s*([\w*+.-]+/[\w*+.-]+)\s*(.*)", re.ASCII)
_WEIGHT: Final = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.ASCII)


class Reports:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._releases = Releases(parts)

    async def report(self, call: Call) -> web.Response:
        """Markdown where ``Accept`` prefers it, else JSON."""
        release = await self._releases.named(call)
        rows = await self._parts.store.revisions_of(release)
        state = self._parts.controller.state
        about = {
            "made": self._parts.clock.wall(),
            "gatekeeper": __version__,
            "summary": summary(release),
            "revisions": [views.revision(row, None) for row in rows],
        }
        document = {**release_views.full(state, release, look(self._parts, release)), "report": about}
        headers = {"Vary": "Accept"}
        if not wants_markdown(call.request.headers.get("Accept", "")):
            return wire.answer(document, revision=state.revision, headers=headers)
        return web.Response(
            text=markdown(document),
            content_type=MARKDOWN,
            charset="utf-8",
            headers={**headers, "Cache-Control": "no-store", "ETag": f'"{state.revision}"'},
        )


def wants_markdown(accept: str) -> bool:
    """Whether an ``Accept`` field (RFC 9110 12.5.1) prefers Markdown to JSON; of two alike JSON is preferred."""
    return _quality(accept, MARKDOWN) > _quality(accept, JSON)


def _quality(accept: str, media_type: str) -> float:
    """0 to 1; that of the range which says most about the type."""
    kind = media_type.partition("/")[0]
    found = {}
    for each in accept.lower().split(","):
        if matched := _RANGE.fullmatch(each):
            weight = _WEIGHT.search(matched[2])
            found[matched[1]] = float(weight[1]) if weight else 1.0
    return next((found[one] for one in (media_type, f"{kind}/*", "*/*") if one in found), 0.0)


def summary(release: Release) -> str:
    """The release in one sentence."""
    builds = [*dict.fromkeys(move.build for move in release.moves if move.build)]
    what = f"{moves(release)}{f' (build {listed(builds)})' if builds else ''}"
    checks = [result for result in release.checks if result.passed]
    evidence = [f"{count(len(checks), 'check')} passed"] if checks else []
    evidence += [f"{each.actor} approved for {listed(each.groups)}" for each in release.approvals]
    evidence += [f"{each.actor} skipped ({each.what})" for each in release.skipped]
    ended = f" on {_moment(release.ended_at)}" if release.ended_at is not None else ""
    state = release.state.value.replace("_", " ")
    return with_reason(
        f"Release of {what} by plan {release.plan.name}, started by {release.author} on {_moment(release.created)}; "
        f"it {'is' if release.active else 'was'} {state}{ended}"
        + (f", after {listed(evidence)}" if evidence else ", without a check or an approval"),
        release.reason,
    )


def markdown(report: Mapping[str, Any]) -> str:
    """A report, as its JSON has it, for people."""
    parts = [
        f"# Release {report['id']}: {_text('; '.join(_move(move) for move in report['moves']))}",
        _text(report["report"]["summary"]) + ".",
        _table(("", ""), _facts(report)),
        "## The five questions",
        *(f"**{_text(each['question'])}** {_text(each['answer'])}." for each in report["answers"]),
        "## Steps",
        _table(("step", "state", "from", "to", "before it"), _steps(report)),
        "## Checks",
        *_checks(report["checks"]),
        "## Approvals",
        _table(("approved by", "for", "gate", "at", "reason"), _approvals(report)),
        "## Skipped",
        _table(("skipped by", "what", "at", "reason"), _skipped(report)),
        "## Verdict",
        _text(_verdict(report["verdict"])),
        "## Who did what, when",
        _table(("at", "who", "event", "what"), _log(report)),
        "## Revisions",
        _table(("revision", "at", "who", "action", "weights", "note"), _revisions(report)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    groups = f" ({', '.join(report['author_groups'])})" if report["author_groups"] else ""
    yield "state", str(report["headline"])
    for move in report["moves"]:
        yield f"candidate of {move['service']}", f"{move['to']}, build {move['build'] or 'unknown'}"
        yield f"weights of {move['service']} before", _weights(move["before"])
        if move["split"] is not None:
            yield f"weights of {move['service']} now", _weights(move["split"])
    yield "plan", str(report["plan"]["name"])
    yield "started", f"{_moment(report['created'])} by {report['author']}{groups}"
    if report["note"]:
        yield "note", str(report["note"])
    if report["ended_at"] is not None:
        yield "ended", _moment(report["ended_at"])
    if report["retained"]:
        yield "the old version is kept until", _moment(report["retained_until"])
    yield "waits for", "; ".join(f"{item['detail']} ({item['who']})" for item in report["waiting"]) or "nothing"
    yield "this report", f"{_moment(report['report']['made'])} by gatekeeper {report['report']['gatekeeper']}"


def _steps(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for stage in report["timeline"]:
        hold = f", held for {duration(stage['hold'])}" if stage["hold"] else ""
        gates = "; ".join(_gate(gate) for gate in stage["gates"])
        place = f"{stage['step'] + 1}: {stage['weight']} %{hold}"
        yield place, _words(stage["state"]), _moment(stage["from"]), _moment(stage["to"]), gates


def _gate(gate: Mapping[str, Any]) -> str:
    who = f" by {', '.join(gate['who'])}" if gate["who"] else ""
    missing = f", missing: {', '.join(gate['missing'])}" if gate["missing"] else ""
    return f"{gate['text']}: {_words(gate['state'])}{who}{missing}"


def _checks(checks: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not checks:
        yield "None."
        return
    rows = [
        (
            each["service"],
            each["name"],
            "passed" if each["passed"] else "failed",
            duration(each["seconds"]),
            _moment(each["at"]),
            each["version"] + ("" if each["current"] else " (another deploy than now)"),
        )
        for each in checks
    ]
    yield _table(("service", "check", "result", "took", "at", "version"), rows)
    for each in checks:
        if each["output"].strip():
            yield f"Output of {_text(each['name'])} in service {_text(each['service'])}:"
            yield _quoted(each["output"])


def _approvals(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["approvals"]:
        yield each["actor"], ", ".join(each["groups"]), each["gate"], _moment(each["at"]), each["reason"]


def _skipped(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["skipped"]:
        yield each["actor"], each["what"], _moment(each["at"]), each["reason"]


def _verdict(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return "The judge said nothing."
    odds = f" (odds {verdict['odds']:g})" if verdict["odds"] is not None else ""
    return f"The judge says: {_words(verdict['kind'])}: {verdict['sentence']}{odds}."


def _log(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["log"]:
        yield _moment(each["at"]), each["actor"], _words(each["event"]), each["text"]


def _revisions(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["report"]["revisions"]:
        splits = "; ".join(f"{service}: {_weights(split)}" for service, split in each["splits"].items())
        yield (
            str(each["revision"]),
            _moment(each["at"]),
            each["actor"],
            _words(each["action"]),
            splits or "as before",
            each["note"],
        )


def _move(move: Mapping[str, Any]) -> str:
    return f"{move['service']} from {move['from']} to {move['to']}"


def _weights(split: Mapping[str, Any]) -> str:
    return ", ".join(f"{version} {weight}" for version, weight in split.items())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _moment(at: float | None) -> str:
    """``2026-12-01 06:00:00 UTC``; empty for none, and for one that no calendar has."""
    if at is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    if not lines:
        return "None."
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])


def _text(value: object) -> str:
    """In one line, and nothing in it is markup: neither of Markdown nor of HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _quoted(output: str) -> str:
    """As a block of code, with a fence that is not in it."""
    longest = max((len(run) for run in re.findall(r"`+", output)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{output.rstrip()}\n{fence}"
