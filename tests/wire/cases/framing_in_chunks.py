"""Chunked bodies of requests: hex digits only, CRLF everywhere, data followed by exactly CRLF, trailers set apart."""

from tests.wire.case import (
    HOST,
    REFUSALS,
    Act,
    Case,
    End,
    Had,
    Pieces,
    Reading,
    Reply,
    Seen,
    passed,
    refused,
    request,
    under,
)

_CHUNKED = b"Transfer-Encoding: chunked"
_SIZE = "RFC 9112 7.1"


def _post(body: bytes) -> bytes:
    return request(b"POST /p HTTP/1.1", _CHUNKED, body=body)


def _whole(body: bytes = b"hello", trailers: tuple[bytes, ...] | None = ()) -> Seen:
    return Seen(b"POST /p HTTP/1.1", (HOST, _CHUNKED), body, trailers)


# name: (what stands for the size line "5" and its CRLF, what it is derived from)
_BAD_SIZES: dict[str, tuple[bytes, str]] = {
    "hex-prefix": (b"0x5\r\n", "CVE-2022-24761 (waitress), http-garden server bug 25"),
    "plus": (b"+5\r\n", "CVE-2022-24801 (Twisted)"),
    "minus": (b"-5\r\n", "Http11Probe SMUG-CHUNK-NEGATIVE"),
    "underscore": (b"0_5\r\n", "GHSA-gfw2-4jvh-wgfg (aiohttp), http-garden server bug 1"),
    "leading-blank": (b" 5\r\n", "Http11Probe SMUG-CHUNK-LEADING-SP"),
    "leading-zero-and-letter": (b"05g\r\n", "http-garden server bug 22"),
    "letters-behind": (b"5these-bytes-count\r\n", "http-garden transducer bug 7"),
    "empty": (b"\r\n", "http-garden server bug 17"),
    "no-hex": (b"g\r\n", _SIZE),
    "comma": (b"5,\r\n", _SIZE),
    "fraction": (b"5.0\r\n", _SIZE),
    "fullwidth-digit": ("\uff15\r\n".encode(), _SIZE),
    "nul": (b"5\x00\r\n", _SIZE),
    "beyond-64-bits": (b"10000000000000005\r\n", "CVE-2021-32714 (hyper), Http11Probe MAL-CHUNK-SIZE-OVERFLOW"),
    "beyond-any-integer": (b"f" * 40 + b"\r\n", "RFC 9112 7.1: prevent overflows"),
    "bare-lf": (b"5\n", "CVE-2025-22871 (Go), http-garden transducer bug 13"),
    "bare-cr": (b"5\r", "RFC 9112 2.2"),
    "cr-cr-lf": (b"5\r\r\n", "http-garden server bug 31"),
    "cr-cr-in-extension": (b"5\r\r;ABCD\r\n", "http-garden server bug 31, transducer bug 3"),
    "lf-in-extension": (b"5;a\nb\r\n", "GHSA-8495-4g3g-x7pr (aiohttp)"),
    "lf-ends-extension": (b"5;a\n", "GHSA-8495-4g3g-x7pr (aiohttp), EXT.TERM"),
}

_BAD_EXTENSIONS: dict[str, tuple[bytes, str]] = {
    "cr-in-extension": (b"5;a\rb\r\n", "Http11Probe SMUG-CHUNK-EXT-CR, http-garden transducer bug 36"),
    "nul-in-extension": (b"5;a\x00\r\n", "Http11Probe SMUG-CHUNK-EXT-CTRL"),
    "extension-of-nothing": (b"5;\r\n", "RFC 9112 7.1.1, Http11Probe SMUG-CHUNK-BARE-SEMICOLON"),
    "extension-without-semicolon": (b"5 a=b\r\n", "RFC 9112 7.1.1"),
    "extension-of-257-bytes": (b"5;a=" + b"x" * 257 + b"\r\n", "RFC 9112 7.1.1: limit them; CVE-2024-22019 (Node)"),
}

