"""Bytes pass at once in both directions, slowness is passed on, and so is every hang-up."""

from dataclasses import replace

from tests.wire.case import (
    HOST,
    OK,
    Act,
    Answer,
    Case,
    Deaf,
    End,
    Flood,
    Got,
    Had,
    Pieces,
    Reading,
    Reply,
    Seen,
    Sleep,
    Step,
    answered,
    request,
    response,
    under,
)

_LINE = b"HTTP/1.1 200 OK"
_CHUNKED = b"Transfer-Encoding: chunked"
_GET = request(b"GET / HTTP/1.1")
_SEEN = (Seen(b"GET / HTTP/1.1"),)
_FLOOD = 48 * 1024 * 1024
# The kernel's buffers between the two ends are 4 MiB for each sender and up to 32 MiB for a proxy that reads; its own
# should not matter beside them. The bench's receive buffers are small.
_MOST = 41 * 1024 * 1024
_PATTERN = bytes(range(256)) * (_FLOOD // 256)
_UNREAD = b"Content-Length: 100000"


def _early(name: str, status: bytes, *rest: bytes, cites: str = "RFC 9112 9.6") -> Case:
    """A final answer while the request's body is still on its way."""
    reply = Reply(int(status.split()[1]), b"no!")
    return Case(
        name,
        cites,
        (request(b"POST / HTTP/1.1", _UNREAD, body=b"x" * 1000), Got(b"no!"), *rest),
        Reading(
            (Seen(b"POST / HTTP/1.1", (HOST, _UNREAD), b"x" * 1000, whole=False),),
            (replace(reply, has=(b"Connection: close",)),),
            End.CLOSED,
        ),
        (Answer((Had(b"x" * 1000), response(status, b"Content-Length: 3", body=b"no!")), on="head"),),
        also=(
            Reading(None, (reply,)),
            # The rest may be passed on, too; then the connection may go on.
            Reading((Seen(b"POST / HTTP/1.1", (HOST, _UNREAD), b"x" * 1000 + b"".join(rest), whole=False),), (reply,)),
            Reading((Seen(b"POST / HTTP/1.1", (HOST, _UNREAD), b"x" * 100_000),), (reply,)),
            Reading(
                (Seen(b"POST / HTTP/1.1", (HOST, _UNREAD), b"x" * 100_000), Seen(b"GET /smuggled HTTP/1.1")),
                (reply, Reply(200)),
            ),
        ),
    )


def _hang_up(name: str, send: tuple[Step, ...], answer: Answer, *sees: Seen) -> Case:
    """The client goes away; the backend learns of it. The step GONE complains if it does not."""
    return Case(
        name,
        "docs/wire.md Streaming: each side learns of the other's abort",
        send,
        Reading(sees, None, End.ANY),
        (answer,),
        also=(Reading(None, None),),
        hard=False,
    )


CASES: list[Case] = [
    *under(
        "the bytes of an answer pass at once",
        answered(
            "events",
            "HTML: server-sent events; docs/wire.md Streaming",
            (
                response(_LINE, b"Content-Type: text/event-stream", _CHUNKED),
                Got(b"\r\n\r\n"),
                b"9\r\ndata: 1\n\n\r\n",
                Got(b"data: 1"),
                b"9\r\ndata: 2\n\n\r\n",
                Got(b"data: 2"),
                b"0\r\n\r\n",
            ),
            Reply(200, b"data: 1\n\ndata: 2\n\n"),
            end=End.OPEN,
        ),
        answered(
            "head-before-body",
            "docs/wire.md Streaming",
            (response(_LINE, b"Content-Length: 5"), Got(b"\r\n\r\n"), b"h", Got(b"\r\n\r\nh"), b"ello"),
            Reply(200, b"hello"),
            end=End.OPEN,
        ),
        answered(
            "byte-by-byte-until-close",
            "RFC 9112 6.3 item 8",
            (response(_LINE, b"X-A: b"), b"h", Got(b"h"), Pieces(b"ello"), Act.CLOSE),
            Reply(200, b"hello"),
        ),
        answered(
            "long-poll",
            "docs/wire.md Streaming",
            (Sleep(0.4), response(_LINE, b"Content-Length: 2", body=b"ok")),
            Reply(200, b"ok"),
            end=End.OPEN,
        ),
        hard=False,
    ),
    *under(
        "the bytes of a request pass at once",
        Case(
            "upload-piece-by-piece",
            "docs/wire.md Streaming",
            (
                request(b"PUT / HTTP/1.1", b"Content-Length: 10"),
                Had(b"Content-Length: 10"),
                b"one, ",
                Had(b"one, "),
                b"two..",
            ),
            Reading(
                (Seen(b"PUT / HTTP/1.1", (HOST, b"Content-Length: 10"), b"one, two.."),), (Reply(200, b"ok"),), End.OPEN
            ),
        ),
        Case(
            "upload-chunk-by-chunk",
            "docs/wire.md Streaming",
            (
                request(b"PUT / HTTP/1.1", _CHUNKED),
                Had(b"PUT / HTTP/1.1"),
                b"5\r\none, \r\n",
                Had(b"one, "),
                b"5\r\ntwo",
                Had(b"two"),
                b"..\r\n0\r\n\r\n",
            ),
            Reading((Seen(b"PUT / HTTP/1.1", (HOST, _CHUNKED), b"one, two.."),), (Reply(200, b"ok"),), End.OPEN),
        ),
        hard=False,
    ),
    Case(
        "both-ways-at-once",
        "docs/wire.md Streaming: an answer may begin before the request ends",
        (
            request(b"POST / HTTP/1.1", _CHUNKED, body=b"4\r\nping\r\n"),
            Got(b"pong"),
            b"4\r\nping\r\n0\r\n\r\n",
        ),
        Reading((Seen(b"POST / HTTP/1.1", (HOST, _CHUNKED), b"pingping"),), (Reply(200, b"pongpong"),)),
        (
            Answer(
                (
                    Had(b"ping"),
                    response(_LINE, _CHUNKED, body=b"4\r\npong\r\n"),
                    Had(b"0\r\n\r\n"),
                    b"4\r\npong\r\n0\r\n\r\n",
                ),
                on="head",
            ),
        ),
        hard=False,
    ),
    *under(
        "an early final answer reaches the client, and the rest of the body is no request",
        _early("early-413", b"HTTP/1.1 413 Content Too Large"),
        _early("early-200", b"HTTP/1.1 200 OK"),
        _early(
            "early-401-body-goes-on", b"HTTP/1.1 401 Unauthorized", b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
        ),
        _early("early-and-the-whole-rest", b"HTTP/1.1 413 Content Too Large", b"x" * 99_000),
        _early(
            "early-and-too-much",
            b"HTTP/1.1 413 Content Too Large",
            b"x" * 99_000,
            b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
    ),
    *under(
        "a client that hangs up is noticed",
        _hang_up("hang-up-while-waiting", (_GET, Had(b"GET"), Act.CLOSE), Answer((Act.GONE,)), *_SEEN),
        _hang_up("reset-while-waiting", (_GET, Had(b"GET"), Act.RESET), Answer((Act.GONE,)), *_SEEN),
        _hang_up(
            "hang-up-within-an-answer",
            (_GET, Got(b"hello"), Act.CLOSE),
            Answer((response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n"), Act.GONE)),
            *_SEEN,
        ),
        _hang_up(
            "reset-within-an-answer",
            (_GET, Got(b"hello"), Act.RESET),
            Answer((response(_LINE, b"Content-Length: 10", body=b"hello"), Act.GONE)),
            *_SEEN,
        ),
        _hang_up(
            "hang-up-within-a-body",
            (request(b"PUT / HTTP/1.1", b"Content-Length: 10", body=b"hello"), Had(b"hello"), Act.CLOSE),
            Answer((Act.GONE,), on="head"),
            Seen(b"PUT / HTTP/1.1", (HOST, b"Content-Length: 10"), b"hello", whole=False),
        ),
        _hang_up(
            "reset-within-chunks",
            (request(b"PUT / HTTP/1.1", _CHUNKED, body=b"5\r\nhello\r\n"), Had(b"hello"), Act.RESET),
            Answer((Act.GONE,), on="head"),
            Seen(b"PUT / HTTP/1.1", (HOST, _CHUNKED), b"hello", whole=False),
        ),
    ),
    *under(
        "who does not read slows the other down",
        Case(
            "slow-client",
            "docs/wire.md Streaming: bounded memory",
            (_GET, Deaf()),
            Reading(_SEEN, (Reply(200, _PATTERN),)),
            (Answer((response(_LINE, b"Content-Length: %d" % _FLOOD), Flood(_FLOOD, _MOST))),),
        ),
        Case(
            "slow-backend",
            "docs/wire.md Streaming: bounded memory",
            (request(b"PUT / HTTP/1.1", b"Content-Length: %d" % _FLOOD), Flood(_FLOOD, _MOST)),
            Reading((Seen(b"PUT / HTTP/1.1", (HOST, b"Content-Length: %d" % _FLOOD), _PATTERN),), (Reply(200, b"ok"),)),
            (Answer((Deaf(), Act.WHOLE, *OK.steps), on="head"),),
        ),
        hard=False,
    ),
]
