"""Interim answers: 100-continue from end to end, 103 passed on, none for HTTP/1.0, the final one never spoiled."""

from tests.wire.case import (
    BAD_GATEWAY,
    HOST,
    OK,
    Act,
    Answer,
    Case,
    End,
    Got,
    Had,
    Pieces,
    Reading,
    Reply,
    Seen,
    answered,
    request,
    response,
    under,
)

_LINE = b"HTTP/1.1 200 OK"
_FINAL = response(_LINE, b"Content-Length: 2", body=b"ok")
_FINAL_ANY = tuple(range(200, 600))
_100 = b"HTTP/1.1 100 Continue\r\n\r\n"
_103 = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
_EXPECT = b"Expect: 100-continue"
_HEAD = request(b"PUT /p HTTP/1.1", b"Content-Length: 5", _EXPECT)
_SEEN = Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5", _EXPECT), b"hello")
_PLAIN = Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5"), b"hello")
_OLD = b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"
# A proxy may answer 100 itself, at once; then it need not pass on the expectation.
_ITSELF = (
    Reading((_PLAIN,), (Reply(200, b"ok", interim=(100,)),)),
    Reading((_SEEN,), (Reply(200, b"ok", interim=(100, 100)),)),
    Reading((_SEEN,), (Reply(200, b"ok", interim=(100,)),)),
    Reading((_SEEN,), (Reply(200, b"ok"),)),
    Reading((_PLAIN,), (Reply(200, b"ok"),)),
)


def _passes(name: str, cites: str, interim: bytes, *statuses: int, hard: bool = True) -> Case:
    return answered(name, cites, interim + _FINAL, Reply(200, b"ok", interim=statuses), end=End.OPEN, hard=hard)


