"""Several requests at once: answered in order, one at a time."""

from tests.wire.case import (
    HOST,
    OK,
    SMUGGLED,
    Act,
    Answer,
    Case,
    End,
    NotHad,
    Pieces,
    Reading,
    Reply,
    Seen,
    Sleep,
    request,
    response,
    under,
)

_OK = Reply(200, b"ok")


def _numbered(count: int) -> tuple[bytes, ...]:
    return tuple(b"/%d" % number for number in range(count))


def _get(path: bytes) -> bytes:
    return request(b"GET " + path + b" HTTP/1.1")


def _seen(path: bytes) -> Seen:
    return Seen(b"GET " + path + b" HTTP/1.1")


def _echo(path: bytes, *before: object) -> Answer:
    """An answer that says whose it is."""
    return Answer((*before, response(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(path), body=path)))  # type: ignore[arg-type]


def _in_order(name: str, count: int, *, size: int | None = None) -> Case:
    paths = _numbered(count)
    data = b"".join(map(_get, paths))
    return Case(
        name,
        "RFC 9112 9.3.2: answers in the order of requests",
        (data,) if size is None else (Pieces(data, size),),
        Reading(tuple(map(_seen, paths)), tuple(Reply(200, path) for path in paths), End.OPEN),
        tuple(map(_echo, paths)),
    )


