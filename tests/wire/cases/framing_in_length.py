"""Content-Length in a request: digits only, one value, no overflow; equal repeats become one."""

from tests.wire.case import (
    HOST,
    REFUSALS,
    Act,
    Answer,
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

_GRAMMAR = "RFC 9110 8.6, RFC 9112 6.3 item 5"

# name: (value, what it is derived from)
_BAD: dict[str, tuple[bytes, str]] = {
    "plus": (b"+5", "CVE-2022-24801 (Twisted), GHSA-gfw2-4jvh-wgfg (aiohttp)"),
    "minus": (b"-5", "http-garden server bug 26"),
    "minus-zero": (b"-0", "Http11Probe SMUG-CL-NEGATIVE-ZERO"),
    "underscore": (b"0_5", "http-garden server bug 10"),
    "hex": (b"0x5", "http-garden transducer bug 1"),
    "octal": (b"0o5", "Http11Probe SMUG-CL-OCTAL"),
    "fraction": (b"5.0", _GRAMMAR),
    "exponent": (b"5e0", _GRAMMAR),
    "letters-behind": (b"5a", "http-garden server bug 29"),
    "word": (b"five", _GRAMMAR),
    "two-words": (b"5 5", "Http11Probe SMUG-CL-INTERNAL-SPACE"),
    "list-different": (b"5, 6", "RFC 9112 6.3 item 5"),
    "list-trailing-comma": (b"5,", "RFC 9110 8.6"),
    "list-leading-comma": (b",5", "RFC 9110 8.6"),
    "empty": (b"", "http-garden server bug 16, CVE-2023-40225 (HAProxy)"),
    "semicolon": (b"5;", _GRAMMAR),
    "quoted": (b'"5"', _GRAMMAR),
    "vertical-tab": (b"5\x0b", "CVE-2019-16789 (waitress) by idea"),
    "form-feed": (b"\x0c5", "CVE-2019-16789 (waitress) by idea"),
    "nul": (b"5\x00", "RFC 9110 5.5"),
    "nbsp": (b"\xa05", "http-garden server bug 12"),
    "next-line": (b"5\x85", "http-garden server bug 46"),
    "fullwidth-digit": ("\uff15".encode(), _GRAMMAR),
    "arabic-digit": ("\u0665".encode(), _GRAMMAR),
    "superscript": (b"\xb2", _GRAMMAR),
    "beyond-63-bits": (b"9223372036854775808", "RFC 9110 8.6"),
    "beyond-64-bits": (b"18446744073709551621", "RFC 9110 8.6, Http11Probe MAL-CL-OVERFLOW"),
    "beyond-any-integer": (b"1" + b"0" * 60, "RFC 9110 8.6"),
}

# name: (several values, what it is derived from)
_BAD_PAIRS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "short-then-long": ((b"0", b"5"), "RFC 9112 6.3, http-garden transducer bug 22"),
    "long-then-short": ((b"5", b"0"), "RFC 9112 6.3, http-garden server bug 23"),
    "empty-then-value": ((b"", b"5"), "CVE-2023-40225 (HAProxy)"),
    "value-then-empty": ((b"5", b""), "http-garden server bug 42"),
    "value-then-plus": ((b"5", b"+5"), "RFC 9112 6.3"),
    "list-and-line": ((b"5, 5", b"6"), "RFC 9112 6.3"),
    "third-differs": ((b"5", b"5", b"4"), "RFC 9112 6.3"),
}


def _post(*values: bytes, name: bytes = b"Content-Length", body: bytes = b"hello") -> bytes:
    return request(b"POST /p HTTP/1.1", *(name + b": " + value for value in values), body=body)


def _whole(*fields: bytes, body: bytes = b"hello", line: bytes = b"POST /p HTTP/1.1") -> Seen:
    return Seen(line, (HOST, *fields), body)


_MERGED = Reading((_whole(b"Content-Length: 5"),), (Reply(200, b"ok"),))
_TWO = (_whole(b"Content-Length: 5"), Seen(b"GET /second HTTP/1.1"))

