from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.http1.request import parse_request
from gatekeeper.http1.response import ResponseHead
from gatekeeper.http1.upgrade import CLOSE, GOING_AWAY, Frames, agrees, close_frame, is_websocket, served

quick = settings(deadline=None, max_examples=200)


def frame(payload: bytes, opcode: int = 2, mask: bytes = b"", *, fin: bool = True) -> bytes:
    """RFC 6455 section 5.2, written down straight from its picture."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        length = bytes([length[0] | 0x80]) + length[1:]
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + payload


sizes = st.sampled_from([0, 1, 7, 125, 126, 127, 1000, 65535, 65536, 70_000])
frames = st.builds(
    lambda size, opcode, mask, fin: frame(bytes(size), opcode, mask, fin=fin),
    sizes,
    st.sampled_from([0, 1, 2, 9, 10]),
    st.sampled_from([b"", b"\x01\x88\x08\xff"]),
    st.booleans(),
)


def heard(*lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    """The offer that is left of a request's."""
    head = "\r\n".join((f"{method} / HTTP/{version}", "Host: a", *lines, "", ""))
    return parse_request(head.encode()).fields.upgrade


# Offers


@pytest.mark.parametrize(
    ("offer", "kept"),
    [
        (b"websocket", b"websocket"),
        (b"WebSocket", b"WebSocket"),
        (b"letters/1.2, websocket", b"letters/1.2, websocket"),
        (b" websocket ,, h2c\t,", b"websocket"),
        (b"h2c", b""),
        (b"H2C", b""),
        (b"HTTP/2.0", b""),
        (b"HTTP/1.1, TLS/1.0", b""),
        (b"TLS/1.2", b""),
        (b"h2, h3, http", b""),
        (b'web"socket', b""),
        (b"web socket", b""),
        (b"a/b/c", b""),
        (b"/1", b""),
        (b"h2c/", b""),
        (b"", b""),
    ],
)
def test_other_http_and_tls_and_what_is_no_token_are_never_offered_on(offer, kept):
    assert served(offer) == kept


def test_an_offer_counts_only_when_connection_names_it_and_no_body_follows():
    """RFC 9110 section 7.8."""
    upgrade = "Upgrade: websocket"
    assert heard(upgrade, "Connection: Upgrade") == b"websocket"
    assert heard(upgrade, "Connection: keep-alive", "Connection: x, upgrade") == b"websocket"
    assert heard("Upgrade: letters", upgrade, "Connection: upgrade") == b"letters, websocket"
    assert heard(upgrade, "Connection: upgrade", "Content-Length: 0", method="POST") == b"websocket"
    assert heard(upgrade) == b""
    assert heard(upgrade, "Connection: keep-alive") == b""
    assert heard("Connection: upgrade") == b""
    assert heard(upgrade, "Connection: upgrade", "Content-Length: 1", method="POST") == b""
    assert heard(upgrade, "Connection: upgrade", "Transfer-Encoding: chunked", method="POST") == b""


@pytest.mark.parametrize(
    ("offer", "answer", "good"),
    [
        (b"websocket", b"WebSocket", True),
        (b"letters/1, websocket", b"websocket", True),
        (b"a, b", b"b, a", True),
        (b"websocket", b"", False),
        (b"websocket", b" , ", False),
        (b"websocket", b"h2c", False),
        (b"websocket", b"websocket, h2c", False),
        (b"letters/1", b"letters/2", False),
        (b"", b"websocket", False),
        (b"", b"", False),
    ],
)
def test_an_answer_may_name_only_what_was_offered(offer, answer, good):
    assert agrees(offer, answer) is good


def test_a_repeated_upgrade_field_of_an_answer_counts_as_one_list():
    head = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"
    assert ResponseHead(head, body_allowed=True).upgrade == b"websocket, h2c"


def test_only_websocket_alone_is_websocket():
    assert is_websocket(b" WebSocket")
    assert not is_websocket(b"websocket, letters")
    assert not is_websocket(b"letters")


# Close frames


def test_a_close_frame_is_what_the_standard_draws():
    assert close_frame(GOING_AWAY) == b"\x88\x02\x03\xe9" == frame(b"\x03\xe9", CLOSE)
    assert close_frame(GOING_AWAY, b"\x10\x20\x30\x40") == frame(b"\x03\xe9", CLOSE, b"\x10\x20\x30\x40")


# Following frames


@quick
@given(st.lists(frames, max_size=6), st.data())
def test_the_end_of_a_frame_is_found_however_the_bytes_are_cut(stream, data):
    raw = b"".join(stream)
    ends = [0]
    for each in stream:
        ends.append(ends[-1] + len(each))
    cuts = data.draw(st.lists(st.integers(0, len(raw)) | st.sampled_from(ends), max_size=8))
    edges = sorted({0, len(raw), *cuts})
    follower = Frames()
    assert follower.between
    for start, stop in pairwise(edges):
        within = [end for end in ends if start < end <= stop]
        assert follower.feed(raw[start:stop]) == (within[-1] - start if within else -1)
        assert follower.between is (stop in ends)
        assert not follower.closing


@quick
@given(st.lists(frames, max_size=4), st.integers(1, 7))
def test_a_close_frame_is_noticed_at_its_header_and_over_at_its_end(stream, cut):
    last = frame(b"\x03\xe8ok", CLOSE, b"mask")
    follower = Frames()
    follower.feed(b"".join(stream))
    follower.feed(last[:cut])
    assert follower.closing is (cut >= 2)
    assert not follower.closed
    assert follower.feed(last[cut:]) == len(last) - cut
    assert follower.closed


def test_a_long_payload_costs_nothing_but_counting():
    follower = Frames()
    follower.feed(frame(bytes(1 << 20))[:100])
    assert follower.feed(bytes(1000)) == -1
    assert follower.feed(b"\x88\x00" * 1000) == -1  # looks like frames, is payload
    assert not follower.closing


@quick
@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_are_too_odd_to_be_followed(parts):
    follower = Frames()
    for part in parts:
        assert -1 <= follower.feed(part) <= len(part)
        assert len(follower._head) < 10
