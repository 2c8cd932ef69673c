"""Request lines, field lines and Host: what is no grammar is refused, not repaired."""

import re

from tests.wire.case import HOST, Case, Reading, Reply, Seen, passed, refused, request, under

_FIELD = "RFC 9112 5, RFC 9110 5.1"

# name: (a field line, what it is derived from)
_BAD_FIELDS: dict[str, tuple[bytes, str]] = {
    "blank-before-colon": (b"X-A : b", "RFC 9112 5.1, CVE-2019-16276 (Go)"),
    "tab-before-colon": (b"X-A\t: b", "RFC 9112 5.1, Http11Probe NORM-TAB-IN-NAME"),
    "blank-within-name": (b"X A: b", _FIELD),
    "no-name": (b": b", "http-garden server bug 18, CVE-2023-25725 (HAProxy)"),
    "neither-name-nor-value": (b":", "http-garden server bug 27, CVE-2023-25725 (HAProxy)"),
    "no-colon": (b"X-A", "Http11Probe RFC9112-5-HEADER-NO-COLON"),
    "blank-for-a-colon": (b"Content-Length 10", "http-garden server bug 28"),
    "brackets-in-name": (b"X[A]: b", "Http11Probe RFC9112-5-INVALID-HEADER-NAME"),
    "braces-in-name": (b"X{A}: b", _FIELD),
    "parentheses-in-name": (b"X(A): b", _FIELD),
    "slash-in-name": (b"X/A: b", _FIELD),
    "at-in-name": (b"X@A: b", "http-garden transducer bug 6"),
    "comma-in-name": (b"X,A: b", _FIELD),
    "semicolon-in-name": (b"X;A: b", _FIELD),
    "equals-in-name": (b"X=A: b", _FIELD),
    "quote-in-name": (b'X"A: b', _FIELD),
    "backslash-in-name": (b"X\\A: b", _FIELD),
    "nul-in-name": (b"X\x00A: b", "http-garden transducer bug 20"),
    "control-in-name": (b"X\x01A: b", "http-garden server bug 14"),
    "delete-in-name": (b"X\x7fA: b", _FIELD),
    "high-byte-in-name": (b"X\xe9A: b", "http-garden server bug 8"),
    "nbsp-behind-name": (b"X-A\xa0: b", "http-garden server bug 20"),
    "nul-in-value": (b"X-A: b\x00c", "RFC 9110 5.5, http-garden transducer bug 12"),
    "cr-in-value": (b"X-A: b\rc", "RFC 9110 5.5, http-garden transducer bug 10"),
    "cr-at-end-of-value": (b"X-A: b\r", "RFC 9112 2.2"),
    "bell-in-value": (b"X-A: b\x07c", "RFC 9110 5.5: field-vchar"),
    "vertical-tab-in-value": (b"X-A: b\x0bc", "RFC 9110 5.5"),
    "delete-in-value": (b"X-A: b\x7fc", "RFC 9110 5.5"),
    "escape-in-value": (b"X-A: \x1b[2J", "RFC 9110 5.5"),
    "bare-lf": (b"X-A: b\nX-B: c", "RFC 9112 2.2, CVE-2022-35256 (llhttp)"),
    "bare-cr-for-crlf": (b"X-A: b\rX-B: c", "RFC 9112 2.2, CVE-2023-30589 (llhttp)"),
    "folded-by-blank": (b"X-A: b\r\n c", "RFC 9112 5.2"),
    "folded-by-tab": (b"X-A: b\r\n\tc", "RFC 9112 5.2"),
    "folded-to-nothing": (b"X-A:\r\n \r\n b", "RFC 9112 5.2"),
    "folded-colon": (b"X-A\r\n : b", "RFC 9112 5.2"),
    "cr-begins-the-line": (b"\rX-A: b", "http-garden server bug 30"),
}

_BLANK = {"blank-before-colon", "tab-before-colon"}

