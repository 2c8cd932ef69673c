"""The request line: three parts, two blanks, a version that exists, a target in one of three forms."""

from tests.wire.case import REFUSALS, REPAIRED, Case, Reading, Reply, Seen, passed, refused, request, under

_LINE = "RFC 9112 3"

# name: (request line, what it is derived from)
_BAD: dict[str, tuple[bytes, str]] = {
    "two-blanks-before-target": (b"GET  /p HTTP/1.1", "Http11Probe RFC9112-3-MULTI-SP-REQUEST-LINE"),
    "two-blanks-before-version": (b"GET /p  HTTP/1.1", "Http11Probe RFC9112-3-MULTI-SP-REQUEST-LINE"),
    "tab-before-target": (b"GET\t/p HTTP/1.1", "Http11Probe COMP-REQUEST-LINE-TAB"),
    "tab-before-version": (b"GET /p\tHTTP/1.1", "Http11Probe COMP-REQUEST-LINE-TAB"),
    "vertical-tab": (b"GET /p\x0bHTTP/1.1", _LINE),
    "form-feed": (b"GET\x0c/p HTTP/1.1", _LINE),
    "bare-cr": (b"GET /p\rHTTP/1.1", _LINE),
    "bare-lf": (b"GET /p\nHTTP/1.1", "http-garden server bug 9"),
    "blank-at-the-end": (b"GET /p HTTP/1.1 ", _LINE),
    "blank-at-the-start": (b" GET /p HTTP/1.1", _LINE),
    "four-parts": (b"GET /p /q HTTP/1.1", _LINE),
    "no-target": (b"GET HTTP/1.1", "Http11Probe RFC9112-3-MISSING-TARGET"),
    "empty-target": (b"GET  HTTP/1.1", _LINE),
    "no-method": (b"/p HTTP/1.1", _LINE),
    "method-alone": (b"GET", _LINE),
    "braces-in-method": (b"G{E}T /p HTTP/1.1", "RFC 9110 9.1: a token"),
    "punctuation-in-method": (b'G=":<>(e),[T];?" /p HTTP/1.1', "http-garden server bug 6"),
    "nul-in-method": (b"G\x00T /p HTTP/1.1", "http-garden server bug 40"),
    "high-byte-in-method": (b"G\xc9T /p HTTP/1.1", "RFC 9110 9.1"),
    "colon-in-method": (b"GET: /p HTTP/1.1", "RFC 9110 9.1"),
    "version-0.9": (b"GET /p HTTP/0.9", "RFC 9112 2.3"),
    "version-3.0": (b"GET /p HTTP/3.0", "RFC 9112 2.3"),
    "version-one-digit": (b"GET /p HTTP/1", "Http11Probe COMP-VERSION-MISSING-MINOR"),
    "version-no-minor": (b"GET /p HTTP/1.", "RFC 9112 2.3"),
    "version-no-digits": (b"GET /p HTTP/", "RFC 9112 2.3"),
    "version-three-digits": (b"GET /p HTTP/1.32", "http-garden server bug 5"),
    "version-of-three": (b"GET /p HTTP/1.1.1", "RFC 9112 2.3"),
    "version-leading-zero": (b"GET /p HTTP/01.1", "Http11Probe COMP-VERSION-LEADING-ZEROS"),
    "version-lower-case": (b"GET /p http/1.1", "RFC 9112 2.3: case-sensitive"),
    "version-of-another-protocol": (b"GET /p RTSP/1.0", "RFC 9112 2.3"),
    "version-letters-behind": (b"GET /p HTTP/1.1x", "RFC 9112 2.3"),
    "version-signed": (b"GET /p HTTP/+1.1", "RFC 9112 2.3"),
    "version-comma": (b"GET /p HTTP/1,1", "RFC 9112 2.3"),
    "version-blank-within": (b"GET /p HTTP/ 1.1", "Http11Probe COMP-VERSION-WHITESPACE"),
    "version-overflow": (b"GET /p HTTP/4294967297.1", "http-garden server bug 24"),
    "version-cr": (b"GET /p HTTP/\r\r1.1", "http-garden server bug 15"),
    "target-relative": (b"GET p HTTP/1.1", "RFC 9112 3.2"),
    "target-star-of-get": (b"GET * HTTP/1.1", "Http11Probe COMP-ASTERISK-WITH-GET"),
    "target-authority-of-get": (b"GET a.test:80 HTTP/1.1", "RFC 9112 3.2.3: CONNECT only"),
    "target-query-alone": (b"GET ?q HTTP/1.1", "RFC 9112 3.2.1"),
    "target-exclamation": (b"GET ! HTTP/1.1", "http-garden server bug 7"),
    "target-fragment": (b"GET /p#x HTTP/1.1", "Http11Probe RFC9112-3.2-FRAGMENT-IN-TARGET, CVE-2023-45539 (HAProxy)"),
    "target-absolute-fragment": (b"GET http://a.test/p#x HTTP/1.1", "RFC 9112 3.2.2"),
    "target-nul": (b"GET /p\x00q HTTP/1.1", "Http11Probe MAL-NUL-IN-URL"),
    "target-control": (b"GET /p\x01 HTTP/1.1", "RFC 3986 2"),
    "target-delete": (b"GET /p\x7f HTTP/1.1", "RFC 3986 2"),
    "target-high-byte": (b"GET /p\xc3\xa4 HTTP/1.1", "Http11Probe MAL-NON-ASCII-URL"),
    "target-overlong-utf8": (b"GET /\xc0\xaf HTTP/1.1", "Http11Probe MAL-URL-OVERLONG-UTF8"),
    "target-one-slash": (b"GET http:/a.test/p HTTP/1.1", "RFC 9112 3.2.2"),
    "target-no-host": (b"GET http:///p HTTP/1.1", "RFC 9110 4.2.1"),
    "target-no-authority": (b"GET http:p HTTP/1.1", "RFC 9110 4.2.1"),
    "target-userinfo": (b"GET http://user@a.test/p HTTP/1.1", "RFC 9110 4.2.4"),
    "target-bad-port": (b"GET http://a.test:x/p HTTP/1.1", "RFC 3986 3.2.3"),
    "target-other-scheme": (b"GET ftp://a.test/p HTTP/1.1", "RFC 9112 3.2.2, RFC 9110 4.2"),
}


