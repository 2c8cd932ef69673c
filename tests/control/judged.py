"""Judges for the tests: how one may stand, and all of them as a value in the test's hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

from gatekeeper.core.judge.analysis import Analysis, Guard
from gatekeeper.core.judge.standing import GuardReading, QueryReading, Standing
from gatekeeper.core.judge.verdict import Cause, Kind, Numbers, Verdict

SENTENCE = "30 failures so far; green had 5 % of the requests but 8 of the failures"
NUMBERS = Numbers(
    seconds=312,
    requests=(9_500, 500),
    errors=(22, 8),
    slow=(480, 30),
    draws=(9_000, 470),
    draw_errors=(20, 7),
    log_odds=log(129.0),
    metrics={"errors": log(129.0), "latency": log(0.25)},
    proofs={"errors": log(2.0), "p95": log(3.0), "p99": log(4.0)},
    log_share=log(0.5),
    weight=0.05,
    reason=Cause.ERRORS,
    routes={"/checkout": (2, 7)},
    backends={"http://127.0.0.1:9002": (250, 8), "http://127.0.0.1:9003": (250, 0)},
    excluded=12,
    unkeyed=3,
    warmed=40,
)
GUARDED = Analysis(guard=Guard(0.05, 0.8, 60))


def standing(
    kind: Kind = Kind.SUSPICIOUS,
    service: str = "shop",
    *,
    release: int = 2,
    cause: Cause = Cause.ERRORS,
    sentence: str = SENTENCE,
    numbers: Numbers = NUMBERS,
    analysis: Analysis = GUARDED,
    **more: Any,
) -> Standing:
    verdict = Verdict(kind, sentence, numbers, 1 / analysis.alpha, cause, ("all 8 failures are on one backend",))
    fields = {
        "at": 1_700_000_312.0,
        "guards": (
            GuardReading("blue", "errors", 0.002, 0.05),
            GuardReading("green", "errors", 0.016, 0.05),
            GuardReading("blue", "p99", 0.0, 0.01),
            GuardReading("green", "p99", None, 0.01),
        ),
        "queries": (
            QueryReading("carts", 3.0, 5.0, None, "ok", "", 1_700_000_300.0),
            QueryReading("depth", None, None, 1.0, "unknown", "refused", None),
        ),
        **more,
    }
    return Standing(release, service, "blue", "green", analysis, verdict, **fields)


@dataclass
class Judges:
    """Stands for ``control.judging``: ``now`` is what judges of active releases say, ``past`` what is stored."""

    now: dict[int, Sequence[Standing]] = field(default_factory=dict)
    past: dict[int, Sequence[Standing]] = field(default_factory=dict)
    logs: dict[tuple[int, str], list[str]] = field(default_factory=dict)

    def verdicts(self, release: int) -> Sequence[Standing]:
        return self.now.get(release, ())

    async def recorded(self, release: int) -> Sequence[Standing]:
        return self.past.get(release, ())

    def log_paths(self, release: int, service: str) -> Sequence[str]:
        return self.logs.get((release, service), [])


LINES = '{"judge": {}}\n{"second": {"at": 0}}\n'


def judge(judges: Judges, release: int, folder: Path, *, service: str = "shop", **said: Any) -> Standing:
    """A judge that has an opinion of a release, and wrote down on what."""
    found = standing(release=release, service=service, **said)
    judges.now[release] = [*judges.now.get(release, ()), found]
    log = folder / f"{release}-{service}.jsonl"
    log.write_text(LINES)
    judges.logs[(release, service)] = [str(log)]
    return found