CASES: list[Case] = [
    *under(
        "answers come in the order of requests",
        _in_order("two", 2),
        _in_order("five", 5),
        _in_order("fifty", 50),
        _in_order("a-thousand", 1000),
        _in_order("five-in-odd-pieces", 5, size=23),
        _in_order("three-byte-by-byte", 3, size=1),
    ),
    Case(
        "one-at-a-time",
        "docs/wire.md Pipelining: one exchange at a time per connection",
        (_get(b"/0") + _get(b"/1"),),
        Reading((_seen(b"/0"), _seen(b"/1")), (Reply(200, b"/0"), Reply(200, b"/1")), End.OPEN),
        (_echo(b"/0", Sleep(0.1), NotHad(b"GET /1")), _echo(b"/1")),
        hard=False,
    ),
    Case(
        "a-slow-first",
        "RFC 9112 9.3.2",
        (_get(b"/0") + _get(b"/1") + _get(b"/2"),),
        Reading(tuple(map(_seen, _numbered(3))), tuple(Reply(200, path) for path in _numbered(3)), End.OPEN),
        (_echo(b"/0", Sleep(0.2)), _echo(b"/1"), _echo(b"/2")),
    ),
    Case(
        "bodies-between",
        "RFC 9112 9.3.2, http-garden server bug 48",
        (
            request(b"POST /0 HTTP/1.1", b"Content-Length: 0")
            + request(b"POST /1 HTTP/1.1", b"Content-Length: 40", body=SMUGGLED)
            + request(b"POST /2 HTTP/1.1", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
            + _get(b"/3"),
        ),
        Reading(
            (
                Seen(b"POST /0 HTTP/1.1", (HOST, b"Content-Length: 0")),
                Seen(b"POST /1 HTTP/1.1", (HOST, b"Content-Length: 40"), SMUGGLED),
                Seen(b"POST /2 HTTP/1.1", (HOST, b"Transfer-Encoding: chunked"), b"abc"),
                _seen(b"/3"),
            ),
            (_OK,) * 4,
            End.OPEN,
        ),
    ),
    Case(
        "head-between",
        "RFC 9110 9.3.2: the answer to HEAD has no body",
        (_get(b"/0") + request(b"HEAD /1 HTTP/1.1") + _get(b"/2"),),
        Reading(
            (_seen(b"/0"), Seen(b"HEAD /1 HTTP/1.1"), _seen(b"/2")), (_OK, Reply(200, b"", head=True), _OK), End.OPEN
        ),
        (OK, Answer((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",)), OK),
    ),
    *under(
        "nothing behind the last request is served",
        Case(
            "behind-close",
            "RFC 9112 9.6: no further requests are processed",
            (request(b"GET /0 HTTP/1.1", b"Connection: close") + _get(b"/1"),),
            Reading((_seen(b"/0"),), (_OK,), End.CLOSED),
        ),
        Case(
            "behind-close-in-a-list",
            "RFC 9110 7.6.1",
            (request(b"GET /0 HTTP/1.1", b"Connection: x-y, CLOSE") + _get(b"/1"),),
            Reading((_seen(b"/0"),), (_OK,), End.CLOSED),
        ),
        Case(
            "behind-close-on-a-second-line",
            "RFC 9110 5.3",
            (request(b"GET /0 HTTP/1.1", b"Connection: keep-alive", b"Connection: close") + _get(b"/1"),),
            Reading((_seen(b"/0"),), (_OK,), End.CLOSED),
        ),
        Case(
            "behind-http-1.0",
            "RFC 9112 9.3",
            (b"GET /0 HTTP/1.0\r\nHost: a.test\r\n\r\n" + _get(b"/1"),),
            Reading((_seen(b"/0"),), (_OK,), End.CLOSED),
        ),
        Case(
            "behind-http-1.0-close-and-keep-alive",
            "RFC 9112 9.3: close wins",
            (b"GET /0 HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive, close\r\n\r\n" + _get(b"/1"),),
            Reading((_seen(b"/0"),), (_OK,), End.CLOSED),
        ),
        Case(
            "behind-a-malformed-one",
            "docs/wire.md Framing in: nothing behind it is served",
            (_get(b"/0") + b"GET /1 HTTP/1.1\r\nHost: a.test\r\nX-A : b\r\n\r\n" + SMUGGLED,),
            Reading((_seen(b"/0"),), (_OK, Reply(400)), End.CLOSED),
        ),
        Case(
            "behind-a-malformed-body",
            "docs/wire.md Framing in",
            (request(b"POST /0 HTTP/1.1", b"Transfer-Encoding: chunked", body=b"zz\r\n") + SMUGGLED,),
            Reading(None, (Reply(400),), End.CLOSED),
            also=(Reading(None, None),),
        ),
    ),
    Case(
        "http-1.0-kept-alive",
        "RFC 9112 C.2.2",
        (b"GET /0 HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n" + _get(b"/1"),),
        Reading((_seen(b"/0"), _seen(b"/1")), (Reply(200, b"ok", has=(b"Connection: keep-alive",)), _OK), End.OPEN),
        also=(Reading((_seen(b"/0"),), (_OK,), End.ENDED), Reading((_seen(b"/0"), _seen(b"/1")), (_OK, _OK))),
    ),
    Case(
        "behind-a-bad-gateway",
        "docs/wire.md Errors: the connection stays usable",
        (_get(b"/0") + _get(b"/1"),),
        Reading((_seen(b"/0"), _seen(b"/1")), (Reply(502), _OK), End.OPEN),
        (Answer((b"garbage\r\n\r\n", Act.CLOSE)), OK),
        also=(
            Reading((_seen(b"/0"),), (Reply((500, 502)),), End.ENDED),
            Reading((_seen(b"/0"), _seen(b"/1")), (Reply((500, 502)), _OK)),
        ),
        hard=False,
    ),
    Case(
        "behind-a-cut-answer",
        "RFC 9112 9.3.2: nothing can follow an answer that was cut",
        (_get(b"/0") + _get(b"/1"),),
        Reading((_seen(b"/0"),), (Reply(200, whole=False),), End.ENDED),
        (Answer((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", Act.CLOSE)), OK),
        also=(
            Reading((_seen(b"/0"),), (Reply((500, 502)),)),
            Reading((_seen(b"/0"), _seen(b"/1")), (Reply((500, 502)), _OK)),
            Reading((_seen(b"/0"), _seen(b"/1")), (Reply(200, whole=False),), End.ENDED),
        ),
    ),
    Case(
        "an-empty-line-between",
        "RFC 9112 2.2",
        (_get(b"/0") + b"\r\n" + _get(b"/1"),),
        Reading((_seen(b"/0"), _seen(b"/1")), (_OK, _OK), End.OPEN),
        hard=False,
    ),
]
