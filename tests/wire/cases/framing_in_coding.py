"""Transfer-Encoding in a request: ``chunked``, once, last, in HTTP/1.1 only, and never beside Content-Length."""

from tests.wire.case import HOST, Case, End, Reading, Reply, Seen, passed, refused, request, under

_GRAMMAR = "RFC 9112 6.1, 7"
_BODY = b"5\r\nhello\r\n0\r\n\r\n"
_CHUNKED = b"Transfer-Encoding: chunked"


def _post(*fields: bytes, body: bytes = _BODY, line: bytes = b"POST /p HTTP/1.1") -> bytes:
    return request(line, *fields, body=body)


def _whole(*fields: bytes, body: bytes = b"hello") -> Seen:
    return Seen(b"POST /p HTTP/1.1", (HOST, *(fields or (_CHUNKED,))), body)


# What a recipient may read as plain chunked, as empty list members are to be ignored (RFC 9110 5.6.1).
_AS_CHUNKED = (Reading((_whole(),), (Reply(200, b"ok"), Reply(200, b"ok"))), Reading((_whole(),), (Reply(200, b"ok"),)))

# name: (value, what it is derived from)
_BAD: dict[str, tuple[bytes, str]] = {
    "gzip-chunked": (b"gzip, chunked", "RFC 9112 6.1: a coding that is not understood"),
    "chunked-gzip": (b"chunked, gzip", "RFC 9112 6.3 item 4.1"),
    "gzip": (b"gzip", "RFC 9112 6.3 item 4.1"),
    "twice-in-a-list": (b"chunked, chunked", "RFC 9112 7.1: never applied twice"),
    "identity": (b"identity", "RFC 9112 7: removed from the registry"),
    "identity-chunked": (b"identity, chunked", "CVE-2024-1135 (gunicorn)"),
    "chunked-identity": (b"chunked, identity", "CVE-2024-1135 (gunicorn)"),
    "xchunked": (b"xchunked", "CVE-2019-16786 (waitress)"),
    "chunked-plus-letter": (b"chunkedd", "CVE-2022-32213 (llhttp)"),
    "prefix": (b"chunk", _GRAMMAR),
    "unknown": (b"cow", "http-garden server bug 44"),
    "parameter": (b"chunked;q=1", "RFC 9112 7: chunked has no parameters"),
    "semicolon": (b"chunked;", _GRAMMAR),
    "double-quoted": (b'"chunked"', _GRAMMAR),
    "single-quoted": (b"'chunked'", _GRAMMAR),
    "vertical-tab-behind": (b"chunked\x0b", "Http11Probe SMUG-TE-VTAB"),
    "vertical-tab-before": (b"\x0bchunked", "CVE-2019-16789 (waitress)"),
    "form-feed": (b"\x0cchunked", "Http11Probe SMUG-TE-FORMFEED"),
    "nul": (b"chun\x00ked", "RFC 9110 5.5, Http11Probe SMUG-TE-NULL"),
    "nbsp": (b"\xa0chunked\xa0", "http-garden server bug 12"),
    "high-byte": (b"\xffchunked", "http-garden server bug 46"),
    "two-words": (b"chunked identity", "Node CVE-2022-32213 by idea"),
    "empty": (b"", "Http11Probe SMUG-TE-EMPTY-VALUE"),
    "bare-cr": (b"x\rTransfer-Encoding: chunked", "CVE-2023-30589 (llhttp)"),
}

# name: (lines, what they are derived from)
_TWICE: dict[str, tuple[tuple[bytes, ...], str]] = {
    "twice": ((_CHUNKED, _CHUNKED), "GHSA-753j-mpmx-qq6g (Tornado), http-garden transducer bug 25"),
    "and-identity": ((_CHUNKED, b"Transfer-Encoding: identity"), "CVE-2022-1705 (Go)"),
    "behind-identity": ((b"Transfer-Encoding: identity", _CHUNKED), "CVE-2022-1705 (Go)"),
    "behind-gzip": ((b"Transfer-Encoding: gzip", _CHUNKED), "RFC 9112 6.1"),
}

