"""Responses that have no single reading: 502 before the first byte of the answer has gone out."""

import re

from tests.wire.case import (
    BAD_GATEWAY,
    OK,
    Act,
    Answer,
    Case,
    End,
    Pieces,
    Reading,
    Reply,
    Seen,
    answered,
    response,
    under,
)

_502 = Reply(502, has=(re.compile(rb"Proxy-Status: gatekeeper; error=http_protocol_error"),), whole=True)
_SEEN = (Seen(b"GET / HTTP/1.1"),)
_ANY_FAILURE = (Reading(_SEEN, (Reply(BAD_GATEWAY),)), Reading(_SEEN, (), End.ENDED))
_LINE = b"HTTP/1.1 200 OK"
_CHUNKED = b"Transfer-Encoding: chunked"


def _as(*fields: bytes | re.Pattern[bytes], lacks: tuple[bytes, ...] = (), body: bytes | None = b"hello") -> Reading:
    """The answer is passed on, repaired."""
    return Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, body, has=fields, lacks=lacks),))


def _broken(name: str, cites: str, answer: bytes, *also: Reading, hard: bool = True) -> Case:
    """Answered with 502, and the connection to the backend is not used again: a second request shows it."""
    return answered(
        name,
        cites,
        (answer + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",),
        _502,
        end=End.OPEN,
        also=(*_ANY_FAILURE, *also),
        hard=hard,
    )


# name: (Content-Length values, what it is derived from)
_LENGTHS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "plus": ((b"+5",), "RFC 9112 6.3 item 5"),
    "minus": ((b"-5",), "RFC 9112 6.3 item 5"),
    "hex": ((b"0x5",), "RFC 9112 6.3 item 5"),
    "word": ((b"five",), "RFC 9112 6.3 item 5"),
    "empty": ((b"",), "RFC 9112 6.3 item 5"),
    "overflow": ((b"18446744073709551621",), "RFC 9110 8.6"),
    "two-different": ((b"5", b"6"), "RFC 9112 6.3 item 5"),
    "two-different-reversed": ((b"6", b"5"), "RFC 9112 6.3 item 5"),
    "listed-different": ((b"5, 6",), "RFC 9112 6.3 item 5"),
    "trailing-letters": ((b"5 bytes",), "nginx-tests proxy_*.t by idea"),
}

# name: (Transfer-Encoding lines and others, what it is derived from)
_CODINGS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "gzip-chunked": ((b"Transfer-Encoding: gzip, chunked",), "RFC 9112 6.1: not understood"),
    "chunked-twice": ((_CHUNKED, _CHUNKED), "RFC 9112 7.1"),
    "chunked-chunked": ((b"Transfer-Encoding: chunked, chunked",), "RFC 9112 7.1"),
    "unknown": ((b"Transfer-Encoding: x",), "RFC 9112 6.3 item 4"),
    "identity": ((b"Transfer-Encoding: identity",), "RFC 9112 7"),
    "empty": ((b"Transfer-Encoding:",), "RFC 9112 6.1"),
}

# name: (a field line, what it is derived from)
_FIELDS: dict[str, tuple[bytes, str]] = {
    "nul-in-value": (b"X-A: b\x00c", "RFC 9110 5.5"),
    "cr-in-value": (b"X-A: b\rc", "RFC 9110 5.5"),
    "nul-in-name": (b"X\x00A: b", "RFC 9112 5"),
    "no-colon": (b"garbage", "RFC 9112 5"),
    "no-name": (b": b", "RFC 9112 5, CVE-2023-25725 (HAProxy) by idea"),
    "blank-in-name": (b"X A: b", "RFC 9112 5"),
    "folded": (b"X-A: b\r\n c", "RFC 9112 5.2"),
    "blank-before-colon": (b"X-A : b", "RFC 9112 5.1"),
    "indented-first": (b" X-A: b", "RFC 9112 2.2"),
}
_REPAIRS: dict[str, tuple[bytes | re.Pattern[bytes], ...]] = {
    "nul-in-value": (b"X-A: b c",),
    "cr-in-value": (b"X-A: b c",),
    "folded": (re.compile(rb"X-A: b +c"),),
    "blank-before-colon": (b"X-A: b",),
}

