"""Target ``chunked``: however a body is cut into reads, it has one end and one meaning, or none."""

from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import LAST_CHUNK, ChunkedDecoder, encode_chunk
from tests.fuzz.meaning import CHUNKED, sent_requests, take_body
from tests.wire.oracle import Requests

HEAD = b"POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n"


def check_chunked(data: bytes) -> None:
    """The first byte says how the rest is cut."""
    if not data:
        return
    step, data = data[0] % 32, data[1:]
    whole = read([data])
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    cut = read(pieces)
    assert cut[0] == whole[0], (cut, whole)
    decoder = whole[1]
    if whole[0] == "fault":
        # What was let through before the fault is what everybody reads there.
        assert take_body(CHUNKED, data)[0].startswith(cut[2])
        return
    assert cut[2] == whole[2]
    assert cut[1].rest == decoder.rest
    assert cut[1].trailers == decoder.trailers
    payload, end = take_body(CHUNKED, data)
    if whole[0] == "open":
        assert end < 0
        assert payload.startswith(whole[2])
        return
    assert end == len(data) - len(decoder.rest)
    assert payload == whole[2]
    strict = Requests()
    strict.feed(HEAD + data)
    assert not strict.messages[0].whole or bytes(strict.messages[0].body) == payload
    assert strict.messages[0].whole
    out = HEAD + (encode_chunk(payload) if payload else b"")
    out += b"0\r\n" + decoder.trailers + b"\r\n" if decoder.trailers else LAST_CHUNK
    reading = sent_requests(out)
    assert not reading.fault, reading.fault
    (message,) = reading.messages
    assert message.whole
    assert (message.body, reading.rest) == (payload, b"")
    for line in decoder.trailers.split(b"\r\n"):
        name = line.partition(b":")[0].lower()
        assert name not in {b"content-length", b"transfer-encoding", b"host", b"authorization", b"cookie"}, line


def read(pieces: list[bytes]) -> tuple[str, ChunkedDecoder, bytes]:
    """("done" | "open" | "fault", decoder, payload); what comes behind the end is put to ``rest``."""
    decoder = ChunkedDecoder()
    payload = b""
    for number, piece in enumerate(pieces):
        try:
            payload += decoder.feed(piece)
        except BadMessageError:
            return "fault", decoder, payload
        if decoder.done:
            decoder.rest += b"".join(pieces[number + 1 :])
            return "done", decoder, payload
    return "open", decoder, payload
