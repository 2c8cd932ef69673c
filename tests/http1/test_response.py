import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.errors import Fault
from gatekeeper.http1 import response
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import CHUNKED, NO_BODY, UNTIL_CLOSE
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.response import ResponseHead, read_response


def raw(*lines, start="HTTP/1.1 200 OK"):
    return "\r\n".join((start, *lines, "", "")).encode("latin-1")


def head(*lines, start="HTTP/1.1 200 OK", body_allowed=True):
    return ResponseHead(raw(*lines, start=start), body_allowed=body_allowed)


def refused(*lines, **options):
    with pytest.raises(BadMessageError) as error:
        head(*lines, **options)
    assert error.value.fault is Fault.BAD_RESPONSE


def test_fields_pass_in_their_order_repeats_and_all():
    got = head("Server: x", "Set-Cookie: a=1", "Content-Length: 3", "set-cookie: b=2", 'ETag: "\xe4"')
    assert got.forward == b'\r\nServer: x\r\nSet-Cookie: a=1\r\nContent-Length: 3\r\nset-cookie: b=2\r\nETag: "\xe4"'
    assert (got.line, got.status, got.length, got.persistent) == (b"HTTP/1.1 200 OK", 200, 3, True)


@pytest.mark.parametrize(
    "start", ["HTTP/1.1 204", "HTTP/1.1 204 ", "HTTP/1.1 404 Not Found", "HTTP/1.1 999 Odd\tr\xe9ason"]
)
def test_a_status_line_passes_as_it_came(start):
    assert head(start=start).line == start.encode("latin-1")


def test_the_version_that_leaves_is_ours():
    got = head(start="HTTP/1.0 200 OK")
    assert got.line == b"HTTP/1.1 200 OK"
    assert not got.persistent


@pytest.mark.parametrize(
    "start",
    ["HTTP/2 200 OK", "HTTP/1.2 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc OK",
     "HTTP/1.1 020 OK",
     "HTTP/1.1 200\tOK", "HTTP/1.1 200 O\x00K", "HTTP/1.1 200 O\rK", "http/1.1 200 OK", "ICY 200 OK", "", "HTTP/1.1",
     "HTTP/1.1 -20 OK"],
)  # fmt: skip
def test_any_other_status_line_is_refused(start):
    refused(start=start)


@pytest.mark.parametrize(
    "lines",
    [("Content-Length: x",), ("Content-Length: -1",), ("Content-Length:",), ("Content-Length: 5", "Content-Length: 6"),
     ("Content-Length: 5", "content-length: 5"), ("Content-Length: 5, 5",),
     ("Content-Length: 5, 5", "Content-Length: 5"),
     ("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: gzip, chunked",),
     ("Transfer-Encoding: identity",),
     ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ("Content-Length: 99999999999999999999",),
     ("X : y",), ("X: a\x00",), ("X: y", " folded"), ("no colon",), ("\x00: x",), ("X: a\nb",)],
)  # fmt: skip
def test_an_answer_with_a_second_reading_is_refused(lines):
    refused(*lines)
    refused(*lines, body_allowed=False)


def test_chunks_need_http_1_1():
    refused("Transfer-Encoding: chunked", start="HTTP/1.0 200 OK")


def test_chunks_and_the_close_frame_what_has_no_length():
    assert head("Transfer-Encoding: Chunked").length == CHUNKED
    assert head().length == UNTIL_CLOSE
    assert b"ransfer" not in head("Transfer-Encoding: chunked").forward


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked", "X: y"])
def test_an_answer_to_head_and_a_304_have_no_body(framing):
    assert head(framing, body_allowed=False).length == NO_BODY
    assert head(framing, start="HTTP/1.1 304 Not Modified").length == NO_BODY


def test_a_304_and_an_answer_to_head_keep_the_length_they_tell():
    assert b"Content-Length: 5" in head("Content-Length: 5", start="HTTP/1.1 304 Not Modified").forward
    assert b"Content-Length: 5" in head("Content-Length: 5", body_allowed=False).forward


@pytest.mark.parametrize("status", ["100", "103", "204"])
def test_where_no_body_may_be_no_length_is_told(status):
    got = head("A: 1", "Content-Length: 5", "B: 2", start=f"HTTP/1.1 {status} X")
    assert (got.length, got.forward) == (NO_BODY, b"\r\nA: 1\r\nB: 2")


