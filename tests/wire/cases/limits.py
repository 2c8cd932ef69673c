"""Everything a client sends has a bound, and the backend never sees what is beyond it."""

from tests.wire.case import ANYTHING, HOST, Case, End, Pieces, Reading, Reply, Seen, Sleep, Step, passed, request, under

_MORE = (400, 408, 413, 414, 431, 494)
_CHUNKED = b"Transfer-Encoding: chunked"


def _bound(
    name: str, cites: str, send: bytes | tuple[Step, ...], status: int, *, hard: bool = False, larger: bool = True
) -> Case:
    """Refused, closed, nothing whole at the backend. Others may have larger bounds."""
    steps = (send,) if isinstance(send, bytes) else send
    also = (
        Reading(None, (Reply(_MORE),)),
        Reading(None, (), End.ENDED),
        *((Reading(ANYTHING, None),) if larger else ()),
    )
    return Case(name, cites, steps, Reading((), (Reply(status),), End.CLOSED), also=also, hard=hard)


def _cut_body(name: str, cites: str, body: bytes, status: int) -> Case:
    """The head may have passed already; the request must not become whole."""
    return Case(
        name,
        cites,
        (request(b"POST /p HTTP/1.1", _CHUNKED, body=body),),
        Reading(None, (Reply(status),), End.CLOSED),
        hard=False,
        also=(Reading(None, (Reply(_MORE),)), Reading(ANYTHING, None)),
    )


_FIELDS = tuple(b"X-%d: v" % number for number in range(99))

