"""When something of a release is due by time alone: the next moment that somebody has to look at it."""

from collections.abc import Iterator

from gatekeeper.core.model import State
from gatekeeper.core.release import demand, gates
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.model import Release, ReleaseState


def next_due(state: State, release: Release, now: float, offset: Offset, steady: float | None = None) -> float | None:
    """Seconds from ``now`` (wall) until ``Advance`` may do something because of the time; None: never by time alone.

    What else it may wait for (people, checks, backends, the judge) makes itself heard. ``steady`` as in
    ``commands.ReleaseCommand``.
    """
    at = max(release.seen, now if steady is None else steady)
    return min((max(0.0, seconds) for seconds in _moments(state, release, now, at, offset)), default=None)


def _moments(state: State, release: Release, now: float, at: float, offset: Offset) -> Iterator[float]:
    if release.retained and release.retained_until is not None:
        yield release.retained_until - at
    if not release.active:
        return
    asked = gates.approvals_left(release)
    yield from (given.at + asked[given.gate].expires - at for given in release.approvals if given.gate in asked)
    if release.state is ReleaseState.PROGRESSING:
        hold, over = release.plan.steps[release.step].hold, release.held_at(at)
        if over < hold or demand.lets_go(release):
            yield hold - over
        else:
            yield max(hold, release.plan.max_hold) - over
    elif release.state is ReleaseState.WAITING:
        waiting = gates.waiting_for(state, release, now, offset, steady=at)
        yield from (item.until - now for item in waiting if item.until is not None)
        if not waiting:
            yield 0.0
