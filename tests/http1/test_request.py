import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.errors import Fault
from gatekeeper.http1 import memory
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import CHUNKED, NO_BODY
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.request import MAX_TARGET, RequestFields, parse_request, read_fields, split_head


def head(*lines, start="GET / HTTP/1.1", host="a.test"):
    told = (f"Host: {host}",) if host is not None else ()
    return parse_request("\r\n".join((start, *told, *lines, "", "")).encode("latin-1"))


def refused(*lines, **options):
    with pytest.raises(BadMessageError) as error:
        head(*lines, **options)
    return error.value.fault


def test_a_plain_head_is_read_whole():
    got = head("Cookie: a=1", "X-Other: x", start="POST /p/a?b=c?d HTTP/1.1", host="Shop.Test:8080")
    assert (got.method, got.target, got.path, got.query) == (b"POST", b"/p/a?b=c?d", b"/p/a", b"b=c?d")
    assert (got.host, got.authority, got.minor) == (b"shop.test", b"Shop.Test:8080", 1)
    assert (got.length, got.persistent, got.cookie) == (NO_BODY, True, b"a=1")
    assert got.values(b"x-other") == [b"x"]


# The request line


@pytest.mark.parametrize(
    "start",
    ["GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1",
     "GET /",
     "GET", "", "GET / HTTP/1.1 x", "GET / HTTP/11.1", "GET / HTTP/1.11", "GET / HTTP/1", "GET / HTTP/1.",
     "GET / http/1.1",
     "GET / HTTP/+1.1", "GET / HTTP/1.x", "GET / HTTPS/1.1", "GET / ICY/1.0", "G(T / HTTP/1.1", "G\xcbT / HTTP/1.1",
     "GET /#frag HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\x00 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\xe4 HTTP/1.1",
     "GET /a\rb HTTP/1.1", "GET /\x0b HTTP/1.1", "GET  HTTP/1.1"],
)  # fmt: skip
def test_a_request_line_with_a_second_reading_is_refused(start):
    assert refused(start=start) is Fault.BAD_REQUEST


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.1"])
def test_other_versions_are_not_supported(version):
    assert refused(start=f"GET / {version}") is Fault.BAD_VERSION


def test_the_preface_of_http2_is_told_that_the_version_is_not_supported():
    with pytest.raises(BadMessageError) as error:
        parse_request(b"PRI * HTTP/2.0\r\n\r\n")
    assert error.value.fault is Fault.BAD_VERSION


def test_connect_is_not_implemented():
    assert refused(start="CONNECT a.test:443 HTTP/1.1") is Fault.NOT_IMPLEMENTED


@pytest.mark.parametrize("method", ["get", "Get", "M-SEARCH", "X!#$%&'*+-.^_`|~9"])
def test_any_token_is_a_method_and_keeps_its_case(method):
    assert head(start=f"{method} / HTTP/1.1").method == method.encode()


def test_a_long_target_is_refused_by_its_own_status():
    assert head(start=f"GET /{'a' * (MAX_TARGET - 1)} HTTP/1.1").path
    assert refused(start=f"GET /{'a' * MAX_TARGET} HTTP/1.1") is Fault.TARGET_TOO_LONG


@pytest.mark.parametrize(
    "target", ["/a%00b", "/%2e%2e/x", "//double", "/a|b", "/{x}", "/\\", "/a'\"<>", "/?", "/..", "/;p=1"]
)
def test_odd_but_clear_targets_are_kept_to_the_byte(target):
    assert head(start=f"GET {target} HTTP/1.1").target == target.encode()


# Forms of the target


@pytest.mark.parametrize(
    ("target", "authority", "origin"),
    [("http://B.test/x?y", b"B.test", b"/x?y"), ("http://b.test", b"b.test", b"/"),
     ("HTTP://b.test:81?q", b"b.test:81", b"/?q"),
     ("https://[::1]:8/x", b"[::1]:8", b"/x")],
)  # fmt: skip
def test_absolute_form_wins_over_host(target, authority, origin):
    got = head(start=f"GET {target} HTTP/1.1")
    assert (got.authority, got.target, got.rehosted) == (authority, origin, True)
    assert got.host != b"a.test"


