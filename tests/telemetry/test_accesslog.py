"""The access log never makes traffic wait: what nobody reads is dropped, counted, and nothing else is lost."""

import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time

import pytest

from gatekeeper.telemetry.accesslog import BATCH, MAX_WAITING, AccessLog
from gatekeeper.telemetry.logline import MAX_LINE, Entry, json_line


def entry(target: bytes = b"/cart?item=7", retries: int = 0) -> Entry:
    return (
        1_700_000_000.25, "192.0.2.7", b"GET", target, 1, 200, 1234, 0.0123, 0.0101, b"shop.example.com", "shop",
        "green", "http://10.0.1.5:9002", "sticky", None, 17, b"0123456789abcdef", b"https://example.com/",
        b"Mozilla/5.0", "", False, retries,
    )  # fmt: skip


USUAL = entry()
LINE = len(json_line(USUAL))


class Sink:
    """A writer that can be made to stall, and remembers."""

    def __init__(self) -> None:
        self.data = b""
        self.sizes: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self, data: bytes) -> None:
        self.entered.set()
        self.open.wait(30)
        self.data += data
        self.sizes.append(len(data))

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.data.splitlines()]


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.open.set()


def test_every_line_is_written_once_and_in_order(sink):
    dropped = []
    log = AccessLog("json", sink, dropped=dropped.append)
    for number in range(1000):
        log.add(*entry(retries=number))
    log.close()
    assert [line["retries"] for line in sink.lines] == list(range(1000))
    assert dropped == []


def test_lines_wait_for_a_flush_or_a_full_batch(sink):
    log = AccessLog("json", sink)
    for _ in range(BATCH - 1):
        log.add(*USUAL)
    assert not sink.entered.wait(0.05)
    log.add(*USUAL)
    assert sink.entered.wait(5)
    log.close()


def test_writes_are_whole_lines_that_a_pipe_takes_in_one_piece(sink):
    log = AccessLog("json", sink)
    for number in range(500):
        log.add(*entry(target=b"/" * (number * 7 % 3000)))
    log.close()
    assert max(sink.sizes) <= MAX_LINE
    assert len(sink.lines) == 500
    assert len(sink.sizes) < 400


def test_a_stalled_reader_costs_lines_and_no_time(sink):
    dropped = []
    log = AccessLog("json", sink, dropped=dropped.append)
    sink.open.clear()
    count = 3 * MAX_WAITING // LINE // BATCH * BATCH
    slowest = 0.0
    for _ in range(count):
        began = time.perf_counter()
        log.add(*USUAL)
        slowest = max(slowest, time.perf_counter() - began)
    log.flush()
    assert slowest < 1.0
    assert dropped
    sink.open.set()
    log.close(30)
    assert len(sink.data.splitlines()) + sum(dropped) == count
    assert MAX_WAITING <= len(sink.data) <= MAX_WAITING + BATCH * LINE


def test_after_a_stall_lines_flow_again(sink):
    log = AccessLog("json", sink)
    sink.open.clear()
    for _ in range(2 * MAX_WAITING // LINE):
        log.add(*USUAL)
    log.flush()
    sink.open.set()
    end = time.monotonic() + 10
    while log._writer.waiting and time.monotonic() < end:
        time.sleep(0.01)
    log.add(*entry(target=b"/after"))
    log.close()
    assert sink.lines[-1]["target"] == "/after"


def test_closing_does_not_wait_for_a_reader_that_is_gone_and_counts_what_it_missed(sink):
    dropped = []
    log = AccessLog("json", sink, dropped=dropped.append)
    sink.open.clear()
    for _ in range(10):
        log.add(*USUAL)
    began = time.monotonic()
    log.close(0.05)
    assert time.monotonic() - began < 2
    assert sum(dropped) == 10
    log.add(*USUAL)
    log.flush()
    log.close()


def test_lines_that_cannot_be_written_are_counted_and_later_ones_are_tried(sink):
    dropped = []
    fail = True

    def write(data: bytes) -> None:
        if fail:
            raise BrokenPipeError
        sink(data)

    log = AccessLog("json", write, dropped=dropped.append)
    log.add(*USUAL)
    log.add(*USUAL)
    log.flush()
    end = time.monotonic() + 5
    while not sum(dropped) and time.monotonic() < end:
        log.flush()
    assert sum(dropped) == 2
    fail = False
    log.add(*USUAL)
    log.close()
    assert sum(dropped) == 2
    assert len(sink.lines) == 1


def test_off_collects_nothing_and_starts_no_thread(sink):
    before = threading.active_count()
    log = AccessLog("off", sink)
    log.add(*USUAL)
    log.flush()
    assert threading.active_count() == before
    assert not log.enabled
    log.close()
    assert sink.data == b""


def test_the_format_changes_in_mid_traffic_and_loses_nothing(sink):
    log = AccessLog("off", sink)
    log.add(*USUAL)
    log.set_format("json")
    log.add(*USUAL)
    log.set_format("combined")
    log.add(*USUAL)
    log.set_format("off")
    log.add(*USUAL)
    log.close()
    first, second = sink.data.splitlines()
    assert json.loads(first)["status"] == 200
    assert second.startswith(b"192.0.2.7 - - [")


def test_an_unknown_format_is_refused_and_changes_nothing(sink):
    with pytest.raises(ValueError, match="one of json, combined, off"):
        AccessLog("xml", sink)
    log = AccessLog("json", sink)
    with pytest.raises(ValueError, match="not 'xml'"):
        log.set_format("xml")
    log.add(*USUAL)
    log.close()
    assert len(sink.lines) == 1


def test_a_full_non_blocking_pipe_is_waited_for_by_the_thread_alone():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    dropped = []
    log = AccessLog("json", fd=writing, dropped=dropped.append)
    for _ in range(200):
        log.add(*USUAL)
    log.flush()
    received = b""
    while received.count(b"\n") < 200 and select.select([reading], [], [], 5)[0]:
        received += os.read(reading, 65536)
    log.close()
    os.close(reading)
    os.close(writing)
    assert dropped == []
    assert [json.loads(line)["status"] for line in received.splitlines()] == [200] * 200


WRITER = """
import sys
from gatekeeper.telemetry.accesslog import AccessLog

log = AccessLog("json")
for number in range(3000):
    log.add(1.0, sys.argv[1], b"GET", b"/" * (number % 900), 1, 200, number, 0.1, 0.1, b"h", "s", "v", "b", "split",
            None, 1, b"id", b"", b"", "", False, 0)
log.close(30)
"""


def test_workers_that_share_one_pipe_never_cut_into_each_others_lines():
    reading, writing = os.pipe()
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, str(n)], stdout=writing) for n in range(3)]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = [json.loads(line) for line in pipe]
    assert [worker.wait(10) for worker in workers] == [0, 0, 0]
    for n in range(3):
        assert [line["bytes"] for line in lines if line["client"] == str(n)] == list(range(3000))
