"""What llhttp lets through, or calls finished too early: each gap with a body behind it, and split at every byte."""

from dataclasses import replace

from tests.wire.case import HOST, REPAIRED, SMUGGLED, Case, End, Pieces, Reading, Reply, Seen, passed, refused, request

_GAP = "httptools 0.9 (llhttp 9): "
_H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
_PLAIN = (HOST, b"Content-Length: 5")


def _upgrade(*fields: bytes, body: bytes, line: bytes = b"POST /p HTTP/1.1") -> bytes:
    return request(line, *fields, body=body)


def _offered(*fields: bytes, body: bytes = b"hello", second: bool = True) -> Reading:
    """The upgrade is offered to the backend, as a proxy may; the body goes with it all the same."""
    sees = (Seen(b"POST /p HTTP/1.1", (HOST, *fields), body), *((Seen(b"GET /second HTTP/1.1"),) if second else ()))
    return Reading(sees, tuple(Reply(200, b"ok") for _ in sees))


_GAPS: list[Case] = [
    refused(
        "no-version-but-fields-and-body",
        _GAP + "a request line without a version that still carries fields and a body",
        b"POST /p\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
        also=(REPAIRED,),
    ),
    refused(
        "coding-in-1.0-with-keep-alive",
        _GAP + "HTTP/1.0 with Transfer-Encoding",
        request(b"POST /p HTTP/1.0", b"Connection: keep-alive", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        also=(Reading((Seen(b"POST /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked")),), (Reply(200),), End.ENDED),),
    ),
    refused(
        "gzip-chunked-on-two-lines",
        _GAP + "gzip, chunked",
        request(b"POST /p HTTP/1.1", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    refused("no-host-with-a-body", _GAP + "no Host", b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
    refused(
        "two-hosts-with-a-body",
        _GAP + "two Hosts",
        request(b"POST /p HTTP/1.1", b"Content-Length: 5", b"Host: b.test", body=b"hello"),
    ),
    refused(
        "hash-in-target-with-a-query", _GAP + "# in the target", request(b"GET /p?a=#b HTTP/1.1"), also=(REPAIRED,)
    ),
    refused(
        "two-blanks-and-a-body",
        _GAP + "two blanks",
        request(b"POST  /p HTTP/1.1", b"Content-Length: 5", body=b"hello"),
        also=(REPAIRED,),
    ),
    refused("http-2.0-in-the-line", _GAP + "HTTP/2.0", request(b"GET /p HTTP/2.0"), 505, also=(REPAIRED,)),
    refused(
        "http-2-preface",
        "RFC 9113 3.4: prior knowledge of HTTP/2 is not served",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        505,
        behind=b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        also=(REPAIRED,),
    ),
    refused("rtsp", _GAP + "other protocols share its parser", request(b"DESCRIBE /p RTSP/1.0"), also=(REPAIRED,)),
    refused("icecast", _GAP + "SOURCE with ICE/1.0", request(b"SOURCE /p ICE/1.0"), also=(REPAIRED,)),
    refused(
        "extension-of-16-kib",
        "CVE-2024-22019 (Node): chunk extensions of any size",
        request(
            b"POST /p HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5;" + b"a" * 16384 + b"\r\nhello\r\n0\r\n\r\n"
        ),
        hard=False,
        also=(
            Reading(
                (
                    Seen(b"POST /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked"), b"hello"),
                    Seen(b"GET /smuggled HTTP/1.1"),
                ),
                None,
            ),
        ),
    ),
    passed(
        "upgrade-with-a-body",
        _GAP + "with Connection: Upgrade and any Upgrade field a message is called complete, its body unread",
        _upgrade(b"Connection: Upgrade", b"Upgrade: foo/2", b"Content-Length: 5", body=b"hello")
        + request(b"GET /second HTTP/1.1"),
        Seen(b"POST /p HTTP/1.1", _PLAIN, b"hello"),
        Seen(b"GET /second HTTP/1.1"),
        also=(_offered(b"Upgrade: foo/2", *_PLAIN[1:]),),
    ),
    passed(
        "h2c-upgrade-with-a-body-like-a-request",
        _GAP + "clients offer h2c on POST; RFC 9110 7.8: a server may ignore Upgrade",
        _upgrade(*_H2C, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        Seen(b"POST /p HTTP/1.1", (HOST, b"Content-Length: %d" % len(SMUGGLED)), SMUGGLED),
        also=(
            _offered(b"Upgrade: h2c", body=SMUGGLED, second=False),
            _offered(b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", body=SMUGGLED, second=False),
            _offered(b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", body=SMUGGLED, second=False),
        ),
    ),
    passed(
        "upgrade-with-a-chunked-body",
        _GAP + "the same with chunks",
        _upgrade(b"Connection: upgrade", b"Upgrade: x", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
        + request(b"GET /second HTTP/1.1"),
        Seen(b"POST /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked"), b"hello"),
        Seen(b"GET /second HTTP/1.1"),
        also=(_offered(b"Upgrade: x"),),
    ),
    passed(
        "upgrade-with-a-body-in-pieces",
        _GAP + "the same, read in pieces",
        (Pieces(_upgrade(b"Connection: Upgrade", b"Upgrade: foo", b"Content-Length: 5", body=b"hello"), 3),),
        Seen(b"POST /p HTTP/1.1", _PLAIN, b"hello"),
        also=(_offered(b"Upgrade: foo", second=False),),
    ),
    refused(
        "connect-with-a-body",
        _GAP + "CONNECT is called complete, its body unread",
        request(b"CONNECT a.test:80 HTTP/1.1", b"Content-Length: 40", body=SMUGGLED),
        501,
        hard=False,
    ),
    passed(
        "target-in-pieces",
        _GAP + "the target is delivered in pieces",
        (Pieces(request(b"GET /a/long/target?with=a&query=too HTTP/1.1"), 1),),
        Seen(b"GET /a/long/target?with=a&query=too HTTP/1.1"),
    ),
    passed(
        "garbage-behind-a-closing-request",
        _GAP + "it raises for bytes behind Connection: close; http-garden server bug 45",
        request(b"GET /p HTTP/1.1", b"Connection: close") + b"\x00garbage\r\n\r\n",
        Seen(b"GET /p HTTP/1.1"),
        end=End.CLOSED,
    ),
    passed(
        "garbage-behind-a-closing-post",
        _GAP + "the same with a body",
        request(b"POST /p HTTP/1.1", b"Connection: close", b"Content-Length: 5", body=b"hello") + SMUGGLED,
        Seen(b"POST /p HTTP/1.1", _PLAIN, b"hello"),
        end=End.CLOSED,
    ),
    refused(
        "head-ended-by-cr-and-a-byte",
        "http-garden server bug 30 (llhttp)",
        b"GET /p HTTP/1.1\r\nHost: a.test\r\n\rZ",
        behind=b"GET /evil: HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ),
    refused(
        "length-split-from-its-colon",
        "CVE-2024-27982 (Node): a blank before Content-Length",
        request(b"POST /p HTTP/1.1", b"X-A: b", b" Content-Length: 5", body=b"hello"),
        also=(REPAIRED,),
    ),
]

# Most gaps are further examples of rules that other paragraphs have, too.
_RULES = {
    "no-version-but-fields-and-body": "a malformed request line is refused, or repaired to a good one",
    "two-blanks-and-a-body": "a malformed request line is refused, or repaired to a good one",
    "http-2-preface": "a malformed target is refused, or repaired to a good one",
    "hash-in-target-with-a-query": "a malformed target is refused, or repaired to a good one",
    "http-2.0-in-the-line": "a version that does not exist is refused, or replaced by the proxy's own",
    "rtsp": "a version that does not exist is refused, or replaced by the proxy's own",
    "icecast": "a version that does not exist is refused, or replaced by the proxy's own",
    "coding-in-1.0-with-keep-alive": "Transfer-Encoding in HTTP/1.0 is faulty framing",
    "gzip-chunked-on-two-lines": "Transfer-Encoding is chunked, once and last",
    "no-host-with-a-body": "Host is one valid host",
    "two-hosts-with-a-body": "Host is one valid host",
    "extension-of-16-kib": "chunk extensions are ignored, and limited",
    "upgrade-with-a-body": "an upgrade that is not served is plain HTTP with its body",
    "h2c-upgrade-with-a-body-like-a-request": "an upgrade that is not served is plain HTTP with its body",
    "upgrade-with-a-chunked-body": "an upgrade that is not served is plain HTTP with its body",
    "upgrade-with-a-body-in-pieces": "an upgrade that is not served is plain HTTP with its body",
    "length-split-from-its-colon": "no CR, LF, NUL or fold in a value",
}
CASES: list[Case] = [replace(case, rule=_RULES.get(case.name, case.rule)) for case in _GAPS]
