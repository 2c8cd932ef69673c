"""What leaves is unambiguous: one Host, one framing field, CRLF, HTTP/1.1, nothing that anybody could misread."""

import re

from tests.wire.case import HOST, Case, End, Pieces, Reading, Reply, Seen, passed, request, under

_CHUNKED = b"Transfer-Encoding: chunked"
_SOME_HOST = re.compile(rb"Host: [0-9a-z.:]+")


def _absolute(target: bytes, *, method: bytes = b"GET", host: bytes | None = b"Host: other.test") -> bytes:
    return request(method + b" " + target + b" HTTP/1.1", b"X-A: b", host=host)


CASES: list[Case] = [
    passed(
        "http-1.0-leaves-as-1.1",
        "RFC 9112 2.3: a proxy sends its own version",
        b"GET /p HTTP/1.0\r\nHost: a.test\r\n\r\n",
        Seen(b"GET /p HTTP/1.1"),
        end=End.CLOSED,
    ),
    passed(
        "http-1.0-without-host-gets-one",
        "RFC 9112 3.2: every HTTP/1.1 request has one Host",
        b"GET /p HTTP/1.0\r\nX-A: b\r\n\r\n",
        Seen(b"GET /p HTTP/1.1", (_SOME_HOST, b"X-A: b")),
        end=End.CLOSED,
        also=(Reading((), (Reply(400),)), Reading((Seen(b"GET /p HTTP/1.1", (b"X-A: b",)),), (Reply(200, b"ok"),))),
    ),
    passed(
        "http-1.0-with-a-body",
        "RFC 9112 6.3 item 6",
        b"POST /p HTTP/1.0\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
        Seen(b"POST /p HTTP/1.1", (HOST, b"Content-Length: 5"), b"hello"),
        end=End.CLOSED,
    ),
    *under(
        "absolute-form wins over Host, and becomes origin-form or a star",
        passed(
            "absolute-form-wins-over-host",
            "RFC 9112 3.2.2: Host is ignored and replaced",
            _absolute(b"http://a.test/p?q"),
            Seen(b"GET /p?q HTTP/1.1", (HOST, b"X-A: b")),
        ),
        passed(
            "absolute-form-with-port",
            "RFC 9112 3.2.2",
            _absolute(b"http://a.test:8080/p"),
            Seen(b"GET /p HTTP/1.1", (b"Host: a.test:8080", b"X-A: b")),
            hard=False,
        ),
        passed(
            "absolute-form-in-any-case",
            "RFC 3986 3.1: schemes are case-insensitive",
            _absolute(b"HTTP://a.test/p"),
            Seen(b"GET /p HTTP/1.1", (HOST, b"X-A: b")),
        ),
        passed(
            "absolute-form-without-path",
            "RFC 9112 3.2.1: an empty path is sent as a slash",
            _absolute(b"http://a.test"),
            Seen(b"GET / HTTP/1.1", (HOST, b"X-A: b")),
        ),
        passed(
            "absolute-form-with-query-alone",
            "RFC 9112 3.2.1",
            _absolute(b"http://a.test?q=1"),
            Seen(b"GET /?q=1 HTTP/1.1", (HOST, b"X-A: b")),
        ),
        passed(
            "absolute-form-of-options",
            "RFC 9112 3.2.4: without path and query it becomes a star",
            _absolute(b"http://a.test", method=b"OPTIONS"),
            Seen(b"OPTIONS * HTTP/1.1", (HOST, b"X-A: b")),
        ),
        passed(
            "absolute-form-in-1.0-without-host",
            "RFC 9112 3.2.2",
            b"GET http://a.test/p HTTP/1.0\r\n\r\n",
            Seen(b"GET /p HTTP/1.1"),
            end=End.CLOSED,
        ),
    ),
    passed(
        "options-star",
        "RFC 9112 3.2.4",
        request(b"OPTIONS * HTTP/1.1"),
        Seen(b"OPTIONS * HTTP/1.1"),
        hard=False,
        also=(Reading((), (Reply((200, 204)),)),),
    ),
    passed(
        "chunked-keeps-being-chunked-alone",
        "RFC 9112 6.1: never a Content-Length beside it",
        request(b"PUT /p HTTP/1.1", _CHUNKED, body=b"3;x=y\r\nabc\r\n0\r\n\r\n"),
        Seen(b"PUT /p HTTP/1.1", (HOST, _CHUNKED), b"abc"),
    ),
    passed(
        "no-framing-is-invented",
        "RFC 9112 6: a request without a body has no Transfer-Encoding",
        request(b"DELETE /p HTTP/1.1"),
        Seen(b"DELETE /p HTTP/1.1"),
    ),
    passed(
        "a-colon-in-the-path",
        "RFC 3986 3.3; what looks like an authority is none",
        request(b"GET /a:80/@b HTTP/1.1"),
        Seen(b"GET /a:80/@b HTTP/1.1"),
    ),
    passed(
        "two-slashes-are-no-authority",
        "RFC 9112 3.2.1: origin-form, whatever it begins with",
        request(b"GET //evil.test/p HTTP/1.1"),
        Seen(b"GET //evil.test/p HTTP/1.1"),
    ),
    passed(
        "a-scheme-within-the-path",
        "RFC 9112 3.2.1; by idea of Go's TestReverseProxy with odd targets",
        request(b"GET /http://evil.test/ HTTP/1.1"),
        Seen(b"GET /http://evil.test/ HTTP/1.1"),
    ),
    passed(
        "host-with-port-stays",
        "RFC 9110 7.2",
        request(b"GET /p HTTP/1.1", host=b"Host: a.test:8080"),
        Seen(b"GET /p HTTP/1.1", (b"Host: a.test:8080",)),
        hard=False,
    ),
    passed(
        "host-in-another-case-stays",
        "RFC 9110 4.2.3: compared without case, passed as it is",
        request(b"GET /p HTTP/1.1", host=b"hOST: A.Test"),
        Seen(b"GET /p HTTP/1.1", (b"hOST: A.Test",)),
        hard=False,
    ),
    passed(
        "host-of-ipv6",
        "RFC 3986 3.2.2",
        request(b"GET /p HTTP/1.1", host=b"Host: [::1]:8080"),
        Seen(b"GET /p HTTP/1.1", (b"Host: [::1]:8080",)),
        hard=False,
    ),
    passed(
        "a-large-head-in-pieces",
        "RFC 9112 2.2",
        (Pieces(request(b"GET /p HTTP/1.1", *(b"X-%d: %s" % (number, b"v" * 100) for number in range(40))), 97),),
        Seen(b"GET /p HTTP/1.1", (HOST, *(b"X-%d: %s" % (number, b"v" * 100) for number in range(40)))),
    ),
]
