"""Judging a flag as a version is judged: do those who have it fare worse than those who do not?

There is one judge for a flag, over all of its services. A unit has the same variant in all of them, by one draw: one
judge for each service would bet on that draw once more for each, and would have to share the chance of a false alarm.
The variant ``off`` stands where stable stands in a release, all the others together where the candidate does, and their
share where its weight does. Where services mix, the one who draws mixes them alike on both sides.

It begins when the flag is on for some and not for all, goes on whatever share is set, and begins anew after the flag
was off, or nobody's, or became another one. A flag that is on for everybody is heard out: absolute bounds hold, and
what was known is known should it be on for fewer again.
"""

from dataclasses import dataclass

from gatekeeper.core.flags.model import Flag, FlagState
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.model import Service, State, StickyMode
from gatekeeper.core.parts import When

NAMED = 3
"""Variants named in a sentence; of more it says how many."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a judge rests on; with other terms it is another judge."""

    flag: str
    analysis: Analysis
    off: str
    others: tuple[str, ...]
    when: When
    services: tuple[str, ...]
    """Empty = all."""
    units: bool
    """Whether units have variants rather than requests, in any of these; requests to the others are left out then."""

    @property
    def stable(self) -> str:
        return f"{self.flag}={self.off}"

    @property
    def candidate(self) -> str:
        names = "/".join(self.others) if len(self.others) <= NAMED else f"{len(self.others)} others"
        return f"{self.flag}={names}"


def share(flag: FlagState) -> float:
    """The part (0..1) of those for whom the flag is on, who get another variant than ``off``; 0 of one that is off, and
    of one that is for the candidate of a release alone: that is judged with the release.
    """
    running = flag.running
    if running.killed or running.following or not running.on:
        return 0.0
    weights = running.split.weights
    total = sum(weights.values())
    return float((total - weights.get(flag.definition.off, 0)) / total)


def terms(state: State, flag: Flag) -> Terms | None:
    """None for a flag that nobody wants judged."""
    if flag.analysis is None:
        return None
    others = tuple(name for name in flag.variants if name != flag.off)
    services = (state.services.get(name) for name in flag.services or state.services)
    units = any(each is not None and sticks(each.definition) for each in services)
    return Terms(flag.name, flag.analysis, flag.off, others, flag.when, flag.services, units)


def sticks(service: Service) -> bool:
    """Whether its units have variants, rather than its requests."""
    return service.sticky.mode is not StickyMode.NONE and bool(service.sticky.by)
