"""Sums over programs: nothing counted is lost, nothing is counted twice, and the past costs one block."""

from contextlib import suppress

import pytest

from gatekeeper.errors import Source
from gatekeeper.telemetry.block import ACCEPTED, CLOSED, LAG, REVISION, Block
from gatekeeper.telemetry.carry import Former, Ledger, fold
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.totals import read

SLOTS = 8


@pytest.fixture
def block():
    made = []

    def make(requests=0, slot=2):
        found = Block.create(SLOTS)
        made.append(found)
        recorder = Recorder(found)
        for _ in range(requests):
            recorder.accepted()
            recorder.begin(slot)
            recorder.finish(slot, 200, False, 0.5, 0.25)
        return found

    yield make
    for each in made:
        with suppress(ValueError):  # folded already
            len(each.integers)
            each.close()


def test_folding_adds_every_counter_and_no_gauge(block):
    into, old = block(2), block(3)
    recorder = Recorder(old)
    recorder.error(2, Source.UPSTREAM_CONNECT)
    recorder.begin(2)  # dies with its worker
    recorder.accepted()
    recorder.revision(9)
    recorder.lag(0.5)
    fold(old, into)
    totals = read([into], 2)
    assert totals.codes == {(200, False): 5}
    assert totals.in_flight == 0
    assert totals.duration.count == 5
    assert totals.duration.seconds == pytest.approx(2.5)
    assert totals.upstream.seconds == pytest.approx(1.25)
    assert totals.errors[Source.UPSTREAM_CONNECT] == 1
    assert into.integers[ACCEPTED] == 6
    assert into.integers[ACCEPTED] - into.integers[CLOSED] == 2 + 0  # open in ``into`` itself; ``old`` has none
    assert into.integers[REVISION] == 0
    assert into.doubles[LAG] == 0.0


def test_a_hundred_programs_leave_one_block_and_every_count(block):
    ledger = Ledger()
    for number in range(100):
        ledger.former.append(Former(block(number), [number]))
        assert ledger.settle(lambda user, newest=number: user == newest) is (number > 0)
        assert len(ledger.all()) <= 2
    ledger.settle(lambda _: False)
    assert len(ledger.all()) == 1
    assert read(ledger.all(), 2).codes == {(200, False): sum(range(100))}


def test_what_an_old_worker_still_counts_is_in_the_sum_until_it_is_gone_and_afterwards(block):
    ledger, old = Ledger(), block(1)
    ledger.own.append(block(1))
    ledger.former.append(Former(old, ["worker"]))
    recorder = Recorder(old)
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.1, 0.1)
    assert ledger.settle(lambda _: True) is False
    assert read(ledger.all(), 2).requests == 3
    ledger.settle(lambda _: False)
    assert read(ledger.all(), 2).requests == 3
