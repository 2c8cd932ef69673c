"""The benchmark measures what it says: all its requests are recorded, and none where nobody judges."""

import time

import pytest

from benchmarks import recording_cost as module
from benchmarks.recording_cost import SETTINGS, Bench, measure
from gatekeeper.telemetry.block import Block


@pytest.mark.parametrize("name", SETTINGS)
def test_every_request_is_recorded_while_it_is_judged_and_none_otherwise(name, monkeypatch):
    monkeypatch.setattr(module, "TURN", 40)
    monkeypatch.setattr(module, "PAGES", 2)
    mode, changing = SETTINGS[name]
    block = Block.create(8)
    bench = Bench(mode, changing=changing, block=block, seen="")
    told = []
    for judged in (True, False):
        bench.judge(judged=judged)
        bench.turn()
        told += bench.plane.dockets.look(time.monotonic() + 2, bench.plane.connections)
    (message,) = told
    assert sum(part["stable"][0] + part["candidate"][0] for part in message["of"][0][3]) == 40
    assert sum(part["excluded"] for part in message["of"][0][3]) == 0
    block.close()


def test_a_measurement_has_its_spread(monkeypatch):
    monkeypatch.setattr(module, "TURN", 20)
    found = measure(*SETTINGS["a draw per request"], rounds=2)
    assert found["added_low_us"] <= found["added_us"] <= found["added_high_us"]
    assert found["request_us"] > 0
    assert found["second_us"] > 0