@pytest.mark.parametrize(
    "target",
    ["http://", "http:///x", "http://u@b/", "http://u:p@b/", "ftp://b/", "http:/b", "b.test:80", "x", "?q",
     "*", "http://b:99999/", "http://b:x/", "http://b b/", "*x"],
)  # fmt: skip
def test_any_other_form_is_refused(target):
    assert refused(start=f"GET {target} HTTP/1.1") is Fault.BAD_REQUEST


def test_only_options_may_ask_for_the_whole_server():
    assert head(start="OPTIONS * HTTP/1.1").target == b"*"
    assert head(start="OPTIONS http://b.test HTTP/1.1").target == b"*"
    assert head(start="OPTIONS http://b.test/ HTTP/1.1").target == b"/"


# Host


def test_host_is_there_once():
    assert refused(host=None) is Fault.BAD_REQUEST
    assert refused("Host: a.test") is Fault.BAD_REQUEST
    assert refused("hOST: b.test", start="GET http://b.test/ HTTP/1.1") is Fault.BAD_REQUEST


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "a:b",
        "a:123456",
        "a:65536",
        "[::1",
        "::1",
        "a#",
        "a?",
        "a\\b",
        "a:80:80",
        "\xe4",
    ],
)
def test_a_malformed_host_is_refused_even_where_the_target_overrules_it(host):
    assert refused(host=host) is Fault.BAD_REQUEST
    assert refused(host=host, start="GET http://b.test/ HTTP/1.1") is Fault.BAD_REQUEST


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.Test", b"a.test"),
        ("a:", b"a"),
        ("a:80", b"a"),
        ("[::1]:80", b"[::1]"),
        ("my_app", b"my_app"),
        ("1.2.3.4", b"1.2.3.4"),
    ],
)
def test_a_host_routes_by_its_name_alone(host, name):
    assert head(host=host).host == name


def test_http_1_0_may_go_without_host():
    got = head(start="GET / HTTP/1.0", host=None)
    assert (got.host, got.authority, got.rehosted) == (b"", b"", True)


# Framing


def test_a_length_or_chunks_frame_the_body_whatever_the_method():
    assert head("Content-Length: 5").length == 5
    assert head("Content-Length: 0", start="POST / HTTP/1.1").length == NO_BODY
    assert head("transfer-encoding: Chunked", start="GET / HTTP/1.1").length == CHUNKED
    assert head(start="POST / HTTP/1.1").length == NO_BODY


@pytest.mark.parametrize(
    "lines",
    [("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: gzip, chunked",),
     ("Transfer-Encoding: chunked, gzip",),
     ("Transfer-Encoding: gzip",), ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
     ("Transfer-Encoding:",),
     ("Transfer-Encoding: xchunked",), ("Content-Length: 5", "Content-Length: 6"), ("Content-Length: +5",),
     ("Content-Length: 5 5",),
     ("Content-Length:",), ("Content-Length: 99999999999999999999",), ("Content-Length : 5",),
     ("Content-Length: 5\x0b",),
     ("Transfer-Encoding: chunked\x00",), (" Transfer-Encoding: chunked",), ("X: y", " folded"), ("X: y", "\tfolded"),
     ("X\x00: y",)],
)  # fmt: skip
def test_framing_with_a_second_reading_is_refused(lines):
    assert refused(*lines, start="POST / HTTP/1.1") is Fault.BAD_REQUEST


def test_chunks_need_http_1_1():
    assert refused("Transfer-Encoding: chunked", start="POST / HTTP/1.0") is Fault.BAD_REQUEST


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "content-length: 5"),
        ("Content-Length: 5, 5",),
        ("Content-Length: 5, 5", "Content-Length: 5"),
    ],
)
def test_equal_lengths_become_one_line(lines):
    got = head(*lines)
    assert got.length == 5
    assert got.fields.framing == b"\r\nContent-Length: 5"
    assert got.fields.kept == [b"Host: a.test"]