CASES: list[Case] = [
    *under(
        "a head that is too large gets a 4xx",
        _bound(
            "head-of-40-kib",
            "RFC 6585 5",
            request(b"GET /p HTTP/1.1", *(b"X-%d: %s" % (n, b"v" * 1000) for n in range(40))),
            431,
        ),
        _bound("a-field-of-40-kib", "RFC 9110 5.4: a 4xx", request(b"GET /p HTTP/1.1", b"X-A: " + b"v" * 40_000), 431),
        _bound("a-name-of-40-kib", "RFC 9110 5.4: a 4xx", request(b"GET /p HTTP/1.1", b"X" * 40_000 + b": v"), 431),
        _bound(
            "a-head-without-end",
            "RFC 9110 5.4: a 4xx",
            b"GET /p HTTP/1.1\r\nHost: a.test\r\n" + b"X-A: b\r\n" * 8000,
            431,
        ),
        _bound("101-fields", "docs/wire.md Limits", request(b"GET /p HTTP/1.1", *_FIELDS, b"X-A: b"), 431),
        _bound(
            "head-of-1-mib",
            "RFC 9110 5.4: a 4xx",
            request(b"GET /p HTTP/1.1", *(b"X-%d: %s" % (n, b"v" * 10_000) for n in range(100))),
            431,
            hard=True,
        ),
    ),
    *under(
        "a target that is too long gets 414",
        _bound("target-of-9000", "RFC 9110 15.5.15", request(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
        _bound("target-of-40-kib", "RFC 9112 3: 414", request(b"GET /" + b"a" * 40_000 + b" HTTP/1.1"), 414),
        _bound("a-line-without-end", "RFC 9112 3: 414", b"GET /" + b"a" * 60_000, 414),
        _bound("a-method-without-end", "RFC 9112 3", b"G" * 60_000, 414),
    ),
    passed(
        "100-fields-are-fine",
        "docs/wire.md Limits",
        request(b"GET /p HTTP/1.1", *_FIELDS),
        Seen(b"GET /p HTTP/1.1", (HOST, *_FIELDS)),
        hard=False,
    ),
    passed(
        "target-of-8000-is-fine",
        "RFC 9112 3: support at least 8000",
        request(b"GET /" + b"a" * 7990 + b" HTTP/1.1"),
        Seen(b"GET /" + b"a" * 7990 + b" HTTP/1.1"),
        hard=False,
    ),
    *under(
        "slow heads end",
        Case(
            "slow-head",
            "docs/wire.md Limits: 408; slow-loris",
            (b"GET /p HTTP/1.1\r\nHost: a.test\r\nX-A", *((Sleep(0.5), b"b") * 5)),
            Reading((), (Reply(408),), End.CLOSED),
            hard=False,
            also=(Reading((), (), End.ENDED), Reading((), (Reply(400),), End.ENDED)),
        ),
        Case(
            "head-never-finished",
            "RFC 9110 15.5.9: 408",
            (b"GET /p HTTP/1.1\r\n",),
            Reading((), (Reply(408),), End.CLOSED),
            hard=False,
            also=(Reading((), (), End.ENDED), Reading((), (Reply(400),), End.ENDED)),
        ),
        Case(
            "nothing-said",
            "docs/wire.md Limits: closed",
            (),
            Reading((), (), End.CLOSED),
            hard=False,
            also=(Reading((), (Reply(408),), End.ENDED),),
        ),
        Case(
            "one-empty-line",
            "docs/wire.md Limits: closed",
            (b"\r\n",),
            Reading((), (), End.CLOSED),
            hard=False,
            also=(Reading((), (Reply((400, 408)),), End.ENDED),),
        ),
    ),
    Case(
        "idle-connection",
        "RFC 9112 9.5: closed after a time",
        (request(b"GET /p HTTP/1.1"),),
        Reading((Seen(b"GET /p HTTP/1.1"),), (Reply(200, b"ok"),), End.CLOSED),
        hard=False,
        also=(Reading((Seen(b"GET /p HTTP/1.1"),), (Reply(200, b"ok"), Reply(408)), End.ENDED),),
    ),
    *under(
        "slow bodies end",
        Case(
            "slow-body",
            "RFC 9110 15.5.9: 408",
            (request(b"POST /p HTTP/1.1", b"Content-Length: 10", body=b"hello"),),
            Reading(
                (Seen(b"POST /p HTTP/1.1", (HOST, b"Content-Length: 10"), b"hello", whole=False),),
                (Reply(408),),
                End.CLOSED,
            ),
            hard=False,
            also=(Reading(None, (Reply((400, 408, 502, 504)),)), Reading(None, (), End.ENDED)),
        ),
        Case(
            "slow-chunks",
            "RFC 9110 15.5.9: 408",
            (request(b"POST /p HTTP/1.1", _CHUNKED, body=b"5\r\nhello\r\n"),),
            Reading((Seen(b"POST /p HTTP/1.1", (HOST, _CHUNKED), b"hello", whole=False),), (Reply(408),), End.CLOSED),
            hard=False,
            also=(Reading(None, (Reply((400, 408, 502, 504)),)), Reading(None, (), End.ENDED)),
        ),
    ),
    *under(
        "a body that is too large gets 413",
        _bound(
            "body-announced-too-large",
            "RFC 9110 15.5.14",
            request(b"POST /p HTTP/1.1", b"Content-Length: 51380225"),
            413,
            larger=False,
        ),
        Case(
            "body-of-chunks-too-large",
            "RFC 9110 15.5.14",
            (request(b"POST /p HTTP/1.1", _CHUNKED), *(b"100000\r\n" + b"x" * 0x100000 + b"\r\n",) * 50, b"0\r\n\r\n"),
            Reading(None, (Reply(413),), End.ANY),
            hard=False,
            also=(Reading(None, (Reply((400, 413, 500, 502)),)), Reading(None, (), End.ENDED)),
        ),
    ),
    *under(
        "chunked framing costs no more than its payload",
        _cut_body(
            "trailers-of-9-kib",
            "docs/wire.md Limits",
            b"0\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 90) for n in range(100)) + b"\r\n",
            400,
        ),
        _cut_body("a-trailer-without-end", "docs/wire.md Limits", b"0\r\nX-A: " + b"v" * 20_000, 400),
        _cut_body(
            "chunks-of-one-byte-with-extensions",
            "Http11Probe, CVE-2024-22019 (Node)",
            (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 400 + b"0\r\n\r\n",
            400,
        ),
        _cut_body("a-size-of-many-zeros", "docs/wire.md Limits", b"0" * 5000 + b"5\r\nhello\r\n0\r\n\r\n", 400),
        _cut_body("a-size-line-without-end", "docs/wire.md Limits", b"5;" + b"a" * 20_000, 400),
    ),
    passed(
        "many-small-chunks-are-fine",
        "RFC 9112 7.1",
        (request(b"POST /p HTTP/1.1", _CHUNKED), Pieces(b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n", 1000)),
        Seen(b"POST /p HTTP/1.1", (HOST, _CHUNKED), b"x" * 3000),
    ),
]