# name: (status line, what it is derived from)
_STATUS_LINES: dict[str, tuple[bytes, str]] = {
    "no-status": (b"HTTP/1.1 OK", "RFC 9112 4"),
    "two-digits": (b"HTTP/1.1 20 OK", "RFC 9112 4"),
    "four-digits": (b"HTTP/1.1 2000 OK", "RFC 9112 4"),
    "signed": (b"HTTP/1.1 +20 OK", "RFC 9112 4"),
    "letters-behind": (b"HTTP/1.1 200OK", "RFC 9112 4"),
    "zero": (b"HTTP/1.1 000 OK", "RFC 9110 15: 100 to 599"),
    "below-100": (b"HTTP/1.1 099 OK", "RFC 9110 15"),
    "two-blanks": (b"HTTP/1.1  200 OK", "RFC 9112 4"),
    "tab": (b"HTTP/1.1\t200 OK", "RFC 9112 4"),
    "other-protocol": (b"ICY 200 OK", "RFC 9112 4"),
    "lower-case": (b"http/1.1 200 OK", "RFC 9112 2.3"),
    "version-2": (b"HTTP/2.0 200 OK", "RFC 9112 2.3"),
    "version-0.9": (b"HTTP/0.9 200 OK", "RFC 9112 2.3"),
    "version-1": (b"HTTP/1 200 OK", "RFC 9112 2.3"),
    "nul-in-reason": (b"HTTP/1.1 200 O\x00K", "RFC 9112 4"),
    "cr-in-reason": (b"HTTP/1.1 200 O\rK", "RFC 9112 4"),
}
_ANY_200 = Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200),))