def test_a_plain_framing_line_stays_where_it_was():
    got = head("A: 1", "Content-Length: 5", "B: 2")
    assert got.fields.kept == [b"Host: a.test", b"A: 1", b"Content-Length: 5", b"B: 2"]
    assert got.fields.framing == b""


# The connection


def test_http_1_1_stays_unless_it_says_close():
    assert not head("Connection: Keep-Alive, CLOSE").persistent
    assert not head("Connection: x", "Connection: close").persistent


def test_http_1_0_closes_unless_it_says_keep_alive():
    assert not head(start="GET / HTTP/1.0").persistent
    assert head("Connection: keep-alive", start="GET / HTTP/1.0").persistent
    assert not head("Connection: keep-alive, close", start="GET / HTTP/1.0").persistent


def test_a_request_that_may_go_no_further_is_not_forwarded():
    assert refused("Max-Forwards: 0", start="OPTIONS / HTTP/1.1") is Fault.NOT_IMPLEMENTED
    assert refused("Max-Forwards: 00", start="TRACE / HTTP/1.1") is Fault.NOT_IMPLEMENTED
    assert head("Max-Forwards: 0").fields.kept == [b"Host: a.test", b"Max-Forwards: 0"]


def test_a_trailer_field_passes_with_its_trailers():
    assert head("Trailer: X-Sum").fields.kept == [b"Host: a.test", b"Trailer: X-Sum"]


def test_a_length_with_leading_zeroes_leaves_as_everybody_writes_it():
    got = head("Content-Length: 010", "A: 1").fields
    assert (got.length, got.framing, got.kept) == (10, b"\r\nContent-Length: 10", [b"Host: a.test", b"A: 1"])


@pytest.mark.parametrize("host", ["a%zz.test", "a%2.test", "%", "[:::]", "[12345::]", "[1.2.3.4]", "[::1%25eth0]"])
def test_a_host_with_a_bad_percent_or_a_bad_address_is_refused(host):
    assert refused(host=host) is Fault.BAD_REQUEST


@pytest.mark.parametrize("host", ["a%2Db.test", "[::1]", "[::ffff:1.2.3.4]:80"])
def test_a_host_with_a_good_percent_or_a_good_address_is_read(host):
    assert head(host=host).authority == host.encode()


def test_hop_by_hop_fields_and_what_connection_names_go_no_further():
    got = head("Connection: X-A, te", "connection: x-b", "X-A: 1", "x-B: 2", "X-C: 3", "Keep-Alive: timeout=5",
        "Proxy-Connection: x",
               "TE: trailers", "Upgrade: h2c")  # fmt: skip
    assert got.fields.kept == [b"Host: a.test", b"X-C: 3"]
    assert got.fields.te_trailers


def test_a_cookie_that_connection_names_decides_nothing():
    got = head("Connection: cookie", "Cookie: gatekeeper-shop=1")
    assert got.cookie == b""


def test_upgrade_counts_only_where_connection_names_it():
    assert head("Upgrade: websocket", "Connection: upgrade").fields.upgrade == b"websocket"
    assert head("Upgrade: websocket").fields.upgrade == b""


def test_only_one_expectation_is_known():
    assert head("Expect: 100-Continue").expect
    assert refused("Expect: 200-ok") is Fault.EXPECTATION
    assert not head("Expect: 100-continue", start="POST / HTTP/1.0").expect


# What we believe


@pytest.mark.parametrize("value", ["a b", "", "x" * 129, 'a"b', "a\\n", "\xe4"])
def test_a_request_id_that_could_forge_a_log_line_is_dropped(value):
    got = head(f"X-Request-Id: {value}")
    assert got.fields.request_id == b""
    assert got.fields.kept == [b"Host: a.test"]


def test_a_good_request_id_passes_the_first_of_several():
    got = head("X-Request-Id: one", "X-Request-Id: two")
    assert got.fields.request_id == b"one"
    assert got.fields.kept == [b"Host: a.test", b"X-Request-Id: one"]


TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.mark.parametrize("value", [TRACE, TRACE.replace("00-", "cc-") + "-more"])
def test_a_good_trace_passes(value):
    assert head(f"traceparent: {value}").fields.traceparent


@pytest.mark.parametrize("value", ["", "x", TRACE.upper(), TRACE[:-1], TRACE + "0", "ff" + TRACE[2:], TRACE + "-more",
                                   TRACE.replace("a" * 32, "0" * 32), TRACE.replace("b" * 16, "0" * 16)])  # fmt: skip
def test_a_malformed_trace_is_started_anew(value):
    got = head(f"traceparent: {value}")
    assert not got.fields.traceparent
    assert got.fields.kept == [b"Host: a.test"]


def test_forwarding_fields_are_collected_and_gatekeepers_own_are_kept_apart():
    got = head("X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2", "X-Gatekeeper-Version: green",
        "X-Gatekeeper-Pass: p",
               "X-Gatekeeper-Anything: x")  # fmt: skip
    assert got.fields.forwarded_for == b"1.1.1.1, 2.2.2.2"
    assert (got.force, got.pass_token) == (b"green", b"p")
    assert got.fields.kept == [b"Host: a.test"]
    assert got.fields.proxied


def test_cookies_of_several_lines_are_one():
    assert head("Cookie: a=1", "Cookie: b=2").cookie == b"a=1; b=2"


def test_too_many_fields_are_refused():
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 99 + b"\r\n"
    assert parse_request(raw, 100)
    with pytest.raises(BadMessageError) as error:
        parse_request(raw, 99)
    assert error.value.fault is Fault.HEAD_TOO_LARGE


# Memory


def test_a_section_that_returns_is_kept_and_a_refused_one_read_every_time():
    known: Memory[RequestFields] = Memory()
    section = split_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")[1]
    assert read_fields(known, section, 100) is not read_fields(known, section, 100)
    assert read_fields(known, section, 100) is read_fields(known, section, 100)
    for _ in range(2):
        with pytest.raises(BadMessageError):
            read_fields(known, b"\r\nHost : a\r\n\r\n", 100)


def test_memory_keeps_what_is_in_use_and_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "MAX_ENTRIES", 4)
    known: Memory[int] = Memory()
    for _ in range(2):
        known.keep(b"used", 1)
    for number in range(50):
        for _ in range(2):
            known.keep(b"%d" % number, number)
        assert known.recall(b"used") == 1
        assert len(known.known) <= 4
    assert known.recall(b"0") is None
    for _ in range(2):
        known.keep(b"x" * (memory.MAX_LENGTH + 1), 1)
    assert known.recall(b"x" * (memory.MAX_LENGTH + 1)) is None
    known.forget()
    assert known.recall(b"used") is None


def test_what_never_returns_pushes_out_nothing_and_is_remembered_by_a_bounded_number_of_marks(monkeypatch):
    monkeypatch.setattr(memory, "MAX_MARKS", 8)
    monkeypatch.setattr(memory, "MAX_ENTRIES", 4)
    known: Memory[int] = Memory()
    for _ in range(2):
        known.keep(b"used", 1)
    for number in range(100):
        known.keep(b"%d" % number, number)
        assert known.recall(b"%d" % number) is None
        assert len(known._returning._marks) <= 8
    assert known.known == {b"used": 1}


tokens = st.sampled_from(
    [b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"Host", b":", b"a", b"Content-Length", b"5",
     b"Transfer-Encoding",
     b"chunked", b",", b"\n", b"\x00", b"Connection", b"close", b"http://b", b"?", b"X-Forwarded-For", b"\xff",
     b"Cookie", b"="]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(tokens | st.binary(max_size=4), max_size=30))
def test_any_bytes_are_read_or_refused_never_anything_else(parts):
    raw = b"".join(parts).replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"
    try:
        got = parse_request(raw)
    except BadMessageError:
        return
    assert got.minor in {0, 1}
    assert not any(byte in b"\r\n\x00 #" for byte in got.target)
    assert all(b"\r" not in line and b"\n" not in line and b"\x00" not in line for line in got.fields.kept)