def test_a_trailer_field_passes_with_its_trailers():
    assert head("Trailer: X-Sum", "Content-Length: 0").forward == b"\r\nTrailer: X-Sum\r\nContent-Length: 0"


def test_hop_by_hop_fields_and_what_connection_names_go_no_further():
    got = head("Connection: X-A, keep-alive", "Connection: x-b", "X-A: 1", "x-b: 2", "Keep-Alive: timeout=5",
        "Proxy-Connection: x",
               "TE: x", "Upgrade: h2c", "X-C: 3", "Content-Length: 0")  # fmt: skip
    assert got.forward == b"\r\nX-C: 3\r\nContent-Length: 0"


def test_connection_never_takes_the_length_away():
    assert head("Connection: content-length", "Content-Length: 5").forward == b"\r\nContent-Length: 5"


def test_a_backend_cannot_claim_to_be_another_version():
    assert head("X-Gatekeeper-Version: green").forward == b""


@pytest.mark.parametrize(
    ("start", "value", "stays"),
    [("HTTP/1.1", "keep-alive", True), ("HTTP/1.1", "close", False), ("HTTP/1.1", "Close, keep-alive", False),
     ("HTTP/1.1", "x", True),
     ("HTTP/1.0", "keep-alive", True), ("HTTP/1.0", "Keep-Alive", True), ("HTTP/1.0", "x", False)],
)  # fmt: skip
def test_a_connection_stays_as_the_backend_says(start, value, stays):
    assert head(f"Connection: {value}", start=f"{start} 200 OK").persistent is stays


@pytest.mark.parametrize(
    ("lines", "public"),
    [((), False), (("Cache-Control: public",), True), (("Cache-Control: max-age=60",), True),
     (("cache-control: S-MaxAge=1",), True),
     (("Cache-Control: private, max-age=60",), False), (("Cache-Control: no-store",), False),
     (("Cache-Control: no-cache",), False),
     (("Cache-Control: max-age=60", "Cache-Control: private"), False), (("Cache-Control: immutable",), False),
     (("Expires: Thu, 01 Jan 2099 00:00:00 GMT",), True), (("Expires: 0",), False), (("Expires: -1",), False),
     (("Date: Thu, 01 Jan 2026 00:00:00 GMT", "Expires: Thu, 01 Jan 1970 00:00:00 GMT"), False),
     (("Expires: Thu, 01 Jan 2099 00:00:00 GMT", "Cache-Control: private"), False),
     (("Expires: Thu, 99 Jan 2099 99:00:00 GMT",), False)],
)  # fmt: skip
def test_what_a_shared_cache_may_keep_is_known(lines, public):
    assert head(*lines).publicly_cacheable is public


def test_the_same_head_is_read_once_but_never_shared_with_an_answer_to_head():
    known: Memory[ResponseHead] = Memory()
    data = raw("Content-Length: 5")
    read_response(known, data, body_allowed=True)
    assert read_response(known, data, body_allowed=True) is read_response(known, data, body_allowed=True)
    assert read_response(known, data, body_allowed=False).length == NO_BODY
    assert read_response(known, data, body_allowed=True).length == 5


def test_the_memory_of_status_lines_is_bounded(monkeypatch):
    monkeypatch.setattr(response, "_MAX_STATUS_LINES", 8)
    monkeypatch.setattr(response, "_STATUS_LINES", {})
    for number in range(50):
        assert head(start=f"HTTP/1.1 200 request {number}").status == 200
        assert len(response._STATUS_LINES) <= 8


tokens = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b" ", b"200", b"OK", b"\r\n", b"Content-Length", b": ", b"5",
    b"Transfer-Encoding", b"chunked",
                          b"Connection", b"close", b",", b"\n", b"\x00", b"204", b"304", b"Expires",
                          b"Cache-Control"])  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(tokens | st.binary(max_size=4), max_size=24), st.booleans())
def test_any_bytes_are_read_or_refused_never_anything_else(parts, body_allowed):
    data = b"HTTP/1.1 200 OK\r\n" + b"".join(parts).replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"
    try:
        got = ResponseHead(data, body_allowed=body_allowed)
    except BadMessageError:
        return
    assert got.publicly_cacheable in {True, False}
    assert got.forward.count(b"\n") == got.forward.count(b"\r\n") == got.forward.count(b"\r")
    assert b"\x00" not in got.forward
    assert got.forward.lower().count(b"\r\ncontent-length:") <= 1
