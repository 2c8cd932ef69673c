"""The bets on errors: of all requests together, and of each of the routes that were chosen before the release.

A route of half a percent of the traffic that fails wholly is nothing among all requests and plain on its own. Half of
the wealth goes to all of them, the other half to the routes in equal parts. Where each request draws its own label the
parts bet on the same draw, and their sum is the evidence (an average of e-values is one). Where labels stick to units
they bet on errors at different times, each of which reveals the label: then only the best of the parts counts, as much
as it was given (Bonferroni).

Where labels stick to units nothing is dealt out anew, either. A unit bets once, at its first error. Versions that fail
at different speeds use up their units at different speeds: after stable has failed all of its units once, every first
error left is the candidate's, good as it may be. Wealth that remembers has paid for that at stable's failures: the
candidate's come later than they would have on stable, and wealth is never more than if each label had been told at the
time at which its unit would have failed on stable, where it is a fair coin. Wealth that forgets would be made whole
again in between. For the same reason the weight counts as the highest it ever was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from gatekeeper.core.judge.bets import RATIOS, Mixture, WorseTest, log_sum
from gatekeeper.core.judge.second import Cell

ALL: Final = ""
"""All requests, among the names of routes."""


@dataclass(slots=True)
class ErrorTest:
    """``highest`` is the highest weight of the release so far. ``tests`` are of ALL first, then of each route."""

    sticky: bool
    tests: Mapping[str, WorseTest]
    highest: float = 0.0

    @classmethod
    def begin(cls, routes: Sequence[str], *, rho: float, delta: float, sticky: bool) -> "ErrorTest":
        return cls(
            sticky,
            {name: WorseTest(rho, delta, Mixture.begin(len(RATIOS), shared=not sticky)) for name in (ALL, *routes)},
        )

    def bet(self, cell: Cell) -> None:
        """One weight of one tick."""
        weight = cell.weight
        if self.sticky and not cell.fresh:
            self.highest = weight = max(self.highest, weight)
        self.tests[ALL].bet(weight, cell.candidate.requests, cell.candidate.errors, cell.stable.errors)
        for name, tally in cell.routes.items():
            test = self.tests.get(name)
            if test is not None:
                test.bet(weight, tally.candidate, tally.candidate_errors, tally.stable_errors)

    def end_tick(self) -> None:
        for test in self.tests.values():
            test.mixture.end_tick()

    def cap(self, log_most: float) -> None:
        for test in self.tests.values():
            test.mixture.cap(log_most)

    def _parts(self) -> dict[str, float]:
        """Logarithms of what each part adds."""
        if len(self.tests) == 1:
            return {ALL: self.tests[ALL].mixture.log_wealth}
        each = log(0.5 / (len(self.tests) - 1))
        return {
            name: test.mixture.log_wealth + (log(0.5) if name == ALL else each) for name, test in self.tests.items()
        }

    @property
    def log_wealth(self) -> float:
        if len(self.tests) == 1:
            return self.tests[ALL].mixture.log_wealth
        parts = self._parts().values()
        return max(parts) if self.sticky else log_sum([*parts])

    @property
    def loudest(self) -> str:
        """The route that says most, or ALL."""
        parts = self._parts()
        return max(parts, key=lambda name: parts[name])
