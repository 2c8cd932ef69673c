"""What a plan's analysis demands of the judge before a release goes on.

A hold ends by its time and by a word of the judge about this very hold. An alarm never lets it end; before the step to
everything, or before every step if the plan says so, only proof does. A judge that says nothing lets nothing pass.
Somebody who skips a hold overrules what the judge says then, up to the next step, and nothing that is worse.
"""

from collections.abc import Iterable
from typing import Final

from gatekeeper.core.judge.analysis import Demand
from gatekeeper.core.judge.standing import BY_WEIGHT
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.release.model import Release, ReleaseState, VerdictView
from gatekeeper.core.release.moving import WHOLE

ALARMS: Final = frozenset({Kind.ROLLBACK, Kind.SHARED_TROUBLE, Kind.INVALID, Kind.SUSPICIOUS})
"""What never lets a hold end, nor a weight grow."""
SILENCE: Final = Kind.COLLECTING
"""What a judge that has not said anything is taken for where somebody overrules it."""


def worst(views: Iterable[VerdictView]) -> VerdictView:
    """The one that counts for a release of several services; of equal ones one that does not pass, then the highest
    odds. Raises ValueError for none.
    """
    return min(views, key=lambda view: (_rank(view.kind), view.passes, -(view.odds or 0.0)))


def asked(release: Release) -> bool:
    """Whether a judge watches it now: it has an analysis, and a weight."""
    return release.plan.analysis is not None and release.active and release.step >= 0


def whole(release: Release) -> bool:
    """Whether the candidate has everything: there is no stable beside it to compare it with, only guards are left."""
    return release.step >= 0 and release.plan.steps[release.step].weight == WHOLE


def needs_proof(release: Release) -> bool:
    """Whether the present hold, or the wait after it, is over only once the candidate is proven good enough."""
    analysis = release.plan.analysis
    if analysis is None or release.step < 0 or whole(release):
        return False
    return analysis.steps is Demand.PASSED or _before_everything(release)


def passes(release: Release, kind: str) -> bool:
    """Whether a verdict of that kind lets the present hold end."""
    if release.plan.analysis is None or overruled(release, kind):
        return True
    return kind not in ALARMS and (kind == Kind.PASSED or not needs_proof(release))


def overruled(release: Release, kind: str) -> bool:
    """Whether somebody who skipped the hold accepted such a verdict, or a worse one."""
    if not release.overruled:
        return False
    return kind not in ALARMS or _rank(release.overruled) <= _rank(kind)


def heard(release: Release, said: VerdictView) -> tuple[str, str, bool]:
    """What is noted of a verdict: kind, cause, and whether the hold may end by it. A judge that holds something else
    against it (a metric that does not answer) says so by ``passes``.
    """
    passing = overruled(release, said.kind) or (said.passes and passes(release, said.kind))
    return said.kind, said.cause, passing


def is_news(release: Release, said: VerdictView) -> bool:
    """Whether a verdict is to be told to the release: it changes more than its numbers."""
    known = release.verdict
    return known is None or (known.kind, known.cause, known.passes) != heard(release, said)


def lets_go(release: Release) -> bool:
    """Whether the judge lets the present hold end, and the next step be taken."""
    if release.verdict is None:
        return not asked(release) or bool(release.overruled)
    return release.verdict.passes


def proven(release: Release) -> bool:
    """Whether the judge lets the candidate have everything now, however many steps are left."""
    if release.plan.analysis is None:
        return True
    if release.step < 0 or not lets_go(release):
        return False
    is_proof = release.verdict is not None and release.verdict.kind == Kind.PASSED
    return is_proof or whole(release) or _before_everything(release)


def overdue(release: Release, at: float) -> bool:
    """Whether the time that the present hold has for its proof is over: its verdict is then not enough data.

    ``at`` is the release's own time. While the release is paused nothing becomes overdue, and what is stays so.
    """
    analysis = release.plan.analysis
    if analysis is None or not needs_proof(release):
        return False
    if release.state is ReleaseState.PAUSED:
        return release.verdict is not None and release.verdict.kind == Kind.NOT_ENOUGH_DATA
    if release.state is not ReleaseState.PROGRESSING:
        return False
    return release.held_at(at) >= max(analysis.deadline, release.plan.steps[release.step].hold)


def _before_everything(release: Release) -> bool:
    step = release.step + 1
    return step == len(release.plan.steps) or release.plan.steps[step].weight == WHOLE


def _rank(kind: str) -> int:
    """0 is the worst. Raises ValueError for what no judge says."""
    return BY_WEIGHT.index(Kind(kind))
