"""The benchmark measures what it says: copies are made by the mirror's percentage, and a doubtful run is none."""

import random
from dataclasses import replace

import pytest

from benchmarks import shadow_cost as module
from benchmarks.processes import BenchmarkError
from benchmarks.shadow_cost import Bench, Timed, cpu, doubt, rounds_of, slower
from gatekeeper.telemetry.block import Block

GOOD = Timed(None, {"p50": 0.0003, "p99": 0.001, "p99.9": 0.002}, {"p50": 0.0, "p99": 0.0001}, 2e-5, 0.01, {})
SLOW = replace(GOOD, took={"p50": 0.0003, "p99": 0.0012, "p99.9": 0.002})


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(module, "TURN", 200)
    block = Block.create(8)
    yield Bench(block)
    block.close()


@pytest.mark.parametrize(
    ("name", "least", "most"), [("at 0 %", 0, 0), ("of another service", 0, 0), ("at 10 %", 5, 50)]
)
def test_so_many_requests_are_mirrored(bench, name, least, most):
    bench.mirror(*module.MIRRORS[name])
    bench.plane.mirroring.chance = random.Random(1).random
    sent = []
    look = bench.plane.mirroring.look
    bench.plane.mirroring.look = lambda now: sent.append(
        sum(account.tally.outcomes.get("sent", 0) for account in bench.plane.mirroring._accounts.values())
    )
    bench.turn()
    bench.plane.mirroring.look = look
    assert least <= sent[0] <= most
    assert not bench.plane.mirroring._under_way, "all copies are answered within the turn"


def test_a_measurement_has_its_spread(bench):
    found = cpu(rounds=2)
    assert found.keys() == module.MIRRORS.keys()
    for each in found.values():
        assert each["added_low_us"] <= each["added_us"] <= each["added_high_us"]
        assert each["request_us"] > 0


def test_the_ratio_is_the_median_of_the_rounds():
    assert slower([(GOOD, GOOD), (GOOD, SLOW), (GOOD, SLOW)]) == pytest.approx(1.2)


def test_a_doubtful_run_is_tried_again_and_then_refused(monkeypatch):
    busy = replace(GOOD, foreign=0.5)
    assert doubt(busy)
    assert doubt(replace(GOOD, late={"p50": 0.0, "p99": 1.0}))
    runs = iter([busy, GOOD, SLOW])
    monkeypatch.setattr(module, "timed", lambda *_: next(runs))
    assert list(rounds_of(10.0, 100.0, 1.0, rounds=1, attempts=2)) == [(GOOD, SLOW)]
    monkeypatch.setattr(module, "timed", lambda *_: busy)
    with pytest.raises(BenchmarkError, match="50% of its core"):
        list(rounds_of(10.0, 100.0, 1.0, rounds=1, attempts=2))
