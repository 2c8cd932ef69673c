"""Counters that go over to the next program, and those that cannot."""

import os
import subprocess
import sys

import pytest

from gatekeeper.control.fleet.orphans import identify
from gatekeeper.control.succession.estate import Estate, LeftBlock
from gatekeeper.control.succession.inheritance import leave_counters, take_counters
from gatekeeper.telemetry import block as cells
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.carry import Ledger
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.slots import CAPACITY, Slots
from gatekeeper.telemetry.totals import read


@pytest.fixture
def ledger():
    made = []

    def make(own=0):
        ledger = Ledger()
        ledger.own += [Block.create(CAPACITY) for _ in range(own)]
        made.append(ledger)
        return ledger

    yield make
    for each in made:
        each.close()


@pytest.fixture
def worker():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate(b"\n")


def count(block, slot, requests):
    recorder = Recorder(block)
    for _ in range(requests):
        recorder.begin(slot)
        recorder.finish(slot, 200, False, 0.1, 0.1)


def over_the_line(estate):
    """The descriptors as another process gets them."""
    estate.blocks = [LeftBlock(os.dup(each.descriptor), each.users) for each in estate.blocks]
    return estate


def test_sums_go_on_over_many_programs_and_each_version_keeps_its_own(ledger, worker):
    old, slots = ledger(2), Slots()
    slots.assign([("shop", "blue"), ("shop", "green")])
    for generation in range(3):
        for block in old.own:
            count(block, 2, 1)
            count(block, 3, 2)
        new, next_slots = ledger(2), Slots()
        users = take_counters(over_the_line(leave_counters(old, slots, {0: worker.pid, 1: None})), new, next_slots)
        assert users == [identify(worker.pid)]
        next_slots.assign([("shop", "green")])
        found = {name: read(new.all(), slot).requests for slot, name in next_slots.names().items()}
        assert found[("shop", "blue")] == 2 * (generation + 1)
        assert found[("shop", "green")] == 4 * (generation + 1)
        old, slots = new, next_slots
    old.settle(lambda _: False)
    assert len(old.all()) == 3
    assert read(old.all(), 3).requests == 12


@pytest.mark.parametrize("how", ["layout", "slots", "garbage"])
def test_counters_that_mean_something_else_start_at_zero_and_say_so(ledger, worker, caplog, how):
    old = ledger()
    if how == "slots":
        old.own.append(Block.create(8))
    else:
        old.own.append(Block.create(CAPACITY))
        old.own[0].integers[cells.LAYOUT if how == "layout" else cells.MAGIC] += 1
    estate = over_the_line(leave_counters(old, Slots(), {0: worker.pid}))
    descriptors = [each.descriptor for each in estate.blocks]
    new, slots = ledger(), Slots()
    estate.names = {2: ("shop", "blue")}
    assert take_counters(estate, new, slots) == [identify(worker.pid)]  # it must be waited for all the same
    assert new.all() == []
    assert slots.assign([("shop", "green")]) == {"shop": {"green": 2}}
    assert "counters start at zero" in caplog.text
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_who_inherits_nothing_has_nothing(ledger):
    new = ledger()
    assert take_counters(Estate(), new, Slots()) == []
    assert new.all() == []
