"""A log line is one valid line whatever a client sends, and says what happened."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.telemetry.logline import MAX_LINE, Entry, combined_line, json_line

FIELDS = (
    "wall", "client_ip", "method", "target", "version_minor", "status", "sent_bytes", "seconds", "upstream_seconds",
    "host", "service", "gk_version", "backend", "reason", "rule", "revision", "request_id", "referer", "agent",
    "source", "forced", "retries",
)  # fmt: skip
USUAL: Entry = (
    1_700_000_000.25, "192.0.2.7", b"GET", b"/cart?item=7", 1, 200, 1234, 0.0123, 0.0101, b"shop.example.com", "shop",
    "green", "http://10.0.1.5:9002", "sticky", None, 17, b"0123456789abcdef", b"https://example.com/", b"Mozilla/5.0",
    "", False, 0,
)  # fmt: skip


def entry(**changes) -> Entry:
    assert changes.keys() <= set(FIELDS)
    return tuple(changes.get(name, value) for name, value in zip(FIELDS, USUAL, strict=True))


ENTRIES = st.tuples(
    st.floats(0, 4e9), st.text(), st.binary(), st.binary(), st.integers(0, 9), st.integers(0, 999),
    st.integers(0, 1 << 60), st.floats(), st.floats(), st.binary(), st.text(), st.text(), st.text(), st.text(),
    st.none() | st.text(), st.integers(0, 1 << 60), st.binary(), st.binary(), st.binary(), st.text(), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip


def _strict(line: bytes) -> dict:
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(line, parse_constant=refuse)


@given(ENTRIES)
def test_any_bytes_give_one_line_of_ascii_json_that_reads_back(values):
    line = json_line(values)
    assert line.isascii()
    assert line.endswith(b"}\n")
    assert not re.search(rb"[\x00-\x1f]", line[:-1])
    read = _strict(line)
    given_ = dict(zip(FIELDS, values, strict=True))
    for key, name in {"method": "method", "target": "target", "host": "host", "agent": "agent"}.items():
        assert read[key] == given_[name].decode("utf-8", "backslashreplace")
    for key, name in {"client": "client_ip", "service": "service", "rule": "rule", "error": "source"}.items():
        assert read[key] == given_[name]
    assert read["status"] == given_["status"]


@given(st.binary(max_size=40), st.integers(1, 3000), st.sampled_from(FIELDS))
def test_a_line_never_outgrows_what_a_pipe_writes_in_one_piece(piece, times, name):
    value = entry()[FIELDS.index(name)]
    huge = {bytes: piece * times, str: "\U0001f600" * times}.get(type(value), value)
    for line in (json_line(entry(**{name: huge})), combined_line(entry(**{name: huge}))):
        assert len(line) <= MAX_LINE
        assert line.count(b"\n") == 1


def test_the_longest_texts_in_every_field_still_fit_and_the_line_says_it_is_clipped():
    texts = {
        name: {bytes: b"\x01" * 70_000, str: "\U0001f600" * 70_000}[type(value)]
        for name, value in zip(FIELDS, USUAL, strict=True)
        if isinstance(value, bytes | str)
    }
    line = json_line(entry(**texts, rule="\U0001f600" * 70_000))
    assert len(line) <= MAX_LINE
    assert _strict(line)["clipped"] is True
    assert len(combined_line(entry(**texts))) <= MAX_LINE


def test_a_usual_line_in_full():
    assert _strict(json_line(entry(rule="staff", forced=True, retries=1, source="client"))) == {
        "type": "access", "time": "2023-11-14T22:13:20.250Z", "client": "192.0.2.7", "method": "GET",
        "target": "/cart?item=7", "protocol": "HTTP/1.1", "host": "shop.example.com", "status": 200, "bytes": 1234,
        "duration": 0.0123, "upstream_duration": 0.0101, "service": "shop", "version": "green",
        "backend": "http://10.0.1.5:9002", "reason": "sticky", "rule": "staff", "forced": True, "retries": 1,
        "revision": 17, "request_id": "0123456789abcdef", "error": "client", "referer": "https://example.com/",
        "agent": "Mozilla/5.0", "clipped": False,
    }  # fmt: skip


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), float("-inf")])
def test_a_duration_that_is_none_is_null(seconds):
    assert _strict(json_line(entry(upstream_seconds=seconds)))["upstream_duration"] is None


def test_the_second_changes_when_the_clock_does():
    times = [_strict(json_line(entry(wall=wall)))["time"] for wall in (59.999, 60.0, 59.5)]
    assert times == ["1970-01-01T00:00:59.999Z", "1970-01-01T00:01:00.000Z", "1970-01-01T00:00:59.500Z"]


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_combined_is_what_nginx_writes():
    assert combined_line(entry(wall=1_700_000_001.0)) == (
        b'192.0.2.7 - - [14/Nov/2023:23:13:21 +0100] "GET /cart?item=7 HTTP/1.1" 200 1234 '
        b'"https://example.com/" "Mozilla/5.0"\n'
    )


def test_combined_escapes_as_nginx_does_and_marks_what_is_missing():
    line = combined_line(entry(client_ip="", target=b'/a"b\\c\n\xff\x7f~', referer=b"", agent=b'"'))
    assert line.startswith(b"- - - [")
    assert b'"GET /a\\x22b\\x5Cc\\x0A\\xFF\\x7F~ HTTP/1.1" 200 1234 "-" "\\x22"\n' in line
    assert b'] "-" 400 ' in combined_line(entry(method=b"", target=b"", status=400))


@given(ENTRIES)
def test_combined_is_always_one_line_with_six_quotes(values):
    line = combined_line(values)
    assert re.fullmatch(rb"[\x20-\x7e]*\n", line)
    assert line.count(b'"') == 6


def test_the_handbook_lists_every_field_in_order_and_no_other():
    text = (Path(__file__).parents[2] / "docs" / "logs.md").read_text()
    access = text[text.index("## Access log, JSON") : text.index("## Access log, combined")]
    assert re.findall(r"^\| `(\w+)` \|", access, re.MULTILINE) == list(_strict(json_line(USUAL)))
