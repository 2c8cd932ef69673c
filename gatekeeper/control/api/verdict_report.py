"""The judge's part of a report: what it said, and for each service the numbers that rests on, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatekeeper.control.api import markup
from gatekeeper.core.judge.judge import SHARE_ODDS
from gatekeeper.core.judge.words import percent

Document = Mapping[str, Any]
NO_COMPARISON = "an absolute bound, not a comparison"


def sections(verdict: Document | None, verdicts: Sequence[Document]) -> Iterable[str]:
    """Paragraphs and tables, from the ``verdict`` and the ``verdicts`` of a release's document."""
    if verdict is None:
        yield "The judge said nothing."
    else:
        yield markup.text(f"The judge says: {markup.words(verdict['kind'])}: {verdict['sentence']}{_odds(verdict)}.")
    for one in verdicts:
        yield f"### Service {markup.text(one['service'])}"
        if len(verdicts) > 1:
            yield markup.text(f"{markup.words(one['kind'])}: {one['sentence']}.")
        for note in one["notes"]:
            yield markup.text(f"Note: {note}{'' if note.endswith('?') else '.'}")
        yield markup.table(("", one["stable"], one["candidate"]), _counts(one))
        yield markup.table(("question", "answer", "decides at"), _bars(one))
        if one["backends"]:
            yield markup.table((f"backend of {one['candidate']}", "requests", "failures"), _backends(one))


def _odds(verdict: Document) -> str:
    return f" (odds {verdict['odds']:g})" if verdict["odds"] is not None else ""


def _counts(one: Document) -> Iterable[tuple[str, str, str]]:
    for what, name in (
        ("requests compared", "requests"),
        ("failures bet on", "errors"),
        ("answers slower than stable's p95", "slow"),
        ("draws", "draws"),
    ):
        yield what, f"{one[name]['stable']:,}", f"{one[name]['candidate']:,}"
    for route in one["routes"]:
        yield f"failures on {route['route']}", f"{route['stable']:,}", f"{route['candidate']:,}"


def _bars(one: Document) -> Iterable[tuple[str, str, str]]:
    for metric, odds in one["metrics"].items():
        yield f"worse by {metric}? odds against luck", f"{odds:.4g} : 1", f"{one['bar']:g} : 1"
    for metric, odds in one["proofs"].items():
        yield f"good enough by {metric}? odds for it", f"{odds:.4g} : 1", f"{one['proof_bar']:g} : 1"
    yield "is the routing what was drawn? odds against it", f"{one['share_odds']:.4g} : 1", f"{SHARE_ODDS:g} : 1"
    for reading in one["guards"]:
        what = "failed" if reading["guard"] == "errors" else f"took longer than {one['guard']['p99']:g} s"
        value = percent(reading["value"]) if reading["value"] is not None else "too few to say"
        yield (
            f"{what}, of the requests to {reading['version']} in {one['guard']['window']} s ({NO_COMPARISON})",
            value,
            percent(reading["bound"]),
        )
    for query in one["queries"]:
        yield f"custom metric {query['name']} ({NO_COMPARISON})", _value(query), _bounds(query)
    yield "seconds compared", f"{one['seconds']:,}", ""
    yield "weight of the candidate lately", percent(one["weight"]), ""
    for what, name in (
        ("requests left out, which the split alone did not decide", "excluded"),
        ("requests without a unit", "unkeyed"),
        ("requests of the warm-up, left out", "warm_up"),
    ):
        if one[name]:
            yield what, f"{one[name]:,}", ""


def _value(query: Document) -> str:
    value = f"{query['value']:g}" if query["value"] is not None else "no value"
    return f"{value}, {query['state']}{': ' + query['reason'] if query['reason'] else ''}"


def _bounds(query: Document) -> str:
    bounds = (("below", query["min"]), ("above", query["max"]))
    return " or ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def _backends(one: Document) -> Iterable[tuple[str, str, str]]:
    for each in one["backends"]:
        yield each["id"], f"{each['requests']:,}", f"{each['errors']:,}"
