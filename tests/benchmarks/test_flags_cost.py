"""The benchmark measures what it says: with flags every request is told of them and counted, without them none is."""

import pytest

from benchmarks import flags_cost, recording_cost
from benchmarks.flags_cost import FLAGS, SETTINGS, alone
from benchmarks.proxies.peers.gatekeeper import flags
from benchmarks.recording_cost import Bench
from gatekeeper.core.model import StickyMode
from gatekeeper.telemetry.block import Block


@pytest.mark.parametrize("name", SETTINGS)
def test_every_request_has_all_flags_while_they_fly_and_none_otherwise(name, monkeypatch):
    monkeypatch.setattr(recording_cost, "PAGES", 2)
    block = Block.create(8)
    flying, changing = SETTINGS[name]
    assert len(flying) == FLAGS
    bench = Bench(StickyMode.RAMP, changing=changing, block=block, seen="")
    bench.turn(40)
    assert bench.plane.tally.take() is None
    bench.fly(flying)
    bench.turn(40)
    counts: dict[str, int] = {}
    for _, flag, _, cells in bench.plane.tally.take()["of"]:
        counts[flag] = counts.get(flag, 0) + dict(map(tuple, cells))[2]
    assert counts == dict.fromkeys(flying, 40)
    block.close()


def test_a_measurement_has_its_spread(monkeypatch):
    monkeypatch.setattr(recording_cost, "TURN", 20)
    monkeypatch.setattr(flags_cost, "TURN", 20)
    found = alone(*SETTINGS["mixed, heads that repeat"], rounds=2)
    assert found["added_low_us"] <= found["added_us"] <= found["added_high_us"]
    assert found["request_us"] > 0


def test_the_flags_of_the_whole_measurement_are_as_many_as_it_says():
    assert len(flags(FLAGS)) == FLAGS