_BAD_TRAILERS: dict[str, tuple[bytes, str]] = {
    "trailer-without-colon": (b"5\r\nhello\r\n0\r\nGET /x HTTP/1.1\r\n\r\n", "CVE-2025-53643 (aiohttp) by idea"),
    "trailer-blank-before-colon": (b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n", "RFC 9112 5.1"),
    "trailer-folded": (b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n", "RFC 9112 5.2"),
    "trailer-with-nul": (b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n", "RFC 9110 5.5"),
    "trailer-with-cr": (b"5\r\nhello\r\n0\r\nX-A: b\rX-B: c\r\n\r\n", "RFC 9112 2.2"),
    "trailer-ends-in-lf": (b"5\r\nhello\r\n0\r\nX-A: b\n\r\n", "RFC 9112 2.2"),
    "trailer-without-name": (b"5\r\nhello\r\n0\r\n: b\r\n\r\n", "RFC 9112 5"),
}

# name: (all of the body, what it is derived from)
_BAD_BODIES: dict[str, tuple[bytes, str]] = {
    "data-longer-than-size": (b"5\r\nhelloXX\r\n0\r\n\r\n", "Http11Probe SMUG-CHUNK-SPILL"),
    "data-shorter-than-size": (b"6\r\nhello\r\n0\r\n\r\n", _SIZE),
    "no-crlf-behind-data": (b"5\r\nhello0\r\n\r\n", "Http11Probe SMUG-CHUNK-MISSING-TRAILING-CRLF"),
    "two-other-bytes-behind-data": (b"5\r\nhelloXX0\r\n\r\n", "RFC 9112 7.1; GHSA-vqfr-h8mv-ghfj (h11)"),
    "lf-behind-data": (b"5\r\nhello\n0\r\n\r\n", "http-garden transducer bug 13"),
    "cr-behind-data": (b"5\r\nhello\r0\r\n\r\n", "RFC 9112 2.2"),
    "lf-lf-behind-data": (b"5\r\nhello\n\n0\r\n\r\n", "GHSA-vqfr-h8mv-ghfj (h11)"),
    "extra-crlf-between-chunks": (b"5\r\nhello\r\n\r\n0\r\n\r\n", "http-garden transducer bug 17"),
    "garbage-for-a-chunk": (b"INVALID!!!\r\n", "http-garden server bug 47"),
    "last-chunk-ends-in-lf": (b"5\r\nhello\r\n0\n\r\n", "CVE-2025-22871 (Go)"),
    "body-ends-in-lf": (b"5\r\nhello\r\n0\r\n\n", "RFC 9112 7.1"),
    "two-other-bytes-at-the-end": (b"5\r\nhello\r\n0\r\nXX", "CVE-2023-40175 (Puma)"),
    "minus-zero": (b"-0\r\n\r\n", "http-garden transducer bug 19"),
}

# name: (body, what the backend must read, what it is derived from)
_GOOD: dict[str, tuple[bytes, bytes, str]] = {
    "one-chunk": (b"5\r\nhello\r\n0\r\n\r\n", b"hello", _SIZE),
    "no-chunk": (b"0\r\n\r\n", b"", _SIZE),
    "many-chunks": (b"1\r\nh\r\n" * 300 + b"0\r\n\r\n", b"h" * 300, _SIZE),
    "upper-case-size": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", _SIZE),
    "lower-case-size": (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", _SIZE),
    "leading-zeros": (b"0005\r\nhello\r\n0\r\n\r\n", b"hello", _SIZE),
    "last-chunk-of-several-zeros": (b"5\r\nhello\r\n000\r\n\r\n", b"hello", 'RFC 9112 7.1: 1*("0")'),
    "extension": (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello", "RFC 9112 7.1.1: ignored"),
    "extension-with-value": (b"5;a=b;c=d\r\nhello\r\n0;e=f\r\n\r\n", b"hello", "RFC 9112 7.1.1"),
    "extension-quoted": (b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n', b"hello", "RFC 9112 7.1.1"),
    "data-like-a-last-chunk": (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", _SIZE),
    "data-like-a-request": (
        b"28\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n0\r\n\r\n",
        b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        _SIZE,
    ),
}

# What must not pass behind a body, or not as more than it is (RFC 9110 6.5.1).
_NO_TRAILERS = (
    b"Content-Length: 50", b"Transfer-Encoding: chunked", b"Host: evil.test", b"Cookie: staff=1", b"Connection: x",
    b"X-Forwarded-For: 6.6.6.6", b"X-Gatekeeper-Version: green", b"Authorization: Basic eDp5", b"Expect: 100-continue",
    b"TE: gzip", b"Upgrade: h2c", b"Trailer: x", b"Content-Encoding: gzip", b"Content-Type: text/x",
)  # fmt: skip

_SECOND = Seen(b"GET /second HTTP/1.1")
# An extension or a trailer that is malformed may be dropped, too.
_IGNORED = (
    Reading((_whole(trailers=None), Seen(b"GET /smuggled HTTP/1.1")), (Reply(200, b"ok"), Reply(200, b"ok"))),
    Reading((_whole(trailers=None),), (Reply(200, b"ok"),), End.ENDED),
)
# Trailers may be dropped altogether, or passed on as what they are (RFC 9110 6.5.1).
_TRAILERS_GONE = (Reading((_whole(), _SECOND), (Reply(200, b"ok"), Reply(200, b"ok"))),)


def _kept(line: bytes) -> tuple[Reading, ...]:
    return (Reading((_whole(trailers=(line, b"X-Sum: 7")), _SECOND), (Reply(200, b"ok"), Reply(200, b"ok"))),)


CASES: list[Case] = [
    *under(
        "a chunk's size is hex digits and CRLF",
        *(
            refused(f"chunk-size-{name}", cites, _post(line + b"hello\r\n0\r\n\r\n"))
            for name, (line, cites) in _BAD_SIZES.items()
        ),
    ),
    *under(
        "chunk extensions are ignored, and limited",
        *(
            refused(f"chunk-size-{name}", cites, _post(line + b"hello\r\n0\r\n\r\n"), also=_IGNORED)
            for name, (line, cites) in _BAD_EXTENSIONS.items()
        ),
        hard=False,
    ),
    *under(
        "chunk data is followed by exactly CRLF",
        *(refused(f"chunked-{name}", cites, _post(body)) for name, (body, cites) in _BAD_BODIES.items()),
    ),
    *under(
        "a malformed trailer never gets through",
        *(
            refused(f"chunked-{name}", cites, _post(body), also=_IGNORED)
            for name, (body, cites) in _BAD_TRAILERS.items()
        ),
    ),
    *under(
        "chunked is understood",
        *(
            passed(f"chunked-{name}", cites, _post(body), _whole(payload))
            for name, (body, payload, cites) in _GOOD.items()
        ),
    ),
    *under(
        "chunked is understood",
        *(
            passed(
                f"chunked-in-pieces-of-{size}",
                "RFC 9112 7.1",
                (Pieces(_post(b"5;x=y\r\nhello\r\nb\r\n, you there\r\n0\r\n\r\n"), size),),
                _whole(b"hello, you there"),
            )
            for size in (1, 2, 3, 7)
        ),
    ),
    passed(
        "chunked-extension-with-blanks",
        "RFC 9112 7.1.1: BWS",
        _post(b"5 ; a = b\r\nhello\r\n0\r\n\r\n"),
        _whole(),
        also=(Reading(None, (Reply(REFUSALS),)),),
    ),
    passed(
        "chunked-then-another-request",
        "RFC 9112 9.3.2",
        _post(b"5\r\nhello\r\n0\r\n\r\n") + request(b"GET /second HTTP/1.1"),
        _whole(),
        Seen(b"GET /second HTTP/1.1"),
    ),
    passed(
        "chunked-then-a-blank-line",
        "RFC 9112 2.2: an empty line before a request line is ignored",
        _post(b"5\r\nhello\r\n0\r\n\r\n") + b"\r\n" + request(b"GET /second HTTP/1.1"),
        _whole(),
        Seen(b"GET /second HTTP/1.1"),
        hard=False,
    ),
    passed(
        "trailer",
        "RFC 9112 7.1.2: stays apart from the head",
        _post(b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
        _whole(trailers=(b"X-Sum: 7",)),
    ),
    passed(
        "trailer-announced",
        "RFC 9110 6.6.2; docs/wire.md: nothing else is taken away",
        request(b"POST /p HTTP/1.1", b"Trailer: X-Sum", _CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
        Seen(b"POST /p HTTP/1.1", (HOST, b"Trailer: X-Sum", _CHUNKED), b"hello", (b"X-Sum: 7",)),
        hard=False,
        also=(Reading((_whole(trailers=(b"X-Sum: 7",)),), (Reply(200),)), Reading((_whole(),), (Reply(200),))),
    ),
    *under(
        "a trailer is never merged into the head",
        *(
            passed(
                f"trailer-{line.partition(b':')[0].decode().lower()}",
                "RFC 9110 6.5.1: framing, routing, request modifiers and authentication are no trailers",
                _post(b"5\r\nhello\r\n0\r\n" + line + b"\r\nX-Sum: 7\r\n\r\n") + request(b"GET /second HTTP/1.1"),
                _whole(trailers=(b"X-Sum: 7",)),
                Seen(b"GET /second HTTP/1.1"),
                also=(Reading(None, (Reply(400),)), *_TRAILERS_GONE, *_kept(line)),
            )
            for line in _NO_TRAILERS
        ),
    ),
    Case(
        "chunked-without-last-chunk",
        "RFC 9112 8: incomplete without the last chunk",
        (_post(b"5\r\nhello\r\n"), Had(b"hello"), Act.CLOSE),
        Reading((Seen(b"POST /p HTTP/1.1", (HOST, _CHUNKED), b"hello", whole=False),), (), End.ANY),
        also=(Reading(None, None),),
    ),
    Case(
        "chunked-broken-behind-a-good-chunk",
        "RFC 9112 7.1: what has been passed on must not become whole",
        (_post(b"5\r\nhello\r\n"), Had(b"hello"), b"ZZ\r\n\r\n0\r\n\r\n"),
        Reading((Seen(b"POST /p HTTP/1.1", (HOST, _CHUNKED), b"hello", whole=False),), (Reply(400),), End.CLOSED),
        also=(Reading(None, None),),
    ),
]
