"""The report of a release, for a change ticket: everything it knows and every revision it made, as JSON or Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from gatekeeper import __version__
from gatekeeper.control.api import markup, release_views, verdict_report, views, wire
from gatekeeper.control.api.looking import look_back
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.releases import Releases
from gatekeeper.core.model import Release
from gatekeeper.core.release.words import count, duration, listed, moves, with_reason

Document = dict[str, Any]

MARKDOWN: Final = "text/markdown"
JSON: Final = "application/json"
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
        document = {**release_views.full(state, release, await look_back(self._parts, release)), "report": about}
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
    ended = f" on {markup.moment(release.ended_at)}" if release.ended_at is not None else ""
    state = release.state.value.replace("_", " ")
    return with_reason(
        f"Release of {what} by plan {release.plan.name}, started by {release.author} on "
        f"{markup.moment(release.created)}; it {'is' if release.active else 'was'} {state}{ended}"
        + (f", after {listed(evidence)}" if evidence else ", without a check or an approval"),
        release.reason,
    )


def markdown(report: Mapping[str, Any]) -> str:
    """A report, as its JSON has it, for people."""
    parts = [
        f"# Release {report['id']}: {markup.text('; '.join(_move(move) for move in report['moves']))}",
        markup.text(report["report"]["summary"]) + ".",
        markup.table(("", ""), _facts(report)),
        "## The five questions",
        *(f"**{markup.text(each['question'])}** {markup.text(each['answer'])}." for each in report["answers"]),
        "## Steps",
        markup.table(("step", "state", "from", "to", "before it"), _steps(report)),
        "## Checks",
        *_checks(report["checks"]),
        "## Approvals",
        markup.table(("approved by", "for", "gate", "at", "reason"), _approvals(report)),
        "## Skipped",
        markup.table(("skipped by", "what", "at", "reason"), _skipped(report)),
        "## Verdict",
        *verdict_report.sections(report["verdict"], report["verdicts"]),
        "## Who did what, when",
        markup.table(("at", "who", "event", "what"), _log(report)),
        "## Revisions",
        markup.table(("revision", "at", "who", "action", "weights", "note"), _revisions(report)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    groups = f" ({', '.join(report['author_groups'])})" if report["author_groups"] else ""
    yield "state", str(report["headline"])
    for move in report["moves"]:
        yield f"candidate of {move['service']}", f"{move['to']}, build {move['build'] or 'unknown'}"
        yield f"weights of {move['service']} before", _weights(_before(move))
        if move["split"] is not None:
            yield f"weights of {move['service']} now", _weights(move["split"])
    yield "plan", str(report["plan"]["name"])
    yield "started", f"{markup.moment(report['created'])} by {report['author']}{groups}"
    if report["note"]:
        yield "note", str(report["note"])
    if report["ended_at"] is not None:
        yield "ended", markup.moment(report["ended_at"])
    if report["retained"]:
        yield "the old version is kept until", markup.moment(report["retained_until"])
    yield "waits for", "; ".join(f"{item['detail']} ({item['who']})" for item in report["waiting"]) or "nothing"
    yield "this report", f"{markup.moment(report['report']['made'])} by gatekeeper {report['report']['gatekeeper']}"


def _steps(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for stage in report["timeline"]:
        hold = f", held for {duration(stage['hold'])}" if stage["hold"] else ""
        gates = "; ".join(_gate(gate) for gate in stage["gates"])
        place = f"{stage['step'] + 1}: {stage['weight']} %{hold}"
        yield place, markup.words(stage["state"]), markup.moment(stage["from"]), markup.moment(stage["to"]), gates


def _gate(gate: Mapping[str, Any]) -> str:
    who = f" by {', '.join(gate['who'])}" if gate["who"] else ""
    missing = f", missing: {', '.join(gate['missing'])}" if gate["missing"] else ""
    return f"{gate['text']}: {markup.words(gate['state'])}{who}{missing}"


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
            markup.moment(each["at"]),
            each["version"] + ("" if each["current"] else " (another deploy than now)"),
        )
        for each in checks
    ]
    yield markup.table(("service", "check", "result", "took", "at", "version"), rows)
    for each in checks:
        if each["output"].strip():
            yield f"Output of {markup.text(each['name'])} in service {markup.text(each['service'])}:"
            yield markup.quoted(each["output"])


def _approvals(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["approvals"]:
        yield each["actor"], ", ".join(each["groups"]), each["gate"], markup.moment(each["at"]), each["reason"]


def _skipped(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["skipped"]:
        yield each["actor"], each["what"], markup.moment(each["at"]), each["reason"]


def _log(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["log"]:
        yield markup.moment(each["at"]), each["actor"], markup.words(each["event"]), each["text"]


def _revisions(report: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for each in report["report"]["revisions"]:
        splits = "; ".join(f"{service}: {_weights(split)}" for service, split in each["splits"].items())
        yield (
            str(each["revision"]),
            markup.moment(each["at"]),
            each["actor"],
            markup.words(each["action"]),
            splits or "as before",
            each["note"],
        )


def _move(move: Mapping[str, Any]) -> str:
    return f"{move['service']} from {move['from']} to {move['to']}"


def _before(move: Mapping[str, Any]) -> dict[str, Any]:
    """Without versions that are none of the release's and hold nothing: they may have been deployed after its start."""
    mine = {move["from"], move["to"]}
    return {version: weight for version, weight in move["before"].items() if weight or version in mine}


def _weights(split: Mapping[str, Any]) -> str:
    return ", ".join(f"{version} {weight}" for version, weight in split.items())
