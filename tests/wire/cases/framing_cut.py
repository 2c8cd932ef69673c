"""Responses that break after they began, and where they end: a cut answer never looks complete."""

from tests.wire.case import OK, Act, Answer, Case, End, Got, Reading, Reply, Seen, answered, request, response, under

_LINE = b"HTTP/1.1 200 OK"
_CHUNKED = b"Transfer-Encoding: chunked"
_CUT = Reply(200, whole=False)
_OLD = b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"
_SEEN = (Seen(b"GET / HTTP/1.1"),)
_EARLY = (Reading(_SEEN, (Reply((500, 502, 504)),)), Reading(_SEEN, (), End.ENDED))
_BEGUN = response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n")

# name: (the beginning, which the client gets; what follows; what it is derived from)
_CUTS: dict[str, tuple[bytes, tuple[bytes | Act, ...], str]] = {
    "length-short": (response(_LINE, b"Content-Length: 10", body=b"hello"), (Act.CLOSE,), "RFC 9112 8"),
    "length-short-reset": (response(_LINE, b"Content-Length: 10", body=b"hello"), (Act.RESET,), "RFC 9112 8"),
    "length-none-of-it": (response(_LINE, b"X-A: b", b"Content-Length: 10"), (Act.CLOSE,), "RFC 9112 8"),
    "no-last-chunk": (_BEGUN, (Act.CLOSE,), "RFC 9112 8"),
    "no-last-chunk-reset": (_BEGUN, (Act.RESET,), "RFC 9112 8"),
    "within-a-chunk": (response(_LINE, _CHUNKED, body=b"a\r\nhello"), (Act.CLOSE,), "RFC 9112 8"),
    "within-the-last-chunk": (_BEGUN, (b"0\r\n", Act.CLOSE), "RFC 9112 8"),
    "within-the-trailers": (_BEGUN, (b"0\r\nX-A: b\r\n", Act.CLOSE), "RFC 9112 8"),
    "chunk-size-bad": (_BEGUN, (b"xyz\r\n\r\n0\r\n\r\n",), "RFC 9112 7.1"),
    "chunk-size-bare-lf": (_BEGUN, (b"1\n!\r\n0\r\n\r\n",), "RFC 9112 7.1"),
    "chunk-size-signed": (_BEGUN, (b"+1\r\n!\r\n0\r\n\r\n",), "RFC 9112 7.1"),
    "chunk-size-overflow": (_BEGUN, (b"f" * 17 + b"\r\n!",), "RFC 9112 7.1"),
    "chunk-data-too-long": (response(_LINE, _CHUNKED, body=b"5\r\nhello"), (b"XX\r\n0\r\n\r\n",), "RFC 9112 7.1"),
    "chunk-trailer-bad": (_BEGUN, (b"0\r\nno colon\r\n\r\n",), "RFC 9112 7.1.2"),
}


def _cut(name: str, begin: bytes, rest: tuple[bytes | Act, ...], cites: str) -> Case:
    seen = Got(b"hello" if b"hello" in begin else b"\r\n\r\n")
    # A malformed trailer may be dropped.
    also = (*_EARLY, Reading(_SEEN, (Reply(200, b"hello"),))) if name == "chunk-trailer-bad" else _EARLY
    return answered(f"cut-{name}", cites, (begin, seen, *rest), _CUT, end=End.ENDED, also=also)