# Control characters other than CR, LF and NUL may be kept in a value (RFC 9110 5.5); a bare LF may end a line
# (RFC 9112 2.2), a fold and a bare CR become blanks.
_LENIENT: dict[str, tuple[bytes | re.Pattern[bytes], ...]] = {
    "no-colon": (b"X-A:",),
    "nul-in-value": (b"X-A: b c",),
    "cr-in-value": (b"X-A: b c",),
    "cr-at-end-of-value": (b"X-A: b",),
    "bell-in-value": (b"X-A: b\x07c",),
    "vertical-tab-in-value": (b"X-A: b\x0bc",),
    "delete-in-value": (b"X-A: b\x7fc",),
    "escape-in-value": (b"X-A: \x1b[2J",),
    "bare-lf": (b"X-A: b", b"X-B: c"),
    "bare-cr-for-crlf": (b"X-A: b X-B: c",),
    "folded-by-blank": (re.compile(rb"X-A: b[ \t]+c"),),
    "folded-by-tab": (re.compile(rb"X-A: b[ \t]+c"),),
    "folded-to-nothing": (re.compile(rb"X-A: *b"),),
}

# name: (the Host lines, what they are derived from)
_BAD_HOSTS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "missing": ((), "RFC 9112 3.2"),
    "twice": ((HOST, b"Host: b.test"), "RFC 9112 3.2"),
    "twice-the-same": ((HOST, HOST), "RFC 9112 3.2, Http11Probe COMP-DUPLICATE-HOST-SAME"),
    "twice-in-other-case": ((HOST, b"hOsT: a.test"), "RFC 9112 3.2"),
    "empty": ((b"Host:",), "RFC 9112 3.2, RFC 9110 4.2.1"),
    "list": ((b"Host: a.test, b.test",), "Http11Probe SMUG-MULTIPLE-HOST-COMMA"),
    "two-words": ((b"Host: a.test b.test",), "RFC 9112 3.2"),
    "userinfo": ((b"Host: user@a.test",), "Http11Probe COMP-HOST-WITH-USERINFO"),
    "path": ((b"Host: a.test/x",), "Http11Probe COMP-HOST-WITH-PATH"),
    "query": ((b"Host: a.test?x",), "RFC 9112 3.2"),
    "fragment": ((b"Host: a.test#x",), "RFC 9112 3.2"),
    "scheme": ((b"Host: http://a.test",), "RFC 9112 3.2"),
    "backslash": ((b"Host: a.test\\x",), "RFC 9112 3.2"),
    "port-of-letters": ((b"Host: a.test:http",), "RFC 3986 3.2.3"),
    "port-signed": ((b"Host: a.test:+80",), "RFC 3986 3.2.3"),
    "two-ports": ((b"Host: a.test:80:80",), "RFC 3986 3.2.3"),
    "open-bracket": ((b"Host: [::1",), "RFC 3986 3.2.2"),
    "letters-in-brackets": ((b"Host: [a.test]",), "RFC 3986 3.2.2"),
    "nothing-in-brackets": ((b"Host: []",), "RFC 3986 3.2.2"),
    "bad-ipv6": ((b"Host: [:::]",), "RFC 3986 3.2.2"),
    "bad-percent": ((b"Host: a%zz.test",), "RFC 3986 2.1"),
    "high-byte": ((b"Host: \xffa.test",), "http-garden server bug 46"),
    "nul": ((b"Host: a.test\x00.evil.test",), "http-garden transducer bug 12"),
    "blank-before-colon": ((b"Host : a.test",), "RFC 9112 5.1"),
    "folded": ((b"Host:", b" a.test"), "RFC 9112 5.2"),
    "first-and-indented": ((b" Host: a.test",), "RFC 9112 2.2"),
    "angle-brackets": ((b"Host: <script>",), "RFC 9112 3.2"),
}


def _with(field: bytes) -> bytes:
    return request(b"GET /p HTTP/1.1", field)


def _hosts(*lines: bytes) -> bytes:
    return request(b"GET /p HTTP/1.1", *lines, host=None)


def _both(*fields: bytes | re.Pattern[bytes]) -> Reading:
    """The request with these further fields, and the one behind it."""
    return Reading((Seen(b"GET /p HTTP/1.1", (HOST, *fields)), Seen(b"GET /smuggled HTTP/1.1")), None)


# No rule says that a line without a valid name must be refused; it must not be passed on.
_DROPPED = (_both(),)

