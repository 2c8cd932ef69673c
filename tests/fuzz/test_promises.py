"""The promises of every target, on what hypothesis makes of the same words: a short run, for every change.

The long ones are ``python -m tests.fuzz``.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.fuzz.bodies import check_chunked
from tests.fuzz.heads import check_request, check_response
from tests.fuzz.mutate import mutate, split
from tests.fuzz.prefaces import check_frames, check_proxy
from tests.fuzz.session import Session, check_session
from tests.fuzz.vocabulary import PIECES, REQUESTS, RESPONSES

RAW = some.binary(max_size=12)
LINES = some.sampled_from([piece for piece in PIECES if piece.endswith(b"\r\n") and b":" in piece])
VALUES = some.sampled_from(
    [b"close", b"keep-alive", b"chunked", b"host", b"5", b"shop.test", b"5, 5", b"upgrade", b"x"]
)
NAMES = some.sampled_from([
    b"Connection", b"Content-Length", b"Transfer-Encoding", b"Host", b"TE", b"Upgrade", b"Cookie", b"X-Forwarded-For",
    b"Keep-Alive", b"Expect", b"X-A", b"Trailer",
])  # fmt: skip
FIELDS = some.lists(LINES | some.builds(lambda name, value: name + b": " + value + b"\r\n", NAMES, VALUES), max_size=6)
REQUEST_LINES = some.builds(
    lambda method, target, version: method + b" " + target + b" HTTP/" + version + b"\r\n",
    some.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"x"]),
    some.sampled_from([b"/", b"*", b"/a?b", b"http://h", b"http://h/x", b"http://h?q", b"/#f", b"//x", b"h:80"]),
    some.sampled_from([b"1.1", b"1.0", b"2.0"]),
)
STATUS_LINES = some.builds(
    lambda version, status: b"HTTP/" + version + b" " + status + b"\r\n",
    some.sampled_from([b"1.1", b"1.0"]),
    some.sampled_from([b"200 OK", b"204 x", b"304", b"101 Go", b"100 x", b"500 no", b"099 x", b"999"]),
)
CHUNKS = some.sampled_from(
    [b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"0\r\n", b"\r\n", b"a \r\n", b"X-Sum: 1\r\n", b"0\r\n\r\n", b"2\r\nab"]
)

V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14" + bytes(range(12)) + b"\x20\0\x05\x01\0\0\0\0"
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
STEPS = len(Session(b"").steps)


def joined(parts):
    return b"".join(parts)


@settings(QUICK, max_examples=200)
@given(REQUEST_LINES, some.just(b"Host: shop.test\r\n") | some.just(b""), FIELDS, RAW | some.just(b""))
def test_a_request_head_means_the_same_to_everybody_or_is_refused(line, host, fields, raw):
    check_request(joined([line, host, *fields, raw]))


@settings(QUICK, max_examples=200)
@given(some.binary(min_size=1, max_size=1), STATUS_LINES, FIELDS, RAW | some.just(b""))
def test_a_response_head_means_the_same_to_everybody_or_is_refused(how, line, fields, raw):
    check_response(joined([how, line, *fields, raw]))


@settings(QUICK, max_examples=200)
@given(some.binary(min_size=1, max_size=1), some.lists(CHUNKS | RAW, max_size=8))
def test_a_chunked_body_has_one_end_however_it_is_cut(how, parts):
    check_chunked(how + joined(parts))


@settings(QUICK, max_examples=100)
@given(some.binary(max_size=64))
def test_frames_end_where_they_end_however_they_are_cut(data):
    check_frames(data)


@settings(QUICK, max_examples=100)
@given(
    some.sampled_from([b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY UNKNOWN\r\n", V2]),
    some.integers(0, 40),
    some.binary(max_size=4),
)
def test_a_proxy_header_is_read_once_and_for_good(header, at, raw):
    check_proxy(header[:at] + raw + header[at:])


@settings(QUICK, max_examples=600)
@given(
    some.binary(min_size=2, max_size=2),
    some.lists(some.tuples(some.integers(0, STEPS - 1), some.binary(max_size=2)), max_size=25),
)
def test_whatever_peers_do_nobody_is_deceived_and_nothing_is_left_over(how, steps):
    check_session(how + joined(bytes([step]) + operands for step, operands in steps))


@settings(QUICK, max_examples=200)
@given(some.binary(min_size=2, max_size=60), some.integers(0, 1 << 31))
def test_a_program_is_taken_apart_where_it_steps(data, seed):
    how, steps = split(data)
    assert how + joined(steps) == data
    assert len(mutate(data, 40, seed)) <= 40
    session = Session(data)
    session.play()
    assert len(session.told) - 1 - ("wind down" in session.told) == len(steps)


@pytest.mark.parametrize("words", [REQUESTS, PIECES, RESPONSES], ids=["requests", "pieces", "responses"])
def test_a_program_can_say_every_word(words):
    assert len(set(words)) == len(words) <= 256
