"""Fields that belong to one hop, in both directions: what Connection names goes, but never what others rely on."""

from tests.wire.case import HOST, REFUSALS, Case, End, Reading, Reply, Seen, answered, passed, request, response, under

_LINE = b"HTTP/1.1 200 OK"
_FOR = b"X-Forwarded-For: 127.0.0.1"
_PROTO = b"X-Forwarded-Proto: http"
_ON = b"X-Forwarded-Host: a.test"


def _gone(name: str, cites: str, *fields: bytes, left: tuple[bytes, ...] = (), end: End = End.OPEN) -> Case:
    """Of these fields only ``left`` goes on."""
    return passed(name, cites, request(b"GET /p HTTP/1.1", *fields), Seen(b"GET /p HTTP/1.1", (HOST, *left)), end=end)


def _stays(name: str, *fields: bytes, left: tuple[bytes, ...], body: bytes = b"", hard: bool = True) -> Case:
    """What Connection names stays, because taking it away is an attack."""
    cites = "docs/wire.md Framing out; CVE-2024-45410 (Traefik) by idea"
    sees = Seen(b"POST /p HTTP/1.1", (HOST, *left), body or b"")
    data = body if b"Transfer-Encoding: chunked" not in fields else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    refused = (Reading(None, (Reply(400),)),)
    return passed(name, cites, request(b"POST /p HTTP/1.1", *fields, body=data), sees, also=refused, hard=hard)


def _back(name: str, cites: str, *fields: bytes, lacks: tuple[bytes, ...], has: tuple[bytes, ...] = ()) -> Case:
    return answered(
        name,
        cites,
        response(_LINE, *fields, b"Content-Length: 2", body=b"ok"),
        Reply(200, b"ok", has=has, lacks=lacks),
        end=End.OPEN,
    )