_BAD_LINES: dict[str, tuple[tuple[bytes, ...], str]] = {
    "blank-before-colon": ((b"Transfer-Encoding : chunked",), "RFC 9112 5.1, CVE-2019-16276 (Go)"),
    "tab-before-colon": ((b"Transfer-Encoding\t: chunked",), "RFC 9112 5.1"),
    "folded-value": ((b"Transfer-Encoding:", b" chunked"), "RFC 9112 5.2, CVE-2022-32215 (llhttp)"),
    "folded-behind": ((b"Transfer-Encoding: chunked", b" , identity"), "CVE-2022-32215 (llhttp)"),
    "broken-name": ((b"Transfer-", b"Encoding: chunked"), "http-garden server bug 37"),
    "control-in-name": ((b"\x01Transfer-Encoding: chunked",), "RFC 9112 5"),
    "high-byte-in-name": ((b"Transfer-Encoding\x85: chunked",), "http-garden server bug 20"),
    "behind-a-bare-lf": ((b"X-A: b\nTransfer-Encoding: chunked",), "CVE-2019-16785 (waitress)"),
    "behind-a-bare-cr": ((b"X-A: b\rTransfer-Encoding: chunked",), "RFC 9112 2.2"),
}

_WITH_LENGTH: dict[str, tuple[tuple[bytes, ...], str]] = {
    "and-a-length": ((_CHUNKED, b"Content-Length: 15"), "RFC 9112 6.1, 6.3 item 3"),
    "behind-a-length": ((b"Content-Length: 5", _CHUNKED), "RFC 9112 6.1, http-garden transducer bug 23"),
    "and-a-length-of-zero": ((b"Content-Length: 0", _CHUNKED), "RFC 9112 6.1"),
    "and-a-bad-length": ((b"Content-Length: abc", _CHUNKED), "RFC 9112 6.1"),
    "unknown-and-a-length": ((b"Transfer-Encoding: ,x", b"Content-Length: 5"), "http-garden transducer bug 15"),
}

# Beside a length, chunked may win if the length goes and the connection is closed (RFC 9112 6.3 item 3).
_CHUNKED_WINS = (Reading((_whole(),), (Reply(200, b"ok"),), End.ENDED),)
# A line without a valid name may be dropped; then there is no body, and what follows is no request.
_DROPPED = (Reading((Seen(b"POST /p HTTP/1.1"),), (Reply(200, b"ok"), Reply(400))),)
# A fold may be replaced by blanks (RFC 9112 5.2).
_UNFOLDED = (
    Reading((_whole(),), (Reply(200, b"ok"),)),
    Reading((_whole(), Seen(b"GET /smuggled HTTP/1.1")), (Reply(200, b"ok"), Reply(200, b"ok"))),
)
# A LF may be taken for a line's end (RFC 9112 2.2).
_LF = (Seen(b"POST /p HTTP/1.1", (HOST, b"X-A: b", _CHUNKED), b"hello"), Seen(b"GET /smuggled HTTP/1.1"))
_REPAIRED: dict[str, tuple[Reading, ...]] = {
    "folded-value": _UNFOLDED,
    "folded-behind": _UNFOLDED,
    "broken-name": (
        Reading((Seen(b"POST /p HTTP/1.1", (HOST, b"Encoding: chunked")),), (Reply(200, b"ok"), Reply(400))),
        Reading((Seen(b"POST /p HTTP/1.1", (HOST, b"Transfer-:", b"Encoding: chunked")),), (Reply(200), Reply(400))),
    ),
    "control-in-name": _DROPPED,
    "high-byte-in-name": _DROPPED,
    "behind-a-bare-lf": (Reading(_LF, (Reply(200, b"ok"), Reply(200, b"ok"))),),
}

