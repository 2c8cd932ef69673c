"""The log of seconds: whole or as it was, read from its end, of bounded size."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.control.judging import seconds as module
from gatekeeper.control.judging.seconds import SecondsLog, tidy


def header(last):
    return json.dumps({"judge": {"memory": {"last": last}}}).encode() + b"\n"


def second(at):
    return json.dumps({"second": {"at": at, "text": "x" * 40}, "odds": 0.0, "kind": "collecting"}).encode() + b"\n"


def ats(found):
    return None if found is None else [each["at"] for each in found]


@pytest.fixture
def log(tmp_path):
    return SecondsLog(str(tmp_path), 7, "shop")


def test_what_followed_a_second_is_found_from_the_end(log):
    log.append(header(-1) + second(0) + second(1) + second(4) + second(5))
    assert ats(log.after(1)) == [4, 5]
    assert ats(log.after(5)) == []
    assert ats(log.after(-1)) == [0, 1, 4, 5]


def test_a_second_that_was_never_written_leads_nowhere(log):
    assert log.after(3) is None
    log.append(header(-1) + second(0) + second(1))
    assert log.after(7) is None
    assert log.after(-2) is None


def test_a_header_is_as_good_as_the_second_it_stands_for(log):
    log.append(header(3) + second(4))
    assert ats(log.after(3)) == [4]
    log.append(header(9) + second(10))
    assert ats(log.after(9)) == [10]


def test_what_an_earlier_boot_wrote_after_the_header_is_not_mixed_in(log):
    # It went on from second 2 after a power cut, though 3 and 4 had been written.
    log.append(header(-1) + second(0) + second(2) + second(3) + second(4) + header(2) + second(7))
    assert ats(log.after(2)) == [7]
    assert log.after(1) is None
    assert log.after(3) is None  # whoever knows 3 is not whom the header shows


def test_what_cannot_be_read_leads_nowhere(log):
    for text in (b"nonsense\n", b"[]\n", b'{"second": 3}\n', b'{"judge": {}}\n'):
        log.append(second(0) + text + second(2))
        assert log.after(0) is None


@given(st.lists(st.integers(1, 3), max_size=30), st.integers(1, 400), st.data())
def test_however_long_the_tail_is_that_is_read_first_the_answer_is_the_same(tmp_path_factory, steps, tail, data):
    log = SecondsLog(str(tmp_path_factory.mktemp("log")), 1, "s")
    numbers = [sum(steps[: place + 1]) for place in range(len(steps))]
    log.append(header(0) + b"".join(second(each) for each in numbers))
    begin = data.draw(st.sampled_from([0, *numbers]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TAIL", tail)
        assert ats(log.after(begin)) == [each for each in numbers if each > begin]


def test_the_older_part_is_read_when_the_newer_begins_too_late(log):
    log.append(header(-1) + second(0) + second(1))
    log.append(header(1) + second(2), anew=True)
    assert [Path(path).name for path in log.paths()] == ["7-shop.jsonl.1", "7-shop.jsonl"]
    assert ats(log.after(0)) == [1, 2]
    log.append(header(2), anew=True)
    assert log.after(0) is None  # of the parts before one is kept


@pytest.mark.parametrize("torn", [b"", b"{", b'{"second": {"at": 2}', second(2)[:-1]])
def test_a_torn_line_is_cut_off(log, torn):
    log.append(header(-1) + second(1))
    whole = Path(log.path).read_bytes()
    log.append(torn)
    log.mend()
    assert Path(log.path).read_bytes() == whole
    assert log.size == len(whole)


def test_a_log_that_is_not_there_needs_no_mending(log):
    log.mend()
    assert log.paths() == ()


def test_what_does_not_fit_leaves_the_log_as_it_was(log, monkeypatch):
    log.append(second(1))
    before = Path(log.path).read_bytes()
    real = os.write

    def full(handle, data):
        if len(data) < 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, bytes(data)[:20])

    monkeypatch.setattr(module.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        log.append(second(2) * 3)
    assert Path(log.path).read_bytes() == before
    assert log.size == len(before)


def test_the_oldest_go_first_and_what_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DIRECTORY_BYTES", 250)
    for number in range(5):
        path = tmp_path / f"{number}-shop.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number))
    tidy(str(tmp_path), [str(tmp_path / "0-shop.jsonl")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-shop.jsonl", "4-shop.jsonl"]


def test_what_fits_stays(tmp_path):
    (tmp_path / "1-shop.jsonl").write_bytes(b"x")
    tidy(str(tmp_path), [])
    assert len([*tmp_path.iterdir()]) == 1
