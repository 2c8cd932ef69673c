"""All that was measured, and the figures that are made of it: medians over the rounds, ratios within them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.proxies.idle import Held
from benchmarks.proxies.latency import Timed
from benchmarks.proxies.measure import Run
from benchmarks.proxies.soak import Soak

REFERENCE = "nginx"
Rounds = list[dict[str, Run]]


@dataclass(slots=True)
class Results:
    """``refused``: case and contestant -> why there is no figure."""

    rounds: dict[str, Rounds] = field(default_factory=dict)
    timed: list[dict[str, list[Timed]]] = field(default_factory=list)
    held: list[dict[str, Held]] = field(default_factory=list)
    soak: Soak | None = None
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def runs(self, case: str, name: str) -> list[Run]:
        return [found[name] for found in self.rounds.get(case, []) if name in found]

    def middle(self, case: str, name: str, of: Callable[[Run], float]) -> float | None:
        """The median over the rounds."""
        runs = self.runs(case, name)
        return median(map(of, runs)) if runs else None

    def ratio(self, case: str, name: str, other: str, of: Callable[[Run], float]) -> float | None:
        """Median of the ratios round by round: what slows a whole round (heat, neighbours) cancels out."""
        both = [found for found in self.rounds.get(case, []) if name in found and other in found]
        return median(of(found[name]) / of(found[other]) for found in both) if both else None

    def between(self, case: str, other: str, name: str, of: Callable[[Run], float]) -> float | None:
        """The same of one contestant in two cases: those of one round were played one after the other."""
        pairs = zip(self.rounds.get(case, []), self.rounds.get(other, []), strict=False)
        found = [of(one[name]) / of(two[name]) for one, two in pairs if name in one and name in two]
        return median(found) if found else None

    def added(self, name: str, share: float, quantile: str) -> float | None:
        """Seconds that a contestant adds to what the same requests take directly: median over the rounds."""
        found = []
        for each in self.timed:
            through, straight = (at(each.get(who, []), share) for who in (name, "direct"))
            if through is not None and straight is not None:
                found.append(through.took[quantile] - straight.took[quantile])
        return median(found) if found else None

    def growth(self, name: str) -> float | None:
        """Bytes that idle connections add."""
        found = [each[name].added for each in self.held if name in each]
        return median(found) if found else None


def at(timed: Sequence[Timed], share: float) -> Timed | None:
    return next((each for each in timed if each.share == share), None)


def cpu(run: Run) -> float:
    return run.cpu_per_request


def per_cpu(run: Run) -> float:
    """Bytes of bodies for a second of CPU."""
    return run.size / run.cpu
