"""Who owns which part of the hash range, and how ownership changes when weights do.

A unit id hashes to a point of [0, SPACE); the version that owns the point serves the unit. Weights say how much each
version owns, history says which part: ownership is changed by the least that the new weights ask for, and never
computed afresh. That is why a ``Split`` is kept in the revision and not derived from the weights: for three versions or
more, no function of (unit, weights) alone moves only as much as it must (consistent hashing and weighted rendezvous
hashing, Thaler and Ravishankar 1998, move minimally in expectation or for two versions only).

Rules

1. A version is a stack of points. To shrink, it pops the points that joined last; to grow, it pushes what was popped,
   in the order of popping. So those who joined last leave first.
2. A version whose share fell never grows, one whose share rose never shrinks, one whose share stayed keeps every point.
   The points moved are then exactly the sum of all growths: fewer is impossible.
3. Versions give in the order of definition and take in the reverse order. That makes a move its own inverse: going back
   to the weights of before gives every unit the version it had.

A stack is written as oriented pieces (start, end): start < end is the points start, start + 1 .. end - 1 in the order
they joined; start > end is start - 1, start - 2 .. end. Popping the last n points of (a, b) gives (b, b -+ n), a piece
of the other orientation, so two versions that trade with each other never have more than one cut between them.

Ugly: lengths are whole points, shares are not. ``target_lengths`` rounds, and rounding afresh could take one point from
a version whose share rose; ``_settled_lengths`` therefore rounds with the past in view. A length is off by a few points
in 2**32 at most, and a weight too small for half a point owns nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from gatekeeper.core.model import Split, Weights
from gatekeeper.errors import GatekeeperError

SPACE = 2**32
"""Points of the hash range: 32 bits make a share exact to 0.00000003 %, and bisect compares small integers."""

MAX_PIECES = 4096
"""Most pieces of one split: bisect stays at 12 comparisons and the split under 100 KB of JSON. Two versions never have
more than two; three or more gain one or two pieces a change until one version holds everything and the salt is renewed.
So only thousands of changes in a row without such a moment come here. See ``_compact``."""

Piece = tuple[int, int]
Stacks = dict[str, list[Piece]]


class SplitError(GatekeeperError):
    """Weights or a split that cannot be: no positive total, points owned twice or by nobody."""


def initial(weights: Weights, salt: str) -> Split:
    """The split of a service that had none: as if the first version with weight had held everything.

    Raises ``SplitError`` without a positive total.
    """
    first = next((name for name, weight in weights.items() if weight > 0), None)
    if first is None:
        raise SplitError("the weights have no positive total; give at least one version a weight above 0")
    whole = {name: Decimal(1 if name == first else 0) for name in weights}
    return move(Split(whole, {first: ((0, SPACE),)}, salt), weights)


def move(split: Split, weights: Weights) -> Split:
    """The split with these weights that moves the fewest points, those who joined last first.

    Versions may appear and disappear. Raises ``SplitError`` without a positive total or with a negative weight.
    """
    new = _settled_lengths(split, weights)
    # Versions that are gone give last: they give everything, so the order among the others is what counts.
    names = [*weights, *(name for name in split.stacks if name not in weights)]
    stacks: Stacks = {name: list(split.stacks.get(name, ())) for name in names}
    _trade(stacks, new)
    if sum(map(len, stacks.values())) > MAX_PIECES:
        _compact(stacks, new)
    return Split(dict(weights), _frozen(stacks), split.salt)


def renew(split: Split, salt: str) -> Split:
    """The same split under a new salt. Only where one version holds everything: there a new salt moves nobody.

    Raises ``SplitError`` elsewhere.
    """
    name = holder(split)
    if name is None:
        raise SplitError("the salt can be renewed only while one version holds everything")
    return Split(split.weights, {name: ((0, SPACE),)}, salt)


def holder(split: Split) -> str | None:
    """The version that holds everything, if one does."""
    positive = [name for name, weight in split.weights.items() if weight > 0]
    return positive[0] if len(positive) == 1 else None


def bounds(split: Split) -> tuple[list[int], list[str]]:
    """Upper bounds in rising order and their owners: ``owners[bisect_right(uppers, point)]`` owns the point."""
    uppers: list[int] = []
    owners: list[str] = []
    for _, high, name in _by_position(split.stacks):
        if owners and owners[-1] == name:
            uppers[-1] = high
        else:
            uppers.append(high)
            owners.append(name)
    return uppers, owners


def lengths(split: Split) -> dict[str, int]:
    """Points each version owns; a version that owns none may be missing."""
    return {name: sum(abs(end - start) for start, end in pieces) for name, pieces in split.stacks.items()}


def target_lengths(weights: Weights) -> dict[str, int]:
    """Whole numbers of points in proportion to the weights that add up to SPACE (largest remainder, then order).

    Raises ``SplitError`` without a positive total or with a negative weight.
    """
    quotas = _quotas(weights)
    result = {name: int(quota) for name, quota in quotas.items()}
    # sorted() is stable: equal remainders go by the order of definition. The missing points are fewer than versions.
    by_remainder = sorted(quotas, key=lambda name: result[name] - quotas[name])
    for name in by_remainder[: SPACE - sum(result.values())]:
        result[name] += 1
    return result


def check(split: Split) -> None:
    """Raise ``SplitError`` unless every point has exactly one owner and every version owns what its weight says.

    For splits that come from outside, such as a file another program may have touched.
    """
    quotas = _quotas(split.weights)
    reached = 0
    for low, high, _ in _by_position(split.stacks):
        if low != reached or high <= low:
            raise SplitError(f"the hash range is damaged at {min(low, reached)}: points owned twice or by nobody")
        reached = high
    if reached != SPACE:
        raise SplitError(f"the hash range ends at {reached}; it must end at {SPACE}")
    for name, owned in lengths(split).items():
        quota = quotas.get(name, Fraction(0))
        # A millionth is far above any rounding and far below any weight that people tell apart.
        if abs(owned - quota) > SPACE // 1_000_000 or (owned and not quota):
            raise SplitError(f"version {name} owns {owned} points; its weight asks for {float(quota):.0f}")


def _quotas(weights: Weights) -> dict[str, Fraction]:
    exact = {name: Fraction(weight) for name, weight in weights.items()}
    total = sum(exact.values())
    if total <= 0 or min(exact.values()) < 0:
        raise SplitError("weights must be 0 or more with a positive total")
    return {name: weight * SPACE / total for name, weight in exact.items()}


def _settled_lengths(split: Split, weights: Weights) -> dict[str, int]:
    """``target_lengths``, held to rule 2: no version moves against the way its share went, not by one point.

    Where the target breaks the rule the length of before stays, and the points that are then too many or too few go,
    one by one, to where the length is farthest from exact. They are a few per version, and the error does not grow with
    the history: what a version keeps too much of shrinks as its share rises.
    """
    wanted = _quotas(weights)
    had = _quotas(split.weights)
    old = lengths(split)
    result = target_lengths(weights)
    lowest = dict.fromkeys(result, 0)
    highest = {name: SPACE if quota else 0 for name, quota in wanted.items()}
    for name, quota in wanted.items():
        before = had.get(name, Fraction(0))
        if quota >= before:
            lowest[name] = old.get(name, 0)
        if quota <= before:
            highest[name] = min(old.get(name, 0), highest[name])
        result[name] = min(max(result[name], lowest[name]), highest[name])
    excess = sum(result.values()) - SPACE
    while excess > 0:
        name = max(
            (name for name in result if result[name] > lowest[name]), key=lambda name: result[name] - wanted[name]
        )
        result[name] -= 1
        excess -= 1
    while excess < 0:
        name = min(
            (name for name in result if result[name] < highest[name]), key=lambda name: result[name] - wanted[name]
        )
        result[name] += 1
        excess += 1
    return result


def _trade(stacks: Stacks, wanted: Mapping[str, int]) -> None:
    """Move points between the stacks until each has the wanted length (missing: 0); rules 1 and 3."""
    spare = {
        name: sum(abs(end - start) for start, end in pieces) - wanted.get(name, 0) for name, pieces in stacks.items()
    }
    moved: list[Piece] = []
    for name, stack in stacks.items():
        moved.extend(_pop(stack, spare[name]))
    moved.reverse()  # the first to leave is now the last item, where list.pop is cheap
    for name, stack in reversed(stacks.items()):
        _take(stack, moved, -spare[name])


def _pop(stack: list[Piece], count: int) -> Iterator[Piece]:
    """Remove the last ``count`` points; pieces in the order of leaving. Nothing for a count below 1."""
    while count > 0:
        start, end = stack.pop()
        size = abs(end - start)
        if size <= count:
            yield end, start
        else:
            middle = end - count if end > start else end + count
            stack.append((start, middle))
            yield end, middle
        count -= size


def _take(stack: list[Piece], moved: list[Piece], count: int) -> None:
    """Push the next ``count`` points of ``moved`` (next at its end). Nothing for a count below 1."""
    while count > 0:
        start, end = moved.pop()
        size = abs(end - start)
        if size > count:
            middle = start + count if end > start else start - count
            moved.append((middle, end))
            end = middle
        _push(stack, (start, end))
        count -= size


def _push(stack: list[Piece], piece: Piece) -> None:
    start, end = piece
    if stack and stack[-1][1] == start and (stack[-1][0] < start) == (start < end):
        stack[-1] = (stack[-1][0], end)
    else:
        stack.append(piece)


def _compact(stacks: Stacks, wanted: Mapping[str, int]) -> None:
    """Bring the pieces below ``MAX_PIECES`` by dissolving the smallest into their lower neighbours.

    A piece beside another of its owner comes first: it moves nobody, only the order of joining is forgotten. The others
    give their few points to the neighbour's owner, and a trade sets the lengths right. This alone breaks the rules, for
    at most the smallest pieces of thousands; the bound is worth it, or a split could outgrow every message.
    """
    pieces = sorted(
        (min(piece), max(piece), name, depth) for name, stack in stacks.items() for depth, piece in enumerate(stack)
    )
    costs = [
        (0 if name == below[2] else high - low, at)
        for at, (below, (low, high, name, _)) in enumerate(pairwise(pieces), start=1)
    ]
    # The trade cuts at most one piece for each version that gives and one for each that takes.
    too_many = len(pieces) - MAX_PIECES + len(stacks)
    dissolved = {at for _, at in sorted(costs)[:too_many]}
    holding: tuple[int, str, int] | None = None
    for at, (low, high, name, depth) in enumerate(pieces):
        if holding is None or at not in dissolved:
            holding = (low, name, depth)
        else:
            stacks[name][depth] = (low, low)
        bottom, owner, place = holding
        start, end = stacks[owner][place]
        stacks[owner][place] = (bottom, high) if start < end else (high, bottom)
    for name, stack in stacks.items():
        stacks[name] = [piece for piece in stack if piece[0] != piece[1]]
    _trade(stacks, wanted)


def _frozen(stacks: Mapping[str, Iterable[Piece]]) -> dict[str, tuple[Piece, ...]]:
    return {name: tuple(pieces) for name, pieces in stacks.items() if pieces}


def _by_position(stacks: Mapping[str, Iterable[Piece]]) -> list[tuple[int, int, str]]:
    """(low, high, owner) of every piece, lowest first."""
    return sorted((min(piece), max(piece), name) for name, pieces in stacks.items() for piece in pieces)
