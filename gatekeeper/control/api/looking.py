"""What is known of the world when a release is shown: time, zones, backends, checks that run, what the judge says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gatekeeper.control.api.parts import Parts
from gatekeeper.core.judge.standing import Standing
from gatekeeper.core.model import Release
from gatekeeper.core.release import gates
from gatekeeper.core.release.calendar import Offset

_OVER: Final = frozenset({"passed", "failed"})
"""States of a check that has ended."""


@dataclass(frozen=True, slots=True)
class Look:
    """``now`` is wall seconds; ``steady`` and ``ready`` as in ``commands.ReleaseCommand``.

    ``checking`` names the checks that run, or wait their turn to; ``standings`` is how its judges stand.
    """

    now: float
    offset: Offset
    steady: float | None = None
    ready: Mapping[str, bool] | None = None
    checking: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()

    def at(self, release: Release) -> float:
        """The release's own time; that of the wall for one that is over."""
        if not (release.active or release.retained):
            return self.now
        return max(release.seen, self.now if self.steady is None else self.steady)


LookAt = Callable[[Release], Look]


def look(parts: Parts, release: Release, *, real: bool = True) -> Look:
    """What is known for this release. Not ``real``: one that a dry run made, so that nothing is noted under its id."""
    runner, now = parts.runner, parts.clock.wall()
    offset = _known(runner.offset)
    if not (release.active or release.retained):
        return Look(now, offset)
    ready = runner.ready({move.service: move.to for move in release.moves})
    if not real:
        return Look(now, offset, ready=ready)
    standings = tuple(parts.judging.verdicts(release.id))
    return Look(now, offset, runner.steady(release), ready, _checking(parts, release), standings)


async def look_back(parts: Parts, release: Release) -> Look:
    """``look``, with how its judges stood last where the release is over. Raises StoreError."""
    found = look(parts, release)
    if found.standings or release.active:
        return found
    return replace(found, standings=tuple(await parts.judging.recorded(release.id)))


def _checking(parts: Parts, release: Release) -> tuple[str, ...]:
    checks = gates.checks_of(release)
    if checks is None:
        return ()
    running = [each for each in parts.runner.progress(release.id) if each["state"] not in _OVER]
    several = len(release.moves) > 1
    return tuple(f"{each['service']}: {each['name']}" if several else each["name"] for each in running)


def _known(offset: Offset) -> Offset:
    """Without failing where the machine has lost a zone since the file was read: what is shown is then UTC."""

    def found(zone: str, at: float) -> float:
        try:
            return offset(zone, at)
        except LookupError:
            return 0.0

    return found