CASES: list[Case] = [
    *under(
        "what a request's Connection names goes",
        _gone("named-once", "RFC 9110 7.6.1", b"Connection: X-A", b"X-A: b", b"X-C: d", left=(b"X-C: d",)),
        _gone("named-in-a-list", "RFC 9110 7.6.1", b"Connection: X-A, X-B", b"X-A: b", b"X-B: c"),
        _gone(
            "named-on-two-lines",
            "RFC 9110 5.3: the lines of a list are one list",
            *(b"Connection: X-A", b"X-A: b", b"X-B: c", b"Connection: X-B"),
        ),
        _gone(
            "named-behind-an-empty-line",
            "CVE-2021-33197 (Go): an empty Connection first",
            *(b"Connection:", b"Connection: X-A", b"X-A: b"),
        ),
        _gone("named-in-other-case", "RFC 9110 5.1", b"connection: x-a", b"X-A: b"),
        _gone("named-among-empty-members", "RFC 9110 5.6.1", b"Connection: ,, X-A ,", b"X-A: b"),
        _gone("named-between-tabs", "RFC 9110 5.6.1", b"Connection:\t\tX-A\t,\tX-B", b"X-A: b", b"X-B: c"),
        _gone("named-beside-keep-alive", "RFC 9110 7.6.1", b"X-A: b", b"Connection: keep-alive, X-A", b"X-A: c"),
        _gone("named-beside-close", "RFC 9110 7.6.1", b"Connection: close, X-A", b"X-A: b", end=End.CLOSED),
        _gone(
            "named-like-another",
            "RFC 9110 7.6.1",
            b"Connection: X-A",
            b"X-AA: b",
            b"X-: c",
            left=(b"X-AA: b", b"X-: c"),
        ),
    ),
    *under(
        "fields of one hop go, named or not",
        _gone("keep-alive", "RFC 9110 7.6.1", b"Keep-Alive: timeout=5"),
        _gone("proxy-connection", "RFC 9112 C.2.2", b"Proxy-Connection: keep-alive"),
        _gone("te", "RFC 9110 10.1.4", b"TE: gzip"),
        _gone("te-named", "RFC 9110 10.1.4", b"TE: gzip;q=0.5", b"Connection: TE"),
        _gone("upgrade-not-named", "RFC 9110 7.8: only with the connection option", b"Upgrade: websocket"),
        _gone("connection-of-nothing", "RFC 9110 7.6.1", b"Connection:"),
        _gone("connection-keep-alive", "RFC 9112 9.3", b"Connection: keep-alive"),
        hard=False,
    ),
    *under(
        "TE goes on with trailers alone",
        *(
            passed(
                f"te-trailers{name}",
                "RFC 9110 10.1.4: named in Connection, always",
                request(b"GET /p HTTP/1.1", *fields),
                Seen(b"GET /p HTTP/1.1", (HOST, b"TE: trailers", b"Connection: TE")),
                also=(Reading((Seen(b"GET /p HTTP/1.1", (HOST,)),), (Reply(200, b"ok"),)),),
            )
            for name, fields in {
                "": (b"TE: trailers", b"Connection: TE"),
                "-in-a-list": (b"Connection: te", b"TE: gzip;q=0.5, Trailers"),
                "-on-a-second-line": (b"TE: deflate", b"TE: trailers", b"Connection: TE"),
            }.items()
        ),
    ),
    *under(
        "Connection never takes away framing, Host or what the proxy adds",
        _stays("host", b"Connection: Host", left=()),
        _stays(
            "length", b"Content-Length: 5", b"Connection: content-length", left=(b"Content-Length: 5",), body=b"hello"
        ),
        _stays(
            "coding",
            b"Transfer-Encoding: chunked",
            b"Connection: Transfer-Encoding",
            left=(b"Transfer-Encoding: chunked",),
            body=b"hello",
        ),
        _stays("forwarded-for", b"Connection: X-Forwarded-For", left=(_FOR,)),
        _stays("forwarded-proto", b"Connection: close-x, X-Forwarded-Proto", left=(_PROTO,)),
        _stays("forwarded-host", b"Connection: x-forwarded-host", left=(_ON,)),
        _stays(
            "all-of-them",
            b"Connection: Host, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, close-not",
            b"Content-Length: 5",
            left=(b"Content-Length: 5", _FOR, _PROTO, _ON),
            body=b"hello",
        ),
    ),
    passed(
        "gatekeepers-own-fields-stay",
        "docs/wire.md Forwarding: the backend is told version, revision and id",
        request(
            b"GET /p HTTP/1.1", b"Connection: X-Gatekeeper-Version, X-Request-Id, traceparent", b"X-Request-Id: abc"
        ),
        Seen(b"GET /p HTTP/1.1", (HOST, b"X-Request-Id: abc", b"X-Gatekeeper-Version: blue")),
        hard=False,
    ),
    *under(
        "Max-Forwards of OPTIONS and TRACE is counted down",
        *(
            passed(
                f"max-forwards-of-{method.decode().lower()}",
                "RFC 9110 7.6.2: must be checked and updated; Co-Advisor by idea",
                request(method + b" /p HTTP/1.1", b"Max-Forwards: 10"),
                Seen(method + b" /p HTTP/1.1", (HOST, b"Max-Forwards: 9")),
                also=(Reading((), (Reply(REFUSALS),)),),
            )
            for method in (b"OPTIONS", b"TRACE")
        ),
        *(
            Case(
                f"max-forwards-used-up-by-{method.decode().lower()}",
                "RFC 9110 7.6.2: zero must not be forwarded",
                (request(method + b" /p HTTP/1.1", b"Max-Forwards: 0"),),
                Reading((), (Reply(501),), End.CLOSED),
                also=(Reading((), (Reply((200, 204, *REFUSALS)),)),),
            )
            for method in (b"OPTIONS", b"TRACE")
        ),
    ),
    *under(
        "what a response's Connection names goes",
        _back(
            "back-named", "RFC 9110 7.6.1", b"Connection: X-A", b"X-A: b", b"X-C: d", lacks=(b"x-a",), has=(b"X-C: d",)
        ),
        _back(
            "back-named-on-two-lines",
            "RFC 9110 5.3",
            b"Connection: X-A",
            b"X-B: c",
            b"Connection: X-B",
            b"X-A: b",
            lacks=(b"x-a", b"x-b"),
        ),
        _back("back-named-in-other-case", "RFC 9110 5.1", b"connection: X-a", b"x-A: b", lacks=(b"x-a",)),
        _back(
            "back-named-beside-keep-alive", "RFC 9110 7.6.1", b"Connection: keep-alive, X-A", b"X-A: b", lacks=(b"x-a",)
        ),
    ),
    *under(
        "a response's fields of one hop go",
        _back(
            "back-keep-alive",
            "RFC 9110 7.6.1",
            b"Keep-Alive: timeout=77",
            b"Connection: keep-alive",
            lacks=(b"keep-alive",),
        ),
        _back("back-proxy-connection", "RFC 9112 C.2.2", b"Proxy-Connection: keep-alive", lacks=(b"proxy-connection",)),
        _back("back-upgrade", "RFC 9110 7.8", b"Upgrade: h2c", b"Connection: Upgrade", lacks=(b"upgrade",)),
        _back("back-te", "RFC 9110 10.1.4", b"TE: gzip", lacks=(b"te",)),
        hard=False,
    ),
    answered(
        "back-close-is-for-the-backend",
        "RFC 9112 9.6: the client's connection is another one",
        response(_LINE, b"Connection: close", b"Content-Length: 2", body=b"ok"),
        Reply(200, b"ok"),
        end=End.OPEN,
        hard=False,
    ),
    answered(
        "back-length-named",
        "docs/wire.md Framing out",
        response(_LINE, b"Connection: Content-Length", b"Content-Length: 2", body=b"ok"),
        Reply(200, b"ok", framing="length"),
        end=End.OPEN,
        also=(Reading((Seen(b"GET / HTTP/1.1"),), (Reply(200, b"ok"),)),),
    ),
    answered(
        "back-coding-named",
        "docs/wire.md Framing out",
        response(_LINE, b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        Reply(200, b"ok", framing="chunked"),
        end=End.OPEN,
    ),
    answered(
        "back-trailer-field",
        "RFC 9110 6.6.2; Go's TestReverseProxy with trailers by idea: nothing else is taken away",
        response(_LINE, b"Trailer: X-Sum", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"),
        Reply(200, b"ok", has=(b"Trailer: X-Sum",), trailers=(b"X-Sum: 7",)),
        end=End.OPEN,
        hard=False,
    ),
]
