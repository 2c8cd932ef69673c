import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper import COMPILED
from gatekeeper.http1 import framing
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import (
    CHUNKED,
    MAX_CHUNK_LINE,
    MAX_EXCESS,
    MAX_TRAILERS,
    NO_BODY,
    UNTIL_CLOSE,
    ChunkedDecoder,
    CloseDecoder,
    LengthDecoder,
    decoder,
    encode_chunk,
)

quick = settings(deadline=None, max_examples=150)


def whole(data):
    """(payload, trailers, rest) of a chunked body that must be complete."""
    reader = ChunkedDecoder()
    payload = reader.feed(data)
    assert reader.done
    return payload, reader.trailers, reader.rest


def refused(data):
    with pytest.raises(BadMessageError) as error:
        ChunkedDecoder().feed(data)
    return str(error.value)


def split_at(data, cuts):
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def result(pieces):
    """What a decoder makes of the pieces; an error is a result too."""
    reader = ChunkedDecoder()
    payload = b""
    rest = b""
    try:
        for piece in pieces:
            if reader.done:
                rest += piece
            else:
                payload += reader.feed(piece)
    except BadMessageError as error:
        return str(error)
    return payload, reader.trailers, reader.done, reader.rest + rest


def test_a_length_ends_after_so_many_bytes_and_gives_back_the_rest():
    reader = LengthDecoder(5)
    assert (reader.feed(b"abc"), reader.done) == (b"abc", False)
    assert (reader.feed(b"deGET"), reader.done, reader.rest) == (b"de", True, b"GET")


def test_no_body_is_done_before_the_first_byte():
    reader = decoder(NO_BODY)
    assert reader.done
    assert (reader.feed(b"x"), reader.rest) == (b"", b"x")


def test_a_body_until_the_close_is_never_done_by_itself():
    reader = decoder(UNTIL_CLOSE)
    assert isinstance(reader, CloseDecoder)
    assert (reader.feed(b"0\r\n\r\n"), reader.done) == (b"0\r\n\r\n", False)


def test_each_framing_has_its_decoder():
    assert isinstance(decoder(CHUNKED), ChunkedDecoder)
    assert isinstance(decoder(3), LengthDecoder)


