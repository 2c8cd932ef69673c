"""What fuzzing once found stays found, and what it starts from holds: every kept input keeps every promise.

A case is ``cases/TARGET-WORDS.bin``; its name says what it was about.
"""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("cases/*.bin"))
SEEDS = sorted(HERE.glob("seeds/*/*.bin"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_case_holds(case):
    TARGETS[case.name.partition("-")[0]](case.read_bytes())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_seed_holds(seed):
    TARGETS[seed.parent.name](seed.read_bytes())


def test_there_are_seeds_for_every_target():
    assert {seed.parent.name for seed in SEEDS} == set(TARGETS)
