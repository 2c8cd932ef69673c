"""The supervisor's log: every line one JSON object, and nobody waits for its reader."""

import json
import logging
import threading
import time

import pytest

from gatekeeper.control import logs
from gatekeeper.control.logs import MAX_LINE, LogWriter


def logger_to(writer):
    logger = logging.Logger("gatekeeper.test")  # noqa: LOG001 - not below the root: pytest's handlers stay out of it
    logger.addHandler(writer)
    return logger


@pytest.fixture
def lines():
    written = []
    writer = LogWriter(written.append)
    logger = logger_to(writer)

    def after(act):
        act(logger)
        writer.close()
        assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
        return [json.loads(line) for line in written]

    return after


def test_a_message_carries_its_extras(lines):
    (line,) = lines(lambda log: log.warning("not %s", "well", extra={"reason": "x\ny", "path": "/ü"}))
    assert line.pop("time").endswith("Z")
    assert line == {
        "type": "log",
        "level": "warning",
        "logger": "gatekeeper.test",
        "message": "not well",
        "reason": "x\ny",
        "path": "/ü",
    }


def test_what_an_event_carries_does_not_take_the_place_of_what_every_line_has(lines):
    event = {"id": 7, "at": 0.25, "kind": "notify_failed", "event": "split", "type": "x", "level": "y"}
    (line,) = lines(lambda log: log.warning("x", extra={"event": event}))
    assert (line["type"], line["event"], line["level"]) == ("event", "notify_failed", "warning")


def test_an_event_is_a_line_of_its_own_kind_dated_when_it_happened(lines):
    event = {"id": 7, "at": 0.25, "kind": "split", "revision": 3, "actor": "anna"}
    (line,) = lines(lambda log: log.info("split", extra={"event": event}))
    assert line == {
        "type": "event",
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "event": "split",
        "id": 7,
        "revision": 3,
        "actor": "anna",
    }


def test_a_traceback_stays_on_its_line(lines):
    def fail(log):
        try:
            int("boom")
        except ValueError:
            log.exception("failed")

    (line,) = lines(fail)
    assert line["traceback"].endswith("'boom'")


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "reload", "changes": [{"path": "p" * 100}] * 100, "actor": "anna"},
        {"kind": "reload", "note": "n" * 10_000, "actor": "anna"},
        {"kind": "reload", "actor": "anna", **{f"key{n}": "v" * 200 for n in range(100)}},
    ],
)
def test_a_line_that_a_pipe_would_not_take_in_one_piece_is_clipped(lines, event):
    (line,) = lines(lambda log: log.info("x", extra={"event": event}))
    assert len(json.dumps(line)) < MAX_LINE
    assert (line["event"], line["clipped"], line["actor"]) == ("reload", True, "anna")


def test_a_reader_that_stalls_stalls_nobody_and_hears_how_much_it_missed(monkeypatch):
    monkeypatch.setattr(logs, "QUEUE", 10)
    written, let_go = [], threading.Event()

    def stalled(data):
        let_go.wait(10)
        written.append(json.loads(data))

    writer = LogWriter(stalled)
    logger = logger_to(writer)
    began = time.monotonic()
    for number in range(100):
        logger.info("line %d", number)
    assert time.monotonic() - began < 1
    let_go.set()
    writer.close()
    told = [line["message"] for line in written if "dropped" in line["message"]]
    lost = 100 - (len(written) - len(told))
    assert told == [f"{lost} lines dropped: nobody read the log"]


def test_closing_does_not_depend_on_a_reader(monkeypatch):
    monkeypatch.setattr(logs, "CLOSE_SECONDS", 0.1)
    never = threading.Event()
    writer = LogWriter(lambda _: never.wait(30) and None)
    logger = logger_to(writer)
    logger.info("x")
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 2
    never.set()


def test_a_reader_that_left_ends_nothing():
    def gone(data):
        raise BrokenPipeError

    writer = LogWriter(gone)
    logger = logger_to(writer)
    logger.info("x")
    logger.info("y")
    writer.close()


def test_a_file_is_opened_anew_between_two_lines(tmp_path):
    path = tmp_path / "log"
    writer = LogWriter()
    log = logger_to(writer)
    assert writer.reopen(str(path)).result(5) == ""
    log.warning("one")
    assert writer.reopen(str(path)).result(5) == ""
    path.rename(tmp_path / "old")
    log.warning("two")
    assert writer.reopen(str(path)).result(5) == ""
    log.warning("three")
    writer.close()
    assert [json.loads(line)["message"] for line in (tmp_path / "old").read_text().splitlines()] == ["one", "two"]
    assert [json.loads(line)["message"] for line in path.read_text().splitlines()] == ["three"]


def test_a_file_that_cannot_be_opened_keeps_the_old_one_and_says_why(tmp_path):
    writer = LogWriter()
    log = logger_to(writer)
    writer.reopen(str(tmp_path / "log")).result(5)
    assert writer.reopen(str(tmp_path)).result(5).endswith("cannot be opened for writing: Is a directory")
    log.warning("still")
    writer.close()
    assert json.loads((tmp_path / "log").read_text())["message"] == "still"