def test_chunks_are_joined_and_what_follows_is_given_back():
    assert whole(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET") == (b"abc0123456789", b"", b"GET")


@pytest.mark.parametrize("size", [b"a", b"A", b"0a", b"000000000000000a"])
def test_sizes_are_hexadecimal_in_either_case_with_leading_zeroes(size):
    assert whole(size + b"\r\n0123456789\r\n0\r\n\r\n")[0] == b"0123456789"


@pytest.mark.parametrize("line", [b"3;a=b", b"3;a", b'3;a="b;c"', b"3 ; a = b", b"3\t;a", b'3;a="\xff\\""'])
def test_chunk_extensions_are_ignored(line):
    assert whole(line + b"\r\nabc\r\n0;x\r\n\r\n")[0] == b"abc"


@pytest.mark.parametrize(
    "size",
    [b"", b"+3", b"-3", b"0x3", b" 3", b"3 ", b"3\t", b"3,3", b"3_0", b"g", b"\xb3", b"3\r", b"3\x00", b"3;\x01",
     b"3;\x00", b"3;", b"3;;a", b"3;a=", b'3;a="b', b"3;\xff", b"3 a",
     b"3;a\rb", b"0" * 16 + b"3"],
)  # fmt: skip
def test_any_other_size_line_is_refused(size):
    assert refused(size + b"\r\nabc\r\n0\r\n\r\n")


def test_a_size_beyond_what_a_signed_number_holds_is_refused():
    assert refused(b"ffffffffffffffff\r\n") == "chunk size overflows"
    assert refused(b"8000000000000000\r\n") == "chunk size overflows"


@pytest.mark.parametrize(
    "body",
    [b"3\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n", b"3\r\nabcd\r\n", b"3\r\nabc\r\r\n",
     b"3\r\nabc\r\n0\n\r\n",
     b"3\r\nabc\r\n0\r\n\n", b"\n", b"3\r\nabc\rX0\r\n\r\n", b"3\r\nabc\r\n\r\n0\r\n\r\n"],
)  # fmt: skip
def test_lines_and_data_end_in_exactly_crlf(body):
    assert refused(body)


def test_a_size_line_is_bounded_whether_it_ends_or_not():
    assert refused(b"3;" + b"a" * MAX_CHUNK_LINE)
    assert refused(b"3;" + b"a" * MAX_CHUNK_LINE + b"\r\n")
    assert whole(b"3;" + b"a" * (MAX_CHUNK_LINE - 4) + b"\r\nabc\r\n0\r\n\r\n")[0] == b"abc"


def test_many_small_chunks_with_long_extensions_are_refused():
    """The receiver must not work a hundred times as hard as the sender pays for."""
    chunk = b"1;" + b"e" * 200 + b"\r\na\r\n"
    assert refused(chunk * (MAX_EXCESS // 150)) == "chunked framing costs more than its payload"


def test_small_chunks_without_extensions_never_add_up_to_an_attack():
    assert whole(b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")[0] == b"a" * 20_000


def test_a_trailer_passes_with_its_crlf():
    assert whole(b"0\r\nX-Checksum: abc\r\nETag:\r\n\r\n")[1] == b"X-Checksum: abc\r\nETag:\r\n"


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "transfer-encoding", "Host", "Cookie", "Set-Cookie", "Authorization", "X-Forwarded-For",
     "Connection",
     "X-Gatekeeper-Version", "X-Request-Id", "Trailer", "TE"],
)  # fmt: skip
def test_trailers_that_would_change_framing_routing_or_rights_end_here(name):
    assert whole(f"0\r\n{name}: 1\r\nX-Ok: 1\r\n\r\n".encode())[1] == b"X-Ok: 1\r\n"


@pytest.mark.parametrize("line", [b"no colon", b": x", b"A : x", b" A: x", b"A: \x00", b"A: b\rc", b"A\x80: x"])
def test_a_malformed_trailer_is_refused(line):
    assert refused(b"0\r\n" + line + b"\r\n\r\n") == "trailer is malformed"


def test_trailers_are_bounded_one_by_one_and_together():
    assert refused(b"0\r\nX: " + b"a" * MAX_TRAILERS)
    assert refused(b"0\r\n" + b"X-Trailer: 123456789\r\n" * (MAX_TRAILERS // 20))
    assert refused(b"0\r\n" + b"Cookie: 123456789\r\n" * (MAX_EXCESS // 10)), "those that end here cost work as well"


def test_a_chunk_is_written_in_one_spelling():
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert framing.LAST_CHUNK == b"0\r\n\r\n"


bodies = st.lists(st.binary(min_size=1, max_size=300), max_size=6)
endings = st.sampled_from([b"\r\n", b"X-T: 1\r\n\r\n", b"Host: a\r\nX-Long: " + b"b" * 100 + b"\r\n\r\n"])
extensions = st.sampled_from([b"", b";a", b" ;a=b", b";" + b"x" * 90])
cutting = st.lists(st.integers(0, 2500), max_size=12)


@quick
@given(bodies, extensions, endings, st.binary(max_size=20), cutting)
def test_a_body_reads_the_same_however_it_is_split(chunks, extension, ending, rest, cuts):
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    data = body + b"0" + extension + b"\r\n" + ending + rest
    once = result([data])
    assert once[0] == b"".join(chunks)
    assert once[2:] == (True, rest)
    assert result(split_at(data, cuts)) == once


@quick
@given(
    st.lists(
        st.sampled_from([b"3", b"\r\n", b"\n", b"abc", b"0", b";", b"X: y", b"\r", b" ", b"f" * 8, b"\x00"]),
        max_size=14,
    ),
    cutting,
)
def test_a_broken_body_is_as_broken_however_it_is_split(parts, cuts):
    """Only payload may have been handed out before the break; the verdict itself is the same."""
    data = b"".join(parts)
    assert result(split_at(data, cuts)) == result([data])


def relayed(pieces):
    """What goes on of the pieces, the payload that was counted and copied, and whether the end was seen."""
    reader, copy = ChunkedDecoder(), []
    passed, size = b"", 0
    for piece in pieces:
        if not reader.done:
            more, found = reader.relay(piece, copy)
            passed, size = passed + more, size + found
    return passed, size, b"".join(copy), reader.done


@quick
@given(bodies, extensions, st.sampled_from([b"%x", b"%X", b"0%x", b"00%X"]), endings, cutting)
def test_what_goes_on_is_the_same_payload_in_one_spelling_however_it_is_split(chunks, extension, size, ending, cuts):
    body = b"".join(size % len(chunk) + extension + b"\r\n%b\r\n" % chunk for chunk in chunks)
    data = body + b"0" + extension + b"\r\n" + ending
    passed, counted, copied, done = relayed(split_at(data, cuts))
    payload = b"".join(chunks)
    assert (counted, copied, done) == (len(payload), payload, True)
    assert passed == b"".join(map(encode_chunk, chunks)) + b"0\r\n" + whole(data)[1] + b"\r\n"


def test_chunks_that_are_spelt_as_ours_go_on_as_they_came_without_a_copy():
    reader = ChunkedDecoder()
    data = encode_chunk(b"x" * 100) + b"3e8\r\n" + b"y" * 400
    passed, size = reader.relay(data)
    assert passed is data or (COMPILED and passed == data)  # mypyc copies a slice of the whole
    assert size == 500
    assert reader.relay(b"y" * 600 + b"\r")[0] == b"y" * 600
    assert reader.relay(b"\n0\r\nX-T: 1\r\n")[0] == b"\r\n"
    assert reader.relay(b"\r\nrest") == (b"0\r\nX-T: 1\r\n\r\n", 0)
    assert reader.rest == b"rest"


def test_a_body_until_the_close_goes_on_in_chunks():
    copy = []
    assert CloseDecoder().relay(b"abc", copy) == (b"3\r\nabc\r\n", 3)
    assert CloseDecoder().relay(b"") == (b"", 0), "an empty chunk would be the last one"
    assert copy == [b"abc"]


@quick
@given(bodies)
def test_what_is_encoded_decodes_to_the_same(chunks):
    data = b"".join(encode_chunk(chunk) for chunk in chunks) + framing.LAST_CHUNK
    assert whole(data) == (b"".join(chunks), b"", b"")
