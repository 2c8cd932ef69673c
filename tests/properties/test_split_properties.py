"""What sticky ramp promises, for every history of weights of two to five versions that come and go.

Movement is measured exactly, on the intervals, not by sampling units.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatekeeper.core import split as splits
from gatekeeper.core.codec import dump, load
from gatekeeper.core.model import Split, Weights
from gatekeeper.core.split import bounds, check, initial, lengths, move, target_lengths

NAMES = "abcde"
STEPS = 12

# How long an example takes says something about the machine, nothing about the split.
unhurried = settings(deadline=None)

one_weight = st.one_of(
    st.just(Decimal(0)),
    st.integers(0, 9).map(Decimal),
    st.integers(0, 100).map(Decimal),
    st.decimals(min_value=0, max_value=10**9, places=6, allow_nan=False, allow_infinity=False),
)


@st.composite
def histories(draw: st.DrawFn, *, fixed: bool = False, low: int = 2, high: int = 5) -> list[Weights]:
    """Weights over time: fresh ones, and a little more or less for one or two versions, as operators do.

    Unless ``fixed``, versions are missing at times and come back, also in another order.
    """
    names = NAMES[: draw(st.integers(low, high))]
    result: list[Weights] = []
    for _ in range(draw(st.integers(2, STEPS))):
        if result and draw(st.booleans()):
            result.append(nudged(draw, result[-1]))
            continue
        present = list(names) if fixed else draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        weights = {name: draw(one_weight) for name in present}
        if not any(weights.values()):
            weights[draw(st.sampled_from(present))] = Decimal(1)
        result.append(weights)
    return result


def nudged(draw: st.DrawFn, weights: Weights) -> Weights:
    """One version gives to another, to the first digit behind the point, and the others keep what they have."""
    giver = draw(st.sampled_from([name for name, weight in weights.items() if weight > 0]))
    taker = draw(st.sampled_from(list(weights)))
    given = min(weights[giver], draw(st.integers(1, 50)) * Decimal("0.1"))
    result = {**weights, giver: weights[giver] - given}
    result[taker] += given
    return result


def walk(history: list[Weights]) -> list[Split]:
    split = initial(history[0], "aa")
    return [split, *(split := move(split, weights) for weights in history[1:])]


def share(weights: Weights, name: str) -> Fraction:
    return Fraction(weights.get(name, Decimal(0))) / Fraction(sum(weights.values()))


def owner(table: tuple[list[int], list[str]], point: int) -> str:
    return table[1][bisect_right(table[0], point)]


def flows(before: Split, after: Split) -> dict[tuple[str, str], int]:
    """Points by (owner before, owner after) where the two differ."""
    old, new = bounds(before), bounds(after)
    result: dict[tuple[str, str], int] = defaultdict(int)
    for low, high in pairwise(sorted({0, *old[0], *new[0]})):
        route = owner(old, low), owner(new, low)
        if route[0] != route[1]:
            result[route] += high - low
    return result


@unhurried
@given(histories())
def test_a_unit_moves_only_from_a_share_that_fell_to_a_share_that_rose(history):
    """Not one point of the 2**32 may break this, so no rounding can hide behind a tolerance."""
    for before, after in pairwise(walk(history)):
        for source, target in flows(before, after):
            assert share(after.weights, source) < share(before.weights, source)
            assert share(after.weights, target) > share(before.weights, target)


@unhurried
@given(histories())
def test_movement_is_exactly_minimal(history):
    """As many points move as the versions that grow gain; no assignment with these lengths moves fewer."""
    for before, after in pairwise(walk(history)):
        old, new = lengths(before), lengths(after)
        gained = sum(max(0, length - old.get(name, 0)) for name, length in new.items())
        assert sum(flows(before, after).values()) == gained


@unhurried
@given(histories())
def test_lengths_follow_the_weights_to_two_points_however_long_the_history(history):
    for split in walk(history):
        check(split)
        owned = lengths(split)
        assert sum(owned.values()) == splits.SPACE
        for name in split.weights:
            assert abs(owned.get(name, 0) - share(split.weights, name) * splits.SPACE) < 2
        assert {name for name, length in owned.items() if length} <= {
            name for name, weight in split.weights.items() if weight > 0
        }


@unhurried
@given(histories())
def test_movement_is_minimal_against_the_exact_shares_too(history):
    """Rounding adds no more than two points a version to what the shares themselves ask for."""
    for before, after in pairwise(walk(history)):
        names = {*before.weights, *after.weights}
        asked = sum(max(Fraction(0), share(after.weights, n) - share(before.weights, n)) for n in names)
        assert sum(flows(before, after).values()) < asked * splits.SPACE + 2 * len(names) + 1


def by_point(split: Split) -> list[str]:
    table = bounds(split)
    return [owner(table, point) for point in range(splits.SPACE)]


@pytest.fixture(scope="class")
def _coarse():
    """A hash range of 97 points, so that a model can hold every unit (prime: nearly every share must be rounded)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "SPACE", 97)
        yield


