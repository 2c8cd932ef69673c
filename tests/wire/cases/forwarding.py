"""What passes untouched, what the proxy says of the client, and what it takes from nobody but trusted proxies."""

import re

from tests.wire.case import HOST, REPAIRED, Case, Reading, Reply, Seen, answered, passed, request, response, under

_LINE = b"HTTP/1.1 200 OK"
_TRUSTED = "127.0.0.2"
_HEX = re.compile(rb"X-Request-Id: [0-9a-f]{32}")
_TRACE = re.compile(rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01")
_OURS = (
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: a.test",
    b"X-Gatekeeper-Version: blue",
    b"X-Gatekeeper-Revision: 1",
    _HEX,
    _TRACE,
)
_TARGETS = (
    b"/a/../b/./c", b"//a//b", b"/%2e%2e/%2F%41", b"/a%00b", b"/?", b"/??", b"/a?b?c=d&&e", b"/a;b=c/d", b"/a,b",
    b"/{a}|b^c`d", b'/"a"<b>', b"/a\\b", b"/[a]", b"/a+b?c+d", b"/%zz", b"/a?b=%", b"/~a/$b/'c'/(d)*!", b"/a:b@c",
)  # fmt: skip
# Not what RFC 3986 allows, but sent by browsers and programs.
_NO_URI = re.compile(rb"[{}|^`\"<>\\\[\]]|%(?![0-9A-Fa-f]{2})")
_ALL_BYTES = bytes(range(256)) * 4


def _untouched(name: str, cites: str, *fields: bytes, hard: bool = True) -> Case:
    return passed(
        name, cites, request(b"GET /p HTTP/1.1", *fields), Seen(b"GET /p HTTP/1.1", (HOST, *fields)), hard=hard
    )


def _told(name: str, cites: str, fields: tuple[bytes, ...], left: tuple[bytes, ...], source: str = "127.0.0.1") -> Case:
    return passed(
        name,
        cites,
        request(b"GET /p HTTP/1.1", *fields),
        Seen(b"GET /p HTTP/1.1", (HOST, *left)),
        hard=False,
        source=source,
    )


def _back(name: str, cites: str, *fields: bytes, body: bytes = b"ok", hard: bool = True) -> Case:
    return answered(
        name,
        cites,
        response(_LINE, *fields, b"Content-Length: %d" % len(body), body=body),
        Reply(200, body, has=fields),
        hard=hard,
    )


CASES: list[Case] = [
    passed(
        "nothing-but-this-is-added",
        "docs/wire.md Forwarding",
        request(b"GET /p HTTP/1.1", b"Accept: */*"),
        Seen(b"GET /p HTTP/1.1", (HOST, b"Accept: */*", *_OURS)),
        hard=False,
        also=(Reading((Seen(b"GET /p HTTP/1.1", (HOST, b"Accept: */*")),), (Reply(200),)),),
    ),
    *under(
        "a target passes as it is",
        *(
            passed(
                f"target-{number}",
                "RFC 9112 3.2.1: not rewritten (RFC 9110 7.7)",
                request(b"GET " + target + b" HTTP/1.1"),
                Seen(b"GET " + target + b" HTTP/1.1"),
                also=(Reading((), (Reply(400),)), *((REPAIRED,) if _NO_URI.search(target) else ())),
            )
            for number, target in enumerate(_TARGETS)
        ),
    ),
    *under(
        "fields pass in order, unchanged",
        _untouched("order-of-fields", "RFC 9110 5.3", b"B: 1", b"A: 2", b"C: 3", b"A: 4", b"B: 5"),
        _untouched("case-of-names", "RFC 9110 5.1", b"x-LoWeR: a", b"X-UPPER: b", b"x-lower: c"),
        _untouched("cookies", "RFC 6265 5.4", b"Cookie: a=b; c=d", b'Cookie: e="f"; g', hard=False),
        _untouched(
            "user-agent-and-others",
            "docs/wire.md Forwarding",
            b"User-Agent: x (y; z)",
            b"Accept-Encoding: gzip, br",
            b"Via: 1.0 old",
        ),
        _untouched("conditions-and-ranges", "RFC 9110 13, 14", b'If-None-Match: "a", W/"b"', b"Range: bytes=0-4,7-"),
        _untouched("authorization", "RFC 9110 11.6.2", b"Authorization: Basic dTpw"),
        _untouched("a-value-of-8000-bytes", "RFC 9110 5.4", b"X-A: " + b"v" * 8000, hard=False),
        _untouched("max-forwards-of-get", "RFC 9110 7.6.2: for TRACE and OPTIONS only", b"Max-Forwards: 0"),
    ),
    *under(
        "a field with any valid name is passed on",
        _untouched("name-with-underscore", "RFC 9110 5.6.2: a token", b"X_A: b"),
    ),
    *under(
        "a body passes byte by byte",
        passed(
            "body-of-all-bytes",
            "RFC 9110 6.4",
            request(b"PUT /p HTTP/1.1", b"Content-Length: 1024", body=_ALL_BYTES),
            Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 1024"), _ALL_BYTES),
        ),
        passed(
            "body-of-all-bytes-chunked",
            "RFC 9110 6.4",
            request(b"PUT /p HTTP/1.1", b"Transfer-Encoding: chunked", body=b"400\r\n" + _ALL_BYTES + b"\r\n0\r\n\r\n"),
            Seen(b"PUT /p HTTP/1.1", (HOST, b"Transfer-Encoding: chunked"), _ALL_BYTES),
        ),
        passed(
            "body-of-a-mebibyte",
            "RFC 9110 6.4",
            request(b"PUT /p HTTP/1.1", b"Content-Length: 1048576", body=_ALL_BYTES * 1024),
            Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Length: 1048576"), _ALL_BYTES * 1024),
        ),
        passed(
            "body-encoded",
            "RFC 9110 8.4",
            request(b"PUT /p HTTP/1.1", b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x00\xff"),
            Seen(b"PUT /p HTTP/1.1", (HOST, b"Content-Encoding: gzip", b"Content-Length: 4"), b"\x1f\x8b\x00\xff"),
        ),
        _back("back-body-of-all-bytes", "RFC 9110 6.4", b"Content-Type: x/y", body=_ALL_BYTES),
        _back("back-body-of-a-mebibyte", "RFC 9110 6.4", b"Content-Type: x/y", body=_ALL_BYTES * 1024),
        _back("back-body-encoded", "RFC 9110 8.4", b"Content-Encoding: gzip", body=b"\x1f\x8b\x00\xff"),
    ),
    *under(
        "a response's fields pass in order, unchanged",
        _back(
            "back-set-cookie",
            "RFC 6265 3: never folded",
            b"Set-Cookie: a=b; Path=/",
            b"Set-Cookie: c=d, e",
            b"Set-Cookie: a=f",
        ),
        _back("back-order", "RFC 9110 5.3", b"B: 1", b"A: 2", b"B: 3"),
        _back("back-values", "RFC 9110 5.5", b"X-A: \tb\t c \xff", b"X-B:", b"x-lower: d"),
        _back("back-location", "RFC 9110 10.2.2: not rewritten", b"Location: http://127.0.0.1:1/x#y", hard=False),
        _back(
            "back-via-and-server",
            "docs/wire.md Forwarding",
            b"Server: x/1",
            b"Via: 1.1 inner",
            b"Date: Tue, 15 Nov 1994 08:12:31 GMT",
        ),
        _back("back-caching", "RFC 9111 5", b"Cache-Control: public, max-age=5", b'ETag: "x"', b"Age: 3", b"Vary: *"),
    ),
    *under(
        "who the client is",
        _told(
            "peer",
            "docs/wire.md Forwarding",
            (),
            (b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: a.test"),
        ),
        _told(
            "forged-for", "docs/wire.md Forwarding", (b"X-Forwarded-For: 6.6.6.6",), (b"X-Forwarded-For: 127.0.0.1",)
        ),
        _told(
            "forged-for-twice",
            "docs/wire.md Forwarding",
            (b"X-Forwarded-For: 6.6.6.6", b"x-forwarded-for: 7.7.7.7"),
            (b"X-Forwarded-For: 127.0.0.1",),
        ),
        _told("forged-proto", "docs/wire.md Forwarding", (b"X-Forwarded-Proto: https",), (b"X-Forwarded-Proto: http",)),
        _told(
            "forged-host", "docs/wire.md Forwarding", (b"X-Forwarded-Host: evil.test",), (b"X-Forwarded-Host: a.test",)
        ),
        _told("forged-forwarded", "RFC 7239 8.1", (b"Forwarded: for=6.6.6.6;proto=https",), ()),
        _told("forged-port", "docs/wire.md Forwarding", (b"X-Forwarded-Port: 443",), ()),
        _told(
            "trusted-for",
            "docs/wire.md Forwarding: ends with the peer's address",
            (b"X-Forwarded-For: 6.6.6.6",),
            (b"X-Forwarded-For: 6.6.6.6, 127.0.0.2",),
            _TRUSTED,
        ),
        _told(
            "trusted-for-on-two-lines",
            "RFC 9110 5.3",
            (b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 7.7.7.7"),
            (b"X-Forwarded-For: 6.6.6.6, 7.7.7.7, 127.0.0.2",),
            _TRUSTED,
        ),
        _told(
            "trusted-proto-and-host",
            "docs/wire.md Forwarding",
            (b"X-Forwarded-Proto: https", b"X-Forwarded-Host: b.test"),
            (b"X-Forwarded-Proto: https", b"X-Forwarded-Host: b.test"),
            _TRUSTED,
        ),
        _told("trusted-forwarded", "RFC 7239 4", (b"Forwarded: for=6.6.6.6",), (b"Forwarded: for=6.6.6.6",), _TRUSTED),
        _told("trusted-without-for", "docs/wire.md Forwarding", (), (b"X-Forwarded-For: 127.0.0.2",), _TRUSTED),
    ),
    *under(
        "ids are passed on if they can be believed",
        _told("request-id", "docs/wire.md Forwarding", (b"X-Request-Id: abc-123",), (b"X-Request-Id: abc-123",)),
        _told(
            "trace",
            "W3C Trace Context 3.2",
            (b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate: a=b"),
            (b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate: a=b"),
        ),
    ),
    passed(
        "a-forged-version-is-dropped",
        "docs/wire.md Forwarding: the client's copy is never passed on",
        request(
            b"GET /p HTTP/1.1",
            b"X-Gatekeeper-Version: nope",
            b"X-Gatekeeper-Revision: 99",
            b"X-Gatekeeper-Pass: x",
            b"X-Gatekeeper-Flags: y",
        ),
        Seen(b"GET /p HTTP/1.1", (HOST, b"X-Gatekeeper-Version: blue", b"X-Gatekeeper-Revision: 1")),
        hard=False,
        also=(
            Reading(
                (
                    Seen(
                        b"GET /p HTTP/1.1",
                        (
                            HOST,
                            b"X-Gatekeeper-Version: nope",
                            b"X-Gatekeeper-Revision: 99",
                            b"X-Gatekeeper-Pass: x",
                            b"X-Gatekeeper-Flags: y",
                        ),
                    ),
                ),
                None,
            ),
        ),
    ),
    passed(
        "a-malformed-id-is-replaced",
        "docs/wire.md Forwarding: ids end in log lines",
        request(b"GET /p HTTP/1.1", b"X-Request-Id: a b\t{}"),
        Seen(b"GET /p HTTP/1.1", (HOST, _HEX)),
        hard=False,
        also=(Reading((Seen(b"GET /p HTTP/1.1", (HOST, b"X-Request-Id: a b\t{}")),), None),),
    ),
    answered(
        "back-version-is-not-the-backends-to-say",
        "docs/wire.md Forwarding",
        response(_LINE, b"X-Gatekeeper-Version: forged", b"Content-Length: 2", body=b"ok"),
        Reply(200, b"ok", lacks=(b"x-gatekeeper-version",)),
        hard=False,
        also=(Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, b"ok"),)),),
    ),
]
