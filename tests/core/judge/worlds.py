"""Small worlds in which every path can be walked, and seconds for tests of the judge."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gatekeeper.core import codec
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Arm, Backend, Cell, Second, Totals
from gatekeeper.core.judge.verdict import Verdict

Request = tuple[float, float, float]
"""Weight, and the probabilities that it fails on stable and on the candidate."""


def paths(requests: Sequence[Request]) -> Iterator[tuple[float, list[tuple[float, int, int, int]]]]:
    """Every way these requests may go: its probability, and the bets (weight, n, k, b) of each."""
    if not requests:
        yield 1.0, []
        return
    weight, stable, candidate = requests[0]
    outcomes = [
        (weight * candidate, (weight, 1, 1, 0)),
        (weight * (1 - candidate), (weight, 1, 0, 0)),
        ((1 - weight) * stable, (weight, 0, 0, 1)),
        ((1 - weight) * (1 - stable), (weight, 0, 0, 0)),
    ]
    for rest, bets in paths(requests[1:]):
        for chance, bet in outcomes:
            yield chance * rest, [bet, *bets]


def expectation(requests: Sequence[Request], play: Callable[[list[tuple[float, int, int, int]]], float]) -> float:
    return sum(chance * play(bets) for chance, bets in paths(requests))


def cell(weight: float, n: int, k: int, stable: int, b: int, **more: Any) -> Cell:
    """A cell in which every request drew its own label: ``n`` of the candidate, ``k`` of them failed."""
    return Cell(weight, Arm(stable, b, stable, b, more.pop("slow", {})), Arm(n, k, n, k, more.pop("fast", {})), **more)


def second(at: int, *cells: Cell, backends: Mapping[str, Backend] | None = None, **more: Any) -> Second:
    """A second with these cells; the totals are theirs."""
    stable = Totals(sum(each.stable.requests for each in cells), sum(each.stable.errors for each in cells))
    candidate = Totals(sum(each.candidate.requests for each in cells), sum(each.candidate.errors for each in cells))
    return Second(at, cells, stable, candidate, backends or {}, **more)


class Remembered:
    """What ``Units`` is made to remember, in dictionaries without bounds: nobody collides with anybody."""

    def __init__(self):
        self._seen = set()
        self._failed_on = set()
        self._known = {}
        """Unit that failed -> it is stable's up to this weight; the highest weight there was then."""
        self._highest = 0.0
        self._mixed = False

    def reach(self, weights, *, mixed=False):
        self._highest = max(self._highest, *weights, 0.0)
        self._mixed = self._mixed or mixed

    def is_new(self, unit):
        new = unit not in self._seen
        self._seen.add(unit)
        return new

    def is_first_on(self, unit, route):
        first = (unit, route) not in self._failed_on
        self._failed_on.add((unit, route))
        return first

    def coin(self, unit, weight, *, candidate):
        known = self._known.get(unit)
        if known is not None and (self._mixed or weight <= known[1]):
            return None
        coin = (weight, False) if known is None else ((weight - known[0]) / (1 - known[0]), True)
        since = weight if known is None else max(weight, known[0])
        # No weight is above 2: the label is known for good.
        self._known[unit] = (2.0, 2.0) if candidate else (since, self._highest)
        return coin


def feed(judge: Judge, *cells: Cell, seconds: int, start: int | None = None) -> int:
    """The same second again and again; the second after the last one."""
    begin = judge.last + 1 if start is None else start
    for at in range(begin, begin + seconds):
        judge.add(second(at, *cells))
    return begin + seconds


def replay(dumped: Any, seconds: Iterable[Any]) -> Iterator[Verdict]:
    """The verdict after each of the recorded seconds (as ``codec.dump`` wrote them), by the judge ``dumped`` at their
    beginning: the same as it was. Raises CodecError, naming the path, for what is no judge or no second.
    """
    judge = Judge.load(dumped)
    for each in seconds:
        judge.add(codec.load(Second, each))
        yield judge.verdict()