CASES: list[Case] = [
    *under(
        "no blank before the colon",
        *(
            refused(f"field-{name}", cites, _with(line))
            for name, (line, cites) in _BAD_FIELDS.items()
            if name in _BLANK
        ),
    ),
    *under(
        "a field's name is a token",
        *(
            refused(f"field-{name}", cites, _with(line), also=_DROPPED)
            for name, (line, cites) in _BAD_FIELDS.items()
            if "name" in name and name not in _BLANK
        ),
    ),
    *under(
        "no CR, LF, NUL or fold in a value",
        *(
            refused(
                f"field-{name}",
                cites,
                _with(line),
                also=(*_DROPPED, _both(*_LENIENT[name])) if name in _LENIENT else _DROPPED,
            )
            for name, (line, cites) in _BAD_FIELDS.items()
            if name not in _BLANK and "name" not in name
        ),
    ),
    *under(
        "Host is one valid host",
        *(
            refused(f"host-{name}", cites, _hosts(*lines), also=(_both(),) if name == "folded" else ())
            for name, (lines, cites) in _BAD_HOSTS.items()
        ),
    ),
    *under(
        "Host is one valid host",
        refused(
            "host-missing-for-absolute-form",
            "RFC 9112 3.2: also where the target names the host",
            b"GET http://a.test/p HTTP/1.1\r\nX-A: b\r\n\r\n",
        ),
        refused(
            "host-twice-for-absolute-form",
            "RFC 9112 3.2",
            request(b"GET http://a.test/p HTTP/1.1", HOST),
        ),
    ),
    refused(
        "indented-line-before-the-fields",
        "RFC 9112 2.2: refused, or the line is dropped",
        b"GET /p HTTP/1.1\r\n Content-Length: 40\r\nHost: a.test\r\n\r\n",
        also=_DROPPED,
    ),
    refused(
        "head-of-bare-lf",
        "RFC 9112 2.2: may be recognised, http-garden transducer bug 16: never passed on",
        b"GET /p HTTP/1.1\nHost: a.test\n\n",
        also=_DROPPED,
    ),
    refused(
        "head-of-bare-cr",
        "Http11Probe RFC9112-3-CR-ONLY-LINE-ENDING",
        b"GET /p HTTP/1.1\rHost: a.test\r\r",
    ),
    refused(
        "last-line-ends-in-lf",
        "RFC 9112 2.2",
        b"GET /p HTTP/1.1\r\nHost: a.test\r\n\n",
        also=_DROPPED,
    ),
    # What must not be refused
    *under(
        "a field with any valid name is passed on",
        passed(
            "every-token-character-in-a-name",
            "RFC 9110 5.6.2",
            _with(b"!#$%&'*+-.^_`|~09azAZ: b"),
            Seen(b"GET /p HTTP/1.1", (HOST, b"!#$%&'*+-.^_`|~09azAZ: b")),
        ),
    ),
    passed("no-blank-behind-colon", "RFC 9112 5: OWS", _with(b"X-A:b"), Seen(b"GET /p HTTP/1.1", (HOST, b"X-A:b"))),
    passed("empty-value", "RFC 9110 5.5", _with(b"X-A:"), Seen(b"GET /p HTTP/1.1", (HOST, b"X-A:"))),
    passed(
        "high-bytes-in-value",
        "RFC 9110 5.5: obs-text is opaque",
        _with(b"X-A: \xe4\xf6 \xff"),
        Seen(b"GET /p HTTP/1.1", (HOST, b"X-A: \xe4\xf6 \xff")),
        also=(Reading((), (Reply(400),)),),
    ),
    passed(
        "tabs-and-blanks-in-value",
        "RFC 9110 5.5",
        _with(b"X-A: b\t c  d"),
        Seen(b"GET /p HTTP/1.1", (HOST, b"X-A: b\t c  d")),
    ),
    passed(
        "colon-in-value",
        "RFC 9112 5",
        _with(b"X-A: b: c :d"),
        Seen(b"GET /p HTTP/1.1", (HOST, b"X-A: b: c :d")),
    ),
    passed(
        "an-empty-line-before-the-request",
        "RFC 9112 2.2",
        b"\r\n" + request(b"GET /p HTTP/1.1"),
        Seen(b"GET /p HTTP/1.1"),
        hard=False,
    ),
]
