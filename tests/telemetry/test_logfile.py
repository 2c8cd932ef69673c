"""A log file changes over between two lines, and one that cannot be opened changes nothing."""

import os
import stat
import threading
from pathlib import Path

import pytest

from gatekeeper.telemetry.accesslog import AccessLog
from gatekeeper.telemetry.logfile import MODE, LogFile
from tests.telemetry.test_accesslog import USUAL, entry


@pytest.fixture
def file():
    found = LogFile()
    yield found
    found.close()


def test_what_was_moved_away_gets_nothing_any_more(tmp_path, file):
    path, moved = tmp_path / "log", tmp_path / "log.1"
    file.reopen(str(path))
    file.write(b"one\n")
    path.rename(moved)
    file.write(b"two\n")
    file.reopen(str(path))
    file.write(b"three\n")
    assert moved.read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"
    assert stat.S_IMODE(path.stat().st_mode) & ~MODE == 0


def test_a_file_that_is_there_is_added_to(tmp_path, file):
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    file.reopen(str(path))
    file.write(b"now\n")
    assert path.read_bytes() == b"before\nnow\n"


def test_a_path_that_cannot_be_opened_keeps_the_old_file_and_no_descriptor(tmp_path, file):
    path = tmp_path / "log"
    file.reopen(str(path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for wrong in (tmp_path, tmp_path / "none" / "log", tmp_path / ("x" * 300)):
        with pytest.raises(OSError):
            file.reopen(str(wrong))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError):
        file.reopen(str(tmp_path / "fifo"))  # nobody reads it: waiting for a reader would be for ever
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    file.write(b"still\n")
    assert path.read_bytes() == b"still\n"


def test_a_line_torn_by_a_full_disk_does_not_spoil_the_next_one(tmp_path, file, monkeypatch):
    path = tmp_path / "log"
    file.reopen(str(path))
    write = os.write
    answers = iter([lambda fd, data: write(fd, data[:3]), OSError(28, "No space left on device")])

    def full(fd, data):
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError):
        file.write(b"torn line\n")
    monkeypatch.undo()
    file.write(b"next\n")
    assert path.read_bytes() == b"tor\nnext\n"


def reopened(log, path):
    """What came of it."""
    said, done = [], threading.Event()

    def tell(why):
        said.append(why)
        done.set()

    log.reopen(str(path), tell)
    assert done.wait(5)
    return said[0]


def test_the_access_log_loses_nothing_over_many_changes(tmp_path):
    path = tmp_path / "access"
    log = AccessLog("combined", dropped=lambda _lines: pytest.fail("lines were dropped"))
    for turn in range(20):
        assert reopened(log, path) == ""
        for number in range(50):
            log.add(*entry(b"/%d" % (turn * 50 + number)))
        log.flush()
        path.rename(tmp_path / f"access.{turn:02d}")
    log.close()
    lines = [line for each in sorted(tmp_path.glob("access.*")) for line in each.read_text().splitlines()]
    assert [int(line.split("GET /")[1].split()[0]) for line in lines] == list(range(1000))


def test_what_was_logged_before_stays_in_the_old_file_and_what_comes_after_in_the_new_one(tmp_path):
    path = tmp_path / "access"
    log = AccessLog("combined")
    assert reopened(log, path) == ""
    log.add(*USUAL)
    path.rename(tmp_path / "old")
    assert reopened(log, path) == ""
    log.add(*USUAL)
    log.add(*USUAL)
    log.close()
    assert (tmp_path / "old").read_text().count("\n") == 1
    assert path.read_text().count("\n") == 2


def test_an_access_log_that_is_off_opens_its_file_for_when_it_is_on(tmp_path):
    log = AccessLog("off")
    assert reopened(log, tmp_path / "access") == ""
    log.set_format("combined")
    log.add(*USUAL)
    log.close()
    assert (tmp_path / "access").read_text().count("\n") == 1


def test_the_access_log_says_why_a_file_cannot_be_opened_and_goes_on(tmp_path):
    log = AccessLog("combined")
    reopened(log, tmp_path / "access")
    assert reopened(log, tmp_path / "none" / "access").endswith(
        "cannot be opened for writing: No such file or directory"
    )
    log.add(*USUAL)
    log.close()
    assert (tmp_path / "access").read_text().count("\n") == 1