CASES: list[Case] = [
    *under(
        "an answer has one valid Content-Length",
        *(
            _broken(
                f"length-{name}",
                cites,
                response(_LINE, *(b"Content-Length: " + value for value in values), body=b"hello"),
            )
            for name, (values, cites) in _LENGTHS.items()
        ),
    ),
    *under(
        "repeated equal Content-Lengths",
        _broken(
            "length-repeated-equal",
            "docs/wire.md Framing back; RFC 9112 6.3 item 5 allows to take them as one",
            response(_LINE, b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
            _as(),
        ),
        _broken(
            "length-listed-equal",
            "docs/wire.md Framing back; RFC 9112 6.3 item 5 allows to take them as one",
            response(_LINE, b"Content-Length: 5, 5", body=b"hello"),
            _as(),
        ),
    ),
    *under(
        "an answer's Transfer-Encoding is chunked, once and last",
        *(
            _broken(f"coding-{name}", cites, response(_LINE, *lines, body=b"5\r\nhello\r\n0\r\n\r\n"))
            for name, (lines, cites) in _CODINGS.items()
        ),
    ),
    _broken(
        "coding-and-length",
        "RFC 9112 6.3 item 3: an error; a proxy that goes on takes the length away",
        response(_LINE, _CHUNKED, b"Content-Length: 5", body=b"5\r\nhello\r\n0\r\n\r\n"),
        _as(),
    ),
    _broken(
        "length-and-coding",
        "RFC 9112 6.3 item 3",
        response(_LINE, b"Content-Length: 50", _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
        _as(),
    ),
    *under(
        "an answer's Transfer-Encoding in HTTP/1.0 is faulty framing",
        _broken(
            "coding-in-http-1.0",
            "RFC 9112 6.1: faulty framing",
            response(b"HTTP/1.0 200 OK", _CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
            Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, whole=False),)),
            _as(),
        ),
    ),
    *under(
        "an answer's fields are well-formed",
        *(
            _broken(
                f"field-{name}",
                cites,
                response(_LINE, line, b"Content-Length: 5", body=b"hello"),
                *((_as(*_REPAIRS[name]),) if name in _REPAIRS else ()),
                _as(lacks=(b"x-a",)),
            )
            for name, (line, cites) in _FIELDS.items()
        ),
    ),
    *under(
        "an answer's status line is well-formed",
        *(
            _broken(f"status-{name}", cites, response(line, b"Content-Length: 5", body=b"hello"), _ANY_200)
            for name, (line, cites) in _STATUS_LINES.items()
        ),
    ),
    *under(
        "an answer's status line is well-formed",
        _broken("garbage", "docs/wire.md Framing back", b"hello, I am no HTTP\r\n\r\n"),
    ),
    *under(
        "an answer's status line is well-formed",
        _broken("binary-garbage", "docs/wire.md Framing back", b"\x16\x03\x01\x00\x02\x01\x00"),
    ),
    *under(
        "an answer's status line is well-formed",
        _broken(
            "empty-line-first",
            "RFC 9112 2.2 allows it before requests only",
            b"\r\n" + response(_LINE, b"Content-Length: 5", body=b"hello"),
            _as(),
        ),
    ),
    _broken("lines-of-bare-lf", "RFC 9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", _as()),
    answered(
        "lines-of-bare-lf-alone",
        "RFC 9112 2.2: told at once, not at the deadline",
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",),
        _502,
        end=End.OPEN,
        also=(*_ANY_FAILURE, _as()),
        hard=False,
    ),
    _broken(
        "head-of-80-kib",
        "docs/wire.md Limits",
        response(_LINE, *(b"X-%d: %s" % (n, b"v" * 1000) for n in range(80)), b"Content-Length: 5", body=b"hello"),
        _as(),
        hard=False,
    ),
    _broken("a-line-without-end", "docs/wire.md Limits", b"HTTP/1.1 200 " + b"x" * 100_000, hard=False),
    # What must not be refused
    *under(
        "an unusual answer is an answer",
        *(
            answered(
                f"good-{name}",
                cites,
                response(line, b"Content-Length: 5", body=b"hello"),
                Reply(status, b"hello", line=sent),
            )
            for name, line, sent, status, cites in (
                ("no-reason", b"HTTP/1.1 200 ", b"HTTP/1.1 200 ", 200, "RFC 9112 4: the reason may be empty"),
                ("no-blank-behind-status", b"HTTP/1.1 200", b"HTTP/1.1 200", 200, "RFC 9112 4, by robustness"),
                (
                    "http-1.0",
                    b"HTTP/1.0 200 OK",
                    b"HTTP/1.1 200 OK",
                    200,
                    "RFC 9112 2.3: a proxy sends its own version",
                ),
                ("status-299", b"HTTP/1.1 299 Odd", b"HTTP/1.1 299 Odd", 299, "RFC 9110 15"),
                ("status-599", b"HTTP/1.1 599 Odd", b"HTTP/1.1 599 Odd", 599, "RFC 9110 15"),
                ("reason-in-latin-1", b"HTTP/1.1 200 \xe9", b"HTTP/1.1 200 \xe9", 200, "RFC 9112 4: obs-text"),
            )
        ),
        hard=False,
    ),
    answered(
        "good-in-pieces",
        "RFC 9112 2.2",
        (Pieces(response(_LINE, b"X-A: b", b"Content-Length: 5", body=b"hello")),),
        Reply(200, b"hello", has=(b"X-A: b",)),
    ),
    answered(
        "good-chunked-in-pieces",
        "RFC 9112 7.1",
        (Pieces(response(_LINE, _CHUNKED, body=b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n")),),
        Reply(200, b"hello!", framing="chunked", trailers=(b"X-Sum: 7",)),
        also=(Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, b"hello!", trailers=()),)),),
    ),
    *under(
        "an answer's status line is well-formed",
        Case(
            "a-refused-answer-is-not-repeated",
            "docs/wire.md Errors: a POST is sent once",
            (b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",),
            Reading(
                (Seen(b"POST / HTTP/1.1", (b"Host: a.test", b"Content-Length: 5"), b"hello"),), (Reply(502),), End.OPEN
            ),
            (Answer((b"garbage\r\n\r\n", Act.CLOSE)), OK),
            also=(
                Reading(
                    (Seen(b"POST / HTTP/1.1", (b"Host: a.test", b"Content-Length: 5"), b"hello"),),
                    (Reply(BAD_GATEWAY),),
                ),
            ),
        ),
    ),
]
