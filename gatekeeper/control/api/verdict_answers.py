"""What clients get of the judge's verdicts and what they rest on, as models; see ``answers``."""

from typing import Annotated, Literal

from pydantic import Field

from gatekeeper.control.api.base import Answer, WallSeconds

VerdictKind = Literal["collecting", "suspicious", "rollback", "passed", "not_enough_data", "invalid", "shared_trouble"]
Odds = Annotated[float, Field(description="Odds to 1; never shown above 1e12.")]


class Verdict(Answer):
    """What the judge says of a release; ``odds`` are those against luck, ``bar`` those that mean rollback."""

    kind: VerdictKind
    sentence: str
    odds: float | None
    bar: float | None
    cause: Annotated[str, Field(description="Why, for programs; empty: nothing in particular.")]
    passes: Annotated[bool, Field(description="Whether the present hold may end by it.")]


class Pair(Answer):
    stable: int
    candidate: int


class OnRoute(Answer):
    """Errors that were bet on, of one route."""

    route: str
    stable: int
    candidate: int


class OnBackend(Answer):
    """Of one of the candidate's."""

    id: str
    requests: int
    errors: int


class Guard(Answer):
    """Absolute bounds, which are no comparison: the part of the requests that may fail, and seconds that 99 % may
    take at most, over ``window`` seconds.
    """

    errors: float | None
    p99: float | None
    window: int


class GuardReading(Answer):
    """``value`` is the part (0 to 1) of the version's requests that failed (``errors``), or took longer than the bound
    of the guard (``p99``); null: too few lately.
    """

    version: str
    guard: Literal["errors", "p99"]
    value: float | None
    bound: float


class QueryReading(Answer):
    """A custom metric: ``value`` is what its query gave at ``at``; ``unknown``: nothing usable, for that ``reason``."""

    name: str
    value: float | None
    max: float | None
    min: float | None
    state: Literal["ok", "beyond", "unknown"]
    reason: str
    at: WallSeconds | None


class VerdictInFull(Answer):
    """One service of a release, with everything the verdict rests on."""

    service: str
    stable: str
    candidate: str
    kind: VerdictKind
    sentence: str
    notes: Annotated[list[str], Field(description="What else whoever decides should know.")]
    cause: Annotated[str, Field(description="Why, for programs; empty: nothing in particular.")]
    odds: Odds
    bar: Annotated[float, Field(description="Odds that mean rollback.")]
    suspicious_at: Annotated[float, Field(description="Odds from which the weight is not raised.")]
    at: WallSeconds
    seconds: Annotated[int, Field(description="Of the comparison.")]
    weight: Annotated[float, Field(description="The candidate's part of the draws lately, 0 to 1.")]
    requests: Annotated[Pair, Field(description="Those that are compared.")]
    errors: Annotated[Pair, Field(description="Failures that were bet on.")]
    slow: Annotated[Pair, Field(description="Answers slower than 95 % of stable's lately.")]
    draws: Annotated[Pair, Field(description="Labels drawn anew: requests, or units where versions stick to them.")]
    metrics: Annotated[dict[str, float], Field(description="Metric to its odds; the highest are those of the verdict.")]
    proofs: Annotated[dict[str, float], Field(description="Metric to the odds that it is good enough.")]
    proof_bar: Annotated[float, Field(description="What each of `proofs` must reach for a pass.")]
    share_odds: Annotated[float, Field(description="Odds against the routing being what was drawn.")]
    routes: list[OnRoute]
    backends: list[OnBackend]
    excluded: Annotated[int, Field(description="Requests that the split alone did not decide; never bet on.")]
    unkeyed: Annotated[int, Field(description="Requests without a unit, where versions stick to units.")]
    warm_up: Annotated[int, Field(description="Requests of the warm-up, left out on both sides.")]
    keep: Annotated[int, Field(description="1 of so many units was looked at, where there were most of them.")]
    missing: Annotated[int, Field(description="Seconds of which a worker's report is missing.")]
    guard: Guard | None
    guards: list[GuardReading]
    queries: list[QueryReading]


class ReleaseVerdict(Answer):
    """What a gate in a pipeline asks: may it go on? Only ``passed`` says that the candidate is proven good enough."""

    revision: int
    release: int
    state: str
    kind: Annotated[VerdictKind | None, Field(description="Null: nothing is judged, or nothing was said yet.")]
    sentence: str
    passes: Annotated[bool, Field(description="Whether the present hold may end by it.")]
    verdicts: list[VerdictInFull]