def _case(name: str) -> Case:
    line, cites = _BAD[name]
    status = 505 if name in {"version-0.9", "version-3.0"} else 400
    return refused(f"line-{name}", cites, request(line), status, also=(REPAIRED,))


CASES: list[Case] = [
    *under(
        "a malformed request line is refused, or repaired to a good one",
        *(_case(name) for name in _BAD if not name.startswith(("version", "target"))),
    ),
    *under(
        "a version that does not exist is refused, or replaced by the proxy's own",
        *(_case(name) for name in _BAD if name.startswith("version")),
    ),
    *under(
        "a malformed target is refused, or repaired to a good one",
        *(_case(name) for name in _BAD if name.startswith("target")),
    ),
    refused(
        "line-version-1.2",
        "RFC 9112 2.3; a higher minor version may be read as 1.1 (RFC 9110 2.5)",
        request(b"GET /p HTTP/1.2"),
        505,
        hard=False,
        also=(REPAIRED,),
    ),
    refused(
        "line-no-version",
        "RFC 9112 2.3: HTTP/0.9 is not served",
        b"GET /p\r\n",
        behind=b"Host: a.test\r\n\r\n",
        also=(REPAIRED,),
    ),
    refused("line-no-version-no-fields", "Http11Probe RFC9112-2.3-HTTP09-REQUEST", b"GET /p\r\n\r\n", also=(REPAIRED,)),
    refused(
        "line-binary-garbage", "Http11Probe MAL-BINARY-GARBAGE", bytes(range(128, 256)) + b"\r\n\r\n", also=(REPAIRED,)
    ),
    refused(
        "line-tls-hello",
        "RFC 9112 3: TLS spoken to a plain port",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ),
    refused("line-of-nothing-but-lf", "RFC 9112 2.2", b"\n\n\n\n", also=(REPAIRED,)),
    refused(
        "line-behind-lf-cr",
        "RFC 9112 2.2: only CRLF is an empty line",
        b"\r\n\n\r" + request(b"GET /p HTTP/1.1"),
        also=(REPAIRED,),
    ),
    refused(
        "line-behind-many-empty-lines",
        "RFC 9112 2.2: at least one is ignored, not any number",
        b"\r\n" * 6,
        hard=False,
        also=(Reading((Seen(b"GET /smuggled HTTP/1.1"),), None),),
    ),
    refused(
        "line-connect",
        "RFC 9110 9.3.6: no tunnels are made",
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
        501,
        also=(REPAIRED,),
    ),
    refused("line-connect-with-path", "RFC 9112 3.2.3", request(b"CONNECT /p HTTP/1.1"), 501, also=(REPAIRED,)),
    passed(
        "method-of-lower-case",
        "RFC 9110 9.1: methods are case-sensitive",
        request(b"get /p HTTP/1.1"),
        Seen(b"get /p HTTP/1.1"),
        also=(Reading((), (Reply(REFUSALS),)),),
    ),
    passed(
        "method-of-any-token",
        "RFC 9110 9.1",
        request(b"M-SEARCH!#$%&'*+.^_`|~1 /p HTTP/1.1"),
        Seen(b"M-SEARCH!#$%&'*+.^_`|~1 /p HTTP/1.1"),
        also=(Reading((), (Reply(REFUSALS),)),),
    ),
    passed(
        "method-pri-without-preface",
        "RFC 9113 3.4: not HTTP/2",
        request(b"PRI /p HTTP/1.1"),
        Seen(b"PRI /p HTTP/1.1"),
        also=(Reading((), (Reply(REFUSALS),)),),
    ),
]
