"""Outcomes -> a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.releases.loops import EACH, JUDGE
from benchmarks.releases.play import Outcome


def markdown(outcomes: Sequence[Outcome], about: dict[str, str]) -> str:
    """Per fault and watcher what it cost until the release was ended, and what the judge said."""
    watchers = [each for each in EACH if any(outcome.watcher == each for outcome in outcomes)]
    found = {(outcome.fault, outcome.watcher): outcome for outcome in outcomes}
    faults = list(dict.fromkeys(outcome.fault for outcome in outcomes))
    out = [f"| | {' | '.join(watchers)} |", f"|---|{'---|' * len(watchers)}"]
    for fault in faults:
        cells = [_cell(found[fault, watcher]) if (fault, watcher) in found else "" for watcher in watchers]
        out.append(f"| {fault} | {' | '.join(cells)} |")
    said = [(fault, found[fault, JUDGE].said) for fault in faults if (fault, JUDGE) in found]
    if said:
        out += ["", "What the judge said:", ""]
        out += [f"- {fault}: {text or 'nothing that would end it'}" for fault, text in said]
    return "\n".join([*out, "", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]) + "\n"


def _cell(outcome: Outcome) -> str:
    hurt = [f"{outcome.harmed:,} failed"] if outcome.harmed else []
    hurt += [f"{outcome.slowed:,} slowed"] if outcome.slowed else []
    cost = ", ".join(hurt) or "nobody hurt"
    if outcome.seconds is None:
        return f"never; {cost}"
    return f"{'held after' if outcome.held else '**rolled back** after'} {outcome.seconds:,.0f} s; {cost}"


def wrong(outcomes: Sequence[Outcome], innocent: str) -> list[str]:
    """What should not be: a fault that the judge let be, or a good release that it ended."""
    problems = []
    for outcome in outcomes:
        if outcome.watcher == JUDGE:
            if outcome.fault == innocent and outcome.seconds is not None:
                problems.append(f"{outcome.fault}: the judge ended it: {outcome.said}")
            if outcome.fault != innocent and outcome.seconds is None:
                problems.append(f"{outcome.fault}: the judge did nothing")
    return problems


def as_json(outcomes: Sequence[Outcome], about: dict[str, str]) -> str:
    return json.dumps({"about": about, "outcomes": [asdict(each) for each in outcomes]}, indent=1) + "\n"
