"""What the judge says, as the API shows it: the verdict of a release, and of each of its services with its evidence."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from gatekeeper.core.judge.analysis import SUSPICION, Guard
from gatekeeper.core.judge.standing import Standing, odds, worst
from gatekeeper.core.model import Release
from gatekeeper.core.release import demand
from gatekeeper.core.release.model import VerdictView

Document = dict[str, Any]


def document(standing: Standing) -> Document:
    """One service: what is said of it, and everything that rests on."""
    verdict, analysis = standing.verdict, standing.analysis
    numbers = verdict.numbers
    return {
        "service": standing.service,
        "stable": standing.stable,
        "candidate": standing.candidate,
        "kind": verdict.kind.value,
        "sentence": verdict.sentence,
        "notes": list(verdict.notes),
        "cause": verdict.cause.value,
        "odds": odds(numbers.log_odds),
        "bar": verdict.bar,
        "suspicious_at": SUSPICION,
        "at": standing.at,
        "seconds": numbers.seconds,
        "weight": numbers.weight,
        "requests": _pair(numbers.requests),
        "errors": _pair(numbers.errors),
        "slow": _pair(numbers.slow),
        "draws": _pair(numbers.draws),
        "metrics": {name: odds(each) for name, each in numbers.metrics.items()},
        "proofs": {name: odds(each) for name, each in numbers.proofs.items()},
        "proof_bar": 1 / analysis.beta,
        "share_odds": odds(numbers.log_share),
        "routes": [{"route": route, **_pair(errors)} for route, errors in numbers.routes.items()],
        "backends": [
            {"id": backend, "requests": requests, "errors": errors}
            for backend, (requests, errors) in numbers.backends.items()
        ],
        "excluded": numbers.excluded,
        "unkeyed": numbers.unkeyed,
        "warm_up": numbers.warmed,
        "keep": numbers.keep,
        "missing": numbers.missing,
        "guard": _guard(analysis.guard) if analysis.guard is not None else None,
        "guards": [asdict(reading) for reading in standing.guards],
        "queries": [asdict(reading) for reading in standing.queries],
    }


def refreshed(release: Release, standings: Sequence[Standing]) -> Release:
    """It with the sentence and the odds of this moment in its verdict: that has those of when it became so.

    What is new to the judge becomes the release's with its next word; a custom metric may say more than the judge.
    """
    known, decides = release.verdict, worst(standings)
    if decides is None:
        return release
    said = decides.verdict
    if known is not None and (known.kind, known.cause) != (said.kind, said.cause):
        return release
    verdict = VerdictView(
        kind=said.kind.value,
        sentence=f"{decides.service}: {said.sentence}" if len(release.moves) > 1 else said.sentence,
        odds=odds(said.numbers.log_odds),
        bar=said.bar,
        passes=demand.lets_go(release),
        cause=said.cause.value,
    )
    return replace(release, verdict=verdict)


def of_release(release: Release) -> Document | None:
    """None: the judge has said nothing."""
    return asdict(release.verdict) if release.verdict is not None else None


def _pair(found: tuple[int, int]) -> Document:
    return {"stable": found[0], "candidate": found[1]}


def _guard(guard: Guard) -> Document:
    return {"errors": guard.errors, "p99": guard.p99, "window": guard.window}