def _then(name: str, cites: str, answer: bytes, first: Reply, *, send: bytes, sees: Seen, hard: bool = True) -> Case:
    """Bytes behind an answer's end belong to nobody: the next request gets its own answer, on another connection."""
    return Case(
        name,
        cites,
        (send, Got(b"\r\n\r\n"), b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Reading((sees, Seen(b"GET /second HTTP/1.1")), (first, Reply(200, b"ok")), End.OPEN),
        (Answer((answer,)), OK),
        hard=hard,
    )


_GET = request(b"GET /p HTTP/1.1")
_GET_SEEN = Seen(b"GET /p HTTP/1.1")
_HEAD = request(b"HEAD /p HTTP/1.1")
_HEAD_SEEN = Seen(b"HEAD /p HTTP/1.1")
_POISON = response(_LINE, b"Content-Length: 6", body=b"poison")

CASES: list[Case] = [
    *under("a cut answer never looks complete", *(_cut(name, *case) for name, case in _CUTS.items())),
    answered(
        "cut-until-close-reset",
        "RFC 9112 8: a body until close that ends in a reset is cut",
        (response(_LINE, b"X-A: b", body=b"hello"), Got(b"hello"), Act.RESET),
        _CUT,
        end=End.ENDED,
        also=_EARLY,
        hard=False,
    ),
    answered(
        "cut-chunked-for-http-1.0",
        "RFC 9112 8; docs/wire.md: to HTTP/1.0 only a reset can show it",
        (response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n"), Got(b"hello"), Act.CLOSE),
        _CUT,
        send=_OLD,
        end=End.RESET,
        also=_EARLY,
        hard=False,
    ),
    answered(
        "cut-by-bad-chunk-for-http-1.0",
        "RFC 9112 7.1",
        (response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n"), Got(b"hello"), b"xyz\r\n"),
        _CUT,
        send=_OLD,
        end=End.RESET,
        also=_EARLY,
        hard=False,
    ),
    answered(
        "cut-until-close-reset-for-http-1.0",
        "RFC 9112 8",
        (response(_LINE, b"X-A: b", body=b"hello"), Got(b"hello"), Act.RESET),
        _CUT,
        send=_OLD,
        end=End.RESET,
        also=_EARLY,
        hard=False,
    ),
    answered(
        "until-close",
        "RFC 9112 6.3 item 8: passed on with a visible end",
        (response(_LINE, b"X-A: b", body=b"hello"), Act.CLOSE),
        Reply(200, b"hello", framing="chunked"),
        also=(Reading(_SEEN, (Reply(200, b"hello", framing="close"),)),),
    ),
    answered(
        "until-close-for-http-1.0",
        "RFC 9112 6.3 item 8",
        (response(_LINE, b"X-A: b", body=b"hello"), Act.CLOSE),
        Reply(200, b"hello", framing="close"),
        send=_OLD,
        end=End.CLOSED,
    ),
    answered(
        "until-close-of-nothing",
        "RFC 9112 6.3 item 8",
        (response(_LINE, b"X-A: b"), Act.CLOSE),
        Reply(200, b""),
    ),
    *under(
        "no chunked to HTTP/1.0",
        answered(
            "no-chunked-for-http-1.0",
            "RFC 9112 6.1: never to a client that did not ask by HTTP/1.1",
            response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
            Reply(200, b"hello", lacks=(b"transfer-encoding",), framing="close"),
            send=_OLD,
            end=End.CLOSED,
            also=(Reading(_SEEN, (Reply(200, b"hello", framing="length"),)),),
        ),
    ),
    *under(
        "no chunked to HTTP/1.0",
        answered(
            "no-chunked-for-http-1.0-with-keep-alive",
            "RFC 9112 9.3, C.2.2",
            response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
            Reply(200, b"hello", lacks=(b"transfer-encoding",)),
            send=b"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
            end=End.CLOSED,
            also=(Reading(_SEEN, (Reply(200, b"hello", framing="length"),)),),
        ),
    ),
    answered(
        "chunks-of-a-backend-are-written-anew",
        "RFC 9112 7.1.1: extensions are for one hop",
        response(_LINE, _CHUNKED, body=b"00005;a=b\r\nhello\r\n00;c\r\n\r\n"),
        Reply(200, b"hello", framing="chunked"),
        hard=False,
    ),
    *under(
        "bytes behind an answer's end belong to nobody",
        _then(
            "behind-a-length",
            "docs/wire.md Framing back",
            response(_LINE, b"Content-Length: 2", body=b"ok") + _POISON,
            Reply(200, b"ok"),
            send=_GET,
            sees=_GET_SEEN,
        ),
        _then(
            "behind-a-last-chunk",
            "docs/wire.md Framing back",
            response(_LINE, _CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n") + _POISON,
            Reply(200, b"ok"),
            send=_GET,
            sees=_GET_SEEN,
        ),
        _then(
            "behind-204",
            "RFC 9112 6.3 item 1",
            response(b"HTTP/1.1 204 No Content") + _POISON,
            Reply(204, b""),
            send=_GET,
            sees=_GET_SEEN,
        ),
        _then(
            "behind-304",
            "RFC 9112 6.3 item 1",
            response(b"HTTP/1.1 304 Not Modified", b"ETag: x") + b"body\r\n" + _POISON,
            Reply(304, b""),
            send=_GET,
            sees=_GET_SEEN,
        ),
        _then(
            "behind-head",
            "RFC 9110 9.3.2; Go and Node clients by idea",
            response(_LINE, b"Content-Length: 5", body=b"hello"),
            Reply(200, b"", head=True, has=(b"Content-Length: 5",)),
            send=_HEAD,
            sees=_HEAD_SEEN,
        ),
        _then(
            "behind-head-chunked",
            "RFC 9110 9.3.2",
            response(_LINE, _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
            Reply(200, b"", head=True),
            send=_HEAD,
            sees=_HEAD_SEEN,
        ),
        _then(
            "behind-a-length-of-zero",
            "docs/wire.md Framing back",
            response(_LINE, b"Content-Length: 0") + b"x",
            Reply(200, b""),
            send=_GET,
            sees=_GET_SEEN,
        ),
    ),
    *under(
        "HEAD, 204 and 304 have no body",
        answered(
            "head-with-length",
            "RFC 9110 9.3.2",
            response(_LINE, b"Content-Length: 5"),
            Reply(200, b"", head=True, has=(b"Content-Length: 5",)),
            send=_HEAD,
            sees=(_HEAD_SEEN,),
            end=End.OPEN,
        ),
        answered(
            "head-with-coding",
            "RFC 9112 6.1: Transfer-Encoding in answer to HEAD says what GET would have",
            response(_LINE, _CHUNKED),
            Reply(200, b"", head=True),
            send=_HEAD,
            sees=(_HEAD_SEEN,),
            end=End.OPEN,
        ),
        answered(
            "head-without-framing",
            "RFC 9112 6.3 item 1",
            response(_LINE, b"X-A: b"),
            Reply(200, b"", head=True, has=(b"X-A: b",)),
            send=_HEAD,
            sees=(_HEAD_SEEN,),
            end=End.OPEN,
        ),
        answered(
            "304-with-length",
            "RFC 9110 15.4.5",
            response(b"HTTP/1.1 304 Not Modified", b"Content-Length: 500"),
            Reply(304, b""),
            end=End.OPEN,
        ),
        answered("204", "RFC 9110 15.3.5", response(b"HTTP/1.1 204 No Content"), Reply(204, b""), end=End.OPEN),
    ),
    answered(
        "204-with-length",
        "RFC 9110 8.6: no Content-Length in 204",
        response(b"HTTP/1.1 204 No Content", b"Content-Length: 5"),
        Reply(204, b"", lacks=(b"content-length",)),
        end=End.OPEN,
        also=(Reading(_SEEN, (Reply(502),)),),
    ),
    answered(
        "204-with-coding",
        "RFC 9112 6.1: no Transfer-Encoding in 204",
        response(b"HTTP/1.1 204 No Content", _CHUNKED, body=b"0\r\n\r\n"),
        Reply(204, b"", lacks=(b"transfer-encoding",)),
        end=End.OPEN,
        also=(Reading(_SEEN, (Reply(502),)),),
    ),
    answered(
        "205-with-a-body-keeps-its-framing",
        "RFC 9110 15.3.6",
        response(b"HTTP/1.1 205 Reset Content", b"Content-Length: 0"),
        Reply(205, b""),
        end=End.OPEN,
    ),
    Case(
        "an-answer-nobody-asked-for",
        "docs/wire.md Pool: response queue poisoning; CVE-2024-41671 (Twisted) by idea",
        (_GET, Got(b"ok"), b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Reading((_GET_SEEN, Seen(b"GET /second HTTP/1.1")), (Reply(200, b"ok"), Reply(200, b"ok")), End.OPEN),
        (Answer((response(_LINE, b"Content-Length: 2", body=b"ok") + _POISON,)), OK),
    ),
    Case(
        "until-close-is-not-reused",
        "RFC 9112 9.3",
        (_GET, Got(b"hello"), b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n"),
        Reading(
            (_GET_SEEN, Seen(b"GET /second HTTP/1.1")),
            (Reply(200, b"hello", framing="chunked"), Reply(200, b"ok")),
            End.OPEN,
        ),
        (Answer((response(b"HTTP/1.0 200 OK", b"X-A: b", body=b"hello"), Act.CLOSE)), OK),
        also=(
            Reading((_GET_SEEN,), (Reply(200, b"hello", framing="close"),)),
            Reading((_GET_SEEN, Seen(b"GET /second HTTP/1.1")), (Reply(200, b"hello", framing="close"),)),
        ),
    ),
]