CASES: list[Case] = [
    *under(
        "Content-Length is digits only",
        *(refused(f"length-{name}", cites, _post(value)) for name, (value, cites) in _BAD.items()),
    ),
    *under(
        "several Content-Lengths are one or none",
        *(refused(f"lengths-{name}", cites, _post(*values)) for name, (values, cites) in _BAD_PAIRS.items()),
    ),
    passed("length", "RFC 9112 6.3 item 6", _post(b"5"), _whole(b"Content-Length: 5")),
    passed(
        "length-repeated-equal",
        "RFC 9112 6.3 item 5: replaced by a single one",
        _post(b"5", b"5"),
        _whole(b"Content-Length: 5"),
        also=(Reading(None, (Reply(REFUSALS),)),),
    ),
    passed(
        "length-listed-equal",
        "RFC 9112 6.3 item 5: replaced by a single one",
        _post(b"5, 5"),
        _whole(b"Content-Length: 5"),
        also=(Reading(None, (Reply(REFUSALS),)),),
    ),
    passed(
        "length-leading-zeros-are-decimal",
        "RFC 9110 8.6; http-garden server bug 32: a receiver that reads 010 as eight",
        _post(b"010", body=b"0123456789"),
        _whole(b"Content-Length: 10", body=b"0123456789"),
        hard=False,
        also=(Reading(None, (Reply(REFUSALS),)),),
    ),
    passed("length-zero", "RFC 9112 6.3 item 6", _post(b"0", body=b""), _whole(b"Content-Length: 0", body=b"")),
    *under(
        "blanks around a value are no part of it",
        passed(
            "length-between-blanks",
            "RFC 9112 5: OWS around a value is no part of it",
            request(b"POST /p HTTP/1.1", b"Content-Length: \t 5 \t", body=b"hello"),
            Seen(b"POST /p HTTP/1.1", (HOST, b"Content-Length: \t 5 \t"), b"hello"),
        ),
    ),
    passed(
        "length-in-any-case",
        "RFC 9110 5.1",
        _post(b"5", name=b"cOnTeNt-LeNgTh"),
        _whole(b"cOnTeNt-LeNgTh: 5"),
    ),
    passed(
        "body-that-looks-like-a-request",
        "RFC 9112 6.3: the length alone says where a body ends",
        _post(
            b"%d" % (len(b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")),
            body=b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        Seen(
            b"POST /p HTTP/1.1",
            (HOST, b"Content-Length: 40"),
            b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
    ),
    passed(
        "a-request-behind-a-body",
        "RFC 9112 9.3.2",
        _post(b"5") + b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n",
        *_TWO,
    ),
    passed(
        "body-byte-by-byte",
        "RFC 9112 6.3: no end but the announced one",
        (_post(b"12", body=b""), Pieces(b"twelve bytes")),
        _whole(b"Content-Length: 12", body=b"twelve bytes"),
    ),
    passed(
        "all-of-it-byte-by-byte",
        "RFC 9112 2.2: a message is a sequence of octets, however they arrive",
        (Pieces(_post(b"5")),),
        _whole(b"Content-Length: 5"),
    ),
    # A method's name says nothing about its body (RFC 9110 9.1, RFC 9112 6).
    *under(
        "a method's name says nothing about its body",
        *(
            passed(
                f"body-of-{method.decode().lower()}",
                "RFC 9112 6: a body is signalled by its framing; http-garden transducer bug 21",
                request(method + b" /p HTTP/1.1", b"Content-Length: 5", body=b"hello"),
                _whole(b"Content-Length: 5", line=method + b" /p HTTP/1.1"),
                also=(Reading(None, (Reply(REFUSALS),)),) if method in {b"GET", b"DELETE", b"TRACE"} else (),
            )
            for method in (b"GET", b"DELETE", b"OPTIONS", b"PATCH", b"PUT", b"PROPFIND", b"TRACE", b"BREW")
        ),
    ),
    Case(
        "body-of-head",
        "RFC 9112 6",
        (request(b"HEAD /p HTTP/1.1", b"Content-Length: 5", body=b"hello"),),
        Reading((_whole(b"Content-Length: 5", line=b"HEAD /p HTTP/1.1"),), (Reply(200, b"", head=True),), End.OPEN),
        (Answer((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",)),),
        also=(Reading(None, (Reply(REFUSALS),)),),
    ),
    passed(
        "post-without-framing-has-no-body",
        "RFC 9112 6.3 item 7",
        request(b"POST /p HTTP/1.1") + b"GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n",
        Seen(b"POST /p HTTP/1.1"),
        Seen(b"GET /second HTTP/1.1"),
        also=(Reading(None, (Reply(411),)),),
    ),
    Case(
        "body-cut-short-by-the-client",
        "RFC 9112 8: an incomplete request is never completed",
        (_post(b"10"), Had(b"hello"), Act.CLOSE),
        Reading((Seen(b"POST /p HTTP/1.1", (HOST, b"Content-Length: 10"), b"hello", whole=False),), (), End.ANY),
        also=(Reading(None, None),),
    ),
]
