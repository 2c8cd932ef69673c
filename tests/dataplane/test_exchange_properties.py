"""What holds for any bytes, cut anywhere: they arrive as they were, or nobody is harmed."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.model import Limits
from tests.dataplane.world import GET, OK, Message, World, request

quick = settings(deadline=None, max_examples=120)
payloads = st.lists(st.binary(min_size=1, max_size=400), max_size=5)
framings = st.sampled_from(["length", "chunked", "close"])
cuts = st.lists(st.integers(1, 1500), max_size=8)


def pieces(data, at):
    edges = sorted({min(cut, len(data)) for cut in at} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def framed(start, chunks, framing):
    """A message of these chunks; ``close`` leaves its end to the connection."""
    body = b"".join(chunks)
    if framing == "length":
        return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (start, len(body), body)
    if framing == "close":
        return start + b"\r\n\r\n" + body
    coded = b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return start + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\nX-Sum: 1\r\n\r\n"


def unframed(raw):
    """The body, by the head's own word; the whole must be used up, or the connection must have told the end."""
    message = Message.read(raw)
    rest = message.body
    if message.get("transfer-encoding") is None:
        length = message.get("content-length")
        return rest if length is None else rest[: int(length)]
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            return body
        body, rest = body + rest[:count], rest[count + 2 :]


@quick
@given(payloads, st.sampled_from(["length", "chunked"]), cuts, payloads, framings, cuts, st.booleans())
def test_an_exchange_arrives_byte_for_byte_however_it_is_cut(sent, how, sent_cuts, back, back_how, back_cuts, old):
    if old:
        how = "length"
    with World() as here:
        client = here.client()
        start = b"PUT /x HTTP/1.%d\r\nHost: shop.test" % (not old)
        for piece in pieces(framed(start, sent, how), sent_cuts):
            client.send(piece)
        backend = here.backend()
        assert unframed(backend.out) == b"".join(sent)
        for piece in pieces(framed(b"HTTP/1.1 200 OK", back, back_how), back_cuts):
            backend.send(piece)
        if back_how == "close":
            backend.end()
        assert unframed(client.out) == b"".join(back)
        assert here.counts("blue").codes == {200: 1}
        assert here.counts("blue").errors == {}
        assert client.ended is (old or Message.read(client.out).get("connection") == "close")


@quick
@given(payloads.filter(bool), framings, st.integers(0, 3000), st.booleans(), st.booleans())
def test_a_cut_answer_never_looks_complete(back, how, cut, old, reset):
    with World() as here:
        client, backend = here.asked(request("GET", version="1.0" if old else "1.1"))
        whole = framed(b"HTTP/1.1 200 OK", back, how)
        cut = min(cut, len(whole) - 1)
        backend.send(whole[:cut])
        head = whole.index(b"\r\n\r\n") + 4
        if how == "close" and not reset:
            return  # an orderly close is that body's end
        backend.reset() if reset else backend.end()
        message = Message.read(client.out)
        if cut < head:
            assert message.status == 502
        elif message.get("content-length") is not None:
            assert len(message.body) < int(message.get("content-length"))
            assert client.lost
        elif message.get("transfer-encoding") is not None:
            assert not message.body.endswith(b"\r\n0\r\n\r\n")
            assert message.body != b"0\r\n\r\n"
            assert client.lost
        else:
            assert client.reset_by_us


bits = st.sampled_from(
    [GET, OK, b"GET ", b"/ ", b"HTTP/1.1\r\n", b"HTTP/1.0\r\n", b"Host: shop.test\r\n", b"\r\n", b"\r\n\r\n",
     b"Content-Length: 5\r\n",
     b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"\n", b"\x00", b"POST ",
     b"Connection: close\r\n", b"hello",
     b"Expect: 100-continue\r\n", b"X-Forwarded-For: a, b\r\n", b"Cookie: gatekeeper-shop=x\r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n",
     b"HTTP/1.1 304 X\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"X: " + b"y" * 200]
)  # fmt: skip
noise = st.lists(bits | st.binary(max_size=30), max_size=12)
acts = st.sampled_from(
    [
        "client",
        "backend",
        "client ends",
        "client resets",
        "backend ends",
        "backend resets",
        "time",
        "stall",
        "drain",
        "refuse",
    ]
)


@settings(deadline=None, max_examples=250)
@given(st.lists(st.tuples(acts, noise), max_size=14), st.sampled_from(["203.0.113.9", "10.0.0.1", ""]))
def test_whatever_either_side_does_nothing_is_raised_and_the_books_balance(script, address):
    """The world asserts the rest when it is left: nothing in flight, every claim back, everything counted once."""
    with World(trusted=("10.0.0.0/8",), limits=Limits(header_bytes=500, body=50), backends=2) as here:
        client = here.client(address)
        client.send(GET)
        for act, parts in script:
            wire = here.wires[-1] if here.wires else client
            data = b"".join(parts)
            if act == "client":
                client.send(data)
            elif act == "backend":
                wire.send(data)
            elif act == "client ends":
                client.end()
                client = here.client(address)
            elif act == "client resets":
                client.reset()
                client = here.client(address)
            elif act == "backend ends":
                wire.end()
            elif act == "backend resets":
                wire.reset()
            elif act == "time":
                here.pass_time(25)
            elif act == "stall":
                client.stall()
            elif act == "drain":
                client.drain()
            else:
                here.unreachable ^= {"http://blue-1:80"}


@quick
@given(noise, cuts)
def test_a_backend_never_sees_what_is_not_a_request(parts, at):
    """Whatever a client sends, what goes out parses as requests in the strictest way, one after the other."""
    with World() as here:
        client = here.client()
        for piece in pieces(b"".join(parts), at):
            client.send(piece)
        for wire in here.wires:
            line, *lines = wire.out.partition(b"\r\n\r\n")[0].split(b"\r\n")
            method, target, version = line.split(b" ")
            assert method
            assert target
            assert version == b"HTTP/1.1"
            names = [each.partition(b":")[0].lower() for each in lines]
            assert names.count(b"host") == 1
            assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
            assert not any(byte < 32 and byte != 9 for each in lines for byte in each)