CASES: list[Case] = [
    *under(
        "100-continue works from end to end",
        Case(
            "continue",
            "RFC 9110 10.1.1",
            (_HEAD, Got(b"100 Continue\r\n"), b"hello"),
            Reading((_SEEN,), (Reply(200, b"ok", interim=(100,)),), End.OPEN),
            (Answer((_100, Had(b"hello"), _FINAL), on="head"),),
            also=_ITSELF,
        ),
        Case(
            "continue-in-any-case",
            "RFC 9110 10.1.1: expectations are case-insensitive",
            (
                request(b"PUT /p HTTP/1.1", b"Content-Length: 5", b"expect: 100-Continue"),
                Got(b"100 Continue\r\n"),
                b"hello",
            ),
            Reading((_SEEN,), (Reply(200, b"ok", interim=(100,)),), End.OPEN),
            (Answer((_100, Had(b"hello"), _FINAL), on="head"),),
            also=(
                *_ITSELF,
                Reading(
                    (Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5", b"expect: 100-Continue"), b"hello"),), None
                ),
            ),
        ),
        Case(
            "continue-chunked",
            "RFC 9110 10.1.1",
            (
                request(b"PUT /p HTTP/1.1", b"Transfer-Encoding: chunked", _EXPECT),
                Got(b"100 Continue\r\n"),
                b"5\r\nhello\r\n0\r\n\r\n",
            ),
            Reading(
                (Seen(b"PUT /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked", _EXPECT), b"hello"),),
                (Reply(200, b"ok", interim=(100,)),),
                End.OPEN,
            ),
            (Answer((_100, Had(b"0\r\n\r\n"), _FINAL), on="head"),),
            also=(
                Reading((Seen(b"PUT /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked"), b"hello"),), None),
                Reading((Seen(b"PUT /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked", _EXPECT), b"hello"),), None),
            ),
        ),
        Case(
            "continue-not-waited-for",
            "RFC 9110 10.1.1: a client need not wait",
            (_HEAD + b"hello",),
            Reading((_SEEN,), (Reply(200, b"ok", interim=(100,)),), End.OPEN),
            (Answer((_100 + _FINAL,)),),
            also=_ITSELF,
        ),
        Case(
            "continue-never-said",
            "RFC 9110 10.1.1: a server may leave it out",
            (_HEAD, Had(b"PUT /p"), b"hello"),
            Reading((_SEEN,), (Reply(200, b"ok"),), End.OPEN),
            (Answer((_FINAL,)),),
            also=_ITSELF,
        ),
    ),
    Case(
        "continue-refused",
        "RFC 9110 10.1.1: a final answer instead; the body never comes",
        (_HEAD, Got(b"no!")),
        Reading(
            (Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5", _EXPECT), whole=False),),
            (Reply(413, b"no!"),),
            End.CLOSED,
        ),
        (Answer((response(b"HTTP/1.1 413 No", b"Content-Length: 3", body=b"no!"),), on="head"),),
        also=(Reading(None, (Reply(413, b"no!"),)), Reading(None, (Reply(413, b"no!", interim=(100,)),))),
    ),
    Case(
        "continue-refused-but-sent",
        "CVE-2024-24791 (Go) by idea: the body that comes all the same is no request",
        (_HEAD, Got(b"no!"), b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Reading(
            (Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5", _EXPECT), whole=False),),
            (Reply(417, b"no!"),),
            End.CLOSED,
        ),
        (Answer((response(b"HTTP/1.1 417 No", b"Content-Length: 3", body=b"no!"),), on="head"),),
        also=(
            Reading(None, (Reply(417, b"no!"),)),
            Reading(None, (Reply(417, b"no!", interim=(100,)),)),
            Reading((Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 5", _EXPECT), b"GET /"),), None),
            Reading(None, None),
        ),
    ),
    Case(
        "expectation-of-http-1.0",
        "RFC 9110 10.1.1: ignored in HTTP/1.0",
        (b"PUT /p HTTP/1.0\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",),
        Reading((_PLAIN,), (Reply(200, b"ok"),), End.CLOSED),
        also=(Reading((_SEEN,), (Reply(200, b"ok"),)),),
    ),
    Case(
        "expectation-unknown",
        "RFC 9110 10.1.1: may be answered with 417",
        (request(b"PUT /p HTTP/1.1", b"Expect: coffee"),),
        Reading((), (Reply(417),), End.CLOSED),
        hard=False,
        also=(
            Reading((Seen(b"PUT /p HTTP/1.1", (HOST, b"Expect: coffee")),), (Reply(200),)),
            Reading((Seen(b"PUT /p HTTP/1.1", (HOST,)),), (Reply(200),)),
        ),
    ),
    *under(
        "interim answers pass, in order",
        _passes("hints", "RFC 8297 2, RFC 9110 15.2: a proxy forwards 1xx", _103, 103),
        _passes("hints-twice", "RFC 8297 2", _103 * 2, 103, 103),
        _passes("processing-then-hints", "RFC 9110 15.2", b"HTTP/1.1 102 Processing\r\n\r\n" + _103, 102, 103),
        _passes("continue-unasked", "RFC 9110 15.2.1", _100, 100, hard=False),
        _passes(
            "unknown-interim",
            "RFC 9110 15.2: an unknown one is forwarded or ignored",
            b"HTTP/1.1 199 Odd\r\n\r\n",
            199,
            hard=False,
        ),
        answered(
            "hints-at-once",
            "RFC 8297 2",
            (_103, Got(b"103 Early"), _FINAL),
            Reply(200, b"ok", interim=(103,)),
            end=End.OPEN,
        ),
        answered(
            "hints-in-pieces", "RFC 9112 2.2", (Pieces(_103 + _FINAL),), Reply(200, b"ok", interim=(103,)), end=End.OPEN
        ),
    ),
    *under(
        "interim answers pass, in order",
        answered(
            "hints-before-head",
            "RFC 9110 15.2",
            _103 + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            Reply(200, b"", interim=(103,), head=True),
            send=b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            sees=(Seen(b"HEAD / HTTP/1.1"),),
            end=End.OPEN,
        ),
    ),
    *under(
        "an interim answer has no body, whatever it says",
        _passes(
            "hints-with-length", "RFC 9110 8.6, 15.2", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", 103
        ),
        _passes(
            "hints-with-coding", "RFC 9112 6.1", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n", 103
        ),
        _passes("continue-with-close", "RFC 9110 15.2", b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n", 100),
    ),
    *under(
        "no interim answer for HTTP/1.0",
        *(
            answered(
                f"{name}-for-http-1.0",
                "RFC 9110 15.2: never to an HTTP/1.0 client",
                interim + _FINAL,
                Reply(200, b"ok"),
                send=_OLD,
                end=End.CLOSED,
            )
            for name, interim in {"hints": _103, "continue": _100, "several": _100 + _103 * 3}.items()
        ),
    ),
    *under(
        "an interim answer without a final one: 502",
        answered(
            "hints-then-gone",
            "RFC 9110 15.6.3",
            (_103, Act.CLOSE),
            Reply(502, interim=(103,)),
            end=End.OPEN,
            also=(
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(BAD_GATEWAY),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(BAD_GATEWAY, interim=(103,)),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (), End.ENDED),
                Reading((Seen(b"GET / HTTP/1.1"),) * 2, None),
            ),
        ),
        answered(
            "hints-then-garbage",
            "RFC 9110 15.6.3",
            (_103, b"garbage\r\n\r\n"),
            Reply(502, interim=(103,)),
            end=End.OPEN,
            also=(
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(BAD_GATEWAY),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(BAD_GATEWAY, interim=(103,)),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (), End.ENDED),
            ),
        ),
        answered(
            "hints-without-end",
            "docs/wire.md Limits",
            (_103 * 100, _FINAL),
            Reply(502, interim=(103,) * 16),
            end=End.ANY,
            hard=False,
            also=(
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, b"ok", interim=(103,) * 100),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(BAD_GATEWAY),)),
            ),
        ),
    ),
    *under(
        "101 only if asked for",
        answered(
            "switching-unasked",
            "RFC 9110 15.2.2",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
            Reply(502),
            end=End.OPEN,
            also=(Reading((Seen(b"GET / HTTP/1.1"),), (Reply(_FINAL_ANY),)),),
        ),
        answered(
            "switching-unasked-with-data",
            "RFC 9110 15.2.2, docs/wire.md Upgrade",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + _FINAL,
            Reply(502),
            end=End.OPEN,
            also=(Reading((Seen(b"GET / HTTP/1.1"),), (Reply(_FINAL_ANY),)),),
        ),
        answered(
            "switching-behind-hints",
            "RFC 9110 15.2.2",
            _103 + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            Reply(502, interim=(103,)),
            end=End.OPEN,
            also=(
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(_FINAL_ANY),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(_FINAL_ANY, interim=(103,)),)),
            ),
        ),
    ),
    *under(
        "100-continue works from end to end",
        Case(
            "continue-then-no-content",
            "RFC 9110 10.1.1",
            (_HEAD, Got(b"100 Continue\r\n"), b"hello"),
            Reading((_SEEN,), (Reply(204, b"", interim=(100,)),), End.OPEN),
            (Answer((_100, Had(b"hello"), b"HTTP/1.1 204 No Content\r\n\r\n"), on="head"), OK),
            also=(Reading((_PLAIN,), (Reply(204, b"", interim=(100,)),)), Reading((_SEEN,), None)),
        ),
    ),
    *under(
        "Upgrade in HTTP/1.0 is ignored",
        answered(
            "switching-for-http-1.0",
            "RFC 9110 7.8: Upgrade is ignored in HTTP/1.0",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            Reply(502),
            send=b"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            end=End.CLOSED,
            also=(
                Reading((), (Reply(_FINAL_ANY),)),
                Reading((Seen(b"GET / HTTP/1.1"),), (Reply(_FINAL_ANY),)),
            ),
        ),
    ),
]