@pytest.mark.usefixtures("_coarse")
class TestCoarse:
    @unhurried
    @given(histories())
    def test_the_pieces_are_stacks_of_units(self, history):
        """The same moves on plain lists of units: versions give in order and take in the reverse order."""
        chain = walk(history)
        first = chain[0]
        stacks: dict[str, list[int]] = {
            name: [
                point
                for start, end in pieces
                for point in (range(start, end) if start < end else range(start - 1, end - 1, -1))
            ]
            for name, pieces in first.stacks.items()
        }
        for before, after in pairwise(chain):
            names = [*after.weights, *(name for name in before.stacks if name not in after.weights)]
            wanted = lengths(after)
            pool: list[int] = []
            for name in names:
                stack = stacks.setdefault(name, [])
                while len(stack) > wanted.get(name, 0):
                    pool.append(stack.pop())
            for name in reversed(names):
                while len(stacks[name]) < wanted.get(name, 0):
                    stacks[name].append(pool.pop(0))
            assert not pool
            owners = {point: name for name, stack in stacks.items() for point in stack}
            assert by_point(after) == [owners[point] for point in range(splits.SPACE)]

    @unhurried
    @given(histories())
    def test_last_in_first_out(self, history):
        """Whoever leaves a version joined it no earlier than anybody who stays."""
        chain = walk(history)
        joined = [0] * splits.SPACE
        for step, (before, after) in enumerate(pairwise(chain), start=1):
            old, new = by_point(before), by_point(after)
            for name in set(old):
                stay = [joined[p] for p in range(splits.SPACE) if old[p] == name == new[p]]
                leave = [joined[p] for p in range(splits.SPACE) if old[p] == name != new[p]]
                assert not stay or not leave or max(stay) <= min(leave)
            joined = [step if old[p] != new[p] else joined[p] for p in range(splits.SPACE)]

    @unhurried
    @given(histories())
    def test_no_rounding_breaks_the_rules_where_every_share_is_rounded(self, history):
        for before, after in pairwise(walk(history)):
            for source, target in flows(before, after):
                assert share(after.weights, source) < share(before.weights, source)
                assert share(after.weights, target) > share(before.weights, target)
            for name in after.weights:
                quota = share(after.weights, name) * splits.SPACE
                assert abs(lengths(after).get(name, 0) - quota) < 2


@unhurried
@given(histories(fixed=True))
def test_going_back_step_by_step_gives_everybody_what_they_had(history):
    """A move is its own inverse: undoing all steps passes through the same splits, to the point."""
    chain = walk(history)
    assume(
        all(
            lengths(split) == {name: size for name, size in target_lengths(split.weights).items() if size}
            for split in chain
        )
    )
    split = chain[-1]
    for earlier in reversed(chain[:-1]):
        split = move(split, earlier.weights)
        assert split == earlier


@unhurried
@given(histories(fixed=True, high=2))
def test_two_versions_never_have_more_than_one_cut(history):
    for split in walk(history):
        assert len(bounds(split)[0]) <= 2
        assert all(len(pieces) == 1 for pieces in split.stacks.values())


@unhurried
@given(histories(), st.integers(0, STEPS))
def test_a_restart_in_the_middle_changes_nothing(history, at):
    """The split that was written and read again goes on as the one in memory would have."""
    split = initial(history[0], "aa")
    for step, weights in enumerate(history[1:]):
        if step == at:
            split = load(Split, json.loads(json.dumps(dump(split))))
        split = move(split, weights)
    assert split == walk(history)[-1]


@unhurried
@given(histories(), st.randoms(use_true_random=False))
def test_raising_one_version_only_brings_units_to_it(history, rng):
    """The ramp itself: while one version's weight rises and the others keep theirs, nobody who has it loses it."""
    start = walk(history)[-1]
    name = rng.choice(list(start.weights))
    raised = {**start.weights, name: start.weights[name] + Decimal(rng.randint(1, 10**6))}
    assert {target for _, target in flows(start, move(start, raised))} <= {name}
    assert {source for source, _ in flows(move(start, raised), start)} <= {name}


def random_histories(seed: int, count: int) -> list[list[dict[str, str]]]:
    rng = random.Random(seed)
    result = []
    for _ in range(count):
        names = NAMES[: rng.randint(2, 5)]
        history = []
        for _ in range(rng.randint(2, 20)):
            present = [name for name in names if rng.random() < 0.9] or [names[0]]
            weights = {name: str(Decimal(rng.randint(0, 10**8)).scaleb(-rng.randint(0, 6))) for name in present}
            history.append(weights if any(Decimal(w) for w in weights.values()) else {present[0]: "1"})
        result.append(history)
    return result


def digest(texts: list[list[dict[str, str]]]) -> str:
    """One digest of every table on the way: order of versions, bounds, owners."""
    result = hashlib.sha256()
    for history in texts:
        for split in walk([{name: Decimal(weight) for name, weight in step.items()} for step in history]):
            result.update(json.dumps([list(split.stacks), *bounds(split)]).encode())
    return result.hexdigest()


IN_ANOTHER_PROCESS = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("properties", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.digest(json.load(sys.stdin)))
"""


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_every_process_computes_the_same_split(hash_seed):
    """Python's own hashes differ from process to process; nothing here may depend on them."""
    texts = random_histories(7, 60)
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, __file__],
        input=json.dumps(texts),
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == digest(texts)