CASES: list[Case] = [
    *under(
        "Transfer-Encoding is chunked, once and last",
        *(
            refused(f"coding-{name}", cites, _post(b"Transfer-Encoding: " + value))
            for name, (value, cites) in _BAD.items()
        ),
        *(refused(f"coding-{name}", cites, _post(*lines)) for name, (lines, cites) in _TWICE.items()),
    ),
    *under(
        "a malformed Transfer-Encoding line frames nothing",
        *(
            refused(
                f"coding-{name}",
                cites,
                _post(*lines),
                also=_REPAIRED.get(name, ()),
            )
            for name, (lines, cites) in _BAD_LINES.items()
        ),
    ),
    *under(
        "Transfer-Encoding and Content-Length: refused, or chunked and closed",
        *(
            refused(f"coding-{name}", cites, _post(*lines), also=_CHUNKED_WINS)
            for name, (lines, cites) in _WITH_LENGTH.items()
        ),
    ),
    refused(
        "coding-with-leading-comma",
        "RFC 9110 5.6.1; http-garden transducer bugs 9 and 18: read by some as chunked, by some as unknown",
        _post(b"Transfer-Encoding: ,chunked"),
        also=_AS_CHUNKED,
        behind=b"",
    ),
    refused(
        "coding-with-trailing-comma",
        "RFC 9110 5.6.1, Http11Probe SMUG-TE-TRAILING-COMMA",
        _post(b"Transfer-Encoding: chunked,"),
        also=_AS_CHUNKED,
        behind=b"",
    ),
    *under(
        "Transfer-Encoding in HTTP/1.0 is faulty framing",
        refused(
            "coding-in-http-1.0",
            "RFC 9112 6.1: treated as faulty framing; CVE-2026-2835 (Pingora) by idea",
            _post(_CHUNKED, line=b"POST /p HTTP/1.0"),
            also=(Reading((_whole(),), (Reply(200, b"ok"),), End.ENDED),),
        ),
        refused(
            "coding-and-length-in-http-1.0",
            "RFC 9112 6.1: faulty even if a Content-Length is present",
            _post(_CHUNKED, b"Content-Length: 15", b"Connection: keep-alive", line=b"POST /p HTTP/1.0"),
            also=(Reading((_whole(),), (Reply(200, b"ok"),), End.ENDED),),
        ),
    ),
    passed("coding", "RFC 9112 7.1", _post(_CHUNKED), _whole()),
    passed(
        "coding-in-any-case", "RFC 9112 7: codings are case-insensitive", _post(b"transfer-encoding: ChUnKeD"), _whole()
    ),
    *under(
        "blanks around a value are no part of it",
        passed(
            "coding-between-blanks",
            "RFC 9112 5: OWS around a value is no part of it; Http11Probe SMUG-TE-TRAILING-SPACE",
            _post(b"Transfer-Encoding: \tchunked \t"),
            _whole(b"Transfer-Encoding: \tchunked \t"),
        ),
    ),
    passed(
        "a-name-with-an-underscore-frames-nothing",
        "RFC 9112 6.1: Transfer_Encoding is another field",
        request(b"POST /p HTTP/1.1", b"Transfer_Encoding: chunked", b"Content-Length: 5", body=b"hello"),
        Seen(b"POST /p HTTP/1.1", (HOST, b"Transfer_Encoding: chunked", b"Content-Length: 5"), b"hello"),
        also=(Reading((_whole(b"Content-Length: 5"),), (Reply(200, b"ok"),)),),
    ),
    passed(
        "a-similar-name-frames-nothing",
        "RFC 9112 6.1: X-Transfer-Encoding is another field",
        request(b"POST /p HTTP/1.1", b"X-Transfer-Encoding: chunked", b"X-Content-Length: 9")
        + request(b"GET /second HTTP/1.1"),
        Seen(b"POST /p HTTP/1.1", (HOST, b"X-Transfer-Encoding: chunked", b"X-Content-Length: 9")),
        Seen(b"GET /second HTTP/1.1"),
    ),
    passed(
        "chunked-get",
        "RFC 9112 6: any method may have a body",
        request(b"GET /p HTTP/1.1", _CHUNKED, body=_BODY),
        Seen(b"GET /p HTTP/1.1", (HOST, _CHUNKED), b"hello"),
        also=(Reading(None, (Reply((400, 411, 501)),)),),
    ),
]
