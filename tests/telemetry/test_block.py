"""A block outlives its worker, refuses what is no block, and settles what a death left open."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing

import pytest

from gatekeeper.errors import Source
from gatekeeper.telemetry import block as block_module
from gatekeeper.telemetry.block import LAG, LOG_DROPPED, MAX_SLOTS, REVISION, STRIDE, Block, BlockError
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.totals import read

WORKER = """
import sys, time
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder

recorder = Recorder(Block.attach(int(sys.argv[1])))
recorder.revision(17)
recorder.lag(0.25)
recorder.accepted(); recorder.accepted(); recorder.closed()
for _ in range(1000):
    recorder.begin(2)
    recorder.finish(2, 200, False, 0.02, 0.01)
recorder.begin(2); recorder.begin(2); recorder.begin(3)
print("counted", flush=True)
time.sleep(60)
"""


def _worker_killed_while_busy(fd: int) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(fd)], pass_fds=[fd], stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"counted\n"
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(10) == -signal.SIGKILL


def test_counts_go_on_where_a_killed_worker_left_them(block):
    _worker_killed_while_busy(block.fd)
    assert read([block], 2).codes == {(200, False): 1000}
    block.settle()
    _worker_killed_while_busy(block.fd)
    after = read([block], 2)
    assert after.codes == {(200, False): 2000}
    assert after.duration.count == 2000
    assert after.duration.seconds == pytest.approx(40.0)


def test_settling_zeroes_gauges_says_what_died_and_keeps_counters(block):
    _worker_killed_while_busy(block.fd)
    assert read([block], 2).in_flight == 2
    assert block.settle() == (1, 3)
    assert block.settle() == (0, 0)
    assert read([block], 2).in_flight == read([block], 3).in_flight == 0
    assert block.integers[REVISION] == 0
    assert block.doubles[LAG] == 0.0
    assert read([block], 2).requests == 1000
    assert Recorder(block).connections == 0


def test_a_stopped_worker_does_not_delay_a_reader(block):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(block.fd)], pass_fds=[block.fd], stdout=subprocess.PIPE
    )
    with worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        assert read([block], 2).requests == 1000
        worker.kill()


def test_attaching_shows_the_same_cells_to_both(block):
    with closing(Block.attach(os.dup(block.fd))) as other:
        Recorder(other).error(4, Source.UPSTREAM_RESET)
        assert other.capacity == block.capacity
        assert read([block], 4).errors[Source.UPSTREAM_RESET] == 1


def test_a_descriptor_that_holds_no_block_is_refused_with_what_to_do():
    with tempfile.TemporaryFile() as file:
        with pytest.raises(BlockError, match=r"no metrics block; pass the one that Block\.create"):
            Block.attach(file.fileno())
        file.write(bytes(1024))
        file.flush()
        with pytest.raises(BlockError, match="no metrics block"):
            Block.attach(file.fileno())
    reading, writing = os.pipe()
    try:
        with pytest.raises(BlockError, match="Illegal seek"):
            Block.attach(reading)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(("cell", "value"), [(block_module.LAYOUT, 7), (block_module.SLOTS, 9)])
def test_a_block_of_another_layout_or_size_is_refused(block, cell, value):
    block.integers[cell] = value
    with pytest.raises(BlockError, match="another layout"):
        Block.attach(block.fd)


def test_nobody_can_shrink_a_block_under_its_readers(block):
    with pytest.raises(PermissionError):
        os.ftruncate(block.fd, 8)


@pytest.mark.parametrize("slots", [0, 1, MAX_SLOTS + 1])
def test_the_number_of_slots_is_bounded(slots):
    with pytest.raises(ValueError, match=r"2\.\.65536 slots"):
        Block.create(slots)


def test_without_memfd_an_unlinked_file_serves_the_same(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(Block.create(4)) as block:
        assert list(tmp_path.iterdir()) == []
        _worker_killed_while_busy(block.fd)
        assert read([block], 2).requests == 1000


def test_clearing_a_slot_touches_no_other_and_no_header(block):
    recorder = Recorder(block)
    recorder.log_dropped(5)
    for slot in (2, 3, 4):
        recorder.begin(slot)
        recorder.finish(slot, 599, True, 0.1, 0.1)
        recorder.error(slot, Source.CLIENT)
        recorder.retry(slot)
    block.clear_slot(3)
    assert not any(block.slot_cells(3))
    assert not block.used(3)
    assert read([block], 2) == read([block], 4)
    assert read([block], 2).codes == {(599, True): 1}
    assert block.integers[LOG_DROPPED] == 5


@pytest.mark.parametrize("slot", [-1, 8])
def test_reading_or_clearing_a_slot_beyond_the_block_is_an_error(block, slot):
    with pytest.raises(IndexError):
        block.slot_cells(slot)
    with pytest.raises(IndexError):
        block.clear_slot(slot)


def test_slots_share_no_cache_line():
    assert STRIDE % 8 == 0
    assert block_module.HEADER % 8 == 0
