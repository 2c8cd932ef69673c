"""The channel's frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper import channel
from gatekeeper.channel import ChannelError, Decoder, encode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
messages = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.text(max_size=8),
    st.dictionaries(st.text(max_size=5), values, max_size=3),
)


@given(st.lists(messages, max_size=5), st.lists(st.integers(1, 40), max_size=30))
def test_messages_arrive_whole_and_in_order_however_the_stream_is_cut(sent, cuts):
    stream = b"".join(encode(message) for message in sent)
    decoder, got, position = Decoder(), [], 0
    for size in [*cuts, len(stream)]:
        got += decoder.feed(stream[position : position + size])
        position += size
    assert got == sent
    assert decoder.pending == 0


def test_a_frame_that_has_only_begun_gives_nothing_yet():
    decoder = Decoder()
    assert decoder.feed(encode({"type": "ping", "n": 1})[:-1]) == []
    assert decoder.pending > 0


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01{",
        b"\0\0\0\x02[]",
        b"\0\0\0\x02{}",
        b'\0\0\0\x0a{"type":1}',
        b"\0\0\0\x02\xff\xfe",
        b"\0\1\x86\xa0" + b"[" * 100_000,
    ],
)
def test_what_is_no_frame_breaks_the_channel_for_good(frame):
    decoder = Decoder()
    with pytest.raises(ChannelError):
        decoder.feed(frame)
    with pytest.raises(ChannelError, match="earlier frame"):
        decoder.feed(encode({"type": "ping"}))


def test_messages_before_a_broken_frame_do_not_hide_that_it_is_broken():
    with pytest.raises(ChannelError):
        Decoder().feed(encode({"type": "ping"}) + b"\0\0\0\x01x")


def test_a_message_over_the_bound_is_refused_by_the_sender(monkeypatch):
    monkeypatch.setattr(channel, "MAX_FRAME", 100)
    with pytest.raises(ChannelError, match="fewer services"):
        encode({"type": "state", "services": "x" * 100})


def test_not_a_number_is_no_json_and_never_sent():
    with pytest.raises(ValueError, match="JSON"):
        encode({"type": "pong", "lag": float("nan")})
